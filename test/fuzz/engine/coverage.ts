import { type Profiler, Session } from "node:inspector";

/**
 * Octets of a source, 1 for each character that has run, four to a word: reading them one by one took longer than what V8 needs to
 * count.
 */
type Cover = Uint32Array;

/** What one reading saw of a script. */
interface Seen {
  readonly url: string;
  readonly painted: Cover;
}

let counting: Session | undefined;

/**
 * Counts blocks in this process from now on, for good. To be called before the code under test runs for the first time: what V8 has
 * compiled before is counted by whole functions only.
 */
export function startCounting(): Session {
  if (counting === undefined) {
    counting = new Session();
    counting.connect();
    counting.post("Profiler.enable");
    counting.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }
  return counting;
}

/**
 * Which parts of the source files under test have run, as V8 counts blocks.
 *
 * Kept by character of the source: V8 joins neighbouring blocks of one count, so that the blocks themselves differ from one reading
 * to the next.
 */
export class Coverage {
  readonly #session = startCounting();
  readonly #parts: readonly string[];
  /** What has run in some input, by script. */
  readonly #scripts = new Map<string, Cover>();
  /** What the last reading that was not merged saw. */
  #unmerged: Seen[] = [];

  /** Looks at files whose URL holds one of `parts`; nothing of them has run yet, as far as this one knows. */
  constructor(parts: readonly string[]) {
    this.#parts = parts;
    this.take(false);
  }

  /** Characters of source that have run for the first time since the last merge; with `isMerged` they count as known from now on. */
  take(isMerged: boolean): number {
    let taken: Profiler.ScriptCoverage[] = [];
    this.#session.post("Profiler.takePreciseCoverage", (error, answer) => {
      if (error !== null) throw error;
      taken = answer.result;
    });
    this.#unmerged = [];
    let gain = 0;
    for (const { url, functions } of taken) {
      if (!this.#parts.some((part) => url.includes(part))) continue;
      gain += this.#count(url, functions, isMerged);
    }
    return gain;
  }

  /** True when the reading `seen` saw something that is not known yet. */
  isNew(seen: readonly Seen[]): boolean {
    return seen.some(({ url, painted }) => {
      const hit = this.#scriptOf(url, painted.length);
      return painted.some((word, at) => (word & ~hit[at]) !== 0);
    });
  }

  /** Merges what the reading `seen` saw, if it was not: what ran once and never again must not look new for ever. */
  accept(seen: readonly Seen[]): void {
    for (const { url, painted } of seen) {
      const hit = this.#scriptOf(url, painted.length);
      for (let at = 0; at < painted.length; at++) hit[at] |= painted[at];
    }
  }

  /** For {@link isNew} and {@link accept}: what the last reading saw that was not merged. */
  unmerged(): readonly Seen[] {
    return this.#unmerged;
  }

  /** Characters of source known to have run. */
  get total(): number {
    let total = 0;
    for (const hit of this.#scripts.values()) for (const word of hit) total += characters(word);
    return total;
  }

  #count(url: string, functions: readonly Profiler.FunctionCoverage[], isMerged: boolean): number {
    let end = 0;
    for (const { ranges } of functions) end = Math.max(end, ranges[0].endOffset);
    const painted = new Uint32Array((end + 3) >> 2);
    const octets = new Uint8Array(painted.buffer);
    // Outer ranges come before those inside them.
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) octets.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
    if (!isMerged) this.#unmerged.push({ url, painted });
    const hit = this.#scriptOf(url, painted.length);
    let gain = 0;
    for (let at = 0; at < painted.length; at++) {
      const fresh = painted[at] & ~hit[at];
      if (fresh === 0) continue;
      gain += characters(fresh);
      if (isMerged) hit[at] |= fresh;
    }
    return gain;
  }

  #scriptOf(url: string, words: number): Cover {
    const known = this.#scripts.get(url);
    if (known !== undefined && known.length >= words) return known;
    const hit = new Uint32Array(words);
    if (known !== undefined) hit.set(known);
    this.#scripts.set(url, hit);
    return hit;
  }
}

/** How many of the four octets are 1. */
function characters(word: number): number {
  return (Math.imul(word, 0x01010101) >>> 24) & 0xff;
}
