import type { Http2Stream } from "./stream.ts";

/** Slots of a new table: an idle connection holds little. */
const INITIAL_SLOTS = 16;
/** The ring doubles up to this; streams that still collide go to the map. */
const MAX_SLOTS = 4096;

/**
 * The open streams of a connection, by id.
 *
 * Ids grow by two, so a ring of slots at `(id >>> 1) & mask` finds a stream by one comparison; a long-lived stream that
 * sits in a newer one's slot sends that one to a Map. Measured: a Map alone costs 20 % of the throughput.
 */
export class StreamTable<S extends Http2Stream> {
  #ring: (S | null)[] = new Array(INITIAL_SLOTS).fill(null);
  #mask = INITIAL_SLOTS - 1;
  readonly #overflow: Map<number, S> = new Map();
  #size = 0;

  /** Number of open streams. */
  get size(): number {
    return this.#size;
  }

  find(id: number): S | null {
    const stream = this.#ring[(id >>> 1) & this.#mask];
    if (stream !== null && stream.id === id) return stream;
    return this.#overflow.size === 0 ? null : (this.#overflow.get(id) ?? null);
  }

  /** Adds a stream under `stream.id`. */
  add(stream: S): void {
    const slot = (stream.id >>> 1) & this.#mask;
    if (this.#ring[slot] === null) {
      this.#ring[slot] = stream;
    } else if (this.#mask < MAX_SLOTS - 1 && this.#size > this.#mask >> 1) {
      this.#grow();
      this.add(stream);
      return;
    } else {
      this.#overflow.set(stream.id, stream);
    }
    this.#size++;
  }

  /** Takes a stream out; its id must still be set. */
  remove(stream: S): void {
    const slot = (stream.id >>> 1) & this.#mask;
    if (this.#ring[slot] === stream) this.#ring[slot] = null;
    else this.#overflow.delete(stream.id);
    this.#size--;
  }

  /** A copy of all open streams, for rare events that touch each. */
  all(): S[] {
    const streams: S[] = [];
    for (const stream of this.#ring) if (stream !== null) streams.push(stream);
    streams.push(...this.#overflow.values());
    return streams;
  }

  #grow(): void {
    const streams = this.all();
    this.#mask = this.#mask * 2 + 1;
    this.#ring = new Array(this.#mask + 1).fill(null);
    this.#overflow.clear();
    for (const stream of streams) {
      const slot = (stream.id >>> 1) & this.#mask;
      if (this.#ring[slot] === null) this.#ring[slot] = stream;
      else this.#overflow.set(stream.id, stream);
    }
  }
}
