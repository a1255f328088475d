import type { Compression } from "../codec/compression.ts";
import type { MessageReader } from "../grpc/message-reader.ts";
import type { ServerStream } from "../grpc/server-stream.ts";
import type { Admission, ServerRoute } from "../grpc/server-transport.ts";
import { statusFields } from "../grpc/wire/status.ts";
import { ErrorCode } from "../http2/frames.ts";
import type { Logger } from "../observe/logger.ts";
import { MethodStats } from "../observe/method-stats.ts";
import { CallScope } from "../rpc/call-context.ts";
import type { Clock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { isMessages, iteratorOf, type MessageIterator } from "../rpc/iteration/user-iterator.ts";
import type { Method } from "../rpc/method.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { nextTurn } from "../rpc/turn.ts";
import { dropExcess } from "./answer-metadata.ts";
import type { MethodGuard } from "./guard.ts";
import { deadlineExceeded, type ServedCall, type ServerPipeline } from "./pipeline.ts";
import { ServerCall } from "./server-call.ts";
import type { ServerContext } from "./server-context.ts";

/**
 * Messages of one stream that are sent in a row. A generator that waits for nothing would else keep the event loop to itself until the
 * client's window is full: 100 ms with small messages.
 */
const MAX_BURST = 512;

/** A handler: a message or an iterable of messages in, the same out. */
export type Handler = (request: unknown, context: ServerContext) => unknown;

/** What the methods of a server share. */
export interface MethodServerOptions {
  readonly clock: Clock;
  readonly pipeline: ServerPipeline;
  readonly logger: Logger;
  /** Who may call each method; absent: everybody. */
  guard?(method: Method): MethodGuard | null;
  /** Keys of metadata that calls made by handlers carry on. */
  readonly propagate: readonly string[];
  readonly compression: Compression | null;
  readonly compressFromBytes: number;
}

/**
 * One method of a running server: takes calls from the transport through the layers to the handler and back.
 *
 * Budget of a unary call: the context, the handler's promise, and what the handler makes.
 */
export class MethodServer implements ServerRoute {
  readonly method: Method;
  readonly stats: MethodStats;
  readonly clock: Clock;
  readonly propagate: readonly string[];
  readonly compressFromBytes: number;
  readonly #compression: Compression | null;
  readonly #handler: Handler;
  readonly #guard: MethodGuard | null;
  readonly #pipeline: ServerPipeline;
  readonly #logger: Logger;
  readonly #scope: CallScope = new CallScope();

  constructor(method: Method, handler: Handler, options: MethodServerOptions) {
    this.method = method;
    this.stats = new MethodStats(method.path);
    this.clock = options.clock;
    this.propagate = options.propagate;
    this.#pipeline = options.pipeline;
    this.#logger = options.logger;
    this.#compression = options.compression;
    this.compressFromBytes = options.compressFromBytes;
    this.#guard = options.guard?.(method) ?? null;
    this.#handler =
      options.pipeline.interceptors.length === 0 ? handler : intercepted(method, handler, options.pipeline);
  }

  // --- ServerRoute ---

  begin(stream: ServerStream): Admission {
    const call = new ServerCall(stream, this);
    stream.call = call;
    if (this.#compression !== null && stream.accepts(this.#compression.name)) {
      stream.compression = this.#compression;
      stream.compressFromBytes = this.compressFromBytes;
    }
    for (const hook of this.#pipeline.begin) {
      const error = hook(call);
      if (error === null) continue;
      this.#finish(call, error);
      return "refused";
    }
    return this.#guard === null ? "admitted" : this.#admission(call, this.#guard);
  }

  /** Finds out who calls; the rest of the call waits for that. */
  #admission(call: ServerCall, guard: MethodGuard): Admission {
    const outcome = guard(call);
    if (outcome === null) return "admitted";
    if (!(outcome instanceof Promise)) {
      this.#finish(call, outcome);
      return "refused";
    }
    void outcome.then((refusal) => {
      if (call.isOver) return;
      if (refusal === null) call.stream.admit();
      else this.#finish(call, refusal);
    });
    return "pending";
  }

  request(stream: ServerStream, message: unknown): void {
    const call = stream.call as ServerCall;
    if (this.method.kind === "server-stream") this.#stream(call, message);
    else this.#unary(call, message);
  }

  messages(stream: ServerStream, messages: MessageReader<unknown>): void {
    const call = stream.call as ServerCall;
    if (this.method.kind === "bidi-stream") this.#stream(call, messages);
    else this.#unary(call, messages);
  }

  aborted(stream: ServerStream, error: RpcError): void {
    const call = stream.call as ServerCall | null;
    if (call === null || call.isOver) return;
    this.#over(call, error);
    call.lingers();
    call.cancel(error);
  }

  cancelled(stream: ServerStream, error: RpcError): void {
    const call = stream.call as ServerCall | null;
    if (call === null || call.isOver) return;
    this.#finish(call, error);
    call.lingers();
    call.cancel(error);
  }

  due(stream: ServerStream): void {
    this.cancelled(stream, deadlineExceeded());
  }

  // --- one answer ---

  #unary(call: ServerCall, request: unknown): void {
    let answer: unknown;
    try {
      answer = this.#scope.run(call, this.#handler, request);
    } catch (error) {
      this.#threw(call, error);
      return;
    }
    if (isThenable(answer)) this.#later(call, answer);
    else this.#respond(call, answer);
  }

  #later(call: ServerCall, promise: PromiseLike<unknown>): void {
    // Not awaited: an async function around it costs 2 % of a small call.
    call.isRunning = true;
    Promise.resolve(promise).then(
      (answer) => {
        call.handlerEnded();
        this.#respond(call, answer);
      },
      (error) => {
        call.handlerEnded();
        this.#threw(call, error);
      },
    );
  }

  #respond(call: ServerCall, answer: unknown): void {
    if (call.isOver) return;
    try {
      const { stream } = call;
      if (stream.headerMetadata !== null || stream.trailerMetadata !== null) refuseExcess(stream);
      stream.respond(given(answer, this.method, this.#pipeline));
    } catch (error) {
      this.#threw(call, error);
      return;
    }
    this.#over(call, null);
  }

  // --- many answers ---

  #stream(call: ServerCall, request: unknown): void {
    void this.#scope.run(call, (message) => this.#pump(call, message), request);
  }

  /** Sends what the handler yields, as fast as the connection takes it and others get their turn. */
  async #pump(call: ServerCall, request: unknown): Promise<void> {
    const { stream } = call;
    let left = MAX_BURST;
    let iterator: MessageIterator | null = null;
    call.isRunning = true;
    try {
      const answers = iterate(await this.#handler(request, call), this.method);
      // The call may have ended while the handler was waited for: nobody would leave its generator later.
      if (call.isOver) return void this.#leave(call, answers);
      iterator = answers;
      call.onEnd = () => void this.#leave(call, answers);
      for (;;) {
        const { value, done } = await answers.next();
        if (call.isOver) return;
        if (done === true) break;
        if (stream.headerMetadata !== null && !stream.hasBegun) refuseExcess(stream);
        const sent = stream.send(given(value, this.method, this.#pipeline));
        if (sent !== undefined) await sent;
        if (!stream.hasRoom) await stream.room();
        else if (--left === 0) await nextTurn();
        else continue;
        left = MAX_BURST;
        if (call.isOver) return;
      }
      call.onEnd = null;
      if (stream.headerMetadata !== null || stream.trailerMetadata !== null) refuseExcess(stream);
      stream.sendHeaders();
      this.#finish(call, null);
    } catch (error) {
      call.onEnd = null;
      if (iterator !== null) void this.#leave(call, iterator);
      this.#threw(call, error);
    } finally {
      call.handlerEnded();
    }
  }

  /** Lets a generator run its `finally`; the call has its status, or is about to get it. */
  async #leave(call: ServerCall, answers: MessageIterator): Promise<void> {
    try {
      await answers.return?.();
    } catch (error) {
      this.#threwLate(call, error);
    }
  }

  // --- the end ---

  /** A handler threw: an RpcError is its status, anything else is hidden from the caller and logged. */
  #threw(call: ServerCall, thrown: unknown): void {
    if (call.isOver) return this.#threwLate(call, thrown);
    this.#finish(call, this.#statusOf(call, thrown));
  }

  /** Nobody hears of it any more; a bug is one all the same. */
  #threwLate(call: ServerCall, thrown: unknown): void {
    if (!followsFromEnd(thrown)) this.#log(call, thrown, "a handler failed after its call had ended");
  }

  #statusOf(call: ServerCall, thrown: unknown): RpcError {
    if (!RpcError.is(thrown)) {
      this.#log(call, thrown, "a handler failed");
      return new RpcError(Code.UNKNOWN, "the handler failed", { cause: thrown, reason: "handler" });
    }
    if (thrown.code === Code.OK) {
      this.#log(call, thrown, "a handler threw an error with code OK");
      return new RpcError(Code.UNKNOWN, "the handler threw an error with code OK", { reason: "handler" });
    }
    // What another server said of our call to it is passed on, but not its trailers.
    if (thrown.origin === "remote") return this.#passedOn(call, thrown);
    // Nothing, or no message of its type: the caller can't mend that.
    if (thrown.reason === "codec") this.#log(call, thrown, "a handler gave what can't be sent");
    return thrown;
  }

  #passedOn(call: ServerCall, cause: RpcError): RpcError {
    const { code, text, details } = cause;
    try {
      return new RpcError(code, text, { details, cause });
    } catch (failure) {
      return this.#bare(call, code, text, failure);
    }
  }

  /** Code and text arrive, whatever is wrong with the rest. */
  #bare(call: ServerCall, code: Code, text: string, failure: unknown): RpcError {
    this.#log(call, failure, "details or metadata of a status can't be sent");
    return new RpcError(code, text);
  }

  #log(call: ServerCall, error: unknown, text: string): void {
    this.#logger.error({ method: this.method.path, peer: call.peer.remoteAddress, error }, text);
  }

  #finish(call: ServerCall, error: RpcError | null): void {
    if (call.isOver) return;
    try {
      call.stream.finish(error === null ? null : this.#sendable(call, error));
    } catch (failure) {
      this.#log(call, failure, "a status can't be sent");
      call.stream.connection.resetStream(call.stream, ErrorCode.INTERNAL_ERROR);
      // A handler may be waiting for the next request, which nobody will hand on.
      call.stream.reader?.fail(new RpcError(Code.CANCELLED, "the call has ended", { reason: "cancelled" }));
    }
    this.#over(call, error);
  }

  /** The status itself; without its metadata when those are too much, and without what was put into it later and is no detail. */
  #sendable(call: ServerCall, error: RpcError): RpcError {
    let excess: RpcError | null;
    try {
      excess = dropExcess(call.stream, error);
      if (error.details.length > 0) statusFields(error);
    } catch (failure) {
      return this.#bare(call, error.code, error.text, failure);
    }
    if (excess === null) return error;
    this.#log(call, excess, "a handler gave what can't be sent");
    return new RpcError(error.code, error.text, { details: error.details, cause: error.cause, reason: error.reason });
  }

  #over(call: ServerCall, error: RpcError | null): void {
    call.isOver = true;
    call.error = error;
    for (const hook of this.#pipeline.end) hook(call, error);
    const { onEnd } = call;
    call.onEnd = null;
    onEnd?.();
  }
}

/** True for what a handler throws because its call was ended, and for a status, which nobody hears of. */
function followsFromEnd(thrown: unknown): boolean {
  let error = thrown;
  for (let depth = 0; depth < MAX_CAUSES && error instanceof Error; depth++) {
    if (RpcError.is(error) || error.name === "AbortError" || codeOf(error) === STREAM_WAS_LEFT) return true;
    error = error.cause;
  }
  return false;
}

/** Causes of causes that are looked at; a chain may be a ring. */
const MAX_CAUSES = 5;
/** What one of Node's streams says to who waits for more of it when it is closed. */
const STREAM_WAS_LEFT = "ERR_STREAM_PREMATURE_CLOSE";

function codeOf(error: Error): unknown {
  return (error as NodeJS.ErrnoException).code;
}

function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  if (answer instanceof Promise) return true;
  return typeof answer === "object" && answer !== null && "then" in answer && typeof answer.then === "function";
}

/** @throws RpcError INTERNAL when the metadata of an answer are more than the client accepts */
function refuseExcess(stream: ServerStream): void {
  const excess = dropExcess(stream, null);
  if (excess !== null) throw excess;
}

/** What a handler gave for a message. @throws RpcError INTERNAL when that is nothing */
function given(message: unknown, method: Method, { interceptors }: ServerPipeline): unknown {
  if (message !== undefined && message !== null) return message;
  const others = interceptors.length === 0 ? "" : "; so does an interceptor that does not return what next(call) gives";
  const text = `the handler of ${method.path} gave ${String(message)} for a message${others}`;
  throw new RpcError(Code.INTERNAL, text, { reason: "codec" });
}

function iterate(answers: unknown, method: Method): MessageIterator {
  if (isMessages(answers)) return iteratorOf(answers);
  const text = `the handler of ${method.path} must give an (async) iterable of messages, such as an async generator`;
  throw new RpcError(Code.INTERNAL, text, { reason: "codec" });
}

/** The handler with interceptors around it, first = outermost. */
function intercepted(method: Method, handler: Handler, { interceptors }: ServerPipeline): Handler {
  return (request, context) => {
    const run = async (i: number, current: unknown): Promise<unknown> => {
      if (i === interceptors.length) return handler(current, context);
      let isCalled = false;
      const enter = async (call: ServedCall): Promise<unknown> => {
        if (isCalled) throw new Error("next() was called twice; a handler serves a call once");
        if (typeof call !== "object" || call === null || !("request" in call))
          throw new Error("next() was called without the call: write next(call)");
        isCalled = true;
        return run(i + 1, call.request);
      };
      const next = (call: ServedCall): Promise<unknown> => {
        const answer = enter(call);
        // An interceptor that does not wait for the inside does not care how it ends.
        answer.catch(() => {});
        return answer;
      };
      return interceptors[i]({ method, request: current, context }, next);
    };
    return run(0, request);
  };
}
