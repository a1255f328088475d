// npm run attack: every row of the matrix against real processes. Options: choice.ts, or --help
import { fileURLToPath } from "node:url";
import { Child } from "../peers/child.ts";
import { choiceOf } from "./choice.ts";
import type { Verdict } from "./fight.ts";
import { LANES, type Lane } from "./lanes.ts";
import type { Row } from "./row.ts";

const LANE = fileURLToPath(new URL("./lane.ts", import.meta.url));
const LONGEST_ROW_MS = 300_000;

const args = process.argv.slice(2);
const { lanes, json, skipped } = choiceOf(args);
const begunAt = performance.now();
const verdicts = (await Promise.all(LANES.map((lane) => runApart(lane, lanes[lane])))).flat();
const passed = verdicts.filter((verdict) => verdict.passed).length;
const failed = verdicts.length - passed;
const seconds = Math.round((performance.now() - begunAt) / 1000);
if (json) {
  console.log(JSON.stringify({ rows: verdicts, passed, failed, skipped, seconds }));
} else {
  console.log(`${verdicts.length} rows in ${seconds} s`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}
process.exitCode = failed === 0 ? 0 : 1;

/** Rows of a lane, one after the other; a row that its process did not outlive has failed, and those after it. */
async function runApart(lane: Lane, rows: readonly Row[]): Promise<Verdict[]> {
  if (rows.length === 0) return [];
  const child = new Child({ command: process.execPath, args: [LANE, lane, ...args] });
  const verdicts: Verdict[] = [];
  await child.next("ready");
  for (const { row, role, title, required } of rows) {
    const line = child.next("verdict", LONGEST_ROW_MS);
    child.send({ next: true });
    const lost = (error: Error): Verdict => {
      return { row, role, title, required, seen: error.message, passed: false, seconds: 0 };
    };
    const verdict = await line.then(({ verdict }) => verdict as Verdict, lost);
    verdicts.push(verdict);
    if (!json) show(verdict);
  }
  await child.stop();
  return verdicts;
}

function show({ row, role, passed, title, required, seen, seconds }: Verdict): void {
  const head = `${String(row).padStart(2)} ${role}  ${passed ? "passed" : "FAILED"}  ${title} (${seconds.toFixed(1)} s)`;
  console.log(`${head}\n     required: ${required}\n     seen:     ${seen}`);
}
