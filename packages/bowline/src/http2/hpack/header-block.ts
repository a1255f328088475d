/** Octets that a field costs on top of its name and value (RFC 7541 section 4.1, RFC 9113 section 6.5.2). */
export const FIELD_OVERHEAD_BYTES = 32;

/**
 * A header field of the static or the dynamic table, or a name that came in full (its value is then empty).
 *
 * Strings are latin1: one character an octet, so that lengths in characters are lengths in octets.
 */
export class HeaderEntry {
  readonly name: string;
  readonly value: string;
  /** What the layer above calls this name; 0 when it has no word for it. */
  readonly token: number;
  /** Octets that the field counts: name + value + 32. */
  readonly size: number;
  /**
   * The layer above may keep here what it made of name and value; undefined at first, gone when the entry is evicted.
   * It must not be used for a field whose value did not come from this entry (`HeaderBlock.isIndexed` false): `:path`
   * by name index carries the value "/" here and another on the wire.
   */
  derived: unknown = undefined;

  constructor(name: string, value: string, token: number) {
    this.name = name;
    this.value = value;
    this.token = token;
    this.size = name.length + value.length + FIELD_OVERHEAD_BYTES;
  }
}

/** How a header block ended. */
export const DecodeResult = {
  OK: 0,
  /** The block is broken and the tables may have parted: the connection must end with COMPRESSION_ERROR. */
  COMPRESSION_ERROR: 1,
  /** More octets or fields than allowed; the tables are in step, so only the stream has to end. */
  TOO_LARGE: 2,
} as const;

/** One of `DecodeResult`. */
export type DecodeResult = (typeof DecodeResult)[keyof typeof DecodeResult];

/**
 * A decoded block. Valid until the next `decode` of any decoder in the process, because the result arrays are shared:
 * an idle connection holds none. After anything but OK it has no prefix and no fields.
 *
 * A block is a prefix, which is only known by what the layer above made of it, and the fields behind it, numbered from
 * 0. A block without a prefix has all its fields there, as have those of a peer that is still filling the table.
 */
export interface HeaderBlock {
  /** True when the block began with a run of one-byte indexes; they are dealt with by `derived`. */
  readonly hasPrefix: boolean;
  /** What `HpackDecoderOptions.derive` made of the prefix; null without one. */
  readonly derived: unknown;
  /** Fields behind the prefix. */
  readonly count: number;
  /** All fields, those of the prefix included; also counted when they are too many. */
  readonly totalFields: number;
  /** Decoded octets of all fields, 32 a field included; also counted when they are too many. */
  readonly listBytes: number;
  /** The entry that gave field `i` its name. Its value is the field's only if `isIndexed(i)`. */
  entry(i: number): HeaderEntry;
  /** The token of the name of field `i`; 0 when it has none. */
  token(i: number): number;
  name(i: number): string;
  /** True when the value is `entry(i).value`: the field was indexed, or was inserted by this block. */
  isIndexed(i: number): boolean;
  /** The value, latin1. A literal's string is made anew by each call. */
  value(i: number): string;
  /** The bytes that were decoded. */
  readonly rawBuffer: Buffer;
  /** Where in `rawBuffer` the value of a literal starts; negative when it was indexed, inserted or Huffman-coded. */
  rawStart(i: number): number;
  /** Octets of the value at `rawStart(i)`. */
  rawLength(i: number): number;
  /** True for a never-indexed literal (RFC 7541 section 7.1.3): to be passed on as one, not to be logged. */
  isSensitive(i: number): boolean;
}

/** In `fields.starts`: the value is that of the entry. */
export const OF_ENTRY = -1;

const EMPTY = Buffer.alloc(0);

/** Fields of a block, by their number, in arrays that only grow. */
interface DecodedFields {
  readonly entries: HeaderEntry[];
  /** Where a value starts: in `buffer`; Huffman-coded, OF_ENTRY - 1 - its position in `scratch`; or OF_ENTRY. */
  starts: Int32Array;
  /** Octets of a value that is not of the entry. */
  lengths: Int32Array;
  /** Not 0 when a value that is not of the entry was never-indexed. */
  sensitive: Uint8Array;
  /** The bytes that were decoded. */
  buffer: Buffer;
  /** Decoded Huffman strings. Longer than any block or table entry may be, so what has no room is over a bound. */
  scratch: Buffer;
}

/** The result of the block decoded last, one for the process. */
export const fields: DecodedFields = {
  entries: [],
  starts: new Int32Array(0),
  lengths: new Int32Array(0),
  sensitive: new Uint8Array(0),
  buffer: EMPTY,
  scratch: EMPTY,
};

/** Makes room for the results of a decoder with these limits. Results that someone may still be reading stay. */
export function reserveResults(maxFields: number, maxStringOctets: number): void {
  if (fields.starts.length < maxFields) {
    fields.sensitive = grown(fields.sensitive, new Uint8Array(maxFields));
    fields.starts = grown(fields.starts, new Int32Array(maxFields));
    fields.lengths = grown(fields.lengths, new Int32Array(maxFields));
  }
  // Twice the need: then the worst case of a string that has room nearly always has room too.
  const scratchOctets = maxStringOctets * 2;
  if (fields.scratch.length < scratchOctets)
    fields.scratch = grown(fields.scratch, Buffer.allocUnsafeSlow(scratchOctets));
}

function grown<T extends Uint8Array | Int32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** What @types/node leaves out. */
interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
}

/**
 * `source[start, end)` as a string. The method behind `toString("latin1", …)`, which looks the encoding up by its name
 * each time: a block with an insertion takes a tenth longer that way.
 */
export function latin1(source: Buffer, start: number, end: number): string {
  return (source as Latin1Buffer).latin1Slice(start, end);
}

/** The octets of a literal as a string; `start` as in `fields.starts`, but not OF_ENTRY. */
export function stringAt(start: number, length: number): string {
  if (start >= 0) return latin1(fields.buffer, start, start + length);
  const position = OF_ENTRY - 1 - start;
  return latin1(fields.scratch, position, position + length);
}

/**
 * How the result of its last block is read from a decoder: the arrays are the process's, what fits into a few numbers
 * is its own.
 */
export abstract class DecodedBlock implements HeaderBlock {
  hasPrefix = false;
  derived: unknown = null;
  count = 0;
  totalFields = 0;
  listBytes = 0;

  get rawBuffer(): Buffer {
    return fields.buffer;
  }

  entry(i: number): HeaderEntry {
    return fields.entries[i];
  }

  token(i: number): number {
    return fields.entries[i].token;
  }

  name(i: number): string {
    return fields.entries[i].name;
  }

  isIndexed(i: number): boolean {
    return fields.starts[i] === OF_ENTRY;
  }

  isSensitive(i: number): boolean {
    return fields.starts[i] !== OF_ENTRY && fields.sensitive[i] !== 0;
  }

  rawStart(i: number): number {
    return fields.starts[i];
  }

  rawLength(i: number): number {
    return fields.lengths[i];
  }

  value(i: number): string {
    const start = fields.starts[i];
    return start === OF_ENTRY ? fields.entries[i].value : stringAt(start, fields.lengths[i]);
  }
}
