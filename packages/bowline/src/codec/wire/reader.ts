import type { UnknownField } from "@bufbuild/protobuf";
import { copyBytes, viewBytes } from "./bytes.ts";
import { isLine, readKey, readLine } from "./known-texts.ts";
import { cutShort, NOTHING, NumberReader, TEXT_BYTES } from "./number-reader.ts";
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
/** The room that V8 gives a list with its first element: for 16 more, and what holds them. */
export const LIST_ROOM_BYTES = 136;
/** A number in a list; and what it takes besides in one that V8 has made larger than it need be. */
export const ELEMENT_BYTES = 8;
const GROWN_BYTES = 4;

/** Sources in larger memory are not held for the messages that follow: what a connection reads ahead, and a chunk behind it, has room. */
const MAX_HELD_BYTES = 524_288;
/** A source is shown from this one of its lines on: to make a view takes longer than to read one line without. */
const SHOWN_FROM_LINE = 2;

/** A value on its way to an unknown field. */
const varint: Buffer = Buffer.alloc(10);

/**
 * Reads one message after the other; generated code asks it for tags and values (protobuf.dev/programming-guides/encoding).
 *
 * A field that ends beyond its message is noticed at the message's end, values beyond the whole message at once: the bytes behind it
 * belong to others and are never given out. Every fault throws an Error without naming the message.
 */
export class Reader extends NumberReader {
  /** The tag that `tag` has read last. */
  tagRead = 0;
  /** Behind what was read last by `unknown`, or as a group. */
  position = 0;
  /** Where begins what `len` has measured last. */
  #start = 0;
  #depth = 0;
  #isShared = false;
  /** The source of the last line, also while the next message in it is waited for. */
  #held: Buffer = NOTHING;
  /** The lines that were read in what is held, up to SHOWN_FROM_LINE. */
  #lines = 0;
  /** How long the source was when its view was made: memory may be resized between messages. */
  #shownBytes = 0;
  /** What is held goes with the message. */
  #isBorrowed = false;

  /**
   * Turns to `source`, whose message ends at `end`. `isShared` means that the bytes will change: they are copied, not shown. All objects
   * may take `budgetBytes` of memory.
   */
  begin(source: Buffer, end: number, isShared: boolean, budgetBytes: number): void {
    this.turnTo(source, end, budgetBytes);
    this.#depth = 1;
    this.#isShared = isShared;
    if (source !== this.#held || source.length !== this.#shownBytes) this.shown = null;
  }

  /** Lets the bytes go, but for what other messages lie in. */
  finish(): void {
    this.source = NOTHING;
    if (this.#isBorrowed) this.#hold(NOTHING, false);
  }

  /** Where `at < end` is over: false at the end of the message. True where a group has another field: it ends with a tag, not by `end`. */
  goesOn(at: number, end: number): boolean {
    if (at !== end) return this.#isInGroup(at, end);
    this.#depth--;
    return false;
  }

  /** Reads a tag into `tagRead`; there is a byte at least. Field number 0 is refused by whoever passes over the field. */
  tag(at: number): number {
    const tag = this.source[at];
    if (tag > 127) return this.#longTag(at, tag);
    this.tagRead = tag;
    return at + 1;
  }

  /** Reads a length, and returns where ends what it is the length of: a message, an entry, a packed field, a text, bytes. */
  len(at: number): number {
    if (at >= this.limit || this.source[at] > 127) return this.#longLen(at);
    const end = at + 1 + this.source[at];
    if (end > this.limit) throw cutShort();
    this.#start = at + 1;
    return end;
  }

  /** Enters a message that `len` has measured and returns where it begins. `bytes` is what its object takes in memory. */
  open(bytes: number): number {
    return this.openGroup(this.#start, bytes);
  }

  /** Enters a group (or a delimited message) and returns where it begins. Its `end` is `groupEnd`, where it ended is `position` afterwards. */
  openGroup(at: number, bytes: number): number {
    if (++this.#depth > MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} levels of messages`);
    this.spend(bytes);
    return at;
  }

  /** Enters an entry of a map and returns where it begins. */
  openEntry(): number {
    this.spend(ENTRY_BYTES);
    return this.#start;
  }

  /** A list has got its first element: counts the room that comes with it. */
  openList(): void {
    this.spend(LIST_ROOM_BYTES);
  }

  /** Enters a packed field and returns where it begins. */
  openPacked(): number {
    return this.#start;
  }

  /** True while there is something left of an entry or a packed field. */
  hasMore(at: number, end: number): boolean {
    if (at > end) throw cutShort();
    return at < end;
  }

  /**
   * The list with room for the elements of a packed field from `at` to `end`, each of `width` bytes, 0 for varints. They go behind those
   * that it had, and are counted. A large list that is pushed to would take up to half as much again as its elements; to make it anew for
   * each of many small fields would take a time that grows with the square of their number, so that those are pushed.
   */
  widened<T>(list: T[], at: number, end: number, width: 0 | 4 | 8): T[] {
    const count = width === 0 ? this.#varintsIn(at, end) : Math.floor((end - at) / width);
    this.spend(ELEMENT_BYTES * count);
    if (end - at <= LARGE_PACKED_BYTES && list.length <= LARGE_PACKED_BYTES) {
      if (list.length === 0) this.openList();
      return list;
    }
    const before = list.length;
    if (count < before >> 3 || before + count > MAX_MADE_ELEMENTS) {
      this.spend(GROWN_BYTES * count);
      return list;
    }
    const wide = new Array<T>(before + count);
    for (let i = 0; i < before; i++) wide[i] = list[i];
    return wide;
  }

  /** A string that must be UTF-8, up to `end`, as all that `len` has measured. */
  string(end: number): string {
    const start = this.#start;
    const length = end - start;
    this.spend(TEXT_BYTES + length);
    if (!isLine(length)) return readText(this.source, start, end);
    const view = this.#show();
    return view === null ? readText(this.source, start, end) : readLine(this.source, view, start, end);
  }

  /** A string whose faulty bytes become U+FFFD. */
  lenientString(end: number): string {
    const start = this.#start;
    this.spend(TEXT_BYTES + end - start);
    return readLenientText(this.source, start, end);
  }

  /** A string that becomes a property's name. */
  key(end: number): string {
    const start = this.#start;
    this.spend(TEXT_BYTES + end - start);
    return readKey(this.source, start, end);
  }

  /** A copy, or a view when the bytes are the caller's own. */
  bytes(end: number): Uint8Array {
    const start = this.#start;
    this.spend(ARRAY_BYTES + end - start);
    return this.#taken(start, end);
  }

  /** Keeps a field that the message does not declare, or not with this wire type. */
  unknown(at: number, fields: UnknownField[] | undefined): UnknownField[] {
    const { tagRead } = this;
    const end = this.skip(at);
    this.position = end;
    this.spend(UNKNOWN_FIELD_BYTES + end - at);
    const kept = fields ?? [];
    kept.push({ no: tagRead >>> 3, wireType: tagRead & 7, data: this.#taken(at, end) });
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

  /** Passes over the value behind the tag read last, and returns where it ends. */
  skip(at: number): number {
    const tag = this.tagRead;
    if (tag < 8) throw new Error("a tag has field number 0");
    switch (tag & 7) {
      case 0:
        return this.varint(at);
      case 1:
        return this.i64(at);
      case 2:
        return this.len(at);
      case 3:
        return this.#skipGroup(at, tag);
      case 4:
        throw new Error("a group ends that has not begun");
      case 5:
        return this.i32(at);
      default:
        throw new Error(`there is no wire type ${tag & 7}`);
    }
  }

  #hold(source: Buffer, isBorrowed: boolean): void {
    this.#held = source;
    this.#isBorrowed = isBorrowed;
    this.#lines = 0;
    this.shown = null;
  }

  /** A view of the source, of which another line is to be read; null while there were few. */
  #show(): DataView | null {
    const { source } = this;
    if (source !== this.#held) this.#hold(source, !this.#isShared || source.buffer.byteLength > MAX_HELD_BYTES);
    if (this.shown === null && ++this.#lines >= SHOWN_FROM_LINE) {
      this.shown = new DataView(source.buffer, source.byteOffset, source.length);
      this.#shownBytes = source.length;
    }
    return this.shown;
  }

  #longLen(at: number): number {
    const start = this.longVarint(at);
    const end = start + (this.low >>> 0);
    if (this.high !== 0 || end > this.limit) throw cutShort();
    this.#start = start;
    return end;
  }

  /** Not at the end of a message: within a group, or beyond the end. */
  #isInGroup(at: number, end: number): boolean {
    if (end >= 0 || at >= this.limit) throw cutShort();
    const behind = this.tag(at);
    if (-this.tagRead !== end) return true;
    this.position = behind;
    this.#depth--;
    return false;
  }

  /** A tag of more than a byte; those that don't fit 32 bits are refused. */
  #longTag(at: number, first: number): number {
    const next = at + 1 < this.limit ? this.source[at + 1] : 0;
    if (next > 0 && next < 128) {
      this.tagRead = (first & 127) | (next << 7);
      return at + 2;
    }
    const end = this.longVarint(at);
    const length = end - at;
    if (length > 5 || (length === 5 && this.source[end - 1] > 15)) throw new Error("a tag is too large");
    this.tagRead = this.low >>> 0;
    return end;
  }

  /** How many varints end in `[start, end)`: each has one byte without the upper bit. */
  #varintsIn(start: number, end: number): number {
    const { source } = this;
    let count = 0;
    for (let at = start; at < end; at++) count += (source[at] >> 7) ^ 1;
    return count;
  }

  #skipGroup(start: number, startTag: number): number {
    const end = groupEnd(startTag);
    let at = this.openGroup(start, 0);
    while (this.goesOn(at, end)) at = this.skip(this.tag(at));
    return this.position;
  }

  #taken(start: number, end: number): Uint8Array {
    return this.#isShared ? copyBytes(this.source, start, end) : viewBytes(this.source, start, end);
  }
}

/** What stands for the end of a group: below 0, and known by its start tag. */
function groupEnd(startTag: number): number {
  // The end group tag is one more than the start group tag: wire types 4 and 3.
  return -(startTag + 1);
}
