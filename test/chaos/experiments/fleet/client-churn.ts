import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { LeakReport } from "../../../leaks/measure.ts";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";

const PROGRAM = fileURLToPath(new URL("../../../leaks/measure.ts", import.meta.url));
/** Code that was not used for a while must not go: what it frees would hide a leak. */
const NODE_OPTIONS = ["--expose-gc", "--no-flush-bytecode", "--no-warnings"];
const MOST_GROWTH = 1.05;

/** Clients with a connection each come, call and go; channels are closed at any time of their life, streams left before their end. */
export const clientChurn: Experiment = {
  number: 21,
  name: "clients that come and go",
  promise: "every call succeeds, the heap is back within 5 %, descriptors and handles are exactly what they were",
  fullMinutes: 1,
  needsRoot: false,
  run,
};

async function run({ isShort, seed }: Scale): Promise<Outcome> {
  const kinds = [
    { what: "connects", rounds: isShort ? 2000 : 10_000 },
    { what: "channels", rounds: isShort ? 300 : 1000 },
    { what: "abandons", rounds: isShort ? 200 : 1000 },
  ];
  const figures: Record<string, number> = {};
  const faults: string[] = [];
  for (const { what, rounds } of kinds) {
    const report = await measure(what, rounds, seed);
    const growth = report.heapAfterBytes / report.heapBeforeBytes;
    figures[what] = rounds;
    figures[`${what}HeapPercent`] = growth * 100;
    faults.push(...judge(report, growth).map((fault) => `${rounds} ${what}: ${fault}`));
  }
  return { figures, faults };
}

async function measure(what: string, rounds: number, seed: number): Promise<LeakReport> {
  const args = [...NODE_OPTIONS, PROGRAM, "--what", what, "--rounds", String(rounds), "--seed", String(seed)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { encoding: "utf8" });
  return JSON.parse(stdout) as LeakReport;
}

function judge(report: LeakReport, growth: number): string[] {
  const { outcomes, rounds, descriptorsBefore, descriptorsAfter, resourcesBefore, resourcesAfter } = report;
  const faults: string[] = [];
  if (outcomes.OK !== rounds) faults.push(`they ended with ${JSON.stringify(outcomes)}`);
  if (growth > MOST_GROWTH) faults.push(`the heap is at ${(growth * 100).toFixed(1)} % of what it was`);
  // NaN where the system does not tell.
  if (descriptorsAfter > descriptorsBefore)
    faults.push(`${descriptorsAfter} descriptors are open, ${descriptorsBefore} were`);
  const [before, after] = [JSON.stringify(resourcesBefore), JSON.stringify(resourcesAfter)];
  if (before !== after) faults.push(`${after} hold the event loop, ${before} did`);
  return faults;
}
