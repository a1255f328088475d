import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Http2Stream, StreamTable } from "./stream.ts";

function stream(id: number): Http2Stream {
  const made = new Http2Stream();
  made.id = id;
  return made;
}

function ids(table: StreamTable<Http2Stream>): number[] {
  return table
    .all()
    .map((each) => each.id)
    .sort((a, b) => a - b);
}

describe("a table of streams", () => {
  it("finds what is open and nothing else", () => {
    const table = new StreamTable<Http2Stream>();
    const first = stream(1);
    table.add(first);
    expect(table.find(1)).toBe(first);
    // Same slot, other streams.
    expect(table.find(33)).toBeNull();
    expect(table.find(0)).toBeNull();
    expect(table.find(2)).toBeNull();
    table.remove(first);
    expect(table.find(1)).toBeNull();
    expect(table.size).toBe(0);
  });

  it("keeps long-lived streams while thousands of newer ones pass through their slots", () => {
    const table = new StreamTable<Http2Stream>();
    const watches = [1, 3, 5].map(stream);
    for (const each of watches) table.add(each);
    for (let id = 7; id < 40_000; id += 2) {
      const call = stream(id);
      table.add(call);
      expect(table.find(id)).toBe(call);
      table.remove(call);
    }
    expect(watches.map((each) => table.find(each.id))).toEqual(watches);
    expect(ids(table)).toEqual([1, 3, 5]);
  });

  it("holds more streams than its ring may have slots", () => {
    const table = new StreamTable<Http2Stream>();
    const all = Array.from({ length: 10_000 }, (_, i) => stream(2 * i + 1));
    for (const each of all) table.add(each);
    expect(table.size).toBe(10_000);
    expect(all.every((each) => table.find(each.id) === each)).toBe(true);
    for (const each of all) table.remove(each);
    expect(table.size).toBe(0);
    expect(table.all()).toEqual([]);
  });

  it("says the same as a Map after any opening and closing, with gaps between the ids", () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ open: fc.constant(true), gap: fc.constantFrom(0, 0, 0, 1, 15, 16, 4095) }) },
      { weight: 2, arbitrary: fc.record({ open: fc.constant(false), gap: fc.nat() }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const table = new StreamTable<Http2Stream>();
        const model = new Map<number, Http2Stream>();
        let next = 1;
        for (const { open, gap } of steps) {
          if (open) {
            next += 2 * gap;
            const made = stream(next);
            table.add(made);
            model.set(next, made);
            next += 2;
          } else if (model.size > 0) {
            const gone = [...model.values()][gap % model.size];
            table.remove(gone);
            model.delete(gone.id);
          }
          expect(table.size).toBe(model.size);
        }
        for (let id = 1; id < Math.min(next, 2000); id += 2) expect(table.find(id)).toBe(model.get(id) ?? null);
        expect(ids(table)).toEqual([...model.keys()].sort((a, b) => a - b));
      }),
      { numRuns: 100 },
    );
  });
});
