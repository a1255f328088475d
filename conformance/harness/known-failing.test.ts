import { describe, expect, it } from "vitest";
import { judge } from "./known-failing.ts";
import type { CaseResult } from "./suite.ts";

const passed: CaseResult = { id: "a/1", outcome: "passed" };
const failed: CaseResult = { id: "a/2", outcome: "failed", detail: "wanted GOAWAY" };
const skipped: CaseResult = { id: "a/3", outcome: "skipped" };

describe("judge", () => {
  it("counts what happened when nothing is listed", () => {
    expect(judge([passed, failed, skipped], new Set())).toEqual({
      passed: 1,
      skipped: 1,
      known: 0,
      failures: [failed],
    });
  });

  it("gathers why cases were skipped, each reason once", () => {
    const because = (detail: string): CaseResult => ({ id: detail, outcome: "skipped", detail });
    const results = [because("no text"), because("no time"), because("no text"), skipped, passed];
    expect(judge(results, new Set())).toEqual({
      passed: 1,
      skipped: 4,
      known: 0,
      failures: [],
      skipReason: "no text; no time",
    });
  });

  it("takes a listed failure for known", () => {
    expect(judge([passed, failed], new Set(["a/2"]))).toEqual({ passed: 1, skipped: 0, known: 1, failures: [] });
  });

  it("fails a listed case that passes, was skipped or does not exist, so that a list only shrinks", () => {
    const { failures } = judge([passed, skipped], new Set(["a/1", "a/3", "b/1"]));
    expect(failures.map((each) => `${each.id} ${each.detail}`)).toEqual([
      "a/1 listed as known failing, but passed",
      "a/3 listed as known failing, but skipped",
      "b/1 listed as known failing, but there is no such case",
    ]);
  });
});
