import type { Socket } from "node:net";
import type { Link, LinkHandler, LinkPeer } from "../http2/link.ts";
import type { Clock, Timer } from "../rpc/clock.ts";

/** Longest time that the peer may take over the bytes written before `end`. */
const FLUSH_TIMEOUT_MS = 5000;
/** Longest time that the peer may take to close its side once all bytes and our end have been sent. */
const CLOSE_TIMEOUT_MS = 1000;

/** What a NetLink needs beside its socket. */
export interface NetLinkOptions {
  readonly clock: Clock;
  readonly peer: LinkPeer;
  /** Bytes that were read from the socket already; delivered first. */
  readonly head?: Buffer;
  /**
   * Says what to make of an end: of an error of the socket, or (undefined) of a peer that leaves in order without having
   * sent a single byte. What it returns becomes the error of `linkClosed`. Default: errors as they are, and no other.
   */
  readonly explain?: (error: Error | undefined, hasReceived: boolean) => Error | undefined;
}

/**
 * A link over a connected socket of node:net or node:tls, which it owns from here on.
 *
 * Make the socket with `allowHalfOpen`, else answers are lost when the peer ends its side first.
 * A socket whose reads are shared has `receive` as its callback; any other is read by its `data` events.
 *
 * Life: held (before `start`) → open → ending (after `end`; 5 s to send the rest, then 1 s for the peer's end) → closed.
 */
export class NetLink implements Link {
  readonly peer: LinkPeer;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #explain: (error: Error | undefined, hasReceived: boolean) => Error | undefined;
  #handler: LinkHandler | null = null;
  /** Bytes that may not be delivered yet: from before `start`, or decrypted together with what led to `pause`. */
  #pending: Buffer[] = [];
  #isBegun = false;
  #isPaused = false;
  /** `write` returned false and no drain was told since. */
  #isRefused = false;
  #isEnding = false;
  /** Nobody wants what arrives, but it is read: closing with unread bytes makes the kernel reset the connection. */
  #isDiscarding = false;
  #isDestroyed = false;
  #hasReceived = false;
  #hasPeerEnded = false;
  #isEndTold = false;
  #isClosed = false;
  #isClosedTold = false;
  #error: Error | undefined;
  #closeTimer: Timer | null = null;

  constructor(socket: Socket, options: NetLinkOptions) {
    this.peer = options.peer;
    this.#socket = socket;
    this.#clock = options.clock;
    this.#explain = options.explain ?? ((error) => error);
    if (options.head !== undefined && options.head.length > 0) this.#received(options.head);
    socket.pause();
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("end", () => this.#ended());
    socket.on("error", (error) => this.#failed(error));
    socket.on("close", () => this.#closed());
  }

  /** True when the kernel holds all that was written; a TLS socket is never idle right after a write. */
  get isIdle(): boolean {
    return this.#socket.writableLength === 0;
  }

  start(handler: LinkHandler): void {
    if (this.#handler !== null) throw new TypeError("start: this link has a handler already; a link is started once");
    this.#handler = handler;
    process.nextTick(() => {
      this.#isBegun = true;
      if (this.isIdle) this.#drained();
      this.#deliver();
    });
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#socket.writable) return false;
    if (chunk.length > 0) this.#socket.write(chunk);
    return this.#isTaken();
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (!socket.writable) return false;
    socket.cork();
    for (const chunk of chunks) {
      if (chunk.length > 0) socket.write(chunk);
    }
    socket.uncork();
    return this.#isTaken();
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#isEnding) this.#discard();
    else this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#isBegun) process.nextTick(() => this.#deliver());
  }

  end(): void {
    if (this.#isEnding || this.#isDestroyed || this.#isClosed) return;
    this.#isEnding = true;
    if (this.#isPaused || this.#handler === null) this.#discard();
    this.#closeTimer = this.#clock.setTimeout(() => this.#flushTimedOut(), FLUSH_TIMEOUT_MS);
    this.#socket.once("finish", () => this.#flushed());
    this.#socket.end();
  }

  destroy(error?: Error): void {
    if (this.#isDestroyed || this.#isClosed) return;
    this.#isDestroyed = true;
    this.#error ??= error;
    this.#pending = [];
    this.#socket.destroy();
  }

  /**
   * The callback of a socket whose reads are shared: `count` bytes lie at the start of `buffer`, which is reused afterwards. False: they
   * are held here, and no more is wanted.
   */
  receive(count: number, buffer: Buffer): boolean {
    const chunk = buffer.subarray(0, count);
    const isHeld = this.#isHeld() && !this.#isDiscarding;
    this.#received(isHeld ? Buffer.from(chunk) : chunk);
    // Node reads on in a socket that was paused while it gave us the last bytes: asked for more by its stream, it does not look.
    return !isHeld;
  }

  /**
   * The stream asks to wait when more than its high-water mark passed through it, though the kernel may have taken all of
   * it meanwhile (several chunks by one call; up to Node 22 a single large one, too). Its `drain` then follows for nothing.
   */
  #isTaken(): boolean {
    const socket = this.#socket;
    if (socket.writableLength === 0 || !socket.writableNeedDrain) return true;
    this.#isRefused = true;
    return false;
  }

  #isHeld(): boolean {
    return !this.#isBegun || this.#isPaused || this.#pending.length > 0;
  }

  #received(chunk: Buffer): void {
    this.#hasReceived = true;
    if (this.#isDiscarding || this.#isDestroyed) return;
    if (this.#isHeld()) this.#pending.push(chunk);
    else this.#handler?.linkData(chunk);
  }

  #drained(): void {
    if (!this.#isRefused || !this.#isBegun) return;
    this.#isRefused = false;
    this.#handler?.linkDrain();
  }

  #ended(): void {
    const silence = this.#hasReceived || this.#isEnding ? undefined : this.#explain(undefined, false);
    if (silence !== undefined) return this.destroy(silence);
    this.#hasPeerEnded = true;
    this.#deliver();
  }

  /** An alert on an established TLS connection comes as an error that does not close a half-open socket by itself. */
  #failed(error: Error): void {
    if (!this.#isDestroyed) this.#error ??= this.#explain(error, this.#hasReceived);
    this.#socket.destroy();
  }

  #closed(): void {
    this.#isClosed = true;
    this.#closeTimer?.cancel();
    if (this.#isPaused) this.#pending = [];
    this.#deliver();
  }

  /** Tells the handler, in order, all that may be told now. The handler may pause or destroy at any step. */
  #deliver(): void {
    const handler = this.#handler;
    if (!this.#isBegun || handler === null) return;
    for (let chunk = this.#next(); chunk !== undefined; chunk = this.#next()) handler.linkData(chunk);
    const isDelivered = this.#isDiscarding || (!this.#isPaused && this.#pending.length === 0);
    if (isDelivered && this.#hasPeerEnded && !this.#isEndTold && !this.#isDestroyed) {
      this.#isEndTold = true;
      handler.linkEnd();
    }
    if (this.#isClosed && !this.#isClosedTold) {
      this.#isClosedTold = true;
      handler.linkClosed(this.#error);
    }
    if (isDelivered && !this.#isPaused && !this.#isClosed) this.#socket.resume();
  }

  #next(): Buffer | undefined {
    return this.#isPaused || this.#isDestroyed ? undefined : this.#pending.shift();
  }

  #discard(): void {
    this.#isDiscarding = true;
    this.#pending = [];
    this.#socket.resume();
  }

  #flushed(): void {
    this.#closeTimer?.cancel();
    if (!this.#isDestroyed) this.#closeTimer = this.#clock.setTimeout(() => this.destroy(), CLOSE_TIMEOUT_MS);
  }

  #flushTimedOut(): void {
    const rest = this.#socket.writableLength;
    this.destroy(
      new Error(`${this.peer.remoteAddress} did not take the last ${rest} bytes within ${FLUSH_TIMEOUT_MS} ms`),
    );
  }
}
