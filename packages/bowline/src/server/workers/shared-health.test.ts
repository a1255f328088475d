import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Health, type ServingStatus } from "../builtin/health.ts";
import { SharedHealth } from "./shared-health.ts";

interface Change {
  readonly service: string;
  readonly status: ServingStatus;
}

/** Primary and workers with a queue for each direction: a test says when a message arrives. */
class Fleet {
  readonly primary = new Health();
  readonly workers: Health[];
  readonly #up: Change[][];
  readonly #down: (Change & { readonly isEcho: boolean })[][];
  readonly #primarySide: SharedHealth;
  readonly #sides: SharedHealth[];

  constructor(count: number) {
    this.workers = Array.from({ length: count }, () => new Health());
    this.#up = this.workers.map(() => []);
    this.#down = this.workers.map(() => []);
    this.#primarySide = new SharedHealth("primary", this.primary, (service, status) => {
      for (const queue of this.#down) queue.push({ service, status, isEcho: false });
    });
    this.#sides = this.workers.map(
      (health, id) => new SharedHealth("worker", health, (service, status) => this.#up[id].push({ service, status })),
    );
  }

  /** The oldest message of a queue arrives, if there is one. Returns whether there was. */
  deliver(direction: "up" | "down", id: number): boolean {
    const change = direction === "up" ? this.#up[id].shift() : this.#down[id].shift();
    if (change === undefined) return false;
    if (direction === "up") {
      this.#primarySide.set(change.service, change.status);
      for (const [to, queue] of this.#down.entries()) queue.push({ ...change, isEcho: to === id });
    } else if ("isEcho" in change && change.isEcho) this.#sides[id].confirm(change.service);
    else this.#sides[id].set(change.service, change.status);
    return true;
  }

  deliverAll(): void {
    const ids = this.workers.map((_, id) => id);
    while (ids.some((id) => this.deliver("up", id) || this.deliver("down", id)));
  }
}

describe("the health of several processes", () => {
  it("is set everywhere, wherever it was set", () => {
    const fleet = new Fleet(2);
    fleet.workers[0].set("a", "NOT_SERVING");
    fleet.primary.set("b", "NOT_SERVING");
    fleet.deliverAll();
    for (const health of [fleet.primary, ...fleet.workers]) {
      expect(Object.fromEntries(health.said)).toEqual({ a: "NOT_SERVING", b: "NOT_SERVING" });
    }
  });

  it("is set everywhere also while no status shows it: before the start, and while all is held", () => {
    const fleet = new Fleet(2);
    fleet.primary.set("", "NOT_SERVING");
    fleet.deliverAll();
    for (const health of [fleet.primary, ...fleet.workers]) {
      health.start(["a"]);
      health.hold(true);
    }
    fleet.workers[0].set("a", "NOT_SERVING");
    fleet.deliverAll();
    fleet.workers[0].set("a", "SERVING");
    fleet.deliverAll();
    fleet.workers[1].set("a", "NOT_SERVING");
    fleet.deliverAll();
    for (const health of [fleet.primary, ...fleet.workers]) {
      health.hold(false);
      expect(Object.fromEntries(health.all)).toEqual({ "": "NOT_SERVING", a: "NOT_SERVING" });
    }
  });

  it("ends the same everywhere, in whatever order words cross", () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant("set" as const),
        who: fc.nat(3),
        isServing: fc.boolean(),
        service: fc.constantFrom("a", "b"),
      }),
      fc.record({ do: fc.constantFrom("up" as const, "down" as const), who: fc.nat(2) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const fleet = new Fleet(3);
        const all = [...fleet.workers, fleet.primary];
        for (const each of steps) {
          if (each.do === "set") all[each.who].set(each.service, each.isServing ? "SERVING" : "NOT_SERVING");
          else fleet.deliver(each.do, each.who);
        }
        fleet.deliverAll();
        for (const health of fleet.workers) {
          expect([health.get("a"), health.get("b")]).toEqual([fleet.primary.get("a"), fleet.primary.get("b")]);
        }
      }),
    );
  });

  it("does not go back to what others said before a worker's own last word", () => {
    const fleet = new Fleet(2);
    fleet.workers[1].set("a", "SERVING");
    fleet.deliver("up", 1);
    fleet.workers[0].set("a", "NOT_SERVING");
    const seen: (ServingStatus | undefined)[] = [];
    fleet.workers[0].onChange(() => seen.push(fleet.workers[0].get("a")));
    fleet.deliverAll();
    expect(seen).toEqual([]);
    expect(fleet.workers[1].get("a")).toBe("NOT_SERVING");
  });

  it("does not tell what start and stop make of it", () => {
    const told: string[] = [];
    const health = new Health();
    const shared = new SharedHealth("worker", health, (service) => told.push(service));
    health.start(["a"]);
    health.stop();
    expect(told).toEqual([]);
    expect(shared.statuses).toEqual({});
  });

  it("is what was said before, for who comes later, the whole included", () => {
    const health = new Health();
    health.set("", "NOT_SERVING");
    expect(new SharedHealth("primary", health, () => {}).statuses).toEqual({ "": "NOT_SERVING" });
    health.start(["a"]);
    expect([...health.all]).toEqual([
      ["", "NOT_SERVING"],
      ["a", "SERVING"],
    ]);
  });

  it("is told no more once it is closed", () => {
    const told: string[] = [];
    const health = new Health();
    new SharedHealth("worker", health, (service) => told.push(service)).close();
    health.set("a", "SERVING");
    expect(told).toEqual([]);
  });
});
