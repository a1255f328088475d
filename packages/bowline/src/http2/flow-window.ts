import { DEFAULT_WINDOW_BYTES, MAX_INT31 } from "./frames.ts";
import type { Http2Limits } from "./limits.ts";
import type { Http2Stream } from "./stream.ts";

/** A sampled burst this close to the window means that the window, not the network, set the pace. */
const FULL_SHARE = 2 / 3;
/**
 * Window is given back when an eighth of it is free. What is free and not given back costs a sender that fills the window each round trip
 * just that much: with half of it, it sends half a window each round trip and waits for the rest.
 */
const CREDIT_SHIFT = 3;

/** True when adding `increment` would take a send window past 2^31 - 1, RFC 9113 §6.9.1. */
export function overflowsWindow(window: number, increment: number): boolean {
  return window + increment > MAX_INT31;
}

/**
 * What the peer may send: the connection's window, and the size of the streams' windows. Pure arithmetic.
 *
 * New window is given at an eighth of it, so that updates are few and a sender gets 7/8 of a window each round trip at least. Windows grow
 * with the bandwidth-delay product: octets that arrive between a PING and its answer are what the path holds; when they come near the
 * connection's window, both double; when what one stream's user has read comes near the stream's, that one doubles, up to the
 * connection's. (The estimator of grpc-go without its PING in each round trip: a sample starts only when a window update is due, so small
 * calls never cause one.)
 */
export class ReceiveWindows {
  /** Size of the connection's window. */
  connectionBytes: number;
  /** Size of a stream's window as the peer knows it. */
  streamBytes: number = DEFAULT_WINDOW_BYTES;
  /** Size of a stream's window in the last SETTINGS that we sent. */
  announcedStreamBytes: number;
  readonly #maxBytes: number;
  /** What is left of the connection's window. */
  #left: number;
  /** Octets since the sample began, or -1. */
  #sampled = -1;
  /** The first stream that got window back in the sample, and how much. */
  #sampledStream: Http2Stream | null = null;
  #sampledStreamBytes = 0;
  /** In the last sample, one stream was read as fast as its window allows. */
  #hasFastStream = false;

  constructor(limits: Http2Limits) {
    this.connectionBytes = Math.max(limits.connectionWindowBytes, DEFAULT_WINDOW_BYTES);
    this.announcedStreamBytes = limits.streamWindowBytes;
    this.#maxBytes = limits.maxWindowBytes;
    this.#left = this.connectionBytes;
  }

  /** Octets of DATA arrived on the connection; false when they pass its window. */
  accept(bytes: number): boolean {
    this.#left -= bytes;
    if (this.#sampled >= 0) this.#sampled += bytes;
    return this.#left >= 0;
  }

  /** The increment that is due for the connection, or 0. The caller sends it. */
  connectionCredit(): number {
    const free = this.connectionBytes - this.#left;
    if (free < this.connectionBytes >> CREDIT_SHIFT) return 0;
    this.#left += free;
    return free;
  }

  /** The increment that is due for a stream, or 0: what was received and is not held back. The caller sends it. */
  streamCredit(stream: Http2Stream): number {
    const free = this.streamBytes - stream.receiveWindow - stream.heldBytes;
    if (free < this.streamBytes >> CREDIT_SHIFT) return 0;
    stream.receiveWindow += free;
    if (this.#sampled >= 0) this.#sampleStream(stream, free);
    return free;
  }

  /** Starts a sample; false when one runs or the windows can't grow. The caller sends a PING. */
  startSample(): boolean {
    if (this.#sampled >= 0) return false;
    if (this.connectionBytes >= this.#maxBytes && this.announcedStreamBytes >= this.connectionBytes) return false;
    this.#sampled = 0;
    return true;
  }

  #sampleStream(stream: Http2Stream, bytes: number): void {
    this.#sampledStream ??= stream;
    if (this.#sampledStream === stream) this.#sampledStreamBytes += bytes;
  }

  /** The PING was answered: the increment for the connection's window, or 0. */
  finishSample(): number {
    const isFull = this.#sampled >= this.connectionBytes * FULL_SHARE;
    this.#hasFastStream = this.#sampledStreamBytes >= this.streamBytes * FULL_SHARE;
    this.#sampled = -1;
    this.#sampledStream = null;
    this.#sampledStreamBytes = 0;
    if (!isFull) return 0;
    const grown = Math.min(this.connectionBytes * 2, this.#maxBytes) - this.connectionBytes;
    this.connectionBytes += grown;
    this.#left += grown;
    return grown;
  }

  /** True when the last sample says that streams need larger windows, whatever it says of the connection. */
  get hasFastStream(): boolean {
    return this.#hasFastStream;
  }

  /** The next size to announce for streams, after the connection's window has grown or a fast stream; 0 when they have grown enough. */
  nextStreamBytes(): number {
    const next = Math.min(this.connectionBytes, this.announcedStreamBytes * 2);
    return next > this.announcedStreamBytes ? next : 0;
  }

  /** The peer has acknowledged our SETTINGS: by how much all open streams' windows change. */
  settingsAcknowledged(): number {
    const change = this.announcedStreamBytes - this.streamBytes;
    this.streamBytes = this.announcedStreamBytes;
    return change;
  }
}
