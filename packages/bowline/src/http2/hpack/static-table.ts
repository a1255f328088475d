import { HeaderEntry, latin1 } from "./header-block.ts";

/** The static table in order of its indexes, which start at 1 (RFC 7541 appendix A). */
export const STATIC_TABLE: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Index of the newest entry of the dynamic table (RFC 7541 section 2.3.3). */
export const FIRST_DYNAMIC_INDEX = 62;

/** Where a name stands in the static table. */
export interface StaticName {
  /** Of the first field with this name. */
  readonly index: number;
  /** Index by value. */
  readonly values: ReadonlyMap<string, number>;
}

let names: Map<string, StaticName> | undefined;

/** Finds a name, and with it its values, in the static table. */
export function staticName(name: string): StaticName | undefined {
  names ??= collectNames();
  return names.get(name);
}

function collectNames(): Map<string, StaticName> {
  const collected = new Map<string, StaticName & { values: Map<string, number> }>();
  STATIC_TABLE.forEach(([name, value], position) => {
    const index = position + 1;
    const known = collected.get(name);
    if (known === undefined) collected.set(name, { index, values: new Map([[value, index]]) });
    else known.values.set(value, index);
  });
  return collected;
}

/** Names that came in full are remembered by hash; a power of two. */
const NAME_SLOTS = 256;
/** Longer names are not worth remembering. */
const MAX_KEPT_NAME_OCTETS = 64;

/**
 * The entries that decoders share: the static table, and names that came in full.
 *
 * The two of `:path` are not shared. What the layer above keeps on them (`HeaderEntry.derived`) is a route, and two
 * servers in one process may route "/" differently: each decoder has its own.
 */
export class Vocabulary {
  readonly tokens: ReadonlyMap<string, number>;
  /** By index; null at 0 and for `:path`. */
  readonly statics: readonly (HeaderEntry | null)[];
  /** By hash of the name; a newcomer takes the place of the one before. */
  readonly #names = new Array<HeaderEntry | null>(NAME_SLOTS).fill(null);

  constructor(tokens: ReadonlyMap<string, number>) {
    this.tokens = tokens;
    this.statics = [null, ...STATIC_TABLE.map(([name], i) => (name === ":path" ? null : this.staticEntry(i + 1)))];
  }

  /** A new entry for an index of the static table. */
  staticEntry(index: number): HeaderEntry {
    const [name, value] = STATIC_TABLE[index - 1];
    return new HeaderEntry(name, value, this.tokens.get(name) ?? 0);
  }

  /** The entry, without a value, of a name in bytes: most often without making a string. */
  name(source: Buffer, start: number, length: number): HeaderEntry {
    if (length > MAX_KEPT_NAME_OCTETS) return this.#make(source, start, length);
    let hash = length;
    for (let i = start; i < start + length; i++) hash = (Math.imul(hash, 31) + source[i]) | 0;
    const slot = (hash ^ (hash >>> 8)) & (NAME_SLOTS - 1);
    const kept = this.#names[slot];
    if (kept !== null && isName(kept.name, source, start, length)) return kept;
    const entry = this.#make(source, start, length);
    this.#names[slot] = entry;
    return entry;
  }

  #make(source: Buffer, start: number, length: number): HeaderEntry {
    const name = latin1(source, start, start + length);
    return new HeaderEntry(name, "", this.tokens.get(name) ?? 0);
  }
}

function isName(name: string, source: Buffer, start: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let i = 0; i < length; i++) if (name.charCodeAt(i) !== source[start + i]) return false;
  return true;
}

const vocabularies = new WeakMap<ReadonlyMap<string, number>, Vocabulary>();

/** The vocabulary of a set of tokens, made at first use and gone with the set. */
export function vocabularyOf(tokens: ReadonlyMap<string, number>): Vocabulary {
  let vocabulary = vocabularies.get(tokens);
  if (vocabulary === undefined) {
    vocabulary = new Vocabulary(tokens);
    vocabularies.set(tokens, vocabulary);
  }
  return vocabulary;
}
