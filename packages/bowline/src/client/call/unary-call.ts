import { decode, SHOWS_BYTES } from "../../codec/codec.ts";
import { asBuffer } from "../../grpc/message-encoding.ts";
import { undecodable, unnamedEncoding } from "../../grpc/wire/framing-errors.ts";
import type { ReceivedFields } from "../../grpc/wire/metadata-headers.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { CallOptions } from "../call-options.ts";
import type { CallMethod, Channel } from "../channel/channel.ts";
import type { ClientPipeline } from "../pipeline.ts";
import { Call } from "./call.ts";

const NO_MESSAGE: unique symbol = Symbol("no message");

/** A call that is answered by one message: unary, and client-streaming. */
export class UnaryCall extends Call {
  readonly #resolve: (message: unknown) => void;
  readonly #reject: (error: RpcError) => void;
  #message: unknown = NO_MESSAGE;
  /** The inflation that is under way, of this attempt; the end waits for it. */
  #inflation: Promise<Buffer | Uint8Array> | null = null;
  #heldTrailers: { readonly trailers: ReceivedFields | null } | null = null;

  constructor(
    channel: Channel,
    target: CallMethod,
    pipeline: ClientPipeline,
    options: CallOptions | undefined,
    request: unknown,
    resolve: (message: unknown) => void,
    reject: (error: RpcError) => void,
  ) {
    super(channel, target, pipeline, options, request);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  protected override get canRepeat(): boolean {
    if (this.method.kind !== "unary") return !this.hasAnswer && this.canRepeatRequests;
    return !this.hasAnswer || this.options?.onHeader === undefined;
  }

  protected override transmit(): void {
    this.#message = NO_MESSAGE;
    this.#inflation = null;
    this.#heldTrailers = null;
    if (this.method.kind === "unary") {
      this.transport?.sendUnary(this, this.request);
      return;
    }
    const requests = this.requests();
    this.transport?.open(this);
    this.sendAll(requests);
  }

  // --- the end, from the inside out ---

  protected override ended(error: RpcError | null): void {
    if (this.entered === 1) this.#settle(error, this.#message);
    else this.#leave(this.entered - 1, error, this.#message);
  }

  override innerStarted(): void {
    // The answer is known at the end only.
  }

  override intercepted(i: number, answer: unknown): void {
    if (answer === undefined || answer === null) return this.interceptorFailed(i, noAnswer(this.method.path, answer));
    this.#leave(i, null, answer);
  }

  override interceptorFailed(i: number, error: RpcError): void {
    this.#leave(i, error, undefined);
  }

  /** What is inside segment `i` has ended, or an interceptor has answered for it: its hooks, then what is around it. */
  #leave(i: number, thrown: RpcError | null, answer: unknown): void {
    if (i >= this.entered) return;
    if (!this.isOver) this.withdraw();
    const error = thrown === null ? null : this.describe(thrown);
    while (this.entered > i + 1) this.#runEnds(cutOff());
    if (i === 0) return this.#settle(error, answer);
    this.#runEnds(error);
    if (error === null) this.interception?.resolve(i - 1, answer);
    else this.interception?.reject(i - 1, error);
  }

  #settle(error: RpcError | null, answer: unknown): void {
    this.#runEnds(error);
    if (error === null) this.#resolve(answer);
    else this.#reject(error);
  }

  /** Leaves the innermost segment. */
  #runEnds(error: RpcError | null): void {
    for (const hook of this.pipeline.segments[--this.entered].end) hook(this, error);
  }

  // --- the answer ---

  protected override answerData(chunk: Buffer, start: number, to: number): void {
    this.takeMessage(chunk, start, to);
  }

  protected override answerMessage(
    bytes: Buffer,
    start: number,
    end: number,
    compressed: boolean,
    isOwned: boolean,
  ): void {
    if (this.#message !== NO_MESSAGE || this.#inflation !== null) {
      const text = "the server sent more than one message for a call that takes one";
      return this.unreadable(new RpcError(Code.UNIMPLEMENTED, text, { reason: "protocol" }));
    }
    if (compressed)
      return this.#inflate(isOwned ? bytes.subarray(start, end) : Buffer.from(bytes.subarray(start, end)));
    const codec = this.method.output;
    // The user has the answer when the trailers are here, and the connection may read on before that.
    if (!isOwned && SHOWS_BYTES in codec) {
      return this.answerMessage(Buffer.from(bytes.subarray(start, end)), 0, end - start, false, true);
    }
    try {
      this.#message = decode(codec, bytes, start, end, isOwned);
    } catch (error) {
      this.unreadable(undecodable(error));
    }
  }

  protected override answerEnds(error: RpcError | null, trailers: ReceivedFields | null, wasProcessed: boolean): void {
    if (error !== null) {
      this.#inflation = null;
      return super.answerEnds(error, trailers, wasProcessed);
    }
    if (this.#inflation !== null) {
      this.#heldTrailers = { trailers };
    } else if (this.#message === NO_MESSAGE) {
      const text = "the server answered OK without a message";
      super.answerEnds(new RpcError(Code.UNIMPLEMENTED, text, { reason: "protocol" }), trailers, true);
    } else {
      super.answerEnds(null, trailers, true);
    }
  }

  #inflate(bytes: Buffer): void {
    const { responseCompression: compression } = this;
    if (compression === null) return this.unreadable(unnamedEncoding());
    const inflation = (async () => compression.decompress(bytes, this.channel.maxReceiveBytes, true))();
    this.#inflation = inflation;
    inflation.then(
      (plain) => {
        if (this.isOver || this.#inflation !== inflation) return;
        this.#inflation = null;
        this.answerMessage(asBuffer(plain), 0, plain.length, false, true);
        const held = this.#heldTrailers;
        if (held !== null && !this.isOver) this.answerEnds(null, held.trailers, true);
      },
      (error: unknown) => {
        if (this.isOver || this.#inflation !== inflation) return;
        this.#inflation = null;
        this.unreadable(undecodable(error));
      },
    );
  }
}

/** How a segment ends whose interceptor did not wait for it. */
function cutOff(): RpcError {
  return new RpcError(Code.CANCELLED, "an interceptor has answered", { reason: "cancelled" });
}

/** It would be an answer of a type that the method does not have. */
function noAnswer(path: string, answer: unknown): RpcError {
  const text = `an interceptor of ${path} returned ${String(answer)}: it must return what next(call) gives, or an answer`;
  return new RpcError(Code.INTERNAL, text, { reason: "handler" });
}
