import { Coverage } from "./coverage.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { tryInput } from "./fuzzer.ts";

/** Runs that the shortening of a fault may take, and that of a file of the corpus. */
const MOST_TRIALS = 600;
const MOST_CORPUS_TRIALS = 40;

/** Cuts pieces out of the input as long as `isStillSo`, asking at most `mostTrials` times. */
export async function shorten(
  input: Buffer,
  mostTrials: number,
  isStillSo: (shorter: Buffer) => Promise<boolean>,
): Promise<Buffer> {
  let best = input;
  let trials = 0;
  for (let piece = best.length >> 1; piece >= 1; piece >>= 1) {
    for (let at = 0; at < best.length && trials < mostTrials; ) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + piece)]);
      trials++;
      if (await isStillSo(shorter)) best = shorter;
      else at += piece;
    }
  }
  return best;
}

/** The same fault, by the text of its error without figures, in a shorter input. */
export function shortenFault(target: FuzzTarget, input: Buffer, error: unknown): Promise<Buffer> {
  const wanted = kindOf(error);
  return shorten(input, MOST_TRIALS, async (shorter) => {
    const seen = await tryInput(target, shorter);
    return seen !== undefined && kindOf(seen) === wanted;
  });
}

/** The first line of an error with figures and quotations taken out, so that two inputs with one fault are found alike. */
function kindOf(error: unknown): string {
  return String(error)
    .split("\n", 1)[0]
    .replace(/"[^"]*"/g, '""')
    .replace(/[0-9a-f]*\d[0-9a-f]*/g, "0");
}

/** Few and short inputs that together run what all of them do, at most `maxBytes`. */
export async function distil(
  target: FuzzTarget,
  inputs: readonly Uint8Array[],
  maxBytes: number,
): Promise<readonly Buffer[]> {
  const coverage = new Coverage(target.covers);
  const kept: Buffer[] = [];
  let bytes = 0;
  // What the seeds run needs no file.
  for (const seed of target.seeds) await tryInput(target, seed);
  coverage.take(true);
  for (const input of [...inputs].sort((one, other) => one.length - other.length)) {
    await tryInput(target, input);
    const gain = coverage.take(false);
    if (gain === 0) continue;
    const short = await shorten(Buffer.from(input), MOST_CORPUS_TRIALS, async (shorter) => {
      await tryInput(target, shorter);
      return coverage.take(false) >= gain;
    });
    if (bytes + short.length > maxBytes) continue;
    await tryInput(target, short);
    coverage.take(true);
    bytes += short.length;
    kept.push(short);
  }
  return kept;
}
