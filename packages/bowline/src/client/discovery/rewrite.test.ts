import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFault, readHostPort } from "../../registry/instance/address.ts";
import { addressAt, ipRange, offsetIn } from "./ip-range.ts";
import { type RewriteRule, rewriteBy } from "./rewrite.ts";

function rewritten(address: string, ...rules: RewriteRule[]): string {
  return rewriteBy(rules, "user.rpc", "rewrite")(address);
}

describe("a rewrite", () => {
  it.each([
    ["10.0.0.7:8080", "10.0.0.7", "203.0.113.9", "203.0.113.9:8080"],
    ["10.0.0.7:8080", "10.0.0.7", "203.0.113.9:18080", "203.0.113.9:18080"],
    ["10.0.0.7:8080", "10.0.0.7:8080", "203.0.113.9", "203.0.113.9:8080"],
    ["10.0.0.7:8081", "10.0.0.7:8080", "203.0.113.9", "10.0.0.7:8081"],
    ["10.0.0.7:8080", "10.0.0.0/24", "203.0.113.9", "203.0.113.9:8080"],
    ["10.0.1.7:8080", "10.0.0.0/24", "203.0.113.9", "10.0.1.7:8080"],
    ["10.0.0.7:8080", "10.0.0.9/24", "203.0.113.9", "203.0.113.9:8080"],
    ["10.0.0.7:8080", "10.0.0.0/24:8080", "gate.example:443", "gate.example:443"],
    ["10.0.0.7:8081", "10.0.0.0/24:8080", "gate.example:443", "10.0.0.7:8081"],
    ["10.0.0.7:8080", "10.0.0.0/24", "203.0.113.0/24", "203.0.113.7:8080"],
    ["10.0.0.7:8080", "0.0.0.0/0", "127.0.0.1", "127.0.0.1:8080"],
    ["10.0.0.7:8080", "10.0.0.7/32", "127.0.0.1", "127.0.0.1:8080"],
    ["user.internal:8080", "User.Internal", "127.0.0.1", "127.0.0.1:8080"],
    ["[fd00::7]:8080", "fd00::/8", "2001:db8::9", "[2001:db8::9]:8080"],
    ["[fd00::7]:8080", "[fd00::/8]:8080", "[2001:db8::9]:443", "[2001:db8::9]:443"],
    ["[fd00::7]:8080", "[fd00::]/8", "10.0.0.7", "10.0.0.7:8080"],
    ["[fd00::7]:8080", "fd00:0:0::7", "10.0.0.7", "10.0.0.7:8080"],
    ["[fd00::1:7]:8080", "fd00::/64", "2001:db8::/64", "[2001:db8::1:7]:8080"],
    ["[fd00::7]:8080", "0.0.0.0/0", "127.0.0.1", "[fd00::7]:8080"],
    ["unix:/run/user.sock", "0.0.0.0/0", "127.0.0.1", "unix:/run/user.sock"],
    ["user.internal:8080", "0.0.0.0/0", "127.0.0.1", "user.internal:8080"],
  ])("of %s from %s to %s is %s", (address, from, to, expected) => {
    expect(rewritten(address, { from, to })).toBe(expected);
  });

  it("is decided by the first rule that fits", () => {
    const rules = [
      { from: "10.0.0.7", to: "203.0.113.7" },
      { from: "10.0.0.0/24", to: "203.0.113.9" },
    ];
    expect(rewritten("10.0.0.7:80", ...rules)).toBe("203.0.113.7:80");
    expect(rewritten("10.0.0.8:80", ...rules)).toBe("203.0.113.9:80");
  });

  it("may be for one target only", () => {
    expect(rewritten("10.0.0.7:80", { from: "10.0.0.7", to: "b", target: "user.rpc" })).toBe("b:80");
    expect(rewritten("10.0.0.7:80", { from: "10.0.0.7", to: "b", target: "order.rpc" })).toBe("10.0.0.7:80");
  });

  it.each([
    [{ from: "10.0.0.0/33", to: "a" }, /rewrite\[0\]\.from is "10\.0\.0\.0\/33": that is no range/],
    [{ from: "user.internal/8", to: "a" }, /from is .*: that is no range/],
    [{ from: "10.0.0.7:0", to: "a" }, /from is .*: it has the port "0"/],
    [{ from: "10.0.0.0/8:99999", to: "a" }, /from is .*: it has the port "99999"/],
    [{ from: "10.0.0.300", to: "a" }, /from is .*: it looks like an IPv4 address but is none/],
    [{ from: "", to: "a" }, /from is "": it must be a text/],
    [{ from: "10.0.0.7", to: "a b" }, /to is "a b"/],
    [{ from: "10.0.0.7", to: "10.0.0.0/24" }, /to is the range .* none of the same size/],
    [{ from: "10.0.0.0/25", to: "10.0.0.0/24" }, /none of the same size/],
    [{ from: "10.0.0.0/24", to: "fd00::/24" }, /none of the same size/],
    [{ from: "10.0.0.7", too: "a" }, /rewrite\[0\]\.too is not an option; did you mean to\?/],
    [{ from: "10.0.0.7" }, /to is undefined/],
    [{ from: "10.0.0.7", to: "a", target: "http://x" }, /target "http:\/\/x"/],
  ])("%j is refused", (rule, message) => {
    expect(() => rewriteBy([rule as RewriteRule], "user.rpc", "rewrite")).toThrow(message);
  });
});

describe("a range of IP addresses", () => {
  it("holds what has its prefix, and finds each address again", () => {
    const ipv4 = fc.nat(0xffffffff).map((n) => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join("."));
    const group = fc.nat(0xffff).map((n) => n.toString(16));
    const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(":"));
    const sized = fc.oneof(
      fc.tuple(ipv4, ipv4, fc.integer({ min: 0, max: 32 })),
      fc.tuple(ipv6, ipv6, fc.integer({ min: 0, max: 128 })),
    );
    fc.assert(
      fc.property(sized, ([inside, other, length]) => {
        const range = ipRange(`${inside}/${length}`);
        if (range === null) throw new Error(`${inside}/${length} is a range`);
        const offset = offsetIn(range, inside);
        if (offset === null) throw new Error(`${inside} lies in its own range`);
        expect(canonical(addressAt(range, offset))).toBe(canonical(inside));
        expect(offsetIn(range, other) !== null).toBe(bits(other).slice(0, length) === bits(inside).slice(0, length));
      }),
      { numRuns: 2000 },
    );
  });
});

function canonical(host: string): string {
  const read = readHostPort(host.includes(":") ? `[${host}]:1` : `${host}:1`);
  if (isFault(read)) throw new Error(`${host} ${read.problem}`);
  return read.host;
}

function bits(host: string): string {
  const isIPv6 = host.includes(":");
  return host
    .split(isIPv6 ? ":" : ".")
    .map((part) =>
      Number.parseInt(part, isIPv6 ? 16 : 10)
        .toString(2)
        .padStart(isIPv6 ? 16 : 8, "0"),
    )
    .join("");
}
