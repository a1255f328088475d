import type { AttemptResult } from "../../balancer/balancer.ts";
import { findCompression, identity, unknownCompression } from "../../codec/compression.ts";
import { ClientStream } from "../../grpc/client-stream.ts";
import { metadataFromFields, type ReceivedFields } from "../../grpc/wire/metadata-headers.ts";
import { ErrorCode } from "../../http2/frames.ts";
import { type CallContext, type ChildCall, callStorage, type InContext } from "../../rpc/call-context.ts";
import type { Timer } from "../../rpc/clock.ts";
import { Code } from "../../rpc/code.ts";
import { leaveUnread } from "../../rpc/iteration/user-iterator.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { CallOptions } from "../call-options.ts";
import type { CallMethod, Channel } from "../channel/channel.ts";
import type { Endpoint } from "../channel/endpoint.ts";
import type { ClientPipeline } from "../pipeline.ts";
import { inheritedMetadata } from "./inherited-metadata.ts";
import { Interception } from "./interception.ts";
import { abortError, copyOf, parentError, resultOf } from "./outcome.ts";
import { callBack, contextOf } from "./own-context.ts";
import { type RequestSink, sendRequests } from "./request-sending.ts";
import { isStreamed, keptRequest, RequestSource } from "./request-source.ts";

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
 *
 * `cancel` ends it from any state; `conclude` is the only way into `over`.
 */
export abstract class Call extends ClientStream implements ChildCall, RequestSink {
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
  /** Where the attempt before went: the next one goes elsewhere if it can. */
  avoid: Endpoint | null = null;
  /** In the channel's queue; kept by the channel. */
  isWaiting = false;
  isOver = false;
  /** Segments of the pipeline that were entered and not left. */
  protected entered = 0;
  protected interception: Interception | null = null;
  /** Monotonic ms at which the present attempt was sent; of streams: its last request before the answer. */
  #attemptAt = 0;
  /** An attempt is on its way. False before the balancer hears of its end: one of the user's may end the call then. */
  #isSent = false;
  /** It is a stream whose headers are back. */
  #isStanding = false;
  /** The balancer has heard of its outcome. */
  #isReported = false;
  /** A handler may have seen an attempt that has ended. */
  #mayHaveRun = false;
  #unseenAttempts = 0;
  /** The error that says that it belongs to this call. */
  #ownError: RpcError | null = null;
  /** Why the attempt before failed. */
  #lastError: RpcError | null = null;
  #onAbort: (() => void) | null = null;
  #retryTimer: Timer | null = null;
  #source: RequestSource | null = null;
  /** Where the user's code is run that the call itself calls; null when there is none. */
  readonly #inContext: InContext | null;

  constructor(
    channel: Channel,
    target: CallMethod,
    pipeline: ClientPipeline,
    options: CallOptions | undefined,
    request: unknown,
  ) {
    super(target.method, target.headers);
    this.channel = channel;
    this.target = target;
    this.pipeline = pipeline;
    this.options = options;
    this.request = request;
    this.parent = callStorage.getStore() ?? null;
    this.compression = channel.compression;
    this.compressFromBytes = channel.compressFromBytes;
    this.#inContext = contextOf(target.method, options);
  }

  // --- what the two kinds of calls differ in ---

  /** Sends the attempt on `transport`; throws an RpcError when that is impossible. */
  protected abstract transmit(): void;
  /** False when what was sent can't be sent again, or the user has seen something of the answer. */
  protected abstract get canRepeat(): boolean;
  /** All that is inside interceptor `i` is running: what its `next` gives, if that is known before the end. */
  abstract innerStarted(i: number): void;
  /** Interceptor `i` has given its answer. */
  abstract intercepted(i: number, answer: unknown): void;
  /** Interceptor `i` has thrown. */
  abstract interceptorFailed(i: number, error: RpcError): void;
  /** The end of what is inside all interceptors, once. */
  protected abstract ended(error: RpcError | null): void;

  // --- the call ---

  /**
   * Starts it: hooks and interceptors from the outside in, then the first attempt.
   *
   * @throws TypeError when the metadata of its options are wrong; nothing was started then
   */
  begin(): void {
    const { options, parent } = this;
    if (options !== undefined) {
      const { metadata, compression, compressIf } = options;
      if (metadata !== undefined) this.requestMetadata = new Metadata(metadata);
      if (compression !== undefined) this.compressBy(compression);
      if (compressIf !== undefined) this.compressIf = compressIf;
    }
    if (parent !== null) this.requestMetadata = inheritedMetadata(this.requestMetadata, parent.propagatedMetadata());
    // Read anew: the caller may have computed for longer than the call may take.
    this.startedAt = this.channel.clock.fresh();
    this.enter(0);
  }

  /** Has the requests compressed by what is called so. @throws TypeError when there is no such compression */
  compressBy(name: string): void {
    const compression = findCompression(name);
    if (compression === undefined) throw unknownCompression("compression of a call", name);
    this.compression = compression === identity ? null : compression;
    this.headers = this.target.headers.withEncoding(this.compression === null ? "" : name);
  }

  /** Segment `i` of the pipeline and all that is inside it. */
  enter(i: number): void {
    this.entered = i + 1;
    for (const hook of this.pipeline.segments[i].begin) {
      const error = hook(this);
      if (error !== null) return this.conclude(error);
    }
    if (i === 0) {
      this.#listen();
      if (this.isOver) return;
    }
    if (i === this.pipeline.interceptors.length) return this.pipeline.send(this);
    this.interception ??= new Interception(this);
    this.interception.run(i);
  }

  /** True when the time is over: nothing is to be sent, and no endpoint to be picked. */
  get isLate(): boolean {
    return this.deadlineAt !== 0 && this.channel.clock.now() >= this.deadlineAt;
  }

  /** Finds an endpoint and sends, or waits in the channel's queue. */
  dispatch(): void {
    if (this.isOver) return;
    if (this.isLate) return this.onDue();
    let endpoint: Endpoint | null;
    try {
      endpoint = this.channel.balancer.pick(this.avoid, this.options?.hashKey);
      if (endpoint === null) this.request = keptRequest(this.method, this.request);
    } catch (error) {
      return this.conclude(RpcError.from(error));
    }
    if (endpoint === null) this.channel.enqueue(this);
    else this.sendTo(endpoint);
  }

  /** Sends the attempt to an endpoint that is ready. */
  sendTo(endpoint: Endpoint): void {
    const now = this.channel.clock.now();
    if (this.deadlineAt !== 0) this.timeoutMs = Math.max(0, this.deadlineAt - now);
    this.#attemptAt = now;
    this.endpoint = endpoint;
    this.transport = endpoint.transport;
    this.previousAttempts = this.retries;
    this.attempt++;
    endpoint.inFlight++;
    this.#isSent = true;
    this.#isReported = false;
    try {
      if (this.#inContext === null) this.transmit();
      else this.#inContext(() => this.transmit());
    } catch (error) {
      this.#notSent(RpcError.from(error));
    }
  }

  /** Ends the call on our side; a running attempt is given up. */
  cancel(error: RpcError): void {
    if (this.isOver) return;
    this.#giveUp(error.code === Code.DEADLINE_EXCEEDED ? "timeout" : "cancelled");
    this.conclude(error);
  }

  parentCancelled(reason: RpcError): void {
    this.childIndex = -1;
    this.cancel(new RpcError(reason.code, reason.text, { cause: reason, reason: reason.reason }));
  }

  override onDue(): void {
    const text = `deadline of ${Math.round(this.deadlineAt - this.startedAt)} ms exceeded: ${this.#doing()}`;
    const cause = this.#lastError ?? undefined;
    this.cancel(new RpcError(Code.DEADLINE_EXCEEDED, text, { reason: "deadline", cause }));
  }

  /** The call is over, once: timers and listeners go, the error says what it belongs to. */
  protected conclude(error: RpcError | null): void {
    if (this.isOver) return;
    this.#release();
    this.ended(error === null ? null : this.describe(error));
  }

  /** Ends the call because what is around it has its answer: nobody is told. */
  protected withdraw(): void {
    if (this.isOver) return;
    this.#giveUp("cancelled");
    this.#release();
  }

  /** Writes on an error what it belongs to; on a copy of one that belongs to another call already: its thrower may throw it again and again. */
  protected describe(error: RpcError): RpcError {
    const own = error.method === undefined || error === this.#ownError ? error : copyOf(error);
    this.#ownError = own;
    own.method ??= this.method.path;
    own.instance ??= this.endpoint?.id;
    own.attempt = this.attempt;
    own.sent = this.#mayHaveRun;
    return own;
  }

  // --- the answer ---

  protected override answerBegins(fields: ReceivedFields | null): void {
    this.#source?.commit();
    const { options } = this;
    if (options?.onHeader !== undefined) this.#report(() => options.onHeader?.(metadataFromFields(fields)));
  }

  /** The headers of a stream are here: from now on it may wait for news, which may take hours. */
  protected stands(): void {
    if (this.#isStanding || !this.#isSent) return;
    this.#isStanding = true;
    (this.endpoint as Endpoint).streaming++;
  }

  /** The first message of a stream: for the balancer the attempt has gone well, however long the rest takes. */
  protected answered(): void {
    if (!this.#isReported && this.#isSent) this.#tell("ok");
  }

  protected override answerEnds(error: RpcError | null, trailers: ReceivedFields | null, wasProcessed: boolean): void {
    if (this.isOver) return;
    this.#leaveEndpoint(resultOf(error), wasProcessed);
    if (this.isOver) return;
    if (error !== null) {
      if (this.channel.state === "closed") return this.conclude(this.channel.closedError());
      if (this.canRepeat) {
        const isUnseen = !wasProcessed && !this.hasAnswer && this.#unseenAttempts++ < MAX_TRANSPARENT_RETRIES;
        const delayMs = isUnseen ? 0 : this.#retryDelayMs(error);
        if (delayMs >= 0) return this.#again(error, delayMs);
      }
    }
    const { options } = this;
    if (options?.onTrailer !== undefined) this.#report(() => options.onTrailer?.(metadataFromFields(trailers)));
    this.conclude(error);
  }

  #retryDelayMs(error: RpcError): number {
    for (const hook of this.pipeline.attemptEnded) {
      const delayMs = hook(this, error);
      if (delayMs >= 0) return delayMs;
    }
    return -1;
  }

  #again(error: RpcError, delayMs: number): void {
    this.#lastError = error;
    this.avoid = this.endpoint;
    this.rewind();
    this.#source?.rewind();
    // Never from inside the end of a stream: its transport may have more of those to tell of.
    if (delayMs === 0) return queueMicrotask(() => this.dispatch());
    this.channel.sleeps(this, true);
    this.#retryTimer = this.channel.clock.setTimeout(() => {
      this.#wake();
      this.pipeline.send(this);
    }, delayMs);
  }

  // --- requests of calls that stream them ---

  /** The messages to send: taken from the user's iterable once, whatever the number of attempts. */
  protected requests(): RequestSource {
    this.maxSendBufferBytes = this.channel.maxSendBufferBytes;
    this.#source ??= new RequestSource(this.request, this.method);
    return this.#source;
  }

  /** True while all messages that were taken can be sent again. */
  protected get canRepeatRequests(): boolean {
    return this.#source?.isRepeatable ?? true;
  }

  protected sendAll(source: RequestSource): void {
    void sendRequests(source, this);
  }

  requestSent(): void {
    // The server answers what it has got: how long the user took to give it is not the server's time.
    if (!this.#isReported) this.#attemptAt = this.channel.clock.now();
  }

  // --- in detail ---

  /** From here on the caller's signal and the call that is being served can end this one. */
  #listen(): void {
    const signal = this.options?.signal;
    if (signal !== undefined) {
      if (signal.aborted) return this.cancel(abortError(signal));
      this.#onAbort = () => this.cancel(abortError(signal));
      signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    const { parent } = this;
    if (parent === null) return;
    if (parent.cancelReason !== null) this.cancel(parentError(parent.cancelReason));
    else parent.adopt(this);
  }

  #release(): void {
    this.isOver = true;
    this.channel.wheel.remove(this);
    if (this.isWaiting) this.channel.forget(this);
    if (this.#retryTimer !== null) this.#wake();
    if (this.#onAbort !== null) this.options?.signal?.removeEventListener("abort", this.#onAbort);
    if (this.childIndex >= 0) this.parent?.disown(this);
    if (this.#inContext !== null) this.#leaveRequests(this.#inContext);
  }

  #leaveRequests(inContext: InContext): void {
    const source = this.#source;
    if (source !== null) inContext(() => source.leave());
    else if (isStreamed(this.method)) inContext(() => leaveUnread(this.request));
  }

  #wake(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = null;
    this.channel.sleeps(this, false);
  }

  #giveUp(result: AttemptResult): void {
    if (!this.#isSent) return;
    this.abandon(ErrorCode.CANCEL);
    this.#leaveEndpoint(result, true);
  }

  /** The attempt never left: it does not count. */
  #notSent(error: RpcError): void {
    if (this.isOver) return;
    this.abandon(ErrorCode.CANCEL);
    this.#leaveEndpoint("cancelled", false);
    this.attempt--;
    this.conclude(error);
  }

  #leaveEndpoint(result: AttemptResult, mayHaveRun: boolean): void {
    if (!this.#isSent) return;
    const endpoint = this.endpoint as Endpoint;
    endpoint.inFlight--;
    if (mayHaveRun) this.#mayHaveRun = true;
    this.#isSent = false;
    if (this.#isStanding) endpoint.streaming--;
    this.#isStanding = false;
    if (!this.#isReported) this.#tell(result);
  }

  #tell(result: AttemptResult): void {
    this.#isReported = true;
    const { channel } = this;
    channel.balancer.done(this.endpoint as Endpoint, result, channel.clock.now() - this.#attemptAt);
  }

  #doing(): string {
    const address = this.endpoint?.address;
    if (this.#isSent) return this.hasAnswer ? `the answer of ${address} had not ended` : `no answer from ${address}`;
    if (this.entered <= this.pipeline.interceptors.length) return "an interceptor has not gone on with the call";
    if (this.pipeline.hasCredentials && this.attempt === 0 && !this.isWaiting) return "the credentials have not come";
    return this.channel.waitingFor();
  }

  /** Calls back into the user's code; what it throws ends the call. */
  #report(callback: () => unknown): void {
    callBack(this.#inContext, callback, (error) => this.cancel(error));
  }
}
