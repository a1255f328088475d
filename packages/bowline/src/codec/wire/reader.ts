import type { UnknownField } from "@bufbuild/protobuf";
import { copyBytes, viewBytes } from "./bytes.ts";
import { readKey } from "./map-keys.ts";
import { readLenientText, readText } from "./read-text.ts";
import { double, float, HIGH, LOW, signed, unsigned, words } from "./scratch.ts";
import { writeInt32 } from "./write-scalar.ts";

/** Messages within messages, groups included; the default of every protobuf implementation. */
export const MAX_DEPTH = 100;

/** What the objects of one message may take in memory; messages of more than 4 MiB on the wire eight times their size. */
export const MIN_BUDGET_BYTES: number = 32 << 20;
const BUDGET_PER_BYTE = 8;

/** What an object takes besides its content, about. */
const TEXT_BYTES = 24;
const BYTES_BYTES = 112;
const UNKNOWN_FIELD_BYTES = 168;
const BIGINT_BYTES = 24;
/** An entry of a map, without key and value. */
const ENTRY_BYTES = 48;

const NOTHING: Buffer = Buffer.alloc(0);
/** A value on its way to an unknown field. */
const varint: Buffer = Buffer.alloc(10);

/** Small integers of 64 bits are not made anew each time. */
const SMALL: readonly bigint[] = Array.from({ length: 256 }, (_, i) => BigInt(i));

/** The message would take more memory than its size on the wire justifies. */
export class DecodeBudgetError extends Error {}

/**
 * Reads one message after the other; generated code asks it for tags and values (protobuf.dev/programming-guides/encoding).
 *
 * A field that ends beyond its message is noticed by the next tag, values beyond the whole message at once: the bytes behind it
 * belong to others and are never given out. Every fault throws an Error without naming the message.
 */
export class Reader {
  /** Of the next byte. */
  position = 0;
  #buffer: Buffer = NOTHING;
  #limit = 0;
  #depth = 0;
  #budget = 0;
  #isShared = false;
  #low = 0;
  #high = 0;

  /** Turns to `source[start, end)` and returns `end`. `isShared` means that the bytes will change: they are copied, not shown. */
  begin(source: Buffer, start: number, end: number, isShared: boolean): number {
    this.#buffer = source;
    this.position = start;
    this.#limit = end;
    this.#depth = 1;
    this.#budget = Math.max(MIN_BUDGET_BYTES, BUDGET_PER_BYTE * (end - start));
    this.#isShared = isShared;
    return end;
  }

  /** Lets the bytes go: they may be a piece of much larger memory. */
  finish(): void {
    this.#buffer = NOTHING;
  }

  /** The next field's tag; 0 at the end of the message. `end` is what `open` or `openGroup` gave. */
  tag(end: number): number {
    const at = this.position;
    if (at >= end) return this.#end(end);
    const tag = this.#buffer[at];
    if (tag > 0 && tag < 128) {
      this.position = at + 1;
      return tag;
    }
    const next = this.#buffer[at + 1];
    if (tag === 0 || next === 0 || next > 127 || at + 2 > this.#limit) return this.#longTag();
    this.position = at + 2;
    return (tag & 127) | (next << 7);
  }

  /** `tag` within an entry of a map, which is no level of its own. */
  entryTag(end: number): number {
    const tag = this.tag(end);
    if (tag === 0) this.#depth++;
    return tag;
  }

  /** Enters a message behind its tag and returns where it ends. `bytes` is what its object takes in memory. */
  open(bytes: number): number {
    const end = this.#lengthEnd();
    this.#enter(bytes);
    return end;
  }

  /** Enters a group (or a delimited message) and returns what `tag` takes for its end: it ends with a tag, wherever that is. */
  openGroup(startTag: number, bytes: number): number {
    this.#enter(bytes);
    return -(startTag + 1);
  }

  /** Enters an entry of a map and returns where it ends. */
  openEntry(): number {
    const end = this.#lengthEnd();
    this.spend(ENTRY_BYTES);
    return end;
  }

  /** Enters a packed field and returns where it ends. */
  openPacked(): number {
    return this.#lengthEnd();
  }

  /** True while there is an element of a packed field left. */
  hasMore(end: number): boolean {
    if (this.position > end) throw new Error("an element of a packed field ends beyond it");
    return this.position < end;
  }

  int32(): number {
    const byte = this.#buffer[this.position];
    if (byte < 128) {
      this.position++;
      return byte;
    }
    this.#varint();
    return this.#low | 0;
  }

  uint32(): number {
    const byte = this.#buffer[this.position];
    if (byte < 128) {
      this.position++;
      return byte;
    }
    this.#varint();
    return this.#low >>> 0;
  }

  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool(): boolean {
    const byte = this.#buffer[this.position];
    if (byte < 128) {
      this.position++;
      return byte !== 0;
    }
    this.#varint();
    return (this.#low | this.#high) !== 0;
  }

  int64(): bigint {
    const byte = this.#buffer[this.position];
    if (byte < 128) {
      this.position++;
      return SMALL[byte];
    }
    this.#varint();
    return this.#signed(this.#low, this.#high);
  }

  uint64(): bigint {
    const byte = this.#buffer[this.position];
    if (byte < 128) {
      this.position++;
      return SMALL[byte];
    }
    this.#varint();
    return this.#unsigned(this.#low, this.#high);
  }

  sint64(): bigint {
    this.#varint();
    const low = this.#low;
    const high = this.#high;
    const sign = -(low & 1);
    return this.#signed(((low >>> 1) | (high << 31)) ^ sign, (high >>> 1) ^ sign);
  }

  /** Text of a 64-bit integer (`jstype = JS_STRING`). */
  decimal(value: bigint): string {
    this.spend(TEXT_BYTES);
    return String(value);
  }

  fixed32(): number {
    return this.#word() >>> 0;
  }

  sfixed32(): number {
    return this.#word();
  }

  fixed64(): bigint {
    const low = this.#word();
    return this.#unsigned(low, this.#word());
  }

  sfixed64(): bigint {
    const low = this.#word();
    return this.#signed(low, this.#word());
  }

  float(): number {
    words[0] = this.#word();
    return float[0];
  }

  double(): number {
    words[LOW] = this.#word();
    words[HIGH] = this.#word();
    return double[0];
  }

  /** A string that must be UTF-8. */
  string(): string {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(TEXT_BYTES + end - start);
    return readText(this.#buffer, start, end);
  }

  /** A string whose faulty bytes become U+FFFD. */
  lenientString(): string {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(TEXT_BYTES + end - start);
    return readLenientText(this.#buffer, start, end);
  }

  /** A string that becomes a property's name. */
  key(): string {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(TEXT_BYTES + end - start);
    return readKey(this.#buffer, start, end);
  }

  /** A copy, or a view when the bytes are the caller's own. */
  bytes(): Uint8Array {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(BYTES_BYTES + end - start);
    return this.#taken(start, end);
  }

  /** Keeps a field that the message does not declare, or not with this wire type. */
  unknown(tag: number, fields: UnknownField[] | undefined): UnknownField[] {
    const start = this.position;
    this.skip(tag);
    const end = this.position;
    this.spend(UNKNOWN_FIELD_BYTES + end - start);
    const kept = fields ?? [];
    kept.push({ no: tag >>> 3, wireType: tag & 7, data: this.#taken(start, end) });
    return kept;
  }

  /** Keeps a value that a closed enum does not declare (protobuf.dev/programming-guides/enum). */
  unknownEnum(tag: number, value: number, fields: UnknownField[] | undefined): UnknownField[] {
    this.spend(UNKNOWN_FIELD_BYTES);
    const kept = fields ?? [];
    const length = writeInt32(varint, 0, value);
    kept.push({ no: tag >>> 3, wireType: tag & 7, data: copyBytes(varint, 0, length) });
    return kept;
  }

  /** Counts what objects take in memory; called with what is made without a method of the reader. */
  spend(bytes: number): void {
    this.#budget -= bytes;
    if (this.#budget < 0) throw new DecodeBudgetError();
  }

  /** Passes over the value behind a tag. */
  skip(tag: number): void {
    if (tag < 8) throw new Error("a tag has field number 0");
    switch (tag & 7) {
      case 0:
        this.#varint();
        break;
      case 1:
        this.position += 8;
        break;
      case 2:
        this.position = this.#lengthEnd();
        break;
      case 3:
        this.#skipGroup(tag);
        break;
      case 4:
        throw new Error("a group ends that has not begun");
      case 5:
        this.position += 4;
        break;
      default:
        throw new Error(`there is no wire type ${tag & 7}`);
    }
    if (this.position > this.#limit) throw cutShort();
  }

  #enter(bytes: number): void {
    if (++this.#depth > MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} levels of messages`);
    this.spend(bytes);
  }

  /** The end of a message was reached, or a group is read. */
  #end(end: number): number {
    if (end >= 0) {
      if (this.position > end) throw cutShort();
      this.#depth--;
      return 0;
    }
    if (this.position >= this.#limit) throw cutShort();
    const tag = this.#longTag();
    // An end group tag is one more than the start group tag: wire types 4 and 3.
    if (tag !== -end) return tag;
    this.#depth--;
    return 0;
  }

  /** A tag of any length; those that don't fit 32 bits are refused. */
  #longTag(): number {
    const start = this.position;
    const tag = this.#plainVarint();
    const length = this.position - start;
    if (length > 5 || (length === 5 && this.#buffer[this.position - 1] > 15)) throw new Error("a tag is too large");
    if (tag === 0) throw new Error("a tag has field number 0");
    return tag;
  }

  #plainVarint(): number {
    this.#varint();
    if (this.position > this.#limit) throw cutShort();
    return this.#low >>> 0;
  }

  /** Reads a length and returns the position behind what it is the length of. */
  #lengthEnd(): number {
    let length = this.#buffer[this.position];
    if (length < 128) {
      this.position++;
    } else {
      this.#varint();
      if (this.#high !== 0) throw cutShort();
      length = this.#low >>> 0;
    }
    const end = this.position + length;
    if (end > this.#limit) throw cutShort();
    return end;
  }

  #skipGroup(startTag: number): void {
    const end = this.openGroup(startTag, 0);
    for (let tag = this.tag(end); tag !== 0; tag = this.tag(end)) this.skip(tag);
  }

  /** Reads a varint of up to 64 bits into `#low` and `#high`. Longer ones than ten bytes are refused. */
  #varint(): void {
    const buffer = this.#buffer;
    let at = this.position;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = buffer[at++];
      low |= (byte & 127) << shift;
      if (byte < 128) return this.#read(at, low, 0);
    }
    const middle = buffer[at++];
    low |= (middle & 15) << 28;
    let high = (middle & 127) >> 4;
    if (middle < 128) return this.#read(at, low, high);
    for (let shift = 3; shift < 32; shift += 7) {
      const byte = buffer[at++];
      high |= (byte & 127) << shift;
      if (byte < 128) return this.#read(at, low, high);
    }
    throw at > this.#limit ? cutShort() : new Error("a varint has more than ten bytes");
  }

  #read(at: number, low: number, high: number): void {
    this.position = at;
    this.#low = low;
    this.#high = high;
  }

  #word(): number {
    const buffer = this.#buffer;
    const at = this.position;
    this.position = at + 4;
    return buffer[at] | (buffer[at + 1] << 8) | (buffer[at + 2] << 16) | (buffer[at + 3] << 24);
  }

  #signed(low: number, high: number): bigint {
    if (high === 0 && low >= 0 && low < SMALL.length) return SMALL[low];
    this.spend(BIGINT_BYTES);
    words[LOW] = low;
    words[HIGH] = high;
    return signed[0];
  }

  #unsigned(low: number, high: number): bigint {
    if (high === 0 && low >= 0 && low < SMALL.length) return SMALL[low];
    this.spend(BIGINT_BYTES);
    words[LOW] = low;
    words[HIGH] = high;
    return unsigned[0];
  }

  #taken(start: number, end: number): Uint8Array {
    return this.#isShared ? copyBytes(this.#buffer, start, end) : viewBytes(this.#buffer, start, end);
  }
}

function cutShort(): Error {
  return new Error("it is cut short, or a length is wrong");
}
