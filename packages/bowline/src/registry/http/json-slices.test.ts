import { describe, expect, it } from "vitest";
import { seededRandom } from "../../rpc/random.ts";
import { parseJsonInSlices } from "./json-slices.ts";

const SLICE = 128 * 1024;

function parse(text: string): Promise<unknown> {
  return parseJsonInSlices(Buffer.from(text));
}

/** A text of about `size` characters with all that makes a scanner stumble. */
function filler(size: number, random: () => number): string {
  const pieces = ['"', "\\", "]", "}", "[", "{", ",", ":", "é", "😀", "\u2028", "a", " ", "\\\\", '\\"'];
  let text = "";
  while (text.length < size) text += pieces[Math.floor(random() * pieces.length)];
  return text;
}

function someValue(random: () => number, depth: number): unknown {
  const kind = Math.floor(random() * (depth > 3 ? 5 : 7));
  if (kind === 0) return random() * 1e6;
  if (kind === 1) return random() < 0.5;
  if (kind === 2) return null;
  if (kind === 3) return filler(random() * 200, random);
  if (kind === 4) return filler(random() < 0.01 ? SLICE * 1.2 : 20, random);
  const length = Math.floor(random() * (depth === 0 && random() < 0.1 ? 200 : 5));
  const values = Array.from({ length }, () => someValue(random, depth + 1));
  if (kind === 5) return values;
  return Object.fromEntries(values.map((value, index) => [`${filler(5, random)}${index}`, value]));
}

/** Settled after how many turns of the event loop. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const done = (): void => {
    isDone = true;
  };
  work.then(done, done);
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  return turns;
}

describe("JSON in slices", () => {
  it("gives what JSON.parse gives, whatever the values and their sizes", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    for (let round = 0; round < 10; round++) {
      const value = {
        many: Array.from({ length: 120 }, () => someValue(random, 0)),
        [filler(8, random)]: someValue(random, 0),
      };
      const text = JSON.stringify(value, null, random() < 0.3 ? 2 : 0);
      const parsed = await parse(text);
      expect(JSON.stringify(parsed) === JSON.stringify(JSON.parse(text)), `seed ${seed}, round ${round}`).toBe(true);
    }
  }, 30_000);

  it("keeps a key named __proto__ a key, and the last of two equal ones", async () => {
    const large = JSON.stringify("x".repeat(SLICE));
    const parsed = (await parse(`{"__proto__":{"a":[${large}]},"a":1,"b":[${large}],"a":2}`)) as object;
    expect(Object.keys(parsed)).toEqual(["__proto__", "a", "b"]);
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
    expect(parsed).toMatchObject({ a: 2 });
  });

  it("lets others run while it reads something large", async () => {
    const text = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => ({ index, name: "x".repeat(100) })));
    const slices = Math.floor(text.length / SLICE);
    expect(await turnsOf(parse(text))).toBeGreaterThanOrEqual(slices);
  });

  const big = JSON.stringify("x".repeat(SLICE));
  it.each([
    `[${big}`,
    `[${big},]`,
    `[[${big}],]`,
    `[,[${big}]]`,
    `[[${big}],,1]`,
    `{"a":[${big}],}`,
    `{"a":[${big}] 1}`,
    `{"a":1 "b":[${big}]}`,
    `{[${big}]}`,
    `{1:[${big}]}`,
    `[[${big}] [${big}]]`,
    `[1 [${big}]]`,
    `[${big}]]`,
    `[${big}}`,
    `[${big}] x`,
    `x [${big}]`,
    `[${big.slice(0, -1)}`,
    `[${big}, tru]`,
    `${big},${big}`,
    `,[${big}]`,
    `{"a":[${big}],"b":}`,
    "[".repeat(SLICE + 1),
    `${'{"a":'.repeat(65)}${big}${"}".repeat(65)}`,
  ])("refuses what is no JSON, however large (case %#)", async (text) => {
    await expect(parse(text)).rejects.toThrow(SyntaxError);
  });

  it("refuses small texts as JSON.parse does", async () => {
    await expect(parse("")).rejects.toThrow(SyntaxError);
    await expect(parse("<html>")).rejects.toThrow(SyntaxError);
    expect(await parse(" [1] ")).toEqual([1]);
    expect(await parse(`${" ".repeat(SLICE)}{ }`)).toEqual({});
    expect(await parse(`[${" ".repeat(SLICE)}]`)).toEqual([]);
    expect(await parse(big)).toBe(JSON.parse(big));
  });
});
