import { afterEach, describe, expect, it, vi } from "vitest";
import { instanceAt } from "../instance/instance.ts";
import type { Instance, Snapshot } from "../registry.ts";
import { reused, ServiceFeed } from "./service-feed.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

const a = instanceAt("10.0.0.1:80");
const b = instanceAt("10.0.0.2:80");

/** A feed and what one who watches was told of it. */
async function watched() {
  const feed = new ServiceFeed('test registry: service "user"');
  const told: string[] = [];
  const watch = feed.add(recorder(told));
  await null;
  return { feed, told, watch };
}

function recorder(told: string[]) {
  return {
    snapshot: ({ instances, revision, freshness }: Snapshot) =>
      void told.push(`${instances.map(({ id }) => id.slice(7, 8)).join("")} ${revision} ${freshness}`),
    failed: (error: Error) => void told.push(error.message),
  };
}

describe("a service feed", () => {
  it("tells what is new and nothing else", async () => {
    const { feed, told } = await watched();
    feed.found([]);
    feed.found([]);
    feed.found([a]);
    feed.found([a]);
    feed.found([b, a]);
    feed.found([a, b]);
    feed.found([b]);
    feed.found([{ ...b, weight: 2 }]);
    feed.found([{ ...b, weight: 2 }]);
    expect(told).toEqual([" 1 live", "1 2 live", "21 3 live", "2 4 live", "2 5 live"]);
  });

  it("keeps what is known as stale, once, and tells each failure once until it is over", async () => {
    const { feed, told } = await watched();
    feed.failed(new Error("away"));
    feed.found([a]);
    feed.failed(new Error("away"));
    feed.failed(new Error("away"));
    feed.failed(new Error("other"));
    feed.found([a]);
    feed.failed(new Error("away"));
    expect(told).toEqual(["away", "1 1 live", "1 1 stale", "away", "other", "1 1 live", "1 1 stale", "away"]);
  });

  it("tells faults of entries together, and again only when they are others", async () => {
    const { feed, told } = await watched();
    feed.found([a], ["x", "y", "z", "w"]);
    feed.found([a], ["x", "y", "z", "w"]);
    feed.found([a, b], ["x", "y", "z", "w"]);
    expect(feed.skipped).toBe(4);
    feed.found([a, b], []);
    feed.found([a, b], ["x"]);
    expect(told).toEqual([
      "1 1 live",
      'test registry: service "user": entries are skipped: x; y; z; and 1 more',
      "12 2 live",
      'test registry: service "user": entries are skipped: x',
    ]);
  });

  it("tells those who come later what there is to know, never from inside the call", async () => {
    const { feed } = await watched();
    feed.found([a], ["x"]);
    feed.failed(new Error("away"));
    const told: string[] = [];
    feed.add(recorder(told));
    expect(told).toEqual([]);
    await null;
    expect(told).toEqual(["1 1 stale", "away", 'test registry: service "user": entries are skipped: x']);
  });

  it("tells nothing to those who have closed, also inside of what they are told", async () => {
    const feed = new ServiceFeed("test");
    const told: string[] = [];
    const early = feed.add(recorder(told));
    early.close();
    const closing = feed.add({
      snapshot: () => {
        told.push("closing");
        closing.close();
        other.close();
      },
      failed: () => void told.push("failed"),
    });
    const other = feed.add(recorder(told));
    await null;
    expect(feed.isWatched).toBe(true);
    feed.found([a]);
    feed.failed(new Error("away"));
    expect(told).toEqual(["closing"]);
    expect(feed.isWatched).toBe(false);
  });

  it("is not stopped by a handler that throws, whose error is not lost", async () => {
    const { feed, told } = await watched();
    const throwing = (): never => {
      throw new Error("handler");
    };
    feed.add({ snapshot: throwing, failed: throwing });
    const late = [] as string[];
    feed.add(recorder(late));
    await null;
    const thrown: (() => void)[] = [];
    vi.stubGlobal("queueMicrotask", (callback: () => void) => thrown.push(callback));
    feed.found([a]);
    feed.failed(new Error("away"));
    expect(told).toEqual(["1 1 live", "1 1 stale", "away"]);
    expect(late).toEqual(told);
    expect(thrown).toHaveLength(3);
    for (const callback of thrown) expect(callback).toThrow("handler");
  });

  it("keeps the object of an instance that did not change in any field", () => {
    const known: Instance = { ...a, tags: { x: "1" }, addresses: [{ address: "10.0.0.1:80", network: "n" }] };
    const copy = structuredClone(known);
    expect(reused(copy, known)).toBe(known);
    expect(reused(copy, undefined)).toBe(copy);
    const changes: Partial<Instance>[] = [
      { weight: 2 },
      { zone: "z" },
      { version: "v" },
      { state: "draining" },
      { tags: { x: "2" } },
      { tags: { y: "1" } },
      { tags: {} },
      { addresses: [] },
      { addresses: [{ address: "10.0.0.1:80", network: "" }] },
      { addresses: [{ address: "10.0.0.2:80", network: "n" }] },
    ];
    for (const change of changes) expect(reused({ ...copy, ...change }, known)).not.toBe(known);
  });
});
