import type { Address, Instance } from "bowline/registry";
import { describe, expect, it } from "vitest";
import { type ReachFlags, reachOf, reachText, whyTaken } from "./reach.ts";

/** An instance with one address in each of these networks, as `network=host:port`; several may have one id. */
function instance(...places: string[]): Instance {
  const addresses = places.map((place): Address => {
    const [address, network = ""] = place.split("=").reverse();
    return { address, network };
  });
  return { id: "user-1", addresses, weight: 1, zone: "", version: "", tags: {}, state: "ready" };
}

/** What is dialled of each, or null. */
function dialled(flags: ReachFlags, ...instances: Instance[]): readonly (string | null)[] {
  const reaches = reachOf(flags)(instances);
  return instances.map((each) => reaches.get(each)?.address ?? null);
}

const BOTH = instance("inside=10.0.0.7:80", "public=203.0.113.9:80");
const INSIDE = instance("inside=10.0.0.8:80");
const BARE = instance("10.0.0.9:80");

describe("where a client goes", () => {
  it.each<[ReachFlags, readonly (string | null)[]]>([
    [{}, ["10.0.0.7:80", "10.0.0.8:80", "10.0.0.9:80"]],
    [{ network: ["public"] }, ["203.0.113.9:80", null, "10.0.0.9:80"]],
    [{ network: ["public", "inside"] }, ["203.0.113.9:80", "10.0.0.8:80", "10.0.0.9:80"]],
    [{ rewrite: ["10.0.0.8=gate"] }, ["10.0.0.7:80", "gate:80", "10.0.0.9:80"]],
    [
      { rewrite: ["10.0.0.7=10.0.0.7", "10.0.0.0/24:80=203.0.113.0/24:81"] },
      ["10.0.0.7:80", "203.0.113.8:81", "203.0.113.9:81"],
    ],
    [{ network: ["public"], rewrite: ["203.0.113.9=gate:1"] }, ["gate:1", null, "10.0.0.9:80"]],
  ])("with %j is %j", (flags, expected) => {
    expect(dialled(flags, BOTH, INSIDE, BARE)).toEqual(expected);
  });

  it("is known with its reason: the address that was told, its network and the rule", () => {
    const flags = { network: ["public"], rewrite: ["10.0.0.9=10.0.0.9", "10.0.0.0/8=gate:1", "10.0.0.9=gate:1"] };
    const reaches = reachOf(flags)([BOTH, BARE]);
    const [both, bare] = [BOTH, BARE].map((each) => reaches.get(each) ?? null);
    expect(both).toEqual({ address: "203.0.113.9:80", told: BOTH.addresses[1], rewrite: null });
    expect(both && whyTaken(both, BOTH, flags.network)).toBe("for its network public");
    expect(bare && whyTaken(bare, BARE, flags.network)).toBe(
      "because it has no label: it can be reached from anywhere",
    );
    const [rewritten] = reachOf({ rewrite: ["10.0.0.8=a", "10.0.0.0/8=gate:1"] })([BARE]).values();
    expect(rewritten.rewrite).toBe("10.0.0.0/8=gate:1");
    expect(reachText(rewritten, BARE.addresses)).toBe("gate:1 for 10.0.0.9:80");
    expect(reachText(null, INSIDE.addresses)).toBe("none of inside=10.0.0.8:80");
  });

  it("has the label of the client's network where one address is told for two", () => {
    const twice = instance("inside=a:1", "public=a:1");
    expect(reachOf({ network: ["public"] })([twice]).get(twice)?.told.network).toBe("public");
  });

  it.each<[ReachFlags, string]>([
    [{ network: [""] }, '--network is "": give labels of networks'],
    [{ network: ["a", "a"] }, '--network is "a": give labels of networks, each once'],
    [{ rewrite: ["10.0.0.7"] }, "--rewrite 10.0.0.7 is no rule"],
    [{ rewrite: ["a=b", "10.0.0.0/33=b"] }, '--rewrite 10.0.0.0/33=b: from is "10.0.0.0/33": that is no range'],
    [{ rewrite: ["a="] }, '--rewrite a=: to is ""'],
    [{ rewrite: ["10.0.0.0/24=10.0.0.0/25"] }, "--rewrite 10.0.0.0/24=10.0.0.0/25: to is the range"],
  ])("can't be %j, which the client refuses, in the words of the flags", (flags, message) => {
    expect(() => reachOf(flags)).toThrow(message);
  });
});
