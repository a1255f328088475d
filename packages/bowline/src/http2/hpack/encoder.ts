import { DEFAULT_TABLE_BYTES } from "./dynamic-table.ts";
import { FIELD_OVERHEAD_BYTES } from "./header-block.ts";
import { huffmanBytes, huffmanEncode } from "./huffman.ts";
import { FIRST_DYNAMIC_INDEX, staticName } from "./static-table.ts";

/** How a field that is in no table is written. */
export const FieldMode = {
  /** Inserted while the peer's table has room: for values that come again. */
  INSERT: 0,
  /**
   * Inserted when its name is in no table yet, so that later values can refer to the name: for values that vary.
   * Inserting each of them would push the constant fields behind the indexes of one octet (measured: the peer then
   * needs 70 % more CPU a call).
   */
  INSERT_NAME: 1,
  /** Not inserted. */
  PLAIN: 2,
  /** Never indexed, here and on all hops behind (RFC 7541 section 7.1.3): for secrets. */
  NEVER: 3,
} as const;

/** One of `FieldMode`. */
export type FieldMode = (typeof FieldMode)[keyof typeof FieldMode];

/** Octets that a field takes beyond name and value at most: two size updates, and two lengths of 1 + 5 octets. */
const FIELD_BOUND = 20;

/** A longer value does not enter the table for the sake of its name. */
const MAX_NAME_SAMPLE_BYTES = 128;

/** Up to here a loop beats `Buffer.write` (measured: 18 ns against 31 at 8 characters, even between 24 and 32). */
const SHORT_TEXT = 24;

/** Most octets that `HpackEncoder.field` writes for this field. */
export function fieldBound(name: string, value: string): number {
  return name.length + value.length + FIELD_BOUND;
}

/**
 * Writes an integer behind a pattern of high bits (RFC 7541 section 5.1); `mask` covers the bits that the pattern
 * leaves.
 */
export function writeInteger(target: Uint8Array, at: number, pattern: number, mask: number, value: number): number {
  if (value < mask) {
    target[at] = pattern | value;
    return at + 1;
  }
  target[at++] = pattern | mask;
  let rest = value - mask;
  while (rest > 0x7f) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at] = rest;
  return at + 1;
}

/** Writes a string literal (section 5.2), latin1, not Huffman-coded. */
function writeText(target: Buffer, at: number, text: string): number {
  at = writeInteger(target, at, 0, 0x7f, text.length);
  if (text.length > SHORT_TEXT) return at + target.write(text, at, "latin1");
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/**
 * Writes a string literal, latin1, Huffman-coded when that is shorter: for what goes into the table, which the peer
 * decodes once. Prepared literals stay raw: a path of 28 octets would save 7 of them and cost the peer 80 ns a call.
 */
function writeShortestText(target: Buffer, at: number, text: string): number {
  const octets = huffmanBytes(text);
  if (octets >= text.length) return writeText(target, at, text);
  return huffmanEncode(text, target, writeInteger(target, at, 0x80, 0x7f, octets));
}

/**
 * An entry of the dynamic table. Entries with one name are a list: there are few, and a map for each name takes more
 * memory.
 */
interface Inserted {
  /** Insertions before this one. */
  readonly number: number;
  /** Null when the value will not come again. */
  readonly value: string | null;
  /** The entry with the same name inserted before. */
  readonly previous: Inserted | undefined;
}

/**
 * Encodes the header blocks of one connection, in the order in which they are sent (RFC 7541).
 *
 * It inserts while the peer's table has room and never evicts: an encoded block without insertions can be sent again as
 * long as `version` has not changed. Blocks that insert must be sent once, all of them and in order, or the peer's
 * table is wrong for good: write them straight to the output. `BlockWriter` sees to both.
 *
 * Strings are latin1, names in lower case; the layer above has checked them.
 */
export class HpackEncoder {
  /** Grows whenever the table changes and when a size update is due: what was encoded before is stale. */
  version = 0;
  /** Bound of the peer's table as it will be told. */
  #maxBytes: number = DEFAULT_TABLE_BYTES;
  /** Octets that the entries count in the peer's table, or more. */
  #usedBytes = 0;
  /** Entries of the table. */
  #count = 0;
  /** The newest by name; allocated at the first insertion. */
  #names: Map<string, Inserted> | null = null;
  #hasPendingUpdate = false;
  /** Lowest bound since the last update; 0 when the peer has to drop its entries. */
  #lowestBytes: number = DEFAULT_TABLE_BYTES;

  /** A table size update is due: the next block starts with it. */
  get hasPendingUpdate(): boolean {
    return this.#hasPendingUpdate;
  }

  /** Entries of the peer's table. */
  get tableCount(): number {
    return this.#count;
  }

  /**
   * Takes the peer's SETTINGS_HEADER_TABLE_SIZE in octets; at most 4096 are used. If the entries don't fit any more all
   * go.
   */
  setMaxTableBytes(bytes: number): void {
    const maxBytes = Math.min(bytes, DEFAULT_TABLE_BYTES);
    if (maxBytes === this.#maxBytes) return;
    this.#maxBytes = maxBytes;
    this.#lowestBytes = Math.min(this.#lowestBytes, maxBytes);
    if (this.#usedBytes > maxBytes) {
      this.#lowestBytes = 0;
      this.#usedBytes = 0;
      this.#count = 0;
      this.#names = null;
    }
    this.#hasPendingUpdate = true;
    this.version++;
  }

  /**
   * Writes the size updates that are due, if any: first thing in a block (section 4.2). For blocks that start with
   * `literalName`; `field` does it by itself, since settings never change within a block.
   */
  begin(target: Buffer, at: number): number {
    if (!this.#hasPendingUpdate) return at;
    this.#hasPendingUpdate = false;
    if (this.#lowestBytes < this.#maxBytes) at = writeInteger(target, at, 0x20, 0x1f, this.#lowestBytes);
    this.#lowestBytes = this.#maxBytes;
    return writeInteger(target, at, 0x20, 0x1f, this.#maxBytes);
  }

  /** Writes one field and returns the position behind it. At most `fieldBound` octets. */
  field(target: Buffer, at: number, name: string, value: string, mode: FieldMode): number {
    if (this.#hasPendingUpdate) at = this.begin(target, at);
    const fixed = staticName(name);
    const inserted = this.#names?.get(name);
    if (mode !== FieldMode.NEVER) {
      const index = fixed?.values.get(value);
      if (index !== undefined) return writeInteger(target, at, 0x80, 0x7f, index);
      for (let entry = inserted; entry !== undefined; entry = entry.previous) {
        if (entry.value === value) return writeInteger(target, at, 0x80, 0x7f, this.#indexOf(entry));
      }
    }
    const nameIndex = fixed !== undefined ? fixed.index : inserted !== undefined ? this.#indexOf(inserted) : 0;
    if (this.#wantsInsertion(nameIndex, name, value.length, mode)) {
      at = writeInteger(target, at, 0x40, 0x3f, nameIndex);
      if (nameIndex === 0) at = writeShortestText(target, at, name);
      this.#insert(name, mode === FieldMode.INSERT ? value : null, value.length);
      return writeShortestText(target, at, value);
    }
    at = writeInteger(target, at, mode === FieldMode.NEVER ? 0x10 : 0, 0x0f, nameIndex);
    if (nameIndex === 0) at = writeText(target, at, name);
    return writeText(target, at, value);
  }

  /** True when the name needs not be written in full. */
  hasName(name: string): boolean {
    return staticName(name) !== undefined || this.#names?.has(name) === true;
  }

  /**
   * The octets of a literal without indexing in front of its value: `0000` and the name, as an index if there is one.
   * Length and octets of the value are the caller's to write. Valid while `version` stays.
   */
  literalName(name: string): Uint8Array {
    const prefix = Buffer.alloc(fieldBound(name, ""));
    const nameIndex = this.#nameIndex(name);
    let end = writeInteger(prefix, 0, 0, 0x0f, nameIndex);
    if (nameIndex === 0) end = writeText(prefix, end, name);
    return new Uint8Array(prefix.subarray(0, end));
  }

  /**
   * Writes the same for a literal that is inserted for the sake of its name, if the name is in no table yet and the
   * table has room for it with a value of `maxValueBytes`, 128 at most; else returns -1 and writes nothing. The value
   * must not be longer.
   */
  insertName(target: Buffer, at: number, name: string, maxValueBytes: number): number {
    if (!this.#wantsInsertion(this.#nameIndex(name), name, maxValueBytes, FieldMode.INSERT_NAME)) return -1;
    // A shorter value takes less of the peer's table than is counted here: it evicts nothing that we know of.
    this.#insert(name, null, maxValueBytes);
    return writeShortestText(target, writeInteger(target, at, 0x40, 0x3f, 0), name);
  }

  #nameIndex(name: string): number {
    const fixed = staticName(name);
    if (fixed !== undefined) return fixed.index;
    const inserted = this.#names?.get(name);
    return inserted === undefined ? 0 : this.#indexOf(inserted);
  }

  #indexOf(entry: Inserted): number {
    return FIRST_DYNAMIC_INDEX + this.#count - 1 - entry.number;
  }

  #wantsInsertion(nameIndex: number, name: string, valueBytes: number, mode: FieldMode): boolean {
    if (mode >= FieldMode.PLAIN) return false;
    if (mode === FieldMode.INSERT_NAME && (nameIndex !== 0 || valueBytes > MAX_NAME_SAMPLE_BYTES)) return false;
    return this.#usedBytes + name.length + valueBytes + FIELD_OVERHEAD_BYTES <= this.#maxBytes;
  }

  /** `value` null: will not come again. */
  #insert(name: string, value: string | null, valueBytes: number): void {
    this.#names ??= new Map();
    this.#names.set(name, { number: this.#count, value, previous: this.#names.get(name) });
    this.#count++;
    this.#usedBytes += name.length + valueBytes + FIELD_OVERHEAD_BYTES;
    this.version++;
  }
}
