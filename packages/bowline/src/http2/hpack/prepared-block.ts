import { FieldMode, fieldBound, type HpackEncoder } from "./encoder.ts";

/** Slots are array positions: a stray number must not make the array huge. */
const MAX_SLOT = 0xffff;

/** Up to here a loop beats `Uint8Array.set` (measured: 6 ns against 11 at 4 octets, even at 8). */
const SHORT_COPY = 8;

/**
 * A constant run of fields that many blocks start with: all fields of a usual response, or those of a request but the
 * ones that differ from call to call. One object serves all connections; what it looks like on one of them is kept by
 * its `BlockWriter`.
 *
 * Put fields that never change first: a peer caches the run of indexes that a block starts with.
 */
export class PreparedBlock {
  /** Where a `BlockWriter` keeps the encoded form; see the constructor. */
  readonly slot: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Most octets that `BlockWriter.block` writes for it. */
  readonly maxBytes: number;

  /**
   * `slot` is a small number, 0 to 65535, that its owner gives out without gaps, as in the number of a method. Two
   * blocks with one slot on a connection are no error: each displaces the other's encoded form.
   */
  constructor(slot: number, fields: readonly (readonly [name: string, value: string])[]) {
    checkSlot("PreparedBlock", slot);
    this.slot = slot;
    this.fields = fields;
    this.maxBytes = fields.reduce((sum, [name, value]) => sum + fieldBound(name, value), 0);
  }
}

/** The name of a field whose value differs from block to block. One object serves all connections. */
export class VaryingName {
  /** As with blocks, but counted apart from them. */
  readonly slot: number;
  readonly name: string;
  /** Longest value in octets that is ever written behind it. Above 128 the name is sent each time, not inserted. */
  readonly maxValueBytes: number;
  /** Most octets that `BlockWriter.name` writes, plus length and octets of the value. */
  readonly maxBytes: number;

  constructor(slot: number, name: string, maxValueBytes: number) {
    checkSlot("VaryingName", slot);
    this.slot = slot;
    this.name = name;
    this.maxValueBytes = maxValueBytes;
    this.maxBytes = fieldBound(name, "") + maxValueBytes;
  }
}

function checkSlot(owner: string, slot: number): void {
  if (Number.isInteger(slot) && slot >= 0 && slot <= MAX_SLOT) return;
  throw new RangeError(`${owner}: slot is ${slot}; number the blocks of an owner 0, 1, 2, … up to ${MAX_SLOT}`);
}

/** Octets that stand for something on one connection while the encoder has this version. */
interface Encoded<T> {
  readonly source: T;
  readonly version: number;
  readonly octets: Uint8Array;
}

/**
 * Writes header blocks of one connection straight to its output, from encoded forms where they still hold.
 *
 * What it writes must be sent, once and in the order of the calls: it may insert into the peer's table. It never hands
 * out octets that insert, so nothing of the kind can be kept or sent twice by mistake. What is left to the caller:
 * write a block when its turn has come (trailers behind their DATA, not beside the headers), and never take back what
 * was written (so whatever can fail, such as measuring the message, comes before).
 *
 * A block is any sequence of `block`, `name` and `HpackEncoder.field`; the first of them writes a size update that is
 * due.
 */
export class BlockWriter {
  readonly encoder: HpackEncoder;
  /** Two slots from the start, for headers and trailers: an array that grows by an index takes 17 at once. */
  readonly #blocks: (Encoded<PreparedBlock> | undefined)[] = [undefined, undefined];
  readonly #names: (Encoded<VaryingName> | undefined)[] = [];

  constructor(encoder: HpackEncoder) {
    this.encoder = encoder;
  }

  /** Starts a header block with these fields and returns the position behind them. At most `block.maxBytes` octets. */
  block(block: PreparedBlock, target: Buffer, at: number): number {
    const known = this.#blocks[block.slot];
    if (known !== undefined && known.source === block && known.version === this.encoder.version) {
      return copy(known.octets, target, at);
    }
    return this.#encodeBlock(block, target, at);
  }

  /**
   * Writes the head of a field. The caller writes the value behind it as a string literal: its length (one octet up to
   * 126; RFC 7541 section 5.2) and not more than `maxValueBytes` octets.
   */
  name(varying: VaryingName, target: Buffer, at: number): number {
    const known = this.#names[varying.slot];
    if (known !== undefined && known.source === varying && known.version === this.encoder.version) {
      return copy(known.octets, target, at);
    }
    return this.#encodeName(varying, target, at);
  }

  #encodeBlock(block: PreparedBlock, target: Buffer, at: number): number {
    const encoder = this.encoder;
    const start = encoder.begin(target, at);
    const version = encoder.version;
    let end = start;
    for (const [name, value] of block.fields) end = encoder.field(target, end, name, value, FieldMode.INSERT);
    if (encoder.version === version) {
      this.#blocks[block.slot] = { source: block, version, octets: new Uint8Array(target.subarray(start, end)) };
    }
    return end;
  }

  #encodeName(varying: VaryingName, target: Buffer, at: number): number {
    const start = this.encoder.begin(target, at);
    const end = this.encoder.insertName(target, start, varying.name, varying.maxValueBytes);
    if (end >= 0) return end;
    const octets = this.encoder.literalName(varying.name);
    this.#names[varying.slot] = { source: varying, version: this.encoder.version, octets };
    return copy(octets, target, start);
  }
}

function copy(octets: Uint8Array, target: Buffer, at: number): number {
  if (octets.length > SHORT_COPY) target.set(octets, at);
  else for (let i = 0; i < octets.length; i++) target[at + i] = octets[i];
  return at + octets.length;
}
