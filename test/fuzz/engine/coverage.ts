import { type Profiler, Session } from "node:inspector";

interface ScriptCover {
  /** 1 for each character of the source that has run in some input. */
  readonly hit: Uint8Array;
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
  readonly #scripts = new Map<string, ScriptCover>();
  /** What the last reading that was not merged saw, by script. */
  #unmerged: { readonly url: string; readonly painted: Uint8Array }[] = [];

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

  /** Merges what the reading `seen` saw, if it was not: what ran once and never again must not look new for ever. */
  accept(seen: ReturnType<Coverage["unmerged"]>): void {
    for (const { url, painted } of seen) {
      const { hit } = this.#scriptOf(url, painted.length);
      for (let at = 0; at < painted.length; at++) hit[at] |= painted[at];
    }
  }

  /** For {@link accept}: what the last reading saw that was not merged. */
  unmerged(): readonly { readonly url: string; readonly painted: Uint8Array }[] {
    return this.#unmerged;
  }

  /** Characters of source known to have run. */
  get total(): number {
    let total = 0;
    for (const { hit } of this.#scripts.values()) for (const each of hit) total += each;
    return total;
  }

  #count(url: string, functions: readonly Profiler.FunctionCoverage[], isMerged: boolean): number {
    let end = 0;
    for (const { ranges } of functions) for (const range of ranges) end = Math.max(end, range.endOffset);
    const hit = this.#scriptOf(url, end).hit;
    const painted = new Uint8Array(end);
    // Outer ranges come before those inside them.
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) painted.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
    if (!isMerged) this.#unmerged.push({ url, painted });
    let gain = 0;
    for (let at = 0; at < end; at++) {
      if (painted[at] === 0 || hit[at] === 1) continue;
      gain++;
      if (isMerged) hit[at] = 1;
    }
    return gain;
  }

  #scriptOf(url: string, length: number): ScriptCover {
    let script = this.#scripts.get(url);
    if (script === undefined || script.hit.length < length) {
      const hit = new Uint8Array(length);
      if (script !== undefined) hit.set(script.hit);
      script = { hit };
      this.#scripts.set(url, script);
    }
    return script;
  }
}
