import type { Clock, Timer } from "../rpc/clock.ts";
import { overflowsWindow } from "./flow-window.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { DEFAULT_WINDOW_BYTES, MAX_INT31 } from "./frames.ts";
import type { PeerSettings } from "./settings.ts";
import type { Http2Stream, QueuedData } from "./stream.ts";

/** A queue that sends this much is no longer stalled, whatever drips of window came between. */
const PROGRESS_BYTES = 16_384;

/** Whom a send queue tells of what becomes of its streams. */
export interface SendQueueOwner<S extends Http2Stream> {
  /** END_STREAM has been written. */
  localEnded(stream: S): void;
  /** Nothing waits on the stream any more. */
  emptied(stream: S): void;
  /** Its last words have not really moved for `stallTimeoutMs`. */
  stalled(stream: S): void;
}

/**
 * DATA on its way out: what windows and link take leaves at once, the rest waits here, stream by stream.
 */
export class SendQueue<S extends Http2Stream> {
  /** Octets that the peer lets us send on all streams together. */
  window: number = DEFAULT_WINDOW_BYTES;
  /** Octets that wait on all streams together. */
  queuedBytes = 0;
  readonly #owner: SendQueueOwner<S>;
  readonly #writer: FrameWriter;
  readonly #peer: PeerSettings;
  readonly #clock: Clock;
  readonly #stallTimeoutMs: number;
  /** Streams that wait for the connection's window or the link, those that have had their turn last; made with the first. */
  #blocked: Set<S> | null = null;
  /** Streams that wait for a window of their own: looking at them for each of the connection's would be the peer's to cause. */
  #starved: Set<S> | null = null;
  #stallTimer: Timer | null = null;

  constructor(owner: SendQueueOwner<S>, writer: FrameWriter, peer: PeerSettings, clock: Clock, stallTimeoutMs: number) {
    this.#owner = owner;
    this.#writer = writer;
    this.#peer = peer;
    this.#clock = clock;
    this.#stallTimeoutMs = stallTimeoutMs;
  }

  /** Takes `bytes` from both windows, if one DATA frame of them may leave right now. */
  takeWindow(stream: S, bytes: number): boolean {
    if (bytes > this.window || bytes > stream.sendWindow || bytes > this.#peer.maxFrameBytes) return false;
    if (stream.queue !== null || this.#writer.isCongested) return false;
    this.window -= bytes;
    stream.sendWindow -= bytes;
    return true;
  }

  /** Sends `chunk` or what is possible of it. False when something waits. */
  send(stream: S, chunk: Uint8Array, end: boolean): boolean {
    const data = { chunk, offset: 0, end };
    if (stream.queue !== null) {
      stream.queue.push(data);
    } else {
      if (this.#transmit(stream, data, MAX_INT31)) {
        if (end) this.#owner.localEnded(stream);
        return true;
      }
      stream.queue = [data];
      stream.stalledSince = this.#clock.now();
      stream.progressBytes = 0;
      this.#park(stream);
      this.#watchStalls();
    }
    stream.queuedBytes += chunk.length - data.offset;
    this.queuedBytes += chunk.length - data.offset;
    return false;
  }

  /** A WINDOW_UPDATE for one stream; false when it takes the window past 2^31-1. */
  creditStream(stream: S, increment: number): boolean {
    if (overflowsWindow(stream.sendWindow, increment)) return false;
    stream.sendWindow += increment;
    this.#pump(stream, MAX_INT31);
    return true;
  }

  /** A WINDOW_UPDATE for the connection; false when it takes the window past 2^31-1. */
  creditConnection(increment: number): boolean {
    if (overflowsWindow(this.window, increment)) return false;
    this.window += increment;
    this.pumpAll();
    return true;
  }

  /** The peer has enlarged the windows of all streams. */
  windowsGrown(): void {
    for (const stream of this.#starved ?? []) this.#park(stream);
    this.pumpAll();
  }

  /** One frame a stream by turns, so that a large message does not keep the others waiting. */
  pumpAll(): void {
    const blocked = this.#blocked;
    if (blocked === null) return;
    while (this.window > 0 && !this.#writer.isCongested) {
      const [stream] = blocked;
      if (stream === undefined) return;
      // Next time the others come first: a window that opens bit by bit would be all this one's.
      blocked.delete(stream);
      this.#pump(stream, this.#peer.maxFrameBytes);
    }
  }

  /** Forgets what waits on a stream. */
  remove(stream: S): void {
    if (stream.queue === null) return;
    stream.queue = null;
    this.queuedBytes -= stream.queuedBytes;
    stream.queuedBytes = 0;
    this.#blocked?.delete(stream);
    this.#starved?.delete(stream);
  }

  close(): void {
    this.#stallTimer?.cancel();
    this.#stallTimer = null;
  }

  /** Sends of `data` what windows and link take, at most `quota` octets. True when all of it has left. */
  #transmit(stream: S, data: QueuedData, quota: number): boolean {
    const { chunk } = data;
    if (chunk.length === 0) {
      this.#writer.data(stream.id, chunk, data.end);
      return true;
    }
    let left = quota;
    while (data.offset < chunk.length) {
      const rest = chunk.length - data.offset;
      const length = Math.min(rest, this.window, stream.sendWindow, this.#peer.maxFrameBytes, left);
      if (length <= 0 || this.#writer.isCongested) return false;
      this.#writer.data(stream.id, chunk.subarray(data.offset, data.offset + length), data.end && length === rest);
      this.window -= length;
      stream.sendWindow -= length;
      data.offset += length;
      left -= length;
    }
    return true;
  }

  /** Sends from a stream's queue, at most `quota` octets. */
  #pump(stream: S, quota: number): void {
    const queue = stream.queue;
    if (queue === null) return;
    const before = stream.queuedBytes;
    for (let left = quota; queue.length > 0; ) {
      const data = queue[0];
      const offset = data.offset;
      const isDone = this.#transmit(stream, data, left);
      left -= data.offset - offset;
      stream.queuedBytes -= data.offset - offset;
      this.queuedBytes -= data.offset - offset;
      if (!isDone) {
        this.#progressed(stream, before - stream.queuedBytes);
        this.#park(stream);
        return;
      }
      queue.shift();
      if (data.end) {
        this.remove(stream);
        this.#owner.localEnded(stream);
        return;
      }
    }
    this.remove(stream);
    this.#owner.emptied(stream);
  }

  /** Puts a stream with something waiting where its next window will come from. */
  #park(stream: S): void {
    if (stream.sendWindow > 0) {
      this.#starved?.delete(stream);
      this.#blocked ??= new Set();
      this.#blocked.add(stream);
    } else {
      this.#blocked?.delete(stream);
      this.#starved ??= new Set();
      this.#starved.add(stream);
    }
  }

  #progressed(stream: S, bytes: number): void {
    stream.progressBytes += bytes;
    if (stream.progressBytes < PROGRESS_BYTES) return;
    stream.progressBytes = 0;
    stream.stalledSince = this.#clock.now();
  }

  /** Attack rows 6, 12, 29: an answer that is finished but can't leave must not be kept for ever. */
  #watchStalls(): void {
    if (this.#stallTimer !== null) return;
    this.#stallTimer = this.#clock.setInterval(() => {
      const waiting = [...(this.#blocked ?? []), ...(this.#starved ?? [])];
      if (waiting.length === 0) return this.close();
      const now = this.#clock.fresh();
      for (const stream of waiting) {
        // The end of another may have been the end of this one.
        if (stream.id === 0) continue;
        if (!stream.isWritten) stream.stalledSince = now;
        else if (stream.stalledSince <= now - this.#stallTimeoutMs) this.#owner.stalled(stream);
      }
    }, this.#stallTimeoutMs / 4);
  }
}
