import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { programOptions } from "../peers/program-options.ts";
import type { Chunking } from "./network/link-plan.ts";
import { type SimulationResult, simulate } from "./simulation.ts";

const USAGE = `usage: npm run simulate [-- OPTION...]
  --seeds N        so many seeds (100; npm run simulate plays 1000)
  --from S         from this one on (1)
  --seed S         one seed, and what broke
  --trace          every event of it
  --seconds N      virtual seconds of each (20)
  --twice          each seed twice, compared
  --calm HOW       no faults, octets cut in this way: whole, single or random
  --chunkings      these three, compared
  --processes N    among which seeds are shared out (one for each core)
  --json           one line of JSON at the end`;

/** Plays many seeds of the simulation. Each that fails is one line with the command that replays it; the exit code is 1 then. */
const { values } = programOptions(USAGE, {
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seconds: { type: "string", default: "20" },
    seed: { type: "string" },
    calm: { type: "string" },
    trace: { type: "boolean", default: false },
    processes: { type: "string" },
    chunkings: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

const CHUNKINGS: readonly string[] = ["whole", "single", "random"];

/** What an option says; when that is no sense, one line to standard error and exit code 2. */
function orUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}

function wholeNumber(name: string, text: string, least: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= least) return number;
  throw new RangeError(`--${name} is "${text}"; give a whole number from ${least} on`);
}

function chunking(text: string | undefined): Chunking | undefined {
  if (text === undefined || CHUNKINGS.includes(text)) return text as Chunking | undefined;
  throw new RangeError(`--calm is "${text}"; give one of ${CHUNKINGS.join(", ")}`);
}

const seconds = orUsage(() => wholeNumber("seconds", values.seconds, 1));
const calm = orUsage(() => chunking(values.calm));

function play(seed: number, print?: (line: string) => void): Promise<SimulationResult> {
  return simulate({ seed, seconds, calm, print });
}

function replayCommand(seed: number): string {
  const rest = `${seconds === 20 ? "" : ` --seconds ${seconds}`}${calm === undefined ? "" : ` --calm ${calm}`}`;
  return `node test/simulation/run.ts --seed ${seed} --trace${rest}`;
}

/** All that is wrong with a seed. */
async function faultsOf(seed: number, totals: Totals): Promise<readonly string[]> {
  if (values.chunkings) return chunkingFaults(seed, totals);
  const result = await play(seed);
  totals.add(result);
  if (!values.twice) return result.violations;
  const again = await play(seed);
  if (again.hash === result.hash) return result.violations;
  return [...result.violations, `two runs differ: ${result.hash} and ${again.hash}`];
}

/** What is wrong with a seed without faults, and what differs between ways to cut octets. */
async function chunkingFaults(seed: number, totals: Totals): Promise<readonly string[]> {
  const faults: string[] = [];
  let expected: readonly string[] | null = null;
  for (const way of CHUNKINGS) {
    const result = await simulate({ seed, seconds, calm: chunking(way) });
    totals.add(result);
    expected ??= result.results;
    const different = expected.findIndex((line, index) => line !== result.results[index]);
    if (different >= 0) faults.push(`${way} differs: "${result.results[different]}" for "${expected[different]}"`);
    faults.push(...result.violations.map((violation) => `octets cut ${way}: ${violation}`));
  }
  return faults;
}

/** What all runs together came to. */
class Totals {
  calls = 0;
  connections = 0;
  events = 0;
  windows = 0;
  readonly outcomes: Record<string, number> = {};

  add({ calls, connections, events, windows, outcomes }: Readonly<Omit<Totals, "add">>): void {
    this.windows += windows;
    this.calls += calls;
    this.connections += connections;
    this.events += events;
    for (const [name, count] of Object.entries(outcomes)) this.outcomes[name] = (this.outcomes[name] ?? 0) + count;
  }
}

async function playOne(seed: number): Promise<number> {
  const print = values.trace ? (line: string): void => void process.stdout.write(`${line}\n`) : undefined;
  const { violations, hash, events, outcomes } = await play(seed, print);
  for (const violation of violations) console.log(`seed ${seed}: ${violation}`);
  if (values.json) console.log(JSON.stringify({ seed, hash, events, outcomes, violations }));
  else console.log(`seed ${seed}: ${violations.length} faults, ${events} events, trace ${hash}`);
  return violations.length;
}

/** What seeds came to; one line of JSON says it. */
interface Summary extends Readonly<Omit<Totals, "add">> {
  readonly seeds: number;
  readonly from: number;
  readonly seconds: number;
  readonly failed: readonly number[];
  readonly realSeconds: number;
}

function summary(from: number, seeds: number, failed: readonly number[], startedAt: number, totals: Totals): Summary {
  const realSeconds = Math.round((performance.now() - startedAt) / 100) / 10;
  return { seeds, from, seconds, failed, realSeconds, ...totals };
}

async function playMany(from: number, seeds: number): Promise<Summary> {
  const startedAt = performance.now();
  const totals = new Totals();
  const failed: number[] = [];
  for (let seed = from; seed < from + seeds; seed++) {
    const faults = await faultsOf(seed, totals);
    if (faults.length === 0) continue;
    failed.push(seed);
    console.log(`seed ${seed}: ${faults[0]} (${faults.length} in all); replay: ${replayCommand(seed)}`);
  }
  return summary(from, seeds, failed, startedAt, totals);
}

/** Plays a share of the seeds in a process of its own; its lines about seeds are handed on. */
function playElsewhere(from: number, seeds: number): Promise<Summary> {
  const own = process.argv.slice(2).filter((argument) => argument !== "--json");
  const share = ["--json", "--processes", "1", "--from", String(from), "--seeds", String(seeds)];
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...own, ...share], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let last = "";
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.startsWith("{")) last = line;
    else console.log(line);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (last === "") reject(new Error(`the process of seeds from ${from} on ended with ${signal ?? code}`));
      else resolve(JSON.parse(last) as Summary);
    });
  });
}

/** Shares the seeds out among processes. */
async function playTogether(from: number, seeds: number, processes: number): Promise<Summary> {
  const startedAt = performance.now();
  const each = Math.ceil(seeds / processes);
  const shares: Promise<Summary>[] = [];
  for (let first = from; first < from + seeds; first += each) {
    shares.push(playElsewhere(first, Math.min(each, from + seeds - first)));
  }
  const totals = new Totals();
  const summaries = await Promise.all(shares);
  for (const share of summaries) totals.add(share);
  const failed = summaries.flatMap((share) => share.failed);
  return summary(from, seeds, failed, startedAt, totals);
}

async function playSeeds(): Promise<number> {
  const total = processes === 1 ? await playMany(from, seeds) : await playTogether(from, seeds, processes);
  const { failed, realSeconds, calls } = total;
  if (values.json) console.log(JSON.stringify(total));
  else {
    console.log(`${seeds} seeds of ${seconds} s in ${realSeconds} s: ${calls} calls`);
    console.log(`${seeds - failed.length} passed, ${failed.length} failed`);
  }
  return failed.length;
}

const processes = orUsage(() => wholeNumber("processes", values.processes ?? String(availableParallelism()), 1));
const from = orUsage(() => wholeNumber("from", values.from, 0));
const seeds = orUsage(() => wholeNumber("seeds", values.seeds, 1));
const seed = orUsage(() => (values.seed === undefined ? null : wholeNumber("seed", values.seed, 0)));
const failures = seed === null ? await playSeeds() : await playOne(seed);
process.exitCode = failures === 0 ? 0 : 1;
