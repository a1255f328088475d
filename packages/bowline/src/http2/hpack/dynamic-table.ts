import type { HeaderEntry } from "./header-block.ts";

/** SETTINGS_HEADER_TABLE_SIZE of a peer that has not said otherwise, in octets (RFC 9113 section 6.5.2). */
export const DEFAULT_TABLE_BYTES = 4096;

/** Slots of the first ring; it doubles whenever it is full. */
const FIRST_RING_SLOTS = 8;

/**
 * The decoder's dynamic table (RFC 7541 sections 2.3.2 and 4): newest first, bounded by octets, oldest evicted.
 *
 * A ring whose length is a power of two: inserting moves nothing. An empty table owns no ring.
 */
export class DynamicTable {
  /** Grows whenever an index begins to mean something else. */
  version = 0;
  /** Bound of `bytes`, set by the peer's encoder within our setting. */
  #maxBytes: number = DEFAULT_TABLE_BYTES;
  /** Sum of the sizes of all entries. */
  #bytes = 0;
  #count = 0;
  /** Insertions so far; the newest entry is in slot (inserted - 1) & mask. */
  #inserted = 0;
  #mask = -1;
  #ring: (HeaderEntry | null)[] = [];

  get maxBytes(): number {
    return this.#maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** The entry inserted as the `age`-th last, 1 being the newest; null when there is none. */
  get(age: number): HeaderEntry | null {
    if (age > this.#count) return null;
    return this.#ring[(this.#inserted - age) & this.#mask];
  }

  /**
   * Makes room and inserts. An entry of more than `maxBytes` is not to be inserted, but empties the table (section
   * 4.4).
   */
  insert(entry: HeaderEntry): void {
    this.#evictTo(this.#maxBytes - entry.size);
    if (this.#count > this.#mask) this.#grow();
    this.#ring[this.#inserted & this.#mask] = entry;
    this.#inserted++;
    this.#count++;
    this.#bytes += entry.size;
    this.version++;
  }

  /** Drops all entries. */
  clear(): void {
    this.#evictTo(0);
  }

  /** Takes a size update of the peer (section 4.3). */
  setMaxBytes(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /** Evicts the oldest until no more than `maxBytes` are left; a negative bound empties the table. */
  #evictTo(maxBytes: number): void {
    if (this.#bytes <= maxBytes) return;
    while (this.#count > 0 && this.#bytes > maxBytes) {
      const slot = (this.#inserted - this.#count) & this.#mask;
      this.#bytes -= (this.#ring[slot] as HeaderEntry).size;
      this.#ring[slot] = null;
      this.#count--;
      this.version++;
    }
  }

  #grow(): void {
    const slots = Math.max(FIRST_RING_SLOTS, this.#ring.length * 2);
    const ring: (HeaderEntry | null)[] = new Array<HeaderEntry | null>(slots).fill(null);
    for (let age = 1; age <= this.#count; age++) ring[(this.#inserted - age) & (slots - 1)] = this.get(age);
    this.#ring = ring;
    this.#mask = slots - 1;
  }
}
