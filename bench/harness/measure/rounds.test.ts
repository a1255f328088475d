import { describe, expect, it } from "vitest";
import { closedLoop, type Load } from "../load/load.ts";
import { readOptions } from "../options.ts";
import type { Contestant } from "./contestant.ts";
import { measureRounds } from "./rounds.ts";

/** A contestant that notes when it was measured, and reads the number of its call. */
function contestant(name: string, order: string[], only?: readonly string[]): Contestant {
  return {
    name,
    ...(only === undefined ? {} : { only }),
    measure: async ({ loads, take }) => {
      for (const load of loads) {
        order.push(`${name} ${load.name}`);
        take(load, { figures: { callsPerSecond: order.length }, errors: 0 });
      }
    },
  };
}

describe("measureRounds", () => {
  const loads = [closedLoop(1), closedLoop(100)];

  it("turns the order of peers and loads round each time", async () => {
    const order: string[] = [];
    const peers = [contestant("a", order), contestant("b", order)];
    const readings = await measureRounds(peers, loads, [], readOptions(["unary", "--rounds", "2"]), () => {});
    expect(order).toEqual(["a 1", "a 100", "b 1", "b 100", "b 100", "b 1", "a 100", "a 1"]);
    expect(readings.get("a")?.get("1")).toEqual([
      { figures: { callsPerSecond: 1 }, errors: 0 },
      { figures: { callsPerSecond: 8 }, errors: 0 },
    ]);
  });

  it("measures a peer under its own loads only, and not at all when none is wanted", async () => {
    const order: string[] = [];
    const peers = [contestant("a", order, ["100"]), contestant("b", order, ["1000"])];
    await measureRounds(peers, loads, [], readOptions(["unary", "--rounds", "1"]), () => {});
    expect(order).toEqual(["a 100"]);
  });

  it("measures loads that the command line names with all peers that can", async () => {
    const order: string[] = [];
    const peers = [
      contestant("a", order, ["100"]),
      { ...contestant("b", order), can: (load: Load) => load.concurrency > 1 },
    ];
    await measureRounds(peers, loads, [], readOptions(["unary", "--rounds", "1", "--loads", "1,100"]), () => {});
    expect(order).toEqual(["a 1", "a 100", "b 100"]);
  });
});
