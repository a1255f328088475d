import {
  ACK,
  DATA,
  END_STREAM,
  HEADERS,
  RST_STREAM,
  type ScannedFrame,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frame-scanner.ts";

const DEFAULT_WINDOW_BYTES = 65_535;
const MAX_WINDOW_BYTES = 0x7fffffff;
const INITIAL_WINDOW_SIZE = 4;

/** The send windows of one end of a connection, by what it was told and what it sends (RFC 9113 §5.2, §6.9). */
export class FlowAccount {
  readonly #violation: (text: string) => void;
  #connection = DEFAULT_WINDOW_BYTES;
  #initial = DEFAULT_WINDOW_BYTES;
  #received = 0;
  #returned = DEFAULT_WINDOW_BYTES;
  #openAtFirst = DEFAULT_WINDOW_BYTES;
  readonly #streams: Map<number, number> = new Map();
  readonly #closed: Set<number> = new Set();
  /** Those that the peer has reset. */
  readonly #reset: Set<number> = new Set();

  constructor(violation: (text: string) => void) {
    this.#violation = violation;
  }

  /** What this end may receive before it must say so, in octets; a leak makes it shrink for good. */
  get openForPeer(): number {
    return this.#returned - this.#received;
  }

  /** What that was before the first DATA, in octets; it may only grow. */
  get openAtFirst(): number {
    return this.#openAtFirst;
  }

  /** A frame that this end sends. */
  sent(frame: ScannedFrame): void {
    const { type, flags, streamId, length, payload } = frame;
    if (type === HEADERS) this.#open(streamId);
    if (type === DATA) this.#spend(streamId, length);
    if (type === RST_STREAM) this.#close(streamId);
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) this.#close(streamId);
    if (type === WINDOW_UPDATE && streamId === 0) {
      this.#returned += payload.readUInt32BE(0);
      if (this.#received === 0) this.#openAtFirst = this.openForPeer;
    }
  }

  /** A frame that reaches this end, before the end knows of it. */
  received(frame: ScannedFrame): void {
    const { type, flags, streamId, length, payload } = frame;
    if (type === DATA) this.#received += length;
    if (type === RST_STREAM) this.#reset.add(streamId);
    if (type === RST_STREAM) this.#close(streamId);
    if (type === WINDOW_UPDATE) this.#grant(streamId, payload.readUInt32BE(0));
    if (type === SETTINGS && (flags & ACK) === 0) this.#settings(payload);
    // A server's streams begin with the client's HEADERS.
    if (type === HEADERS) this.#open(streamId);
  }

  #spend(streamId: number, bytes: number): void {
    this.#connection -= bytes;
    if (this.#connection < 0) this.#violation(`sent ${-this.#connection} octets more than the connection's window`);
    const rest = this.#streams.get(streamId);
    // Octets that were on their way out when the peer's reset came.
    if (this.#reset.has(streamId)) return;
    if (rest === undefined) return this.#violation(`sent DATA on stream ${streamId}, which is not open for sending`);
    if (rest < bytes) this.#violation(`sent ${bytes - rest} octets more than the window of stream ${streamId}`);
    this.#streams.set(streamId, rest - bytes);
  }

  #grant(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.#connection += increment;
      if (this.#connection > MAX_WINDOW_BYTES) this.#violation("the peer grew the connection's window beyond 2^31-1");
      return;
    }
    const rest = this.#streams.get(streamId);
    if (rest !== undefined) this.#streams.set(streamId, rest + increment);
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue;
      const initial = payload.readUInt32BE(at + 2);
      for (const [id, rest] of this.#streams) this.#streams.set(id, rest + initial - this.#initial);
      this.#initial = initial;
    }
  }

  #open(streamId: number): void {
    if (this.#streams.has(streamId) || this.#closed.has(streamId)) return;
    this.#streams.set(streamId, this.#initial);
  }

  #close(streamId: number): void {
    this.#streams.delete(streamId);
    this.#closed.add(streamId);
  }
}
