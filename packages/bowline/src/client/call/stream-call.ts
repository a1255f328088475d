import { MessageReader } from "../../grpc/message-reader.ts";
import type { ReceivedFields } from "../../grpc/wire/metadata-headers.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { CallOptions } from "../call-options.ts";
import type { CallMethod, Channel } from "../channel/channel.ts";
import type { ClientPipeline } from "../pipeline.ts";
import { Call } from "./call.ts";
import { type AnswerSource, InterceptedAnswers } from "./intercepted-answers.ts";
import { abortError } from "./outcome.ts";

/** A call that is answered by a stream of messages: server-streaming, and bidirectional. */
export class StreamCall extends Call implements AnswerSource {
  /** What the user iterates, once: the answers as they come, or as interceptors give them. */
  readonly #answers: AsyncIterator<unknown>;
  readonly #reader: MessageReader<unknown>;
  #resolveAnswers: (answers: AsyncIterable<unknown>) => void = () => {};
  #rejectAnswers: (error: RpcError) => void = () => {};

  constructor(
    channel: Channel,
    target: CallMethod,
    pipeline: ClientPipeline,
    options: CallOptions | undefined,
    request: unknown,
  ) {
    super(channel, target, pipeline, options, request);
    this.#reader = new MessageReader(this, target.method.output, channel.maxReceiveBytes, null);
    this.#answers = pipeline.interceptors.length === 0 ? this.#reader : this.#answersLater();
  }

  /** What the user gets: nothing but the iteration. */
  get messages(): AsyncIterable<unknown> {
    const answers = this.#answers;
    return { [Symbol.asyncIterator]: () => answers };
  }

  /** The user left the loop over the answers. */
  abandoned(): void {
    this.cancel(new RpcError(Code.CANCELLED, "the caller stopped reading", { reason: "cancelled" }));
  }

  /** All that an interceptor gave was read. */
  finished(): void {
    if (this.isOver) return;
    // An interceptor that answers by itself is an answer like another.
    if (this.attempt === 0) this.conclude(null);
    else this.abandoned();
  }

  /** Whoever aborts a call while reading gets no further messages, whether or not the last of them had come by then. */
  withdrawn(): RpcError | null {
    const signal = this.options?.signal;
    if (signal?.aborted !== true) return null;
    return this.describe(abortError(signal));
  }

  override unreadable(error: RpcError): void {
    this.cancel(error);
  }

  protected override get canRepeat(): boolean {
    return !this.hasAnswer && this.canRepeatRequests;
  }

  protected override transmit(): void {
    const { transport, attempt } = this;
    if (this.method.kind === "bidi-stream") {
      const requests = this.requests();
      transport?.open(this);
      this.sendAll(requests);
      return;
    }
    transport?.open(this);
    const sent = this.sendLast(this.request);
    sent?.catch((error: unknown) => {
      if (this.attempt === attempt) this.cancel(RpcError.from(error));
    });
  }

  protected override answerBegins(fields: ReceivedFields | null): void {
    if (this.responseCompression !== null) this.#reader.use(this.responseCompression);
    super.answerBegins(fields);
    this.stands();
  }

  protected override answerData(chunk: Buffer, start: number, to: number): void {
    this.answered();
    this.#reader.push(chunk, start, to);
  }

  protected override answerMessage(): void {
    // The reader finds the messages.
  }

  protected override ended(error: RpcError | null): void {
    const { entered } = this;
    while (this.entered > 0) {
      for (const hook of this.pipeline.segments[--this.entered].end) hook(this, error);
    }
    // What the server sent before a status of its own is still read; after an end of our making it is not.
    if (error === null || error.origin === "remote") this.#reader.end(error);
    else this.#reader.fail(error);
    // Whoever waits for an interceptor that has not gone on with the call waits in vain.
    if (entered === 1) this.#resolveAnswers(this.#reader);
    else this.interception?.reject(entered - 2, error ?? gone());
  }

  override innerStarted(i: number): void {
    if (i + 1 === this.pipeline.interceptors.length) this.interception?.resolve(i, this.#reader);
  }

  override intercepted(i: number, answer: unknown): void {
    if (!isAsyncIterable(answer)) {
      const text = `an interceptor must give an async iterable for the streaming method ${this.method.path}`;
      return this.interceptorFailed(i, new RpcError(Code.INTERNAL, text, { reason: "handler" }));
    }
    if (i === 0) this.#resolveAnswers(answer);
    else this.interception?.resolve(i - 1, answer);
  }

  override interceptorFailed(i: number, thrown: RpcError): void {
    const error = this.describe(thrown);
    if (i === 0) this.#rejectAnswers(error);
    else this.interception?.reject(i - 1, error);
    this.cancel(error);
  }

  #answersLater(): AsyncIterator<unknown> {
    const answers = new Promise<AsyncIterable<unknown>>((resolve, reject) => {
      this.#resolveAnswers = resolve;
      this.#rejectAnswers = reject;
    });
    // Who never reads never hears of an interceptor's error; that is no reason to end the process.
    answers.catch(() => {});
    return new InterceptedAnswers(answers, this);
  }
}

function gone(): RpcError {
  return new RpcError(Code.CANCELLED, "the call has ended", { reason: "cancelled" });
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
