import { programOptions } from "../peers/program-options.ts";
import { type Lane, laneOf } from "./lanes.ts";
import { type Form, FULL, type Row, SHORT } from "./row.ts";
import { rows } from "./rows/rows.ts";

/** What the command line asks for. */
export interface Choice {
  readonly form: Form;
  readonly json: boolean;
  /** Rows that are run, by lane. */
  readonly lanes: Readonly<Record<Lane, readonly Row[]>>;
  /** Rows that were asked for, but that the form leaves out. */
  readonly skipped: number;
}

const USAGE = `usage: npm run attack [-- OPTION...]
  --only 1,6     these rows of the matrix
  --role ROLE    server or client: the rows against it
  --short        each row smaller and quicker; long ones are left out
  --json         what was seen, as one line of JSON`;

/** What `npm run attack` is asked. Ends the process when that names no row. */
export function choiceOf(args: readonly string[]): Choice {
  const { values } = programOptions(USAGE, {
    args: [...args],
    options: {
      only: { type: "string" },
      role: { type: "string" },
      short: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const numbers = values.only?.split(",").map(Number);
  const isChosen = ({ row, role }: Row): boolean => (numbers?.includes(row) ?? true) && (values.role ?? role) === role;
  const asked = rows.filter(isChosen);
  if (asked.length === 0) {
    const what = JSON.stringify(values.only ?? values.role);
    console.error(`no row is ${what}: give numbers from 1 to ${rows.at(-1)?.row}, and server or client`);
    process.exit(2);
  }
  const form = values.short ? SHORT : FULL;
  const run = asked.filter((row) => form === FULL || row.isLong !== true);
  const lane = (name: Lane): Row[] => run.filter((row) => laneOf(row) === name);
  const lanes = { server: lane("server"), client: lane("client"), apart: lane("apart") };
  return { form, json: values.json, lanes, skipped: asked.length - run.length };
}
