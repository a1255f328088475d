import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { tooOldNode } from "./node-version.ts";

describe("tooOldNode", () => {
  it("says what is needed to an old Node, and nothing to others", () => {
    expect(tooOldNode("20.20.2")).toBe(
      "bowline needs Node 22.18 or newer, this is 20.20.2: https://nodejs.org/en/download has it",
    );
    expect(tooOldNode("22.17.1")).toContain("22.18 or newer");
    for (const version of ["22.18.0", "23.0.0", "24.21.0", "26.1.0-nightly"])
      expect(tooOldNode(version)).toBeUndefined();
  });

  it("asks for what package.json asks for", async () => {
    const { engines } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
    expect(engines.node).toBe(">=22.18");
    expect(tooOldNode("1.0.0")).toContain(" 22.18 ");
  });
});
