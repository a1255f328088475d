import { identity } from "../../codec/compression.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { InterceptedCall } from "../interceptor.ts";
import type { Call } from "./call.ts";

/** What waits for the inside of an interceptor. */
interface Inside {
  resolve(answer: unknown): void;
  reject(error: RpcError): void;
}

/** A call's way through users' interceptors; made only where there are any. */
export class Interception {
  readonly #call: Call;
  #view: InterceptedCall;
  readonly #insides: Inside[] = [];

  constructor(call: Call) {
    this.#call = call;
    this.#view = viewOf(call);
  }

  /** Runs interceptor `i`; the call hears how it ended. */
  run(i: number): void {
    void this.#run(i);
  }

  /** What `next` of interceptor `i` gives. */
  resolve(i: number, answer: unknown): void {
    this.#insides[i]?.resolve(answer);
  }

  reject(i: number, error: RpcError): void {
    this.#insides[i]?.reject(error);
  }

  async #run(i: number): Promise<void> {
    const call = this.#call;
    let isCalled = false;
    const next = (changed: InterceptedCall): Promise<unknown> => {
      if (isCalled) throw calledTwice();
      isCalled = true;
      return this.#next(i, changed);
    };
    try {
      call.intercepted(i, await call.pipeline.interceptors[i](this.#view, next));
    } catch (error) {
      call.interceptorFailed(i, RpcError.from(error));
    }
  }

  #next(i: number, changed: InterceptedCall): Promise<unknown> {
    const call = this.#call;
    if (!(changed?.metadata instanceof Metadata)) throw noCall();
    call.request = changed.request;
    call.requestMetadata = changed.metadata.size > 0 ? changed.metadata : null;
    // A call that an interceptor put together by itself may lack what it has no opinion of.
    if (changed.compression !== undefined) call.compressBy(changed.compression);
    if (changed.compressIf !== undefined) call.compressIf = changed.compressIf;
    // What one interceptor has replaced is what the next one sees.
    if (changed !== this.#view) this.#view = viewOf(call);
    const inside = new Promise((resolve, reject) => {
      this.#insides[i] = { resolve, reject };
    });
    // An interceptor that does not wait for the inside does not care how it ends.
    inside.catch(() => {});
    if (call.isOver) {
      this.reject(i, new RpcError(Code.CANCELLED, "the call has ended", { reason: "cancelled" }));
    } else {
      call.enter(i + 1);
      call.innerStarted(i);
    }
    return inside;
  }
}

function viewOf(call: Call): InterceptedCall {
  return {
    method: call.method,
    request: call.request,
    metadata: new Metadata(call.requestMetadata ?? undefined),
    compression: call.compression?.name ?? identity.name,
    compressIf: call.compressIf,
    get timeRemainingMs() {
      return call.deadlineAt === 0 ? undefined : Math.max(0, call.deadlineAt - call.channel.clock.fresh());
    },
  };
}

function calledTwice(): RpcError {
  const text = "an interceptor called next() twice; what is to be repeated needs a call of its own";
  return new RpcError(Code.INTERNAL, text, { reason: "handler" });
}

function noCall(): RpcError {
  const text =
    "an interceptor called next() with what is no call: write next(call), or next({ ...call, request }); its metadata is a Metadata";
  return new RpcError(Code.INTERNAL, text, { reason: "handler" });
}
