import { describe, expect, it } from "vitest";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { consistentHash, type RingCandidate } from "./consistent-hash.ts";

type Node = { -readonly [K in keyof RingCandidate]: RingCandidate[K] };

const node = (address: string): Node => ({
  id: address,
  address,
  weight: 1,
  isReady: true,
  inFlight: 0,
  streaming: 0,
  state: undefined,
});
const nodes = (count: number): Node[] => Array.from({ length: count }, (_, i) => node(`10.0.0.${i + 1}:8080`));
const keys = Array.from({ length: 3000 }, (_, i) => `user-${i}`);

describe("the ring", () => {
  it("gives nobody while there is nobody", () => {
    expect(consistentHash().pick(null, "a")).toBeNull();
  });

  it("refuses a call without key", () => {
    const ring = consistentHash<Node>();
    ring.update(nodes(2));
    for (const key of [undefined, ""]) {
      const pick = (): unknown => ring.pick(null, key);
      expect(pick).toThrow(RpcError);
      expect(pick).toThrow(expect.objectContaining({ code: Code.INVALID_ARGUMENT }));
    }
  });

  // By go-zero 1.10.3, core/hash.
  it.each([
    ["user-0", "10.0.0.4:8080"],
    ["user-1", "10.0.0.1:8080"],
    ["user-2", "10.0.0.3:8080"],
    ["user-3", "10.0.0.5:8080"],
    ["user-4", "10.0.0.5:8080"],
    ["user-5", "10.0.0.1:8080"],
    ["ä", "10.0.0.2:8080"],
  ])("gives %j to %s, as go-zero's does", (key, address) => {
    const ring = consistentHash<Node>();
    ring.update(nodes(5));
    expect(ring.pick(null, key)?.address).toBe(address);
  });

  it("is the same whatever the order and the history of the set", () => {
    const all = nodes(8);
    const [one, other] = [consistentHash<Node>(), consistentHash<Node>()];
    one.update(all);
    other.update([...all].reverse().slice(0, 5));
    other.update([node("10.9.9.9:1"), ...all]);
    other.update(all);
    for (const key of keys) expect(other.pick(null, key)).toBe(one.pick(null, key));
  });

  it("moves the keys of those who go, and only these", () => {
    const all = nodes(8);
    const ring = consistentHash<Node>();
    ring.update(all);
    const before = keys.map((key) => ring.pick(null, key));
    ring.update(all.slice(1));
    keys.forEach((key, i) => {
      const now = ring.pick(null, key);
      if (before[i] === all[0]) expect(now).not.toBe(all[0]);
      else expect(now).toBe(before[i]);
    });
    ring.update(all);
    expect(keys.map((key) => ring.pick(null, key))).toEqual(before);
  });

  it("passes over who is not ready, weighs nothing or was tried, as if it were not there", () => {
    const all = nodes(6);
    const [ring, without] = [consistentHash<Node>(), consistentHash<Node>()];
    ring.update(all);
    without.update(all.slice(3));
    all[0].isReady = false;
    all[1].weight = 0;
    for (const key of keys) expect(ring.pick(all[2], key)).toBe(without.pick(null, key));
  });

  it("takes who was tried where nobody else is ready, and nobody where that one isn't either", () => {
    const all = nodes(3);
    const ring = consistentHash<Node>();
    ring.update(all);
    all[0].isReady = all[1].isReady = false;
    expect(ring.pick(all[2], "a")).toBe(all[2]);
    all[2].isReady = false;
    expect(ring.pick(all[2], "a")).toBeNull();
  });

  it("asks the first of two instances at one address, then the second", () => {
    const [old, fresh] = [node("10.0.0.1:8080"), node("10.0.0.1:8080")];
    const ring = consistentHash<Node>();
    ring.update([old, fresh]);
    expect(keys.every((key) => ring.pick(null, key) === old)).toBe(true);
    old.isReady = false;
    expect(keys.every((key) => ring.pick(null, key) === fresh)).toBe(true);
  });
});
