import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { LeakReport } from "./measure.ts";

const program = fileURLToPath(new URL("./measure.ts", import.meta.url));
/** Code that was not used for a while must not go: what it frees would hide a leak. */
const NODE_OPTIONS = ["--expose-gc", "--no-flush-bytecode", "--no-warnings"];
const SEED = 1;
const MOST_GROWTH = 1.05;

async function measure(what: string, rounds: number, ...more: readonly string[]): Promise<LeakReport> {
  const args = [...NODE_OPTIONS, program, "--what", what, "--rounds", String(rounds), "--seed", String(SEED), ...more];
  const { stdout } = await promisify(execFile)(process.execPath, args, { encoding: "utf8" });
  return JSON.parse(stdout) as LeakReport;
}

function growth({ heapBeforeBytes, heapAfterBytes }: LeakReport): number {
  return heapAfterBytes / heapBeforeBytes;
}

describe.concurrent("what remains", () => {
  it.each([
    ["connects", 10_000, ["OK"]],
    ["channels", 1000, ["OK"]],
    ["cancels", 10_000, ["OK", "CANCELLED"]],
    ["abandons", 1000, ["OK"]],
  ] as const)(
    "of %s, %i times: no more heap than a twentieth, the same descriptors, nothing that holds the event loop",
    async (what, rounds, expected) => {
      const report = await measure(what, rounds);
      expect({ ...report, outcomes: Object.keys(report.outcomes).sort() }).toMatchObject({
        outcomes: [...expected].sort(),
        descriptorsAfter: report.descriptorsBefore,
        resourcesAfter: report.resourcesBefore,
      });
      expect(Object.values(report.outcomes).reduce((sum, each) => sum + each, 0)).toBe(rounds);
      expect(growth(report), JSON.stringify(report)).toBeLessThan(MOST_GROWTH);
    },
    120_000,
  );

  it("shows what is kept on purpose, 8 KiB each time", async () => {
    expect(growth(await measure("connects", 1000, "--leak"))).toBeGreaterThan(MOST_GROWTH);
  }, 60_000);
});
