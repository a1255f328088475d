import { describe, expect, it } from "vitest";
import { type AddressBlock, readAddressBlock } from "./cidr.ts";

function block(text: string): AddressBlock {
  const read = readAddressBlock(text);
  if (typeof read === "string") throw new Error(read);
  return read;
}

describe("a block of addresses", () => {
  it.each([
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "9.255.255.255", "fd00::1", "ten.internal", ""]],
    ["10.1.2.3/32", ["10.1.2.3"], ["10.1.2.4"]],
    ["10.1.2.3/24", ["10.1.2.255"], ["10.1.3.0"]],
    ["0.0.0.0/0", ["203.0.113.9"], ["::1"]],
    ["fd00::/8", ["fd12::1", "fdff::%eth0"], ["fe80::1", "10.0.0.1"]],
    ["::/0", ["::1"], ["10.0.0.1"]],
  ])("%s", (text, inside, outside) => {
    const { contains } = block(text);
    expect(inside.filter((host) => !contains(host))).toEqual([]);
    expect(outside.filter((host) => contains(host))).toEqual([]);
  });

  it.each([
    ["10.0.0.0", "has no /bits"],
    ["10.0.0/8", 'begins with "10.0.0", which is no IP address'],
    ["ten/8", 'begins with "ten"'],
    ["10.0.0.0/33", 'has "33" bits; IPv4 has 0 to 32'],
    ["fd00::/129", 'has "129" bits; IPv6 has 0 to 128'],
    ["10.0.0.0/", 'has "" bits'],
    ["10.0.0.0/-1", 'has "-1" bits'],
    ["10.0.0.0/8.", 'has "8." bits'],
  ])("%s is none", (text, problem) => {
    expect(readAddressBlock(text)).toContain(problem);
  });
});
