import { expect, it } from "vitest";
import { auditVerdict } from "./audit.ts";

const report = (counts: Record<string, number>, packages: Record<string, string> = {}): string =>
  JSON.stringify({
    metadata: { vulnerabilities: { info: 0, low: 0, moderate: 0, high: 0, critical: 0, ...counts } },
    vulnerabilities: Object.fromEntries(Object.entries(packages).map(([name, severity]) => [name, { severity }])),
  });

it("passes when nothing is known, or nothing that matters", () => {
  expect(auditVerdict(report({}))).toEqual({ outcome: "passed", text: "no known vulnerability" });
  expect(auditVerdict(report({ low: 1 }, { leftpad: "low" }))).toEqual({
    outcome: "passed",
    text: "1 low: leftpad (low)",
  });
});

it.each(["moderate", "high", "critical"])("fails for one that is %s, and names the package", (severity) => {
  const verdict = auditVerdict(report({ [severity]: 1, low: 2 }, { leftpad: severity }));
  expect(verdict).toEqual({ outcome: "failed", text: `1 ${severity}, 2 low: leftpad (${severity})` });
});

it.each([
  [JSON.stringify({ message: "405 Method Not Allowed", statusCode: 405 }), /no audit: 405 Method Not Allowed/],
  ["", /npm printed nothing/],
  ["<html>", /<html>/],
  ["null", /null/],
])("is undecided without an answer: %j", (stdout, text) => {
  expect(auditVerdict(stdout)).toEqual({ outcome: "skipped", text: expect.stringMatching(text) });
});
