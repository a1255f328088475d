import { DEFAULT_WINDOW_BYTES, MAX_INT31 } from "./frames.ts";
import type { Http2Limits } from "./limits.ts";
import type { Http2Stream } from "./stream.ts";

/** A sampled burst this close to the window means that the window, not the network, set the pace. */
const FULL_SHARE = 2 / 3;

/** True when adding `increment` would take a send window past 2^31 - 1, RFC 9113 §6.9.1. */
export function overflowsWindow(window: number, increment: number): boolean {
  return window + increment > MAX_INT31;
}

/**
 * What the peer may send: the connection's window, and the size of the streams' windows. Pure arithmetic.
 *
 * New window is given at half of it, so that updates are few and the sender never waits a round trip. Windows grow with the
 * bandwidth-delay product: octets that arrive between a PING and its answer are what the path holds; when they come near the
 * window, it doubles. (The estimator of grpc-go without its PING in each round trip: a sample starts only when a window
 * update is due, so small calls never cause one.)
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
    if (free < this.connectionBytes >> 1) return 0;
    this.#left += free;
    return free;
  }

  /** The increment that is due for a stream, or 0: what was received and is not held back. The caller sends it. */
  streamCredit(stream: Http2Stream): number {
    const free = this.streamBytes - stream.receiveWindow - stream.heldBytes;
    if (free < this.streamBytes >> 1) return 0;
    stream.receiveWindow += free;
    return free;
  }

  /** Starts a sample; false when one runs or the windows can't grow. The caller sends a PING. */
  startSample(): boolean {
    if (this.#sampled >= 0 || this.connectionBytes >= this.#maxBytes) return false;
    this.#sampled = 0;
    return true;
  }

  /** The PING was answered: the increment for the connection's window, or 0. */
  finishSample(): number {
    const isFull = this.#sampled >= this.connectionBytes * FULL_SHARE;
    this.#sampled = -1;
    if (!isFull) return 0;
    const grown = Math.min(this.connectionBytes * 2, this.#maxBytes) - this.connectionBytes;
    this.connectionBytes += grown;
    this.#left += grown;
    return grown;
  }

  /** The next size to announce for streams, after the connection's window has grown; 0 when they have grown enough. */
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
