import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const PROGRAM = join(import.meta.dirname, "../../../test/registry-close-process.ts");

describe("a registry whose servers are gone", () => {
  it.each(["consul", "etcd", "eureka", "nacos"])(
    "closes in time, and the process lives until then: %s",
    async (name) => {
      const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, name]);
      const [registered, closed] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(registered).toEqual({ state: "pending" });
      expect(closed.closedAfterMs).toBeLessThan(8000);
    },
  );
});
