// Behind `npm run registries -- experiments`: faults of real registries, with figures and what it takes to pass.
import { parseArgs } from "node:util";
import { installTool } from "../tools.ts";
import { EXPERIMENTS, type Experiment, shortfalls } from "./experiments.ts";

const USAGE = `usage: npm run registries -- experiments [--only NAME,NAME] [--short] [--json]
  --only  beginnings of names, such as 16; without it, all of
          ${EXPERIMENTS.map(({ name }) => name).join(", ")}
  --short some seconds each, not minutes
  --json  a line of JSON for each, in place of text
`;

type Outcome = "passed" | "failed" | "skipped";

/** Runs those that the command line names; gives the exit code: 0 when none failed, 2 for a command line that is wrong. */
export async function runExperiments(argv: readonly string[]): Promise<number> {
  const options = { only: { type: "string", default: "" } } as const;
  const flag = { type: "boolean", default: false } as const;
  let values: { only: string; short: boolean; json: boolean };
  try {
    ({ values } = parseArgs({ args: [...argv], options: { ...options, short: flag, json: flag } }));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const only = values.only.split(",").filter((each) => each !== "");
  const isWanted = ({ name }: Experiment): boolean => only.length === 0 || only.some((each) => name.startsWith(each));
  const chosen = EXPERIMENTS.filter(isWanted);
  if (chosen.length === 0) {
    process.stderr.write(`no experiment ${values.only}\n${USAGE}`);
    return 2;
  }
  const counts: Record<Outcome, number> = { passed: 0, failed: 0, skipped: 0 };
  for (const experiment of chosen) counts[await runOne(experiment, values.short, values.json)]++;
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  return counts.failed > 0 ? 1 : 0;
}

async function runOne({ name, tools, run, limits }: Experiment, isShort: boolean, asJson: boolean): Promise<Outcome> {
  const tell = (outcome: Outcome, figures: object, notes: readonly string[]): Outcome => {
    const text = Object.entries(figures).map(([key, value]) => `${key} ${value}`);
    const why = notes.length === 0 ? "" : `: ${notes.join("; ")}`;
    const line = asJson ? JSON.stringify({ experiment: name, outcome, ...figures, notes }) : "";
    process.stdout.write(
      `${asJson ? line : `${name} ${outcome}${why}${text.map((each) => `\n  ${each}`).join("")}`}\n`,
    );
    return outcome;
  };
  const programs: string[] = [];
  for (const tool of tools) {
    const installed = await installTool(tool);
    if ("missing" in installed) return tell("skipped", {}, [`needs ${tool}: ${installed.missing}`]);
    programs.push(installed.path);
  }
  const begun = performance.now();
  try {
    const figures = await run(programs, isShort);
    const seconds = (performance.now() - begun) / 1000;
    const rounded = Object.entries({ ...figures, seconds }).map(([key, value]) => [key, Math.round(value)]);
    const short = shortfalls(figures, limits);
    return tell(short.length === 0 ? "passed" : "failed", Object.fromEntries(rounded), short);
  } catch (error) {
    return tell("failed", {}, [(error as Error).message]);
  }
}
