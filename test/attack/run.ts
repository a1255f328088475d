// npm run attack: every row of the matrix against real processes. Options: --only 1,6 · --role server|client · --short · --json
import { parseArgs } from "node:util";
import { fight, type Verdict } from "./fight.ts";
import { FULL, SHORT } from "./row.ts";
import { rows } from "./rows/rows.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    role: { type: "string" },
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const numbers = values.only?.split(",").map(Number);
const form = values.short ? SHORT : FULL;
const chosen = rows.filter(({ row, role }) => (numbers?.includes(row) ?? true) && (values.role ?? role) === role);
if (chosen.length === 0) {
  console.error(
    `no row is ${JSON.stringify(values.only ?? values.role)}: give numbers from 1 to 30, and server or client`,
  );
  process.exit(2);
}
const verdicts: Verdict[] = [];
let skipped = 0;
for (const row of chosen) {
  if (form === SHORT && row.isLong) {
    skipped++;
    continue;
  }
  const verdict = await fight(row, form);
  verdicts.push(verdict);
  const head = `${String(row.row).padStart(2)} ${row.role}  ${verdict.passed ? "passed" : "FAILED"}  ${row.title}`;
  console.log(`${head}\n     required: ${row.required}\n     seen:     ${verdict.seen}`);
}
const passed = verdicts.filter((verdict) => verdict.passed).length;
const failed = verdicts.length - passed;
if (values.json) console.log(JSON.stringify({ rows: verdicts, passed, failed, skipped }));
else console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
