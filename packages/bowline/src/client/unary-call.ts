import { asBuffer } from "../grpc/grpc-stream.ts";
import { undecodable } from "../grpc/message-reader.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { Call, type Requests } from "./call.ts";
import type { CallOptions } from "./call-options.ts";
import type { CallMethod, Channel } from "./channel.ts";
import type { ClientPipeline } from "./pipeline.ts";

const NO_MESSAGE: unique symbol = Symbol("no message");

/** A call that is answered by one message: unary, and client-streaming. */
export class UnaryCall extends Call {
  readonly #resolve: (message: unknown) => void;
  readonly #reject: (error: RpcError) => void;
  #message: unknown = NO_MESSAGE;
  /** An inflation is under way; the end waits for it. */
  #isInflating = false;
  #heldTrailers: { readonly trailers: string[] | null } | null = null;
  /** The outermost segment whose `end` hooks have run. */
  #left: number = Number.POSITIVE_INFINITY;

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
    if (this.method.kind !== "unary") return false;
    return !this.hasAnswer || this.options?.onHeader === undefined;
  }

  protected override transmit(): void {
    this.#message = NO_MESSAGE;
    this.#isInflating = false;
    this.#heldTrailers = null;
    if (this.method.kind === "unary") {
      this.transport?.sendUnary(this, this.request);
    } else {
      this.transport?.open(this);
      void this.sendAll(this.request as Requests);
    }
  }

  protected override ended(error: RpcError | null): void {
    const { segments } = this.pipeline;
    if (segments.length > 1) return this.#leave(Math.max(0, this.entered - 1), error, this.#message);
    for (const hook of segments[0].end) hook(this, error);
    if (error === null) this.#resolve(this.#message);
    else this.#reject(error);
  }

  protected override innerStarted(): void {
    // The answer is known at the end only.
  }

  protected override intercepted(i: number, answer: unknown): void {
    this.#leave(i, null, answer);
  }

  protected override interceptorFailed(i: number, error: RpcError): void {
    this.#leave(i, error, undefined);
  }

  /** What is inside segment `i` has ended: its hooks, then what is around it. */
  #leave(i: number, error: RpcError | null, answer: unknown): void {
    if (i >= this.#left) return;
    this.#left = i;
    for (const hook of this.pipeline.segments[i].end) hook(this, error);
    if (i > 0) {
      if (error === null) this.inner[i - 1].resolve(answer);
      else this.inner[i - 1].reject(error);
      return;
    }
    // An interceptor may answer without the rest of the call, or before its end.
    if (!this.isOver) this.cancel(new RpcError(Code.CANCELLED, "an interceptor has answered", { reason: "cancelled" }));
    if (error === null) this.#resolve(answer);
    else this.#reject(error);
  }

  protected override answerData(chunk: Buffer, start: number, to: number): void {
    this.takeMessage(chunk, start, to);
  }

  protected override answerMessage(bytes: Buffer, start: number, end: number, compressed: boolean): void {
    if (this.#message !== NO_MESSAGE || this.#isInflating) {
      const text = "the server sent more than one message for a call that takes one";
      return this.unreadable(new RpcError(Code.UNIMPLEMENTED, text, { reason: "protocol" }));
    }
    if (compressed) return this.#inflate(bytes, start, end);
    try {
      this.#message = this.method.output.read(bytes, start, end);
    } catch (error) {
      this.unreadable(undecodable(error));
    }
  }

  protected override answerEnds(error: RpcError | null, trailers: string[] | null, wasProcessed: boolean): void {
    if (error !== null) return super.answerEnds(error, trailers, wasProcessed);
    if (this.#isInflating) {
      this.#heldTrailers = { trailers };
    } else if (this.#message === NO_MESSAGE) {
      const text = "the server answered OK without a message";
      super.answerEnds(new RpcError(Code.UNIMPLEMENTED, text, { reason: "protocol" }), trailers, true);
    } else {
      super.answerEnds(null, trailers, true);
    }
  }

  #inflate(buffer: Buffer, start: number, end: number): void {
    const { responseCompression: compression, attempt } = this;
    if (compression === null) {
      const text = "a message is marked compressed, but the answer names no grpc-encoding";
      return this.unreadable(new RpcError(Code.INTERNAL, text, { reason: "protocol" }));
    }
    const bytes = Buffer.from(buffer.subarray(start, end));
    this.#isInflating = true;
    (async () => compression.decompress(bytes, this.channel.maxReceiveBytes))().then(
      (plain) => {
        if (this.isOver || this.attempt !== attempt) return;
        this.#isInflating = false;
        this.answerMessage(asBuffer(plain), 0, plain.length, false);
        const held = this.#heldTrailers;
        if (held !== null && !this.isOver) this.answerEnds(null, held.trailers, true);
      },
      (error: unknown) => {
        if (this.isOver || this.attempt !== attempt) return;
        this.#isInflating = false;
        this.unreadable(RpcError.is(error) ? error : undecodable(error));
      },
    );
  }
}
