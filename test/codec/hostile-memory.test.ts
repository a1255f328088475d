import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { codecFolder, compileProtos } from "./harness/compiled-schemas.ts";
import { ATTACKS } from "./hostile/attacks.ts";
import { HOSTILE_PROTO } from "./hostile/hostile-proto.ts";
import type { AttackCost } from "./hostile/measure-attacks.ts";

const program = fileURLToPath(new URL("./hostile/measure-attacks.ts", import.meta.url));
const BYTES = 4 << 20;
/** The decode budget. */
const MAX_HEAP_BYTES = 32 << 20;
/** What an array has room for beyond its elements, and an object's header more than was reckoned. */
const SLACK = 1.25;
/** Lists of packed fields are made as large as they have to be. */
const PACKED_SLACK = 1.01;

/** A process whose heap is too small for a decoder that only notices afterwards what it has made. */
const NODE_OPTIONS = ["--expose-gc", "--max-old-space-size=96", "--no-warnings"];

describe("4 MiB of hostile bytes", () => {
  const costs = new Map<string, AttackCost>();

  beforeAll(async () => {
    const folder = await codecFolder();
    try {
      await compileProtos(folder, new Map([["hostile.proto", HOSTILE_PROTO]]));
      const args = [...NODE_OPTIONS, program, "--folder", folder, "--bytes", String(BYTES)];
      // A decoder that takes too much ends its process: what it had printed until then still counts.
      const { stdout } = await promisify(execFile)(process.execPath, args, { encoding: "utf8" }).catch(
        (error) => error,
      );
      for (const line of String(stdout).trim().split("\n")) {
        const cost = JSON.parse(line) as AttackCost;
        costs.set(cost.attack, cost);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 120_000);

  it.each(Object.keys(ATTACKS))(
    "%s: bounded memory, time that grows no faster than they do, one kind of error",
    (name) => {
      const cost = costs.get(name);
      if (cost === undefined) throw new Error(`the process ran out of memory, in this attack or one before`);
      expect(cost.wireBytes).toBeGreaterThan(BYTES * 0.99);
      expect(["read", "limit"]).toContain(cost.outcome);
      expect(cost.heapBytes).toBeLessThanOrEqual(MAX_HEAP_BYTES * (name.startsWith("packed") ? PACKED_SLACK : SLACK));
      // Sixteen times the bytes: linear is 16, quadratic 256. Collecting garbage and cold caches are between.
      expect(cost.growth).toBeLessThan(80);
      // As a merge is read for each of its two parts, a few times; a level more must not be a time more.
      expect(cost.excess).toBeLessThan(12);
    },
  );
});
