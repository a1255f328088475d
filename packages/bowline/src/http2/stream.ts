import { TimerNode } from "../rpc/timer-wheel.ts";

/** Bits of {@link Http2Stream.closedSides}. */
export const LOCAL = 1;
export const REMOTE = 2;

/** A piece of data that waits for a window. */
export interface QueuedData {
  readonly chunk: Uint8Array;
  /** What of it was sent already. */
  offset: number;
  /** END_STREAM goes with its last octet. */
  readonly end: boolean;
}

/**
 * A stream as HTTP/2 sees it. The layer above extends it, so that one object is stream, call and timer.
 *
 * ```text
 *   idle (id 0) ── open ──► open ──► half closed (LOCAL or REMOTE) ──► closed (id 0)
 *                              └──────────── reset ────────────────►┘
 * ```
 *
 * A closed object may be opened again on another connection: that is what a retry does.
 */
export class Http2Stream extends TimerNode {
  /** 0 while idle or closed. */
  id = 0;
  /** Which sides have sent END_STREAM: LOCAL, REMOTE or both. */
  closedSides = 0;
  /** Octets that the peer lets us send; negative after it shrank its initial window. */
  sendWindow = 0;
  /** Octets that the peer may still send. */
  receiveWindow = 0;
  /** Octets received which the layer above holds back until its user has read them: no window is given for them. */
  heldBytes = 0;
  /** Data that waits for a window, or null. */
  queue: QueuedData[] | null = null;
  /** Octets in `queue`. */
  queuedBytes = 0;
  /** Monotonic ms since when `queue` made no real progress. */
  stalledSince = 0;
  /** Octets of `queue` that have left since then. */
  progressBytes = 0;

  /** True between opening and the end of both sides. */
  get isOpen(): boolean {
    return this.id !== 0;
  }

  /**
   * True when all that this side will ever say is in `queue`: from then on the peer has to take it within `stallTimeoutMs`. Before,
   * a reader that takes its time only holds the writer up.
   */
  get isWritten(): boolean {
    return this.queue?.[this.queue.length - 1].end ?? false;
  }
}
