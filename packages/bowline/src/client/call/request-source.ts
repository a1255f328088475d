import { EncodedMessage } from "../../grpc/message-encoding.ts";
import { Code } from "../../rpc/code.ts";
import { isMessages, iteratorOf, leaveQuietly, type MessageIterator } from "../../rpc/iteration/user-iterator.ts";
import type { Method } from "../../rpc/method.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/** What is kept for another attempt, at most. */
const MAX_KEPT_MESSAGES = 64;
const MAX_KEPT_BYTES = 65_536;

/**
 * The one message of a call as it is now: whoever waits before it is sent keeps it, since the user may change it once the call has
 * returned. Calls that stream their requests keep them themselves.
 *
 * @throws RpcError when it can't be encoded
 */
export function keptRequest(method: Method, request: unknown): unknown {
  if (isStreamed(method) || request instanceof EncodedMessage) return request;
  return new EncodedMessage(method.input, request);
}

/** True for methods whose requests are streamed. */
export function isStreamed({ kind }: Method): boolean {
  return kind === "client-stream" || kind === "bidi-stream";
}

/**
 * The messages that a user streams, across the attempts of a call.
 *
 * What was taken is kept until the server answers, so that an attempt that no handler has seen can be repeated: 64 messages
 * and 64 KiB of them at most; beyond that the call has one attempt.
 */
export class RequestSource {
  readonly #iterator: MessageIterator;
  readonly #method: Method;
  /** Messages that were taken: `[0, #at)` are sent, the rest is to be sent. */
  readonly #taken: unknown[] = [];
  #at = 0;
  #bytes = 0;
  #isRepeatable = true;
  /** The user's iterable has ended, thrown, or been left. */
  #isDone = false;
  /** The next message is on its way. An attempt that failed meanwhile leaves it to the next one. */
  #pull: Promise<boolean> | null = null;
  readonly #arrived = ({ value, done }: IteratorResult<unknown>): boolean => {
    this.#pull = null;
    if (done === true) this.#isDone = true;
    else this.#taken.push(value);
    return done !== true;
  };
  readonly #failed = (error: unknown): never => {
    this.#pull = null;
    this.#isDone = true;
    throw error;
  };

  /** @throws RpcError INTERNAL if `requests` can't be iterated */
  constructor(requests: unknown, method: Method) {
    this.#method = method;
    if (!isMessages(requests)) {
      const text = `the requests of ${method.path} must be an (async) iterable of messages`;
      throw new RpcError(Code.INTERNAL, text, { reason: "codec" });
    }
    this.#iterator = iteratorOf(requests);
  }

  /** True while every message that was taken is still there. */
  get isRepeatable(): boolean {
    return this.#isRepeatable;
  }

  /** Makes `take` possible; false at the end. A promise only where the iterable gives one; it throws or rejects as that does. */
  advance(): boolean | Promise<boolean> {
    if (this.#at < this.#taken.length) return true;
    if (this.#isDone) return false;
    return this.#pull ?? this.#pullNext();
  }

  /** The message that `advance` found. */
  take(): unknown {
    const message = this.#isRepeatable ? this.#keep(this.#at) : this.#taken[this.#at];
    this.#at++;
    if (!this.#isRepeatable && this.#at === this.#taken.length) this.#forget();
    return message;
  }

  /** The server has answered: there will be no other attempt. */
  commit(): void {
    this.#isRepeatable = false;
    if (this.#at === this.#taken.length) this.#forget();
  }

  /** Another attempt begins with the first message. */
  rewind(): void {
    this.#at = 0;
    this.#bytes = 0;
  }

  /** The call is over: lets the user's generator run its `finally`. */
  leave(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    void leaveQuietly(this.#iterator);
  }

  #pullNext(): boolean | Promise<boolean> {
    let result: IteratorResult<unknown> | Promise<IteratorResult<unknown>>;
    try {
      result = this.#iterator.next();
    } catch (error) {
      return this.#failed(error);
    }
    if (!isPromise(result)) return this.#arrived(result);
    this.#pull = result.then(this.#arrived, this.#failed);
    return this.#pull;
  }

  /** The message at `at` as it is now: the user may change it for the next one. */
  #keep(at: number): EncodedMessage {
    const message = this.#taken[at];
    const kept = message instanceof EncodedMessage ? message : new EncodedMessage(this.#method.input, message);
    this.#taken[at] = kept;
    this.#bytes += kept.bytes.length;
    if (at >= MAX_KEPT_MESSAGES || this.#bytes > MAX_KEPT_BYTES) this.#isRepeatable = false;
    return kept;
  }

  #forget(): void {
    this.#taken.length = 0;
    this.#at = 0;
  }
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>>).then === "function";
}
