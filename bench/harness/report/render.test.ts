import { expect, it } from "vitest";
import { render } from "./render.ts";
import type { Report } from "./report.ts";

const ENVIRONMENT: Report["environment"] = {
  node: "v24.0.0",
  cpu: "a processor",
  cores: 2,
  system: "a system",
  commit: "",
  pinned: false,
  placement: "no process is bound to a core",
  cpuTimeSource: "nobody",
  loadBefore: 0,
  loadAfter: 0,
};

it("a report by load has a table for each, with the figures that it gives and no others", () => {
  const common = { spread: 0, errors: 0, rounds: 1 };
  const text = render({
    question: "discovery",
    environment: ENVIRONMENT,
    figures: ["p50Ms", "resyncMs", "streams"],
    rows: [
      { peer: "etcd", load: "one", p50Ms: 5, ...common },
      { peer: "etcd", load: "many", resyncMs: 70, streams: 1, ...common },
      { peer: "local", load: "one", p50Ms: 4, ...common },
    ],
    ratios: {},
    bars: [],
    skipped: {},
    notes: [],
    layout: "by-load",
  });
  const tables = text.split("\n\n").slice(1, 3);
  const cells = tables.map((table) => table.split("\n").map((line) => line.split(/ {2,}/)));
  expect(cells).toEqual([
    [
      ["peer", "load", "p50 ms", "±", "errors"],
      ["etcd", "one", "5", "0 %", "0"],
      ["local", "one", "4", "0 %", "0"],
    ],
    [
      ["peer", "load", "full read ms", "±", "streams", "errors"],
      ["etcd", "many", "70", "0 %", "1", "0"],
    ],
  ]);
});
