import type { AttemptResult } from "../balancer/balancer.ts";
import { ClientStream } from "../grpc/client-stream.ts";
import { metadataFromFields } from "../grpc/metadata-headers.ts";
import { ErrorCode } from "../http2/frames.ts";
import { type CallContext, type ChildCall, callStorage } from "../rpc/call-context.ts";
import type { Timer } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { CallOptions } from "./call-options.ts";
import type { CallMethod, Channel } from "./channel.ts";
import type { Endpoint } from "./endpoint.ts";
import type { InterceptedCall } from "./interceptor.ts";
import type { ClientPipeline } from "./pipeline.ts";

/** Requests of a call that streams them. */
export type Requests = AsyncIterable<unknown> | Iterable<unknown>;

/** How often a call may start anew because it is certain that no handler saw it. */
const MAX_TRANSPARENT_RETRIES = 5;

/**
 * A call and its present attempt.
 *
 * ```text
 *  created ── begin ──► waiting (for an endpoint) ──► sent ──► over
 *                          ▲                            │
 *                          └── attempt ended, again ────┘
 * ```
 */
export abstract class Call extends ClientStream implements ChildCall {
  readonly channel: Channel;
  readonly target: CallMethod;
  readonly pipeline: ClientPipeline;
  readonly options: CallOptions | undefined;
  /** The call that is being served where this one was started, or null. */
  readonly parent: CallContext | null;
  childIndex = -1;
  /** The message to send, or an iterable of messages. */
  request: unknown;
  /** Monotonic ms. */
  startedAt = 0;
  /** Monotonic ms; 0 without a deadline. */
  deadlineAt = 0;
  /** Attempts that were sent. */
  attempt = 0;
  /** Retries that the retry layer has granted. */
  retries = 0;
  /** Where the present attempt goes, or the last one went. */
  endpoint: Endpoint | null = null;
  isOver = false;
  /** Segments of the pipeline that were entered. */
  protected entered = 0;
  /** What interceptors wait for, by their place. */
  protected inner: { resolve(answer: unknown): void; reject(error: RpcError): void }[] = [];
  #attemptAt = 0;
  #isSent = false;
  #unseenAttempts = 0;
  #avoid: Endpoint | null = null;
  #onAbort: (() => void) | null = null;
  #retryTimer: Timer | null = null;
  #view: InterceptedCall | null = null;
  #iterator: AsyncIterator<unknown> | Iterator<unknown> | null = null;

  constructor(channel: Channel, target: CallMethod, pipeline: ClientPipeline, options: CallOptions | undefined, request: unknown) {
    super(target.method, target.headers);
    this.channel = channel;
    this.target = target;
    this.pipeline = pipeline;
    this.options = options;
    this.request = request;
    this.parent = callStorage.getStore() ?? null;
    this.compression = channel.compression;
    this.compressFromBytes = channel.compressFromBytes;
  }

  // --- what the two kinds of calls differ in ---

  /** Sends the attempt on `transport`; throws an RpcError when that is impossible. */
  protected abstract transmit(): void;
  /** False when what was sent can't be sent again, or the user has seen something of the answer. */
  protected abstract get canRepeat(): boolean;
  /** All that is inside interceptor `i` is running: what its `next` gives, if that is known before the end. */
  protected abstract innerStarted(i: number): void;
  /** Interceptor `i` has given its answer. */
  protected abstract intercepted(i: number, answer: unknown): void;
  /** Interceptor `i` has thrown. */
  protected abstract interceptorFailed(i: number, error: RpcError): void;
  /** The end of what is inside all interceptors, once. */
  protected abstract ended(error: RpcError | null): void;

  // --- the call ---

  /** Starts it: hooks and interceptors from the outside in, then the first attempt. */
  begin(): void {
    this.startedAt = this.channel.clock.now();
    if (this.options !== undefined) this.#takeOptions(this.options);
    if (!this.isOver) this.enter(0);
  }

  /** Finds an endpoint and sends, or waits in the channel's queue. */
  dispatch(): void {
    if (this.isOver) return;
    const endpoint = this.channel.pick(this.#avoid);
    if (endpoint === null) this.channel.enqueue(this);
    else this.sendTo(endpoint);
  }

  /** Sends the attempt to an endpoint that is ready. */
  sendTo(endpoint: Endpoint): void {
    const now = this.channel.clock.now();
    this.#attemptAt = now;
    this.timeoutMs = this.deadlineAt === 0 ? -1 : Math.max(0, this.deadlineAt - now);
    this.endpoint = endpoint;
    this.transport = endpoint.transport;
    this.previousAttempts = this.attempt;
    this.attempt++;
    endpoint.inFlight++;
    this.#isSent = true;
    try {
      this.transmit();
    } catch (error) {
      this.cancel(RpcError.from(error));
    }
  }

  /** The channel can't give an endpoint in time or at all. */
  refuse(error: RpcError): void {
    this.conclude(error);
  }

  /** Ends the call on our side; a running attempt is given up. */
  cancel(error: RpcError): void {
    if (this.isOver) return;
    if (this.#isSent) {
      this.abandon(ErrorCode.CANCEL);
      this.#leaveEndpoint(error.code === Code.DEADLINE_EXCEEDED ? "timeout" : "cancelled");
    }
    this.conclude(error);
  }

  parentCancelled(reason: RpcError): void {
    this.childIndex = -1;
    this.cancel(new RpcError(reason.code, reason.text, { cause: reason, reason: reason.reason }));
  }

  override onDue(): void {
    const timeoutMs = Math.round(this.deadlineAt - this.startedAt);
    const where = this.#isSent ? `no answer from ${this.endpoint?.address}` : this.channel.waitingFor();
    this.cancel(new RpcError(Code.DEADLINE_EXCEEDED, `deadline of ${timeoutMs} ms exceeded: ${where}`, { reason: "deadline" }));
  }

  // --- the pipeline ---

  /** Segment `i` of the pipeline and all that is inside it. */
  protected enter(i: number): void {
    this.entered = i + 1;
    for (const hook of this.pipeline.segments[i].begin) {
      const error = hook(this);
      if (error !== null) return this.conclude(error);
    }
    if (i < this.pipeline.interceptors.length) {
      void this.#intercept(i);
      return;
    }
    this.parent?.adopt(this);
    this.dispatch();
  }

  async #intercept(i: number): Promise<void> {
    this.#view ??= interceptedCall(this);
    let isCalled = false;
    const next = (call: InterceptedCall): Promise<unknown> => {
      if (isCalled) throw new Error("next() was called twice; a call that is to be repeated needs a call of its own");
      isCalled = true;
      this.request = call.request;
      if (call.metadata.size > 0) this.requestMetadata = call.metadata;
      return new Promise((resolve, reject) => {
        this.inner[i] = { resolve, reject };
        if (this.isOver) return reject(new RpcError(Code.CANCELLED, "the call has ended", { reason: "cancelled" }));
        this.enter(i + 1);
        this.innerStarted(i);
      });
    };
    try {
      this.intercepted(i, await this.pipeline.interceptors[i](this.#view, next));
    } catch (error) {
      this.interceptorFailed(i, RpcError.from(error));
    }
  }

  /** The call is over, once: timers and listeners go, errors say what they belong to. */
  protected conclude(error: RpcError | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.channel.wheel.remove(this);
    this.#retryTimer?.cancel();
    if (this.#onAbort !== null) this.options?.signal?.removeEventListener("abort", this.#onAbort);
    if (this.childIndex >= 0) this.parent?.disown(this);
    if (this.#iterator !== null) void leave(this.#iterator);
    if (error !== null) {
      error.method ??= this.method.path;
      error.instance ??= this.endpoint?.id;
      error.attempt = this.attempt;
      error.sent = this.attempt > 0 && error.reason !== "refused";
    }
    this.ended(error);
  }

  // --- the answer ---

  protected override answerBegins(fields: string[] | null): void {
    const { options } = this;
    if (options?.onHeader !== undefined) this.#report(() => options.onHeader?.(metadataFromFields(fields)));
  }

  protected override answerEnds(error: RpcError | null, trailers: string[] | null, wasProcessed: boolean): void {
    if (this.isOver) return;
    this.#leaveEndpoint(resultOf(error));
    if (error !== null && this.canRepeat) {
      const delayMs = !wasProcessed && this.#unseenAttempts++ < MAX_TRANSPARENT_RETRIES ? 0 : this.#retryDelayMs(error);
      if (delayMs >= 0) return this.#again(delayMs);
    }
    const { options } = this;
    if (options?.onTrailer !== undefined) this.#report(() => options.onTrailer?.(metadataFromFields(trailers)));
    this.conclude(error);
  }

  #retryDelayMs(error: RpcError): number {
    for (const hook of this.pipeline.attemptEnded) {
      const delayMs = hook(this, error);
      if (delayMs < 0) continue;
      this.retries++;
      return delayMs;
    }
    return -1;
  }

  #again(delayMs: number): void {
    this.#avoid = this.endpoint;
    this.rewind();
    // Never from inside the end of a stream: its transport may have more of those to tell of.
    if (delayMs === 0) queueMicrotask(() => this.dispatch());
    else this.#retryTimer = this.channel.clock.setTimeout(() => this.dispatch(), delayMs);
  }

  #leaveEndpoint(result: AttemptResult): void {
    const { endpoint } = this;
    if (!this.#isSent || endpoint === null) return;
    this.#isSent = false;
    endpoint.inFlight--;
    this.channel.balancer.done(endpoint, result, this.channel.clock.now() - this.#attemptAt);
  }

  // --- requests ---

  /** Sends the messages of an iterable, as fast as the connection takes them, and ends our side. */
  protected async sendAll(requests: Requests): Promise<void> {
    const streamId = this.id;
    const iterator = iterate(requests);
    this.#iterator = iterator;
    try {
      for (;;) {
        const { value, done } = await iterator.next();
        if (this.id !== streamId) return;
        if (done === true) break;
        const sent = this.sendRequest(value);
        if (sent !== undefined) await sent;
        if (!this.hasRoom) await this.room();
        if (this.id !== streamId) return;
      }
      this.#iterator = null;
      this.endRequests();
    } catch (error) {
      // The user's iterable threw, or gave what can't be encoded.
      this.#iterator = null;
      if (this.id === streamId) this.cancel(RpcError.from(error));
    }
  }

  #takeOptions(options: CallOptions): void {
    if (options.metadata !== undefined) {
      this.requestMetadata = options.metadata instanceof Metadata ? options.metadata : new Metadata(options.metadata);
    }
    const { signal } = options;
    if (signal === undefined) return;
    if (signal.aborted) return this.cancel(aborted(signal));
    this.#onAbort = () => this.cancel(aborted(signal));
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Calls back into the user's code; what it throws ends the call. */
  #report(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.cancel(RpcError.from(error));
    }
  }
}

function interceptedCall(call: Call): InterceptedCall {
  return {
    method: call.method,
    request: call.request,
    metadata: new Metadata(call.requestMetadata ?? undefined),
    get timeRemainingMs() {
      return call.deadlineAt === 0 ? undefined : Math.max(0, call.deadlineAt - call.channel.clock.now());
    },
  };
}

function iterate(requests: Requests): AsyncIterator<unknown> | Iterator<unknown> {
  return Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
}

/** Lets the user's generator run its `finally`. */
async function leave(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The call has its status already; an error while leaving has nobody to go to.
  }
}

function aborted(signal: AbortSignal): RpcError {
  const reason: unknown = signal.reason;
  if (RpcError.is(reason)) return reason;
  const text = reason instanceof Error && reason.name !== "AbortError" ? `cancelled: ${reason.message}` : "cancelled by the caller";
  return new RpcError(Code.CANCELLED, text, { cause: reason, reason: "cancelled" });
}

/** How the balancer should take an end: an answer of the application is a sign of health whatever it says. */
function resultOf(error: RpcError | null): AttemptResult {
  if (error === null) return "ok";
  switch (error.code) {
    case Code.CANCELLED:
      return "cancelled";
    case Code.DEADLINE_EXCEEDED:
      return "timeout";
    case Code.RESOURCE_EXHAUSTED:
      return error.reason === "limit" ? "cancelled" : "overload";
    case Code.UNAVAILABLE:
    case Code.INTERNAL:
    case Code.UNKNOWN:
    case Code.DATA_LOSS:
      return "failed";
    default:
      return "ok";
  }
}
