import { describe, expect, it } from "vitest";
import type { Reading } from "./load-driver.ts";
import { compare, summarize } from "./report.ts";
import type { Readings } from "./rounds.ts";

function reading(callsPerSecond: number, serverCpuUs: number, errors = 0): Reading {
  return { callsPerSecond, p50Ms: 1, p99Ms: 2, clientCpuUs: 3, serverCpuUs, errors };
}

const readings: Readings = new Map([
  ["bowline", new Map([[100, [reading(400, 1), reading(900, 2), reading(500, 4)]]])],
  ["grpc-js", new Map([[100, [reading(10, 10), reading(20, 10), reading(10, 10, 2)]]])],
]);

describe("summarize", () => {
  it("gives the median of each figure, the spread of the rate and the sum of errors", () => {
    expect(summarize(readings)).toEqual([
      {
        peer: "bowline",
        concurrency: 100,
        callsPerSecond: 500,
        spread: 0.5,
        p50Ms: 1,
        p99Ms: 2,
        clientCpuUs: 3,
        serverCpuUs: 2,
        errors: 0,
        rounds: 3,
      },
      expect.objectContaining({ peer: "grpc-js", callsPerSecond: 10, errors: 2 }),
    ]);
  });
});

describe("compare", () => {
  it("takes the median of the ratio in each round, not the ratio of the medians", () => {
    const ratios = compare(readings, [{ ours: "bowline", theirs: "grpc-js" }]);
    expect(ratios["grpc-js"][100]).toMatchObject({ callsPerSecond: 45, serverCpuUs: 0.2 });
  });

  it("leaves out a peer that was not measured, and names both sides when ours is not bowline alone", () => {
    const ratios = compare(readings, [
      { ours: "bowline", theirs: "grpc-go" },
      { ours: "grpc-js", theirs: "bowline" },
    ]);
    expect(Object.keys(ratios)).toEqual(["grpc-js : bowline"]);
  });
});
