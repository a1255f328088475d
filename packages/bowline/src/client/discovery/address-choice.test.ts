import { describe, expect, it } from "vitest";
import { instanceAt } from "../../registry/instance/instance.ts";
import type { Instance } from "../../registry/registry.ts";
import { addressChoice, noCommonNetwork } from "./address-choice.ts";
import { rewriteBy } from "./rewrite.ts";

/** An instance with one address in each of these networks, as `network/host:port`. */
function instance(...addresses: string[]): Instance {
  const split = (text: string): { network: string; address: string } => {
    const slash = text.indexOf("/");
    return { network: text.slice(0, slash), address: text.slice(slash + 1) };
  };
  return { ...instanceAt("x:1"), id: "user-1", addresses: addresses.map(split) };
}

const same = (address: string): string => address;

describe("the address of an instance", () => {
  it.each([
    [["vpc-a", "public"], ["public/p:1", "vpc-a/a:1"], "a:1"],
    [["vpc-b", "public"], ["public/p:1", "vpc-a/a:1"], "p:1"],
    [["vpc-a"], ["/any:1", "vpc-a/a:1"], "a:1"],
    [["vpc-b"], ["vpc-a/a:1", "/any:1"], "any:1"],
    [["vpc-b"], ["vpc-a/a:1", "public/p:1"], null],
    [["vpc-a"], ["vpc-a/first:1", "vpc-a/second:1"], "first:1"],
    [[], ["vpc-a/a:1", "/any:1"], "any:1"],
    [[], ["vpc-a/a:1", "public/p:1"], "a:1"],
    [[], [], null],
  ])("for a client in %j, of %j, is %s", (networks, addresses, expected) => {
    expect(addressChoice(networks, same)(instance(...addresses))).toBe(expected);
  });

  it("is rewritten after it was chosen", () => {
    const rewrite = rewriteBy([{ from: "a", to: "b" }], "", "rewrite");
    expect(addressChoice(["vpc-a"], rewrite)(instance("vpc-a/a:1"))).toBe("b:1");
  });

  it("is missing for a reason that names what to change", () => {
    expect(noCommonNetwork(instance("vpc-a/a:1", "vpc-c/c:1"), ["vpc-b", "public"])).toBe(
      "instance user-1 has addresses in the networks vpc-a, vpc-c, and this client is in vpc-b, public: " +
        "add the network to the client's option networks, or let the server advertise an address there",
    );
  });
});
