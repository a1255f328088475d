import { describe, expect, it } from "vitest";
import { seededRandom } from "../../rpc/random.ts";
import { readLines } from "./lines.ts";

async function* chunks(...parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
}

async function lines(parts: readonly Buffer[], max: number = 1000): Promise<string[]> {
  const all: string[] = [];
  for await (const some of readLines(chunks(...parts), max)) all.push(...some);
  return all;
}

describe("lines of a body", () => {
  it("are the same however the body is cut", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const text = Buffer.from('{"a":"é😀"}\r\n\n{"b":2}\nlast');
    for (let round = 0; round < 200; round++) {
      const parts: Buffer[] = [];
      for (let at = 0; at < text.length; ) {
        const end = at + Math.floor(random() * 6);
        parts.push(text.subarray(at, end));
        at = end;
      }
      expect(await lines(parts), `seed ${seed}, round ${round}`).toEqual(['{"a":"é😀"}', '{"b":2}', "last"]);
    }
  });

  it("are bounded, whole or not", async () => {
    await expect(lines([Buffer.from("12345\n")], 4)).rejects.toThrow(/more than the 4 bytes/);
    await expect(lines([Buffer.from("123"), Buffer.from("45")], 4)).rejects.toThrow(/more than the 4 bytes/);
    expect(await lines([Buffer.from("1234\n1234")], 4)).toEqual(["1234", "1234"]);
  });

  it("are given as soon as they are whole", async () => {
    const reader = readLines(chunks(Buffer.from("a\nb\nc"), Buffer.from("d\n")), 10);
    expect(await reader.next()).toEqual({ done: false, value: ["a", "b"] });
    expect(await reader.next()).toEqual({ done: false, value: ["cd"] });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });
});
