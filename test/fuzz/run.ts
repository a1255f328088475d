import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { programOptions } from "../peers/program-options.ts";
import { startCounting } from "./engine/coverage.ts";
import { type FuzzLine, fuzzOne, replay } from "./engine/fuzz-one.ts";
import { PLANTED } from "./planted/planted.ts";
import { TARGETS } from "./targets/all-targets.ts";

const USAGE = `usage: npm run fuzz [-- TARGET... OPTION...]
  --seconds N            of each target (60)
  --inputs N             at most so many
  --all                  all targets, two at a time: six minutes with 60 s each
  --at-once N            so many at a time
  --seed S               what is left to chance is done again as with this seed
  --replay FILE          runs one target on what a fault was written to
  --out FOLDER           for those files (.cache/fuzz)
  --save                 replaces the corpus in test/fuzz/corpus by what the run reached, distilled
  --hang-ms N            an input that takes longer is a fault (10000)
  --max-resident-mib N   a process that takes more is a fault (1024)
  --json                 one line of JSON at the end

targets: ${Object.keys(TARGETS).join(", ")}`;

/**
 * Fuzzes what reads octets of strangers.
 *
 * Each target runs in a process of its own, guided by coverage; its first fault ends it, is written to a file, and is run again by
 * `--replay`. The last line says how many passed and failed, or is one of JSON. Exit code 1 when there was a fault. The targets node-http2
 * and codec-differential compare with what others wrote; differences that somebody has judged stand in oracles/node-http2-differences.ts
 * and codecs/codec-differences.ts.
 */
const { values, positionals } = programOptions(USAGE, {
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    inputs: { type: "string", default: "1e12" },
    all: { type: "boolean", default: false },
    "at-once": { type: "string" },
    json: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    replay: { type: "string" },
    out: { type: "string", default: fileURLToPath(new URL("../../.cache/fuzz/", import.meta.url)) },
    "hang-ms": { type: "string", default: "10000" },
    "max-resident-mib": { type: "string", default: "1024" },
    // One target in this process, told as JSON: how this program calls itself.
    child: { type: "boolean", default: false },
  },
});
/** Readings of the coverage are garbage by the megabyte, which V8 would let lie up to the bound on the process: a leak must not look like that. */
const NODE_OPTIONS = ["--no-warnings", "--max-old-space-size=384"];
/** However long the process took to start. */
const MIN_SECONDS = 1;
// Before what is fuzzed is loaded, by its maker.
if (values.child) startCounting();
const makers = { ...TARGETS, ...PLANTED };
const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const unknown = names.find((name) => !Object.hasOwn(makers, name));
const atOnce = Number(values["at-once"] ?? (values.all ? 2 : 1));
const wrong = mistake();
if (wrong !== undefined) {
  console.error(wrong);
  process.exitCode = 2;
} else if (values.replay !== undefined) await replayFile(names[0], values.replay);
else if (values.child) await runHere(names[0]);
else await runAll();

/** What is wrong with the arguments. */
function mistake(): string | undefined {
  if (unknown !== undefined) return `there is no target ${unknown}; there are: ${Object.keys(TARGETS).join(", ")}`;
  if (values.all && positionals.length > 0) return `--all takes all targets; leave out ${positionals.join(" ")}`;
  if (!Number.isInteger(atOnce) || atOnce < 1)
    return `--at-once is ${values["at-once"]}; give a whole number from 1 on`;
  if (!(Number(values.seconds) > 0)) return `--seconds is ${values.seconds}; give a number above 0`;
  return undefined;
}

async function replayFile(name: string, file: string): Promise<void> {
  const target = await makers[name]();
  const error = await replay(target, readFileSync(file));
  await target.close?.();
  console.log(error ?? `${name}: ${file} is read without a fault`);
  if (error !== undefined) process.exitCode = 1;
}

async function runHere(name: string): Promise<void> {
  const target = await makers[name]();
  const line = await fuzzOne(target, {
    seed: Number(values.seed),
    seconds: Math.max(MIN_SECONDS, Number(values.seconds) - performance.now() / 1000),
    maxInputs: Number(values.inputs),
    folder: values.out,
    isSaving: values.save,
    hangMs: Number(values["hang-ms"]),
    maxResidentBytes: Number(values["max-resident-mib"]) * 1_048_576,
  });
  console.log(JSON.stringify(line));
  process.exit(0);
}

async function runAll(): Promise<void> {
  console.log(`seed ${values.seed}, ${values.seconds} s a target`);
  console.log(row("target", "inputs", "inputs/s", "corpus", "covered", "fault"));
  const lines: FuzzLine[] = [];
  const waiting = names.entries();
  const work = async (): Promise<void> => {
    for (const [index, name] of waiting) {
      lines[index] = await runElsewhere(name);
      show(lines[index]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const failed = lines.filter(({ fault }) => fault !== undefined).length;
  if (values.json) console.log(JSON.stringify({ fuzz: lines }));
  else console.log(`${lines.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

function show({ target, inputs, seconds, corpus, covered, fault = "none", file }: FuzzLine): void {
  console.log(row(target, inputs, Math.round(inputs / Math.max(seconds, 0.1)), corpus, covered, fault));
  if (file !== undefined) console.log(`  replay: sh scripts/run.sh test/fuzz/run.ts ${target} --replay ${file}`);
}

/** In a process of its own: what one target leaves behind must not disturb the next, and a watchdog can end it. */
async function runElsewhere(name: string): Promise<FuzzLine> {
  const passed = (["seconds", "seed", "inputs", "out", "hang-ms", "max-resident-mib"] as const).flatMap((key) => [
    `--${key}`,
    values[key],
  ]);
  const flags = ["--child", ...(values.save ? ["--save"] : [])];
  const program = [...NODE_OPTIONS, fileURLToPath(import.meta.url), name, ...passed, ...flags];
  const child = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "inherit"] });
  let last: Partial<FuzzLine> & { readonly stopped?: string } = {};
  const ended = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
  for await (const text of createInterface({ input: child.stdout })) {
    if (text.startsWith("{")) last = JSON.parse(text) as typeof last;
  }
  const code = await ended;
  const nothing = { target: name, seed: Number(values.seed), inputs: 0, seconds: 0, corpus: 0, covered: 0 };
  if (last.stopped !== undefined) return { ...nothing, fault: last.stopped, file: existing(last.file) };
  return code === 0 ? { ...nothing, ...last } : { ...nothing, fault: `the process ended with ${code}` };
}

function existing(file: string | undefined): string | undefined {
  return file !== undefined && existsSync(file) ? file : undefined;
}

function row(name: string, ...cells: readonly (string | number)[]): string {
  const fault = cells.at(-1);
  return `${name.padEnd(20)}${cells
    .slice(0, -1)
    .map((cell) => String(cell).padStart(10))
    .join("")}  ${fault}`;
}
