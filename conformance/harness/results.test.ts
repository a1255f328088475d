import { describe, expect, it } from "vitest";
import { render, skippedSuite, summarize } from "./results.ts";

describe("render", () => {
  it("shows a line a suite and the sum, and shouts about what was not run", () => {
    const text = render({
      h2spec: { passed: 146, failed: 0, skipped: 0, known: 0 },
      "grpc-go-client": { passed: 14, failed: 1, skipped: 0, known: 1 },
      hpack: { passed: 3, failed: 0, skipped: 2, known: 0, reason: "no table" },
      h2specd: skippedSuite("go is not on PATH"),
    });
    expect(text.split("\n")).toEqual([
      "suite            passed   failed  skipped    known",
      "h2spec              146        0        0        0",
      "grpc-go-client       14        1        0        1",
      "hpack                 3        0        2        0  (no table)",
      "h2specd         NOT RUN: go is not on PATH",
      "",
      "163 passed, 1 failed, 2 skipped, 1 known failing; 1 of 4 suites not run",
    ]);
  });
});

describe("summarize", () => {
  it("counts the failures that no list explains", () => {
    const failures = [{ id: "x", outcome: "failed" }] as const;
    expect(summarize({ passed: 2, skipped: 1, known: 3, failures })).toEqual({
      passed: 2,
      failed: 1,
      skipped: 1,
      known: 3,
    });
  });

  it("says why cases were skipped", () => {
    const summary = summarize({ passed: 2, skipped: 1, known: 0, failures: [], skipReason: "no table" });
    expect(summary).toEqual({ passed: 2, failed: 0, skipped: 1, known: 0, reason: "no table" });
  });
});
