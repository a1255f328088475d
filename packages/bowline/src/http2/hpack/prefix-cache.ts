/** Longest run that is cached; the fields behind it are decoded one by one. Bounds the cache's memory. */
const MAX_RUN_OCTETS = 128;
/**
 * A literal without indexing by the static name `:path` (RFC 7541 section 6.2.2). nghttp2, and so Envoy and curl, never insert a path:
 * with it in the run all that is constant in their requests is found at once. Measured under h2load: a sixth of the server's CPU time.
 */
export const PATH_LITERAL = 0x04;
/** Runs that a connection remembers; a power of two. About as many paths fit into a table of 4096 octets. */
const SLOTS = 64;

/** A run of fields that blocks start with, and what it stands for while the table stays as it is. */
export interface CachedPrefix {
  readonly octets: Uint8Array;
  /** Number of fields. */
  readonly count: number;
  /** What the layer above made of the fields. */
  readonly derived: unknown;
  /** Octets that the fields count, 32 a field included. */
  readonly listBytes: number;
}

/**
 * Remembers the runs of constant fields that the blocks of one connection start with: one-byte indexes, and a short `:path` in full.
 * Calls of one method send the same run again and again; what varies comes behind it (measured: without it a call costs a tenth more).
 *
 * All runs are forgotten when the table has changed, because the indexes then mean something else. So it is to be asked
 * only when the last block left the table alone: a peer that inserts in each block would make every entry for nothing.
 */
export class PrefixCache {
  /** The run found last: most often it is the next one too, and is compared without a hash. */
  #latest: CachedPrefix | null = null;
  /**
   * By hash; a run may be in the slot beside its own too, so that two methods don't displace each other call by call.
   * Made with the second run: most connections that idle have seen one.
   */
  #slots: (CachedPrefix | null)[] | null = null;
  /** Of the table, when the entries were made. */
  #version = 0;

  /** The run that `source[start, end)` starts with, if it is known for this version of the table. */
  find(source: Uint8Array, start: number, end: number, version: number): CachedPrefix | null {
    const latest = this.#latest;
    if (latest === null || this.#version !== version) return null;
    const latestEnd = start + latest.octets.length;
    if (latestEnd === end || (latestEnd < end && !isOfRun(source[latestEnd]))) {
      if (isSame(latest.octets, source, start)) return latest;
    }
    if (this.#slots === null) return null;
    const runEnd = endOfRun(source, start, end);
    const slot = slotOf(source, start, runEnd);
    const found = pick(this.#slots[slot], source, start, runEnd) ?? pick(this.#slots[slot ^ 1], source, start, runEnd);
    if (found !== null) this.#latest = found;
    return found;
  }

  /** Remembers a run for a version of the table. */
  add(prefix: CachedPrefix, version: number): void {
    if (this.#version !== version) {
      this.#version = version;
      this.#latest = null;
      this.#slots?.fill(null);
    }
    if (this.#latest !== null) {
      if (this.#slots === null) this.#slots = new Array<CachedPrefix | null>(SLOTS).fill(null);
      put(this.#slots, this.#latest);
      put(this.#slots, prefix);
    }
    this.#latest = prefix;
  }
}

/** The position behind the run of one-byte indexes (1 to 126) and short `:path` literals that `source[start, end)` starts with. */
export function endOfRun(source: Uint8Array, start: number, end: number): number {
  const limit = Math.min(end, start + MAX_RUN_OCTETS);
  let at = start;
  for (;;) {
    while (at < limit && isShortIndex(source[at])) at++;
    if (at + 1 >= limit || source[at] !== PATH_LITERAL) return at;
    // The highest bit says that the value is Huffman-coded; a length of 127 is continued in the octets behind it.
    const length = source[at + 1] & 0x7f;
    if (length === 0x7f || at + 2 + length > limit) return at;
    at += 2 + length;
  }
}

/** False at the end of every run. */
function isOfRun(octet: number): boolean {
  return isShortIndex(octet) || octet === PATH_LITERAL;
}

function isShortIndex(octet: number): boolean {
  return octet > 0x80 && octet < 0xff;
}

function slotOf(source: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + source[at]) | 0;
  return (hash ^ (hash >>> 8)) & (SLOTS - 1);
}

/** `prefix` if it is the run `source[start, end)`, else null. */
function pick(prefix: CachedPrefix | null, source: Uint8Array, start: number, end: number): CachedPrefix | null {
  if (prefix === null || prefix.octets.length !== end - start) return null;
  return isSame(prefix.octets, source, start) ? prefix : null;
}

function put(slots: (CachedPrefix | null)[], prefix: CachedPrefix): void {
  const slot = slotOf(prefix.octets, 0, prefix.octets.length);
  if (slots[slot] === prefix || slots[slot ^ 1] === prefix) return;
  slots[slots[slot] === null ? slot : slot ^ 1] = prefix;
}

/** True when `source` has the octets of `run` from `start` on; it is long enough. */
function isSame(run: Uint8Array, source: Uint8Array, start: number): boolean {
  for (let i = 0; i < run.length; i++) if (run[i] !== source[start + i]) return false;
  return true;
}
