import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programOptions } from "../peers/program-options.ts";
import type { Experiment, Outcome, Scale } from "./experiment.ts";
import { experiments } from "./experiments.ts";
import { networksMissing } from "./network/network-support.ts";

const USAGE = `usage: npm run chaos [-- OPTION...]
  --only 1,2     these experiments
  --short        the short form of each, some minutes in all
  --minutes N    how long each may take at most
  --seed N       what is left to chance is done again as with this seed
  --json         one line of JSON at the end

${experiments.map(({ number, name, promise }) => `  ${String(number).padStart(2)}  ${name}: ${promise}`).join("\n")}`;

/**
 * Does to real processes what the world does to them, and says what held.
 *
 * Prints a line for each experiment, then how many passed, failed and were skipped; with `--json` one line of JSON besides. Experiments
 * that need root and iptables are skipped where they are not. Exit code 0 only if none failed.
 */
const { values } = programOptions(USAGE, {
  options: {
    only: { type: "string" },
    short: { type: "boolean", default: false },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    minutes: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

/** How one experiment went. */
interface Result extends Outcome {
  readonly number: number;
  readonly name: string;
  readonly ok: boolean;
}

/** Faults of one experiment that are printed; the JSON has them all. */
const MOST_LINES = 10;

const scale = orUsage(readScale);
const chosen = orUsage(choose);
const scratch = mkdtempSync(join(tmpdir(), "bowline-chaos-run-"));
// All that experiments write goes there, and goes with it, however this ends.
process.env.TMPDIR = scratch;
// Each process loads the same modules: what the first has compiled saves the others most of their start.
process.env.NODE_COMPILE_CACHE ??= join(scratch, "compiled");
process.on("exit", () => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const results: Result[] = [];
let skipped = 0;
console.log(`seed ${scale.seed}${scale.isShort ? ", short form" : ""}`);
for (const experiment of chosen) await perform(experiment);
const failed = results.filter(({ ok }) => !ok).length;
console.log(`${results.length - failed} passed, ${failed} failed, ${skipped} skipped`);
if (values.json) console.log(JSON.stringify({ seed: scale.seed, experiments: results }));
process.exitCode = failed === 0 ? 0 : 1;

async function perform(experiment: Experiment): Promise<void> {
  const { number, name, promise, needsRoot } = experiment;
  const title = `${String(number).padStart(2)}  `;
  const missing = needsRoot ? networksMissing({ installs: true }) : undefined;
  if (missing !== undefined) {
    skipped++;
    console.log(`${title}SKIPPED  ${name}: ${missing}`);
    return;
  }
  if (!scale.isShort) {
    const minutes =
      scale.minutes === undefined ? experiment.fullMinutes : Math.min(scale.minutes, experiment.fullMinutes);
    console.log(`${title}begins   ${name}: about ${minutes} min`);
  }
  const startedAt = performance.now();
  const outcome = await experiment.run(scale).catch((error: unknown) => couldNot(error));
  const ok = outcome.faults.length === 0;
  results.push({ number, name, ok, ...outcome });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${title}${ok ? "passed " : "FAILED "}  ${name} (${seconds} s): ${promise}`);
  const figures = Object.entries(outcome.figures).map(([key, value]) => `${key} ${Number(value.toFixed(1))}`);
  console.log(`      ${figures.join(", ")}`);
  for (const fault of outcome.faults.slice(0, MOST_LINES)) console.log(`      FAULT ${fault}`);
  const more = outcome.faults.length - MOST_LINES;
  if (more > 0) console.log(`      FAULT and ${more} more`);
}

function couldNot(error: unknown): Outcome {
  return { figures: {}, faults: [`it could not be done: ${error instanceof Error ? error.message : String(error)}`] };
}

function readScale(): Scale {
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  if (minutes !== undefined && !(minutes > 0))
    throw new RangeError(`--minutes is "${values.minutes}"; give a number above 0`);
  const seed = Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0)
    throw new RangeError(`--seed is "${values.seed}"; give a whole number from 0 on`);
  return { isShort: values.short, seed, minutes };
}

function choose(): readonly Experiment[] {
  const wanted = values.only?.split(",").map(Number);
  const known = experiments.map(({ number }) => number);
  const unknown = wanted?.find((number) => !known.includes(number));
  if (unknown !== undefined) throw new RangeError(`--only is "${values.only}"; give some of ${known.join(",")}`);
  return experiments.filter(({ number }) => wanted?.includes(number) ?? true);
}

/** What an option says; when that is no sense, one line to standard error and exit code 2. */
function orUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}
