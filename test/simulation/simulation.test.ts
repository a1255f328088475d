import { describe, expect, it } from "vitest";
import type { Chunking } from "./network/link-plan.ts";
import { type Planted, type SimulationResult, simulate } from "./simulation.ts";

/**
 * Seeds that differ from run to run; SIMULATION_SEED repeats them. `node test/simulation/run.ts --seeds 1000` plays many more,
 * `node test/simulation/run.ts --seed S --trace` shows one.
 */
const first = Number(process.env.SIMULATION_SEED ?? Math.floor(Math.random() * 1_000_000));
const SEEDS = 40;
const BATCH = 10;

function replay({ seed, violations }: SimulationResult): string[] {
  return violations.map((violation) => `${violation}; replay: node test/simulation/run.ts --seed ${seed} --trace`);
}

describe(`20 s of servers and clients under faults, seeds from ${first} on`, () => {
  it.each(Array.from({ length: SEEDS / BATCH }, (_, batch) => first + batch * BATCH))(
    "break no rule: 10 seeds from %i",
    { timeout: 60_000 },
    async (from) => {
      const outcomes = new Set<string>();
      for (let seed = from; seed < from + BATCH; seed++) {
        const result = await simulate({ seed });
        expect(replay(result)).toEqual([]);
        for (const name of Object.keys(result.outcomes)) outcomes.add(name);
      }
      // The network is bad, not dead: every batch has seen all of these.
      expect([...outcomes]).toEqual(expect.arrayContaining(["OK", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"]));
    },
  );
});

describe("a seed", () => {
  it("is the same run each time, to the last frame", { timeout: 60_000 }, async () => {
    const one = await simulate({ seed: first });
    const lines: string[] = [];
    const other = await simulate({ seed: first, print: (line) => lines.push(line) });
    expect(other).toEqual(one);
    expect(lines).toHaveLength(one.events);
  });

  it("gives the same results however octets are cut", { timeout: 60_000 }, async () => {
    const played: Record<string, SimulationResult> = {};
    for (const calm of ["whole", "single", "random"] satisfies Chunking[]) {
      played[calm] = await simulate({ seed: first, seconds: 10, calm });
      expect(replay(played[calm])).toEqual([]);
    }
    expect(played.single.results).toEqual(played.whole.results);
    expect(played.random.results).toEqual(played.whole.results);
    expect(played.single.events).toBeGreaterThan(played.whole.events);
  });
});

describe("a planted fault", () => {
  const found: readonly (readonly [Planted, RegExp])[] = [
    ["lost-octet", /GOAWAY|RST_STREAM|octets|as nothing of its plan explains/],
    ["changed-octet", /has other octets than were sent|GOAWAY|RST_STREAM|as nothing of its plan explains/],
    ["handler-twice", /was handled 2 times/],
    ["forgotten-timer", /1 timers are left/],
    ["process-chance", /Math.random was used/],
  ];

  it.each(found)("is found: %s", { timeout: 60_000 }, async (planted, text) => {
    // An octet that is lost at the end of what a connection carries looks like a frozen network: not with these seeds.
    for (const seed of [2, 3, 4]) {
      const { violations } = await simulate({ seed, planted, calm: "random" });
      expect(violations.join("\n")).toMatch(text);
      expect(replay(await simulate({ seed, calm: "random" }))).toEqual([]);
    }
  });
});
