// The short form of `npm run attack`: each row that needs no waiting, once and on a smaller scale, judged by counts alone.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Arena } from "./arena.ts";
import { fight } from "./fight.ts";
import { SHORT } from "./row.ts";
import { rows } from "./rows/rows.ts";

/** Two processes start for each row; the machine may be busy with other tests. */
const PATIENCE_MS = 60_000;

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.start(SHORT);
});
afterAll(() => arena[Symbol.asyncDispose]());

describe("under attack, honest calls succeed and the bound holds:", () => {
  const short = rows
    .filter((row) => !row.isLong)
    .map((row) => ({ row, name: `row ${row.row}, ${row.role}: ${row.title}` }));
  it.each(short)("$name", { timeout: PATIENCE_MS }, async ({ row }) => {
    expect(await fight(row, SHORT, arena)).toMatchObject({ passed: true });
  });
});

describe("the matrix", () => {
  it("has a test for each of its rows 1 to 30", () => {
    const numbers = new Set(rows.map(({ row }) => row));
    expect(Array.from({ length: 30 }, (_, i) => i + 1).filter((number) => !numbers.has(number))).toEqual([]);
  });
});
