import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../rpc/clock.ts";
import { type Member, Membership } from "./membership.ts";

interface Host extends Member {
  isDraining: boolean;
  reach: Member["reach"];
}

/** A set with its registry and its hosts, a second a step. */
class Fleet {
  now = 0;
  readonly set: Map<string, Host> = new Map();
  /** Hosts that answer. */
  readonly alive: Set<string> = new Set();
  readonly draining: Set<string> = new Set();
  readonly rules: Membership<Host>;
  listed: Set<string> = new Set();
  #isFirst = true;

  constructor(...ids: readonly string[]) {
    const clock: Pick<Clock, "now"> = { now: () => this.now };
    const upListed = (): number =>
      this.up.filter((id) => this.listed.has(id) && !this.rules.suspects.has(this.set.get(id) as Host)).length;
    this.rules = new Membership(clock as Clock, upListed);
    for (const id of ids) this.alive.add(id);
    this.says(...ids);
    this.pass(2);
  }

  get ids(): string[] {
    return [...this.set.keys()].sort();
  }

  get up(): string[] {
    return this.ids.filter((id) => this.set.get(id)?.reach === "up");
  }

  get suspects(): string[] {
    return [...this.rules.suspects.keys()].map(({ id }) => id).sort();
  }

  /** The registry lists these, live. */
  says(...ids: readonly string[]): void {
    this.#snapshot(new Set(ids), true);
  }

  /** The registry is out of reach, and its last word is repeated. */
  isLost(): void {
    this.#snapshot(this.listed, false);
  }

  /** Seconds go by: hosts that answer are connected after one, the others found to be down. */
  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.now += 1000;
      for (const host of this.set.values()) {
        host.reach = this.alive.has(host.id) ? "up" : "down";
        this.#checked(() => this.rules.changed());
      }
      if (this.rules.lookAt <= this.now) this.#checked(() => this.rules.look());
    }
  }

  #snapshot(ids: Set<string>, isLive: boolean): void {
    const before = this.listed;
    this.listed = new Set(ids);
    const added: Host[] = [];
    const returned: Host[] = [];
    for (const id of ids) {
      const known = this.set.get(id);
      if (known === undefined) {
        const host: Host = { id, isDraining: false, reach: "unknown" };
        added.push(host);
        this.set.set(id, host);
      } else if (this.rules.suspects.has(known)) returned.push(known);
      (this.set.get(id) as Host).isDraining = this.draining.has(id);
    }
    const vanished = [...before].filter((id) => !ids.has(id)).flatMap((id) => this.set.get(id) ?? []);
    const isFirst = isLive && this.#isFirst;
    this.#isFirst &&= !isLive;
    this.#checked(() =>
      this.rules.update({
        listed: ids.size,
        listedBefore: ids.size - added.length - returned.length + vanished.length,
        added,
        returned,
        vanished,
        isLive,
        isFirst,
      }),
    );
  }

  /** Whatever happens: somebody who can be reached stays, unless all of those have said that they stop. */
  #checked(step: () => readonly Host[]): void {
    const staying = [...this.set.values()].filter(({ reach, isDraining }) => reach === "up" && !isDraining);
    for (const { id } of step()) this.set.delete(id);
    if (staying.length > 0 && !staying.some(({ id }) => this.set.has(id))) {
      throw new Error(`at ${this.now} nobody is left of ${staying.map(({ id }) => id)}`);
    }
  }
}

function hosts(count: number, name: string = "h"): string[] {
  return Array.from({ length: count }, (_, i) => `${name}${String(i).padStart(2, "0")}`);
}

describe("losses that are believed at once", () => {
  it("are those of up to a fifth of the set", () => {
    const fleet = new Fleet(...hosts(10));
    fleet.says(...hosts(10).slice(2));
    expect([fleet.ids.length, fleet.suspects]).toEqual([8, []]);
  });

  it("are added up over a minute: one by one is no other loss than all together", () => {
    const fleet = new Fleet(...hosts(10));
    for (let gone = 1; gone <= 9; gone++) {
      fleet.says(...hosts(10).slice(gone));
      fleet.pass(1);
    }
    expect([fleet.ids.length, fleet.suspects.length, fleet.rules.isFrozen]).toEqual([8, 7, true]);
    fleet.says(...hosts(10));
    fleet.pass(60);
    fleet.says(...hosts(10).slice(2));
    expect(fleet.ids).toHaveLength(8);
  });

  it("are those of who announced it or is down, whatever their number", () => {
    const fleet = new Fleet(...hosts(10));
    for (const id of hosts(10).slice(0, 4)) fleet.draining.add(id);
    for (const id of hosts(10).slice(4, 9)) fleet.alive.delete(id);
    fleet.says(...hosts(10));
    fleet.pass(1);
    fleet.says("h09");
    expect(fleet.ids).toEqual(["h09"]);
  });

  it("are not those of who came back a moment ago", () => {
    const fleet = new Fleet(...hosts(10));
    for (let i = 0; i < 5; i++) {
      fleet.says(...hosts(10).slice(1));
      fleet.pass(1);
      expect(fleet.ids.includes("h00")).toBe(i > 0);
      fleet.says(...hosts(10));
      fleet.pass(1);
    }
  });
});

describe("suspects", () => {
  it("stay for 60 s of a live registry", () => {
    const fleet = new Fleet(...hosts(3));
    fleet.says("h00", "h01");
    fleet.pass(30);
    fleet.isLost();
    fleet.pass(1000);
    fleet.says("h00", "h01");
    fleet.pass(59);
    expect(fleet.ids).toEqual(hosts(3));
    fleet.pass(1);
    expect(fleet.ids).toEqual(["h00", "h01"]);
  });

  it("leave when they are down, but not while the registry is out of reach", () => {
    const fleet = new Fleet(...hosts(3));
    fleet.says("h00", "h01");
    fleet.isLost();
    fleet.alive.delete("h02");
    fleet.pass(100);
    expect(fleet.ids).toEqual(hosts(3));
    fleet.says("h00", "h01");
    expect(fleet.ids).toEqual(["h00", "h01"]);
  });

  it("stay on while nobody else can be reached", () => {
    const fleet = new Fleet("old1", "old2");
    fleet.says("old1", "old2", "new1", "new2");
    fleet.pass(1);
    fleet.says("new1", "new2");
    fleet.pass(3600);
    expect(fleet.up).toEqual(["old1", "old2"]);
    fleet.alive.add("new1").add("new2");
    fleet.pass(2);
    expect(fleet.ids).toEqual(["new1", "new2"]);
  });
});

describe("a set of which most vanished", () => {
  it("is frozen until that is confirmed and half of them are down", () => {
    const fleet = new Fleet(...hosts(10));
    fleet.says("h00", "h01");
    expect([fleet.rules.isFrozen, fleet.rules.wantsSecondLook]).toEqual([true, true]);
    fleet.pass(5);
    expect([fleet.ids.length, fleet.rules.isFrozen, fleet.rules.wantsSecondLook]).toEqual([10, true, false]);
    for (const id of hosts(10).slice(2, 6)) fleet.alive.delete(id);
    fleet.pass(1);
    expect([fleet.ids.length, fleet.rules.isFrozen]).toEqual([6, false]);
    for (const id of hosts(10).slice(6)) fleet.alive.delete(id);
    fleet.pass(1);
    expect(fleet.ids).toEqual(["h00", "h01"]);
  });

  it("is confirmed by a second snapshot, too, but not by one that comes in the same moment", () => {
    const fleet = new Fleet(...hosts(4));
    fleet.alive.clear();
    fleet.says();
    fleet.says();
    fleet.pass(1);
    expect(fleet.ids).toHaveLength(4);
    fleet.says();
    expect(fleet.ids).toEqual([]);
  });

  it("thaws when they come back", () => {
    const fleet = new Fleet(...hosts(10));
    fleet.says();
    fleet.pass(600);
    expect(fleet.up).toHaveLength(10);
    fleet.says(...hosts(10));
    expect([fleet.suspects, fleet.rules.isFrozen]).toEqual([[], false]);
  });

  it("is not confirmed by a registry that is out of reach", () => {
    const fleet = new Fleet(...hosts(4));
    fleet.says();
    fleet.isLost();
    fleet.alive.clear();
    fleet.pass(3600);
    expect(fleet.ids).toHaveLength(4);
    fleet.says();
    fleet.pass(5);
    expect(fleet.ids).toEqual([]);
  });
});

describe("any fleet", () => {
  const size = fc.integer({ min: 1, max: 12 });
  const wait = fc.integer({ min: 0, max: 20 });
  /** What a registry may say of `n` hosts, as bits; or that it is lost. */
  const word = fc.option(fc.integer({ min: 0, max: 4095 }), { nil: null });
  const speak = (fleet: Fleet, said: number | null, ids: readonly string[]): void => {
    if (said === null) fleet.isLost();
    else fleet.says(...ids.filter((_, i) => (said >> i) & 1));
  };

  it("loses a fifth at most to a minute of nonsense, is never empty, and is whole again with the first true word", () => {
    fc.assert(
      fc.property(size, fc.array(fc.tuple(word, wait), { maxLength: 30 }), (count, words) => {
        const ids = hosts(count);
        const fleet = new Fleet(...ids);
        const start = fleet.now;
        for (const [said, seconds] of words) {
          speak(fleet, said, ids);
          if (fleet.now - start < 60_000) expect(fleet.ids.length).toBeGreaterThanOrEqual(count * 0.8);
          fleet.pass(seconds);
        }
        fleet.says(...ids);
        fleet.pass(1);
        expect(fleet.up).toEqual(ids);
        expect(fleet.suspects).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it("is what the registry says a minute after it began to tell the truth, whatever died and was started meanwhile", () => {
    const event = fc.record({ said: word, seconds: wait, dies: fc.nat(11), starts: fc.nat(11) });
    fc.assert(
      fc.property(size, fc.array(event, { maxLength: 30 }), (count, events) => {
        const ids = hosts(12);
        const fleet = new Fleet(...ids.slice(0, count));
        for (const { said, seconds, dies, starts } of events) {
          fleet.alive.delete(ids[dies]);
          fleet.alive.add(ids[starts]);
          speak(fleet, said, ids);
          fleet.pass(seconds);
        }
        const truth = [...fleet.alive].sort();
        fleet.says(...truth);
        fleet.pass(70);
        expect(fleet.ids).toEqual(truth);
      }),
      { numRuns: 1000 },
    );
  });

  it("follows a rolling deploy to new addresses, announced or not, without an empty moment", () => {
    const rollout = fc.record({ count: size, seconds: wait, announces: fc.boolean(), overlap: fc.integer({ max: 3 }) });
    fc.assert(
      fc.property(rollout, ({ count, seconds, announces, overlap }) => {
        const [old, fresh] = [hosts(count, "old"), hosts(count, "new")];
        const fleet = new Fleet(...old);
        for (const [i, id] of fresh.entries()) {
          fleet.alive.add(id);
          fleet.says(...old.slice(i), ...fresh.slice(0, i + 1));
          fleet.pass(seconds + 1);
          if (announces) fleet.draining.add(old[i]);
          fleet.says(...old.slice(i), ...fresh.slice(0, i + 1));
          fleet.says(...old.slice(i + 1), ...fresh.slice(0, i + 1));
          fleet.pass(Math.max(0, overlap));
          fleet.alive.delete(old[i]);
          expect(fleet.up).not.toEqual([]);
        }
        fleet.pass(70);
        expect(fleet.ids).toEqual(fresh);
        expect(fleet.rules.isFrozen).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
