import type { UnknownField } from "@bufbuild/protobuf";
import { copyBytes, viewBytes } from "./bytes.ts";
import { readKey } from "./map-keys.ts";
import { cutShort, NumberReader, TEXT_BYTES } from "./number-reader.ts";
import { readLenientText, readText } from "./read-text.ts";
import { writeInt32 } from "./write-scalar.ts";

/** Messages within messages, groups included; the default of every protobuf implementation. */
export const MAX_DEPTH = 100;

/** What an array of bytes takes besides them, and an unknown field besides its content, about. */
export const ARRAY_BYTES = 112;
export const UNKNOWN_FIELD_BYTES = 168;
/** An entry of a map, without key and value. */
export const ENTRY_BYTES = 48;
/** Packed fields of more bytes get a list of the right size. */
const LARGE_PACKED_BYTES = 1024;
/** Arrays that are made with more elements than V8 takes for fast ones, 2²⁵, become tables. */
const MAX_MADE_ELEMENTS = 32_000_000;
/** An element of a list that V8 has made larger than it need be. */
const GROWN_BYTES = 12;

/** A value on its way to an unknown field. */
const varint: Buffer = Buffer.alloc(10);

/**
 * Reads one message after the other; generated code asks it for tags and values (protobuf.dev/programming-guides/encoding).
 *
 * A field that ends beyond its message is noticed by the next tag, values beyond the whole message at once: the bytes behind it
 * belong to others and are never given out. Every fault throws an Error without naming the message.
 */
export class Reader extends NumberReader {
  #depth = 0;
  #isShared = false;

  /**
   * Turns to `source[start, end)` and returns `end`. `isShared` means that the bytes will change: they are copied, not shown. All objects
   * may take `budgetBytes` of memory.
   */
  begin(source: Buffer, start: number, end: number, isShared: boolean, budgetBytes: number): number {
    this.turnTo(source, start, end, budgetBytes);
    this.#depth = 1;
    this.#isShared = isShared;
    return end;
  }

  /** The next field's tag; 0 at the end of the message. `end` is what `open` or `openGroup` gave. */
  tag(end: number): number {
    const at = this.position;
    if (at >= end) return this.#end(end);
    const tag = this.buffer[at];
    if (tag > 0 && tag < 128) {
      this.position = at + 1;
      return tag;
    }
    const next = at + 1 < this.limit ? this.buffer[at + 1] : 0;
    if (tag === 0 || next === 0 || next > 127) return this.#longTag();
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

  /**
   * The list with room for the elements of a packed field up to `end`, each of `width` bytes, 0 for varints. They go behind those that it
   * had. A large list that is pushed to would take up to half as much again as its elements; to make it anew for each of many small
   * fields would take a time that grows with the square of their number, so that those are pushed and counted.
   */
  widened<T>(list: T[], end: number, width: 0 | 4 | 8): T[] {
    if (end - this.position <= LARGE_PACKED_BYTES && list.length <= LARGE_PACKED_BYTES) return list;
    const before = list.length;
    const count = width === 0 ? this.#varintsTo(end) : Math.floor((end - this.position) / width);
    if (count < before >> 3 || before + count > MAX_MADE_ELEMENTS) {
      this.spend(GROWN_BYTES * count);
      return list;
    }
    const wide = new Array<T>(before + count);
    for (let i = 0; i < before; i++) wide[i] = list[i];
    return wide;
  }

  /** True while there is an element of a packed field left. */
  hasMore(end: number): boolean {
    if (this.position > end) throw new Error("an element of a packed field ends beyond it");
    return this.position < end;
  }

  /** A string that must be UTF-8. */
  string(): string {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(TEXT_BYTES + end - start);
    return readText(this.buffer, start, end);
  }

  /** A string whose faulty bytes become U+FFFD. */
  lenientString(): string {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(TEXT_BYTES + end - start);
    return readLenientText(this.buffer, start, end);
  }

  /** A string that becomes a property's name. */
  key(): string {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(TEXT_BYTES + end - start);
    return readKey(this.buffer, start, end);
  }

  /** A copy, or a view when the bytes are the caller's own. */
  bytes(): Uint8Array {
    const end = this.#lengthEnd();
    const start = this.position;
    this.position = end;
    this.spend(ARRAY_BYTES + end - start);
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

  /** Passes over the value behind a tag. */
  skip(tag: number): void {
    if (tag < 8) throw new Error("a tag has field number 0");
    switch (tag & 7) {
      case 0:
        this.varint();
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
    if (this.position > this.limit) throw cutShort();
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
    if (this.position >= this.limit) throw cutShort();
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
    if (length > 5 || (length === 5 && this.buffer[this.position - 1] > 15)) throw new Error("a tag is too large");
    if (tag === 0) throw new Error("a tag has field number 0");
    return tag;
  }

  #plainVarint(): number {
    this.varint();
    if (this.position > this.limit) throw cutShort();
    return this.low >>> 0;
  }

  /** How many varints end before `end`: each has one byte without the upper bit. */
  #varintsTo(end: number): number {
    const { buffer } = this;
    let count = 0;
    for (let at = this.position; at < end; at++) count += (buffer[at] >> 7) ^ 1;
    return count;
  }

  /** Reads a length and returns the position behind what it is the length of. */
  #lengthEnd(): number {
    const at = this.position;
    let length: number;
    if (at < this.limit && this.buffer[at] < 128) {
      length = this.buffer[at];
      this.position = at + 1;
    } else {
      this.varint();
      if (this.high !== 0) throw cutShort();
      length = this.low >>> 0;
    }
    const end = this.position + length;
    if (end > this.limit) throw cutShort();
    return end;
  }

  #skipGroup(startTag: number): void {
    const end = this.openGroup(startTag, 0);
    for (let tag = this.tag(end); tag !== 0; tag = this.tag(end)) this.skip(tag);
  }

  #taken(start: number, end: number): Uint8Array {
    return this.#isShared ? copyBytes(this.buffer, start, end) : viewBytes(this.buffer, start, end);
  }
}
