import { describe, expect, it } from "vitest";
import type { FigureKey, Reading } from "../load/reading.ts";
import type { Readings } from "../measure/rounds.ts";
import { type Bar, compare, judge, summarize } from "./report.ts";

const KEYS: readonly FigureKey[] = ["callsPerSecond", "serverCpuUs", "p50Ms"];

function reading(callsPerSecond: number, serverCpuUs: number, errors = 0): Reading {
  return { figures: { callsPerSecond, serverCpuUs }, errors };
}

const readings: Readings = new Map([
  [
    "bowline",
    new Map([
      ["100", [reading(400, 1), reading(900, 2), reading(500, 4)]],
      ["1", [reading(4, 1)]],
    ]),
  ],
  ["grpc-js", new Map([["100", [reading(10, 10), reading(20, 10), reading(10, 10, 2)]]])],
]);

describe("summarize", () => {
  it("gives the median of each figure there is, the spread of the first and the sum of errors", () => {
    const rows = summarize(readings, KEYS);
    expect(rows[0]).toEqual({
      peer: "bowline",
      load: "100",
      callsPerSecond: 500,
      serverCpuUs: 2,
      spread: 0.5,
      errors: 0,
      rounds: 3,
    });
    expect(rows[2]).toMatchObject({ peer: "grpc-js", callsPerSecond: 10, errors: 2 });
  });
});

it("the spread is that of the first figure that a load gives", () => {
  const lists: Readings = new Map([
    [
      "bowline",
      new Map([
        [
          "1",
          [
            { figures: { p50Ms: 1 }, errors: 0 },
            { figures: { p50Ms: 3 }, errors: 0 },
          ],
        ],
      ]),
    ],
  ]);
  expect(summarize(lists, KEYS)).toMatchObject([{ p50Ms: 2, spread: 0.5 }]);
});

describe("compare", () => {
  it("takes the median of the ratio in each round, not the ratio of the medians", () => {
    const ratios = compare(readings, [{ ours: "bowline", theirs: "grpc-js" }], KEYS);
    expect(ratios["grpc-js"]).toEqual({ "100": { callsPerSecond: 45, serverCpuUs: 0.2 } });
  });

  it("leaves out a peer that was not measured, and names both sides when ours is not bowline alone", () => {
    const comparisons = [
      { ours: "bowline", theirs: "grpc-go" },
      { ours: "grpc-js", theirs: "bowline" },
    ];
    expect(Object.keys(compare(readings, comparisons, KEYS))).toEqual(["grpc-js : bowline"]);
  });
});

describe("judge", () => {
  const bar: Bar = {
    what: "rate",
    peer: "grpc-js",
    load: "100",
    figure: "callsPerSecond",
    kind: "floor",
    must: 45,
    goal: 50,
  };
  const ratios = compare(readings, [{ ours: "bowline", theirs: "grpc-js" }], KEYS);
  const rows = summarize(readings, KEYS);

  it("holds a floor against the ratio and a ceiling against our own figure", () => {
    const own: Bar = {
      what: "CPU",
      load: "100",
      figure: "serverCpuUs",
      kind: "ceiling",
      must: 1.9,
      goal: 1,
    };
    expect(judge([bar, own], rows, ratios)).toEqual([
      { what: "rate", value: 45, kind: "floor", must: 45, goal: 50, isMet: true },
      { what: "CPU", value: 2, kind: "ceiling", must: 1.9, goal: 1, isMet: false },
    ]);
  });

  it("takes the figure of another peer where the bar names one", () => {
    const theirs: Bar = {
      what: "CPU",
      of: "grpc-js",
      load: "100",
      figure: "serverCpuUs",
      kind: "ceiling",
      must: 1,
      goal: 1,
    };
    expect(judge([theirs], rows, ratios)).toMatchObject([{ value: 10, isMet: false }]);
  });

  it("says nothing of what was not measured", () => {
    expect(
      judge(
        [
          { ...bar, load: "1000" },
          { ...bar, peer: "tonic" },
        ],
        rows,
        ratios,
      ),
    ).toEqual([]);
  });
});
