import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledSchemas, codecFolder, compileSchemas } from "./harness/compiled-schemas.ts";
import { tryProperty } from "./harness/run-properties.ts";
import { PROPERTIES } from "./properties/all-properties.ts";

/**
 * A seed that differs from run to run; CODEC_SEED repeats one. Each fault prints the command that shows it alone;
 * `sh scripts/run.sh test/codec/soak.ts --minutes 10` tries many more schemas.
 */
const seed = Number(process.env.CODEC_SEED ?? Math.floor(Math.random() * 1_000_000));
const SCHEMAS = 12;
const ROUNDS = 5;

describe(`generated codecs of ${SCHEMAS} random schemas, from seed ${seed} on`, () => {
  let folder = "";
  let schemas: CompiledSchemas | undefined;

  beforeAll(async () => {
    folder = await codecFolder();
    schemas = await compileSchemas(
      folder,
      Array.from({ length: SCHEMAS }, (_, index) => seed + index),
    );
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(Object.keys(PROPERTIES))("%s", { timeout: 60_000 }, (property) => {
    const faults = tryProperty(schemas as CompiledSchemas, { property, rounds: ROUNDS });
    const shown = faults.slice(0, 3).map(({ text, replay }) => `${text}\n  replay: ${replay}`);
    expect(shown, `CODEC_SEED=${seed}`).toEqual([]);
  });
});

describe("the codec without generated code, on the same schemas", () => {
  let folder = "";
  let schemas: CompiledSchemas | undefined;

  beforeAll(async () => {
    folder = await codecFolder();
    schemas = await compileSchemas(folder, [seed, seed + 1], "dynamic");
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(Object.keys(PROPERTIES))("%s", { timeout: 60_000 }, (property) => {
    const faults = tryProperty(schemas as CompiledSchemas, { property, rounds: 1, judged: "dynamic" });
    const shown = faults.slice(0, 3).map(({ text, replay }) => `${text}\n  replay: ${replay}`);
    expect(shown, `CODEC_SEED=${seed}`).toEqual([]);
  });
});
