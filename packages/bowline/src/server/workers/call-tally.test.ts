import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MethodStats, quantileMs } from "../../observe/method-stats.ts";
import { type Counting, TallySource, TallySum } from "./call-tally.ts";

class Counted implements Counting {
  readonly stats: MethodStats[];
  readonly misbehaved: Map<string, number> = new Map();
  connectionCount = 0;

  constructor(...methods: string[]) {
    this.stats = methods.map((method) => new MethodStats(method));
  }
}

/** A report as it arrives in another process. */
function cross<T>(report: T): T {
  return JSON.parse(JSON.stringify(report)) as T;
}

function tell(source: TallySource, workerId: number, sum: TallySum): void {
  const report = source.next();
  if (report !== null) sum.add(workerId, cross(report));
}

describe("what workers count", () => {
  it("is told when it has changed, methods that nobody called once", () => {
    const counted = new Counted("/a/A", "/a/B");
    const source = new TallySource(counted);
    expect(source.next()?.methods.map(({ method }) => method)).toEqual(["/a/A", "/a/B"]);
    expect(source.next()).toBeNull();
    counted.stats[1].begin();
    expect(source.next()).toEqual({
      methods: [{ method: "/a/B", started: 1, inFlight: 1, totalMs: 0, byCode: [], histogram: [] }],
      misbehaved: {},
      connections: 0,
    });
    counted.stats[1].end(5, 3);
    expect(source.next()?.methods).toMatchObject([{ started: 0, inFlight: -1, totalMs: 3, byCode: [5, 1] }]);
    counted.connectionCount = 2;
    expect(source.next()).toEqual({ methods: [], misbehaved: {}, connections: 2 });
    counted.misbehaved.set("http1", 3);
    expect(source.next()).toEqual({ methods: [], misbehaved: { http1: 3 }, connections: 2 });
    counted.misbehaved.set("http1", 4);
    expect(source.next()).toMatchObject({ misbehaved: { http1: 1 } });
    expect(source.next()).toBeNull();
  });

  it("adds up to what all have counted, however it was told", () => {
    const call = fc.record({
      worker: fc.nat(2),
      code: fc.nat(16),
      // Durations that add up without rounding.
      ms: fc.integer({ min: 0, max: 5000 }),
      isTold: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(call), (calls) => {
        const all = new MethodStats("/a/A");
        const workers = [0, 1, 2].map(() => new Counted("/a/A"));
        const sources = workers.map((each) => new TallySource(each));
        const sum = new TallySum();
        for (const { worker, code, ms, isTold } of calls) {
          for (const stats of [all, workers[worker].stats[0]]) {
            stats.begin();
            stats.end(code, ms);
          }
          if (isTold) tell(sources[worker], worker, sum);
        }
        for (const [worker, source] of sources.entries()) tell(source, worker, sum);
        const [total] = sum.stats;
        expect(total.since(all)).toEqual(new MethodStats("/a/A").since(new MethodStats("/a/A")));
        expect(quantileMs(total.histogram(), 0.9)).toBe(quantileMs(all.histogram(), 0.9));
      }),
    );
  });

  it("stays when a worker ends, but for what ran there and was open", () => {
    const [one, two] = [new Counted("/a/A"), new Counted("/a/A")];
    const [first, second] = [new TallySource(one), new TallySource(two)];
    const sum = new TallySum();
    for (const [counted, connections] of [
      [one, 3],
      [two, 4],
    ] as const) {
      counted.connectionCount = connections;
      for (let i = 0; i < connections; i++) counted.stats[0].begin();
      counted.stats[0].end(0, 1);
    }
    one.misbehaved.set("http1", 1);
    tell(first, 1, sum);
    tell(second, 2, sum);
    expect(sum.connectionCount).toBe(7);
    expect(sum.stats[0]).toMatchObject({ started: 7, inFlight: 5 });
    sum.ended(1);
    expect(sum.connectionCount).toBe(4);
    expect(sum.stats[0]).toMatchObject({ started: 7, inFlight: 3 });
    expect(sum.stats[0].byCode[0]).toBe(2);
    expect([...sum.misbehaved]).toEqual([["http1", 1]]);
    const again = new Counted("/a/A");
    again.stats[0].begin();
    tell(new TallySource(again), 1, sum);
    expect(sum.stats[0]).toMatchObject({ started: 8, inFlight: 4 });
    sum.ended(3);
    expect(sum.stats[0]).toMatchObject({ started: 8, inFlight: 4 });
  });

  it("is kept in the same objects, for those who look at them again and again", () => {
    const counted = new Counted("/a/A");
    const source = new TallySource(counted);
    const sum = new TallySum();
    tell(source, 1, sum);
    const [stats] = sum.stats;
    counted.stats[0].begin();
    tell(source, 1, sum);
    expect(sum.stats[0]).toBe(stats);
    expect(stats.started).toBe(1);
  });
});
