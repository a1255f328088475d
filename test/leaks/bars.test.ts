import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type MemoryAmounts, memoryContestant } from "../../bench/harness/memory/memory-contestant.ts";
import { readOptions } from "../../bench/harness/options.ts";
import { memory } from "../../bench/memory.ts";
import { nodeProgram, nodeServer } from "../../bench/peers/contestants.ts";

const GC = ["--expose-gc"];
const KEEPS_MORE = fileURLToPath(new URL("./keeps-more.ts", import.meta.url));

/** What connections and calls take, by the bench's own measure; `nodeArgs` are the server's. */
async function measure(amounts: MemoryAmounts, nodeArgs: readonly string[] = []): Promise<Record<string, number>> {
  const server = nodeServer("bowline", [], [...GC, ...nodeArgs]);
  const client = nodeProgram("bowline", "open-client", [], GC);
  let figures: Record<string, number> = {};
  const take = (_load: unknown, reading: { readonly figures: object }): void => {
    figures = { ...reading.figures } as Record<string, number>;
  };
  const contestant = memoryContestant({ name: "bowline", server, client }, amounts);
  await contestant.measure({ loads: memory.loads, warmups: [], options: readOptions([]), take });
  return figures;
}

/** Figures above what they must not pass. */
function above(figures: Readonly<Record<string, number>>): string[] {
  return memory.bars.filter(({ figure, must }) => !(figures[figure] <= must)).map(({ figure }) => figure);
}

describe("memory", () => {
  it("of an idle connection is at most 16 KiB, of an open call 3 KiB on either side", async () => {
    const figures = await measure({ connections: 1000, openCalls: 1000 });
    expect(Object.keys(figures)).toEqual(expect.arrayContaining(memory.bars.map(({ figure }) => figure)));
    expect(above(figures), JSON.stringify(figures)).toEqual([]);
  }, 120_000);

  it("shows 32 KiB that a server keeps of each connection", async () => {
    const figures = await measure({ connections: 200, openCalls: 100 }, ["--import", KEEPS_MORE]);
    expect(above(figures), JSON.stringify(figures)).toContain("idleConnectionRssBytes");
  }, 120_000);
});
