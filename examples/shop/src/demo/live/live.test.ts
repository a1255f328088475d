import { describe, expect, it } from "vitest";
import type { FleetInstance } from "../fleet/fleet-instance.ts";
import { Statistics } from "../fleet/statistics.ts";
import { keysIn } from "./keys.ts";
import { painter } from "./paint.ts";
import { duration, latency, sparkline } from "./text.ts";
import { linesOf, type View } from "./view.ts";

const histogram = (bucket: number, count: number): number[] =>
  Array.from({ length: 256 }, (_, i) => (i === bucket ? count : 0));

/** Statistics of an instance that has ended `calls`, in two reports a second apart. */
function statistics(calls: number, errors = 0): Statistics {
  const report = (count: number) => ({
    method: "/shop.user.v1.UserService/GetUser",
    started: count + errors,
    inFlight: 2,
    byCode: Array.from({ length: 17 }, (_, code) => (code === 0 ? count : code === 14 ? errors : 0)),
    histogram: histogram(80, count),
  });
  const all = new Statistics();
  all.add([report(0)], 1_000);
  all.add([report(calls)], 2_000);
  return all;
}

function instance(name: string, change: Partial<FleetInstance> = {}): FleetInstance {
  const [service] = name.split("-");
  const known = { service, name, pid: 4711, state: "ready", isAlive: true, startedAt: 0, endedAt: 0, channels: [] };
  return { ...known, statistics: statistics(500), ...change } as FleetInstance;
}

function view(change: Partial<View> = {}): View {
  const instances = [instance("user-1"), instance("order-1", { state: "frozen" }), instance("order-2")];
  return {
    columns: 80,
    rows: 24,
    now: 2_000,
    startedAt: 0,
    registry: "embedded registry",
    rate: 1000,
    customers: statistics(123_456).figures(2_000),
    ended: 123_456,
    failed: 7,
    history: [],
    instances,
    selected: instances[1],
    events: [],
    question: null,
    ...change,
  };
}

const plain = painter(false);

describe("the screen", () => {
  it("fits any terminal, however many instances and events there are", () => {
    const instances = Array.from({ length: 30 }, (_, i) => instance(`inventory-${i + 100}`));
    const events = Array.from({ length: 50 }, () => ({
      time: "12:00:00",
      text: "x".repeat(300),
      tone: "bad" as const,
    }));
    for (const [columns, rows] of [
      [20, 5],
      [80, 16],
      [80, 24],
      [99, 30],
      [120, 40],
      [250, 80],
    ]) {
      const lines = linesOf(view({ columns, rows, instances, events, question: "q".repeat(300) }), plain);
      expect(lines.length).toBeLessThanOrEqual(rows);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    }
  });

  it("shows each instance with its figures, and marks the selected one", () => {
    const lines = linesOf(view(), plain);
    expect(lines.find((line) => line.includes("user-1"))).toMatch(
      /^ 1 user-1 +ready +500 +\S+ +\S+ +0 +2 +4711 +0:02$/,
    );
    expect(lines.find((line) => line.includes("order-1"))).toMatch(/^▸2 order-1 +frozen/);
  });

  it("shows the share of each instance where there is room", () => {
    const lines = linesOf(view({ columns: 120 }), plain);
    expect(lines.find((line) => line.includes("order-2"))).toMatch(/━{5} +50 %$/);
  });

  it("calls an instance connecting that can't reach one of those it needs", () => {
    const broken = { service: "payment", state: "transient-failure", freshness: "live", instances: [] };
    const cut = instance("order-3", { channels: [broken] });
    expect(linesOf(view({ instances: [cut] }), plain).join("\n")).toMatch(/order-3 +connecting/);
  });

  it("calls an instance stale that goes on with what it knew while the registry is away", () => {
    const known = { service: "payment", state: "ready", freshness: "stale", instances: ["payment-1"] };
    const lines = linesOf(view({ instances: [instance("order-3", { channels: [known] })] }), plain);
    expect(lines.join("\n")).toMatch(/order-3 +stale/);
  });

  it("has the same text with colours as without", () => {
    const coloured = linesOf(view({ columns: 120 }), painter(true)).map((line) => line.replace(/\x1b\[\d+m/g, ""));
    expect(coloured).toEqual(linesOf(view({ columns: 120 }), plain));
  });
});

describe("statistics", () => {
  it("tell rate, quantiles and errors, and say nothing of the present when an instance is silent", () => {
    const figures = statistics(500, 3);
    expect(figures.figures(2_000)).toMatchObject({ callsPerSecond: 500, errors: 3, inFlight: 2, ended: 503 });
    expect(figures.figures(2_000)?.p50Ms).toBeCloseTo(figures.figures(2_000)?.p99Ms ?? 0);
    expect(figures.figures(9_000)?.callsPerSecond).toBe(0);
    expect(new Statistics().figures(0)).toBeNull();
  });
});

describe("keys", () => {
  it("are characters and names, several at once", () => {
    expect(keysIn("k2\x1b[A\x1bOB\r\x03\x1b")).toEqual(["k", "2", "up", "down", "enter", "interrupt", "escape"]);
  });

  it("pass over sequences that mean nothing here", () => {
    expect(keysIn("\x1b[1;5Cq\x1b[15~")).toEqual(["q"]);
  });
});

describe("figures", () => {
  it("have the digits that matter", () => {
    expect([0, 0.1234, 9.99, 12.34, 140.4].map(latency)).toEqual(["–", "0.12", "9.99", "12.3", "140"]);
    expect([4_000, 247_000, 3_847_000].map(duration)).toEqual(["0:04", "4:07", "1:04:07"]);
    expect(sparkline([1, 2, 8], 5)).toBe("  ▁▂▇");
  });
});
