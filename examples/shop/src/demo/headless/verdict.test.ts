import { Code } from "bowline";
import { describe, expect, it } from "vitest";
import type { Call } from "../traffic/traffic.ts";
import { reportOf } from "./report.ts";
import { type Facts, judge } from "./verdict.ts";

const call = (startedAt: number, change: Partial<Call> = {}): Call => ({
  deed: "browse",
  isIdempotent: true,
  isStream: false,
  startedAt,
  endedAt: startedAt + 5,
  code: Code.OK,
  text: "",
  ...change,
});
const restock = (startedAt: number, change: Partial<Call> = {}): Call =>
  call(startedAt, { deed: "requestRestock", isIdempotent: false, ...change });

/** A run of 50 seconds, ten for each phase, a call about an order each 100 ms. */
function facts(change: Partial<Facts> = {}, ...extra: Call[]): Facts {
  const phases = ["steady", "kill", "freeze", "restart", "add"].map((name, i) => ({
    name,
    from: i * 10_000,
    to: (i + 1) * 10_000,
  }));
  const calls = [...Array.from({ length: 500 }, (_, i) => call(i * 100, { deed: "checkout" })), ...extra];
  return {
    calls,
    counted: { started: calls.length, ended: calls.length },
    phases,
    killedAt: 10_000,
    frozenAt: 20_000,
    thawedAt: 23_000,
    addedShare: 0.4,
    fairShare: 0.5,
    leftBehind: [],
    ...change,
  };
}

const failedOf = (seen: Facts): string[] => judge(seen).flatMap(({ name, ok }) => (ok ? [] : [name]));

describe("the verdict", () => {
  it("is good when all went well", () => {
    expect(failedOf(facts())).toEqual([]);
  });

  it("forgives calls that must not be repeated what the killed instance had in flight, and nothing else", () => {
    const fate = { code: Code.UNAVAILABLE, endedAt: 10_020 };
    expect(failedOf(facts({}, restock(9_990, fate)))).toEqual([]);
    const unforgiven = ["other calls fail only with the killed instance, as UNAVAILABLE"];
    expect(failedOf(facts({}, restock(9_990, { ...fate, code: Code.INTERNAL })))).toEqual(unforgiven);
    expect(failedOf(facts({}, restock(15_000, { code: Code.UNAVAILABLE })))).toEqual(unforgiven);
    expect(failedOf(facts({}, restock(5_000, { code: Code.UNAVAILABLE })))).toEqual(unforgiven);
  });

  it("asks of a killed registry that nothing was lost, where there was one to kill", () => {
    const registry = { name: "registry", from: 40_000, to: 45_000 };
    const phases = [...facts().phases, registry];
    expect(judge(facts({ phases })).find(({ name }) => name === "a killed registry loses nothing")?.ok).toBe(true);
    const lost = restock(42_000, { code: Code.UNAVAILABLE });
    expect(failedOf(facts({ phases }, lost))).toContain("a killed registry loses nothing");
    expect(judge(facts()).some(({ name }) => name.includes("registry"))).toBe(false);
  });

  it("forgives no loss of an idempotent call", () => {
    const names = failedOf(facts({}, call(10_001, { code: Code.UNAVAILABLE })));
    expect(names).toEqual(["no idempotent call is lost"]);
  });

  it("wants every call to end, and the client to count the same", () => {
    expect(failedOf(facts({}, call(1, { endedAt: 0 })))).toContain("every call ends, once");
    expect(failedOf(facts({ counted: { started: 501, ended: 500 } }))).toEqual(["every call ends, once"]);
  });

  it("forgives nothing during a graceful restart", () => {
    const names = failedOf(facts({}, restock(33_000, { code: Code.UNAVAILABLE })));
    expect(names).toContain("a graceful restart loses nothing");
  });

  it("wants calls to be answered while an instance is frozen, quickly", () => {
    const name = ["while one order instance is frozen the other one answers"];
    const stuck = Array.from({ length: 10 }, (_, i) => call(21_000 + i, { deed: "getOrder", endedAt: 23_010 }));
    expect(failedOf(facts({}, ...stuck))).toEqual(name);
    const slow = Array.from({ length: 10 }, (_, i) => call(21_000 + i, { endedAt: 22_100 }));
    expect(failedOf(facts({}, ...slow))).toEqual(name);
  });

  it("wants half of a fair share for an added instance, and nothing left behind", () => {
    expect(failedOf(facts({ addedShare: 0.24 }))).toEqual(["an added instance gets its share"]);
    expect(failedOf(facts({ leftBehind: ["process 7 of user-1"] }))).toEqual(["nothing is left behind"]);
  });
});

describe("the report", () => {
  it("counts each call in the phase in which it was started", () => {
    const seen = facts({}, restock(9_990, { code: Code.UNAVAILABLE, endedAt: 10_020 }));
    const { phases, ok } = reportOf(seen, judge(seen));
    expect(ok).toBe(true);
    expect(phases[0]).toMatchObject({ name: "steady", seconds: 10, calls: 101, ok: 100, failed: { UNAVAILABLE: 1 } });
    expect(phases[1]).toMatchObject({ name: "kill", calls: 100, ok: 100, failed: {}, p50Ms: 5 });
  });
});
