import { DEFAULT_TABLE_BYTES, DynamicTable } from "./dynamic-table.ts";
import {
  DecodedBlock,
  DecodeResult,
  FIELD_OVERHEAD_BYTES,
  fields,
  HeaderEntry,
  OF_ENTRY,
  reserveResults,
  stringAt,
} from "./header-block.ts";
import { huffmanDecode, huffmanDecodedBytes, maxDecodedBytes } from "./huffman.ts";
import { type CachedPrefix, endOfRun, PATH_LITERAL, PrefixCache } from "./prefix-cache.ts";
import { FIRST_DYNAMIC_INDEX, type Vocabulary, vocabularyOf } from "./static-table.ts";

export { DecodeResult, type HeaderBlock, HeaderEntry } from "./header-block.ts";

/** What a decoder is made with. */
export interface HpackDecoderOptions {
  /** Our SETTINGS_HEADER_TABLE_SIZE in octets, default 4096. A smaller one binds from `setLimit` on. */
  readonly tableBytes?: number;
  /** Bound of a decoded block: names + values + 32 a field, in octets; default 16384. */
  readonly maxListBytes?: number;
  /** Bound of the fields of a block, cookie crumbs counted one by one; default 128. */
  readonly maxFields?: number;
  /**
   * Integers > 0 for the names that the layer above cares about; all others get 0. Give all connections the same map:
   * the entries of the static table are kept once for each.
   */
  readonly tokens: ReadonlyMap<string, number>;
  /**
   * Called for a run of indexed fields that blocks start with, when it is not in the cache; the result is kept while
   * the table stays as it is. Must not throw and must not decode.
   */
  readonly derive: (fields: readonly HeaderEntry[]) => unknown;
}

const DEFAULT_MAX_LIST_BYTES = 16_384;
const DEFAULT_MAX_FIELDS = 128;
/** Octets that an integer may take behind its prefix (attack: endless zero padding). */
const MAX_INTEGER_OCTETS = 5;
const MAX_INTEGER = 0x7fffffff;
/** The bit that makes a literal never-indexed. */
const NEVER_INDEXED = 0x10;
/** A lowest and a final one (RFC 7541 section 4.2). */
const MAX_SIZE_UPDATES = 2;

/**
 * Decodes the header blocks of one connection, in the order of their arrival (RFC 7541).
 *
 * Nothing that a peer sends makes it throw. A block costs no more memory than its bounds: strings are made for the
 * dynamic table and for who asks, never for fields beyond a bound. Decoding a usual request allocates nothing.
 */
export class HpackDecoder extends DecodedBlock {
  readonly #derive: HpackDecoderOptions["derive"];
  readonly #maxListBytes: number;
  readonly #maxFields: number;
  readonly #vocabulary: Vocabulary;
  /** The static entries that are not shared, by index; see `Vocabulary`. */
  #ownEntries: HeaderEntry[] | null = null;
  readonly #table = new DynamicTable();
  /** Upper bound of the peer's size updates. */
  #tableLimit: number;
  /** Lowest bound since the last block if the table was above it, so that the peer owes an update; else Infinity. */
  #owedLimit = Number.POSITIVE_INFINITY;
  /** Made at first use. */
  #cache: PrefixCache | null = null;
  /** The last block left the table alone, so that the cache is worth its price. */
  #isTableQuiet = false;

  /** Second result of `#integer`. */
  #number = 0;
  /** Second and third result of `#string`: where (as in `fields.starts`), and decoded octets. */
  #stringStart = 0;
  #stringLength = 0;
  /** Octets of `fields.scratch` that are taken. */
  #scratchUsed = 0;

  constructor(options: HpackDecoderOptions) {
    super();
    this.#derive = options.derive;
    this.#maxListBytes = options.maxListBytes ?? DEFAULT_MAX_LIST_BYTES;
    this.#maxFields = options.maxFields ?? DEFAULT_MAX_FIELDS;
    this.#vocabulary = vocabularyOf(options.tokens);
    // Until our SETTINGS are acknowledged the peer goes by the protocol's default.
    this.#tableLimit = Math.max(options.tableBytes ?? DEFAULT_TABLE_BYTES, DEFAULT_TABLE_BYTES);
    reserveResults(this.#maxFields, Math.max(this.#maxListBytes, this.#tableLimit));
  }

  /**
   * The peer has acknowledged a SETTINGS_HEADER_TABLE_SIZE of `bytes`. If its table may be larger than that, its next
   * block has to start with a size update (RFC 7541 section 4.2).
   */
  setLimit(bytes: number): void {
    this.#tableLimit = bytes;
    if (bytes < this.#table.maxBytes) this.#owedLimit = Math.min(this.#owedLimit, bytes);
    reserveResults(this.#maxFields, Math.max(this.#maxListBytes, bytes));
  }

  /**
   * Decodes the block `buffer[start, end)`: all of a HEADERS frame and its CONTINUATIONs. Reads nothing outside of it.
   *
   * In order: a prefix from the cache or size updates, then field by field. The functions for it return the position
   * behind what they have read, or -1 when it is broken.
   */
  decode(buffer: Buffer, start: number, end: number): DecodeResult {
    const version = this.#table.version;
    fields.buffer = buffer;
    this.hasPrefix = false;
    this.derived = null;
    this.count = 0;
    this.totalFields = 0;
    this.listBytes = 0;
    this.#scratchUsed = 0;
    let at = start;
    if (this.#owedLimit !== Number.POSITIVE_INFINITY || (at < end && isSizeUpdate(buffer[at]))) {
      at = this.#sizeUpdates(buffer, at, end);
    } else if (this.#isTableQuiet) {
      at = this.#prefix(buffer, at, end);
    }
    if (at >= 0 && at < end) at = this.#fields(buffer, at, end);
    this.#isTableQuiet = this.#table.version === version;
    if (at >= 0 && this.totalFields <= this.#maxFields && this.listBytes <= this.#maxListBytes) return DecodeResult.OK;
    this.hasPrefix = false;
    this.derived = null;
    this.count = 0;
    return at < 0 ? DecodeResult.COMPRESSION_ERROR : DecodeResult.TOO_LARGE;
  }

  /**
   * Decodes fields up to the end of the block (section 6). Long, because each call saved counts here: split by kind of
   * field it took up to a third more.
   *
   * For each field: the index, by which an indexed field is complete; else the name in full if the index was 0; the
   * value; what both count; the insertion; the result. Beyond a bound fields are counted and inserted, but not kept.
   */
  #fields(buffer: Buffer, start: number, end: number): number {
    const table = this.#table;
    const maxCount = this.#maxFields - this.totalFields;
    const maxListBytes = this.#maxListBytes;
    const { entries, starts, lengths, sensitive } = fields;
    let count = 0;
    let listBytes = this.listBytes;
    let at = start;
    while (at < end) {
      const octet = buffer[at++];
      if (octet >= 0x80) {
        let index = octet & 0x7f;
        if (index === 0x7f) {
          at = this.#integer(buffer, at, end, 0x7f);
          if (at < 0) return -1;
          index = this.#number;
        }
        const entry = this.#entryAt(index);
        if (entry === null) return -1;
        listBytes += entry.size;
        if (count < maxCount) {
          entries[count] = entry;
          starts[count] = OF_ENTRY;
        }
        count++;
        continue;
      }

      if (isSizeUpdate(octet)) return -1;
      const mask = octet >= 0x40 ? 0x3f : 0x0f;
      let index = octet & mask;
      if (index === mask) {
        if (at < end && buffer[at] < 0x80) {
          index += buffer[at++];
        } else {
          at = this.#integer(buffer, at, end, mask);
          if (at < 0) return -1;
          index = this.#number;
        }
      }
      let entry: HeaderEntry | null = null;
      let nameStart = 0;
      let nameLength = 0;
      if (index !== 0) {
        entry = this.#entryAt(index);
        if (entry === null) return -1;
        nameLength = entry.name.length;
      } else {
        at = this.#string(buffer, at, end);
        if (at < 0) return -1;
        nameStart = this.#stringStart;
        nameLength = this.#stringLength;
      }
      let valueStart = at + 1;
      let valueLength = at < end ? buffer[at] : 0x7f;
      if (valueLength < 0x7f && valueLength < end - at) {
        at = valueStart + valueLength;
      } else {
        at = this.#string(buffer, at, end);
        if (at < 0) return -1;
        valueStart = this.#stringStart;
        valueLength = this.#stringLength;
      }

      const size = nameLength + valueLength + FIELD_OVERHEAD_BYTES;
      listBytes += size;
      const isKept = count < maxCount && listBytes <= maxListBytes;
      const isInserted = octet >= 0x40 && size <= table.maxBytes;
      if (octet >= 0x40 && !isInserted) table.clear();
      if (entry === null && (isKept || isInserted)) entry = this.#nameAt(nameStart, nameLength);
      if (entry !== null && isInserted) {
        entry = new HeaderEntry(entry.name, stringAt(valueStart, valueLength), entry.token);
        table.insert(entry);
      }
      if (entry !== null && isKept) {
        entries[count] = entry;
        starts[count] = isInserted ? OF_ENTRY : valueStart;
        lengths[count] = valueLength;
        sensitive[count] = octet < 0x20 ? octet & NEVER_INDEXED : 0;
      } else {
        // Nothing of this block will be read: its strings may be overwritten.
        this.#scratchUsed = 0;
      }
      count++;
    }
    this.count = count;
    this.totalFields += count;
    this.listBytes = listBytes;
    return at;
  }

  /** Section 2.3.3; null for index 0 and what lies behind the tables. */
  #entryAt(index: number): HeaderEntry | null {
    if (index >= FIRST_DYNAMIC_INDEX) return this.#table.get(index - FIRST_DYNAMIC_INDEX + 1);
    return this.#vocabulary.statics[index] ?? this.#ownEntry(index);
  }

  /** A static entry that is not shared, made at first use. */
  #ownEntry(index: number): HeaderEntry | null {
    if (index === 0) return null;
    this.#ownEntries ??= [];
    this.#ownEntries[index] ??= this.#vocabulary.staticEntry(index);
    return this.#ownEntries[index];
  }

  #nameAt(start: number, length: number): HeaderEntry {
    if (start >= 0) return this.#vocabulary.name(fields.buffer, start, length);
    return this.#vocabulary.name(fields.scratch, OF_ENTRY - 1 - start, length);
  }

  /** Takes a run of indexes at the start of a block from the cache, or puts it there. */
  #prefix(buffer: Buffer, start: number, end: number): number {
    this.#cache ??= new PrefixCache();
    const prefix = this.#cache.find(buffer, start, end, this.#table.version) ?? this.#newPrefix(buffer, start, end);
    if (prefix === null) return start;
    this.hasPrefix = true;
    this.derived = prefix.derived;
    this.totalFields = prefix.count;
    this.listBytes = prefix.listBytes;
    return start + prefix.octets.length;
  }

  /** Null when there is no run, or one that is too large or broken: what is wrong is then found field by field. */
  #newPrefix(buffer: Buffer, start: number, blockEnd: number): CachedPrefix | null {
    const end = endOfRun(buffer, start, blockEnd);
    if (end === start) return null;
    const entries: HeaderEntry[] = [];
    let listBytes = 0;
    for (let at = start; at < end; ) {
      const isPath = buffer[at] === PATH_LITERAL;
      const entry = isPath ? this.#pathAt(buffer, at + 1, end) : this.#entryAt(buffer[at] & 0x7f);
      if (entry === null) return null;
      entries.push(entry);
      listBytes += entry.size;
      at += isPath ? 2 + (buffer[at + 1] & 0x7f) : 1;
    }
    if (entries.length > this.#maxFields || listBytes > this.#maxListBytes) return null;
    const octets = new Uint8Array(buffer.subarray(start, end));
    const prefix = { octets, count: entries.length, derived: this.#derive(entries), listBytes };
    this.#cache?.add(prefix, this.#table.version);
    return prefix;
  }

  /** A `:path` whose value stands at `start`; null when that is broken. */
  #pathAt(buffer: Buffer, start: number, end: number): HeaderEntry | null {
    const name = this.#entryAt(PATH_LITERAL);
    if (name === null || this.#string(buffer, start, end) < 0) return null;
    const entry = new HeaderEntry(name.name, stringAt(this.#stringStart, this.#stringLength), name.token);
    this.#scratchUsed = 0;
    return entry;
  }

  /** Section 6.3: at most two, and the first not above the lowest bound since the last block. */
  #sizeUpdates(buffer: Buffer, start: number, end: number): number {
    let at = start;
    let limit = Math.min(this.#tableLimit, this.#owedLimit);
    let updates = 0;
    while (at < end && isSizeUpdate(buffer[at])) {
      if (updates === MAX_SIZE_UPDATES) return -1;
      let maxBytes = buffer[at++] & 0x1f;
      if (maxBytes === 0x1f) {
        at = this.#integer(buffer, at, end, 0x1f);
        if (at < 0) return -1;
        maxBytes = this.#number;
      }
      if (maxBytes > limit) return -1;
      this.#table.setMaxBytes(maxBytes);
      limit = this.#tableLimit;
      updates++;
    }
    if (updates === 0) return -1;
    this.#owedLimit = Number.POSITIVE_INFINITY;
    return at;
  }

  /** Section 5.1, behind a prefix that is all ones. */
  #integer(buffer: Buffer, start: number, end: number, prefix: number): number {
    let at = start;
    let value = prefix;
    let scale = 1;
    for (let octets = 0; octets < MAX_INTEGER_OCTETS && at < end; octets++) {
      const octet = buffer[at++];
      value += (octet & 0x7f) * scale;
      if (octet < 0x80) {
        this.#number = value;
        return value <= MAX_INTEGER ? at : -1;
      }
      scale *= 0x80;
    }
    return -1;
  }

  /** Section 5.2. The length is checked before anything is made; only Huffman code is copied, to the scratch buffer. */
  #string(buffer: Buffer, start: number, end: number): number {
    if (start >= end) return -1;
    let at = start + 1;
    const octet = buffer[start];
    let length = octet & 0x7f;
    if (length === 0x7f) {
      at = this.#integer(buffer, at, end, 0x7f);
      if (at < 0) return -1;
      length = this.#number;
    }
    if (length > end - at) return -1;
    if (octet >= 0x80) return this.#huffman(buffer, at, at + length);
    this.#stringStart = at;
    this.#stringLength = length;
    return at + length;
  }

  /**
   * A string that has no room in the scratch buffer is over all bounds: it is checked and counted, but not kept.
   * (Writing behind the end of the buffer would do no harm but one: `huffmanDecode` would be compiled anew to bear it,
   * slower, for the whole process.)
   */
  #huffman(buffer: Buffer, start: number, end: number): number {
    const used = this.#scratchUsed;
    this.#stringStart = OF_ENTRY - 1 - used;
    if (used + maxDecodedBytes(end - start) >= fields.scratch.length) {
      const length = huffmanDecodedBytes(buffer, start, end);
      this.#stringLength = length;
      if (length < 0) return -1;
      if (used + length >= fields.scratch.length) return end;
    }
    const decodedEnd = huffmanDecode(buffer, start, end, fields.scratch, used);
    if (decodedEnd < 0) return -1;
    this.#scratchUsed = decodedEnd;
    this.#stringLength = decodedEnd - used;
    return end;
  }
}

function isSizeUpdate(octet: number): boolean {
  return (octet & 0xe0) === 0x20;
}
