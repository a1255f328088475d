import { MessageReader } from "../grpc/message-reader.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { Call, type Requests } from "./call.ts";
import type { CallOptions } from "./call-options.ts";
import type { CallMethod, Channel } from "./channel.ts";
import type { ClientPipeline } from "./pipeline.ts";

/** A call that is answered by a stream of messages: server-streaming, and bidirectional. It is what the user iterates. */
export class StreamCall extends Call implements AsyncIterable<unknown> {
  readonly #reader: MessageReader<unknown>;
  /** What the user reads once interceptors have had their say. */
  readonly #answers: Promise<AsyncIterable<unknown>> | null;
  #resolveAnswers: (answers: AsyncIterable<unknown>) => void = () => {};
  #rejectAnswers: (error: RpcError) => void = () => {};

  constructor(channel: Channel, target: CallMethod, pipeline: ClientPipeline, options: CallOptions | undefined, request: unknown) {
    super(channel, target, pipeline, options, request);
    this.#reader = new MessageReader(this, target.method.output, channel.maxReceiveBytes, null);
    this.#answers =
      pipeline.interceptors.length === 0
        ? null
        : new Promise((resolve, reject) => {
            this.#resolveAnswers = resolve;
            this.#rejectAnswers = reject;
          });
    // Who never reads never hears of an interceptor's error; that is no reason to end the process.
    this.#answers?.catch(() => {});
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.#answers === null ? this.#reader : iterateLater(this.#answers);
  }

  /** What the user gets: nothing but the iteration. */
  get messages(): AsyncIterable<unknown> {
    return { [Symbol.asyncIterator]: () => this[Symbol.asyncIterator]() };
  }

  /** The user left the loop over the answers. */
  abandoned(): void {
    this.cancel(new RpcError(Code.CANCELLED, "the caller stopped reading", { reason: "cancelled" }));
  }

  override unreadable(error: RpcError): void {
    this.cancel(error);
  }

  protected override get canRepeat(): boolean {
    // What was taken from the user's iterable is gone; a single request is still there.
    return !this.hasAnswer && this.method.kind === "server-stream";
  }

  protected override transmit(): void {
    const { transport } = this;
    transport?.open(this);
    if (this.method.kind === "server-stream") {
      const sent = this.sendLast(this.request);
      if (sent !== undefined) sent.catch((error: unknown) => this.cancel(RpcError.from(error)));
    } else {
      void this.sendAll(this.request as Requests);
    }
  }

  protected override answerBegins(fields: string[] | null): void {
    if (this.responseCompression !== null) this.#reader.use(this.responseCompression);
    super.answerBegins(fields);
  }

  protected override answerData(chunk: Buffer, start: number, to: number): void {
    this.#reader.push(chunk, start, to);
  }

  protected override answerMessage(): void {}

  protected override ended(error: RpcError | null): void {
    for (let i = this.entered - 1; i >= 0; i--) {
      for (const hook of this.pipeline.segments[i].end) hook(this, error);
    }
    // What the server sent before a status of its own is still read; after an end of our making it is not.
    if (error === null || error.origin === "remote") this.#reader.end(error);
    else this.#reader.fail(error);
    this.#resolveAnswers(this.#reader);
  }

  protected override innerStarted(i: number): void {
    this.inner[i].resolve(this.#reader);
  }

  protected override intercepted(i: number, answer: unknown): void {
    if (!isAsyncIterable(answer)) {
      const text = `an interceptor must give an async iterable for the streaming method ${this.method.path}`;
      return this.interceptorFailed(i, new RpcError(Code.INTERNAL, text, { reason: "handler" }));
    }
    if (i === 0) this.#resolveAnswers(answer);
    else this.inner[i - 1].resolve(answer);
  }

  protected override interceptorFailed(i: number, error: RpcError): void {
    this.cancel(error);
    if (i === 0) this.#rejectAnswers(error);
    else this.inner[i - 1].reject(error);
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

async function* iterateLater(answers: Promise<AsyncIterable<unknown>>): AsyncGenerator<unknown> {
  yield* await answers;
}
