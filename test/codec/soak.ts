import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import type { Judged } from "./harness/compiled-schemas.ts";
import { type FoundFault, tryProperty, withSchemas } from "./harness/run-properties.ts";
import { PROPERTIES } from "./properties/all-properties.ts";

/**
 * Tries random schemas and messages for as long as asked, against protobuf-es.
 *
 * `sh scripts/run.sh test/codec/soak.ts --minutes 10 [--seed 1] [--rounds 20] [--schemas 20]`: schemas by the batch, each in a
 * process of its own, until time is up. `--schema N [--round R]` tries one schema, in one round, as a fault's last line says.
 * `--property TEXT` tries only properties whose sentence has that text; `--codec dynamic` judges the codec without generated code.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    schemas: { type: "string", default: "20" },
    rounds: { type: "string", default: "20" },
    schema: { type: "string" },
    round: { type: "string" },
    property: { type: "string", default: "" },
    codec: { type: "string", default: "generated" },
    // One batch from --seed on, told as JSON: how this program calls itself.
    batch: { type: "boolean", default: false },
  },
});

/** What one or more batches came to. */
interface Tally {
  readonly types: number;
  readonly trials: number;
  readonly faults: readonly FoundFault[];
}

const MAX_SHOWN = 40;
const judged: Judged = values.codec === "dynamic" ? "dynamic" : "generated";
const names = Object.keys(PROPERTIES).filter((name) => name.includes(values.property));

if (values.batch) {
  const seeds = Array.from({ length: Number(values.schemas) }, (_, index) => Number(values.seed) + index);
  console.log(JSON.stringify(await batch(seeds, 0, Number(values.rounds))));
} else if (values.schema !== undefined) {
  const rounds = values.round === undefined ? Number(values.rounds) : 1;
  report(await batch([Number(values.schema)], Number(values.round ?? 0), rounds));
} else {
  report(await soak(Date.now() + Number(values.minutes) * 60_000));
}

async function soak(endsAtMs: number): Promise<Tally> {
  let tally: Tally = { types: 0, trials: 0, faults: [] };
  console.log(`first seed ${values.seed}, ${values.schemas} schemas a batch, ${values.rounds} rounds`);
  for (let seed = Number(values.seed); Date.now() < endsAtMs && tally.faults.length < MAX_SHOWN; ) {
    tally = sum(tally, await batchElsewhere(seed));
    seed += Number(values.schemas);
  }
  return tally;
}

/** In a process of its own: modules that were loaded stay in memory for good. */
async function batchElsewhere(seed: number): Promise<Tally> {
  const { schemas, rounds, property, codec } = values;
  const options = {
    "--seed": String(seed),
    "--schemas": schemas,
    "--rounds": rounds,
    "--property": property,
    "--codec": codec,
  };
  const args = [fileURLToPath(import.meta.url), "--batch", ...Object.entries(options).flat()];
  const { stdout } = await promisify(execFile)(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  return JSON.parse(stdout) as Tally;
}

async function batch(seeds: readonly number[], firstRound: number, rounds: number): Promise<Tally> {
  return withSchemas(seeds, judged, (schemas) => {
    const faults = names.flatMap((property) => tryProperty(schemas, { property, rounds, firstRound, judged }));
    return { types: schemas.types.length, trials: schemas.types.length * rounds * names.length, faults };
  });
}

function sum(one: Tally, other: Tally): Tally {
  return {
    types: one.types + other.types,
    trials: one.trials + other.trials,
    faults: [...one.faults, ...other.faults],
  };
}

function report({ types, trials, faults }: Tally): void {
  for (const { property, text, replay } of faults.slice(0, MAX_SHOWN)) {
    console.log(`\nFAULT: ${property}\n${text}\n  replay: ${replay}`);
  }
  console.log(`\n${types} message types, ${trials} trials, ${faults.length} faults`);
  if (faults.length > 0) process.exitCode = 1;
}
