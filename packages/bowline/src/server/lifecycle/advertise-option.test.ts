import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { advertisedPorts, readAdvertise, withNextPorts } from "./advertise-option.ts";

const FIELD = "createServer options.advertise";

describe("the option advertise", () => {
  it.each([
    ["", "has a form"],
    ["auto:0", "port 0 is not from 1 to 65535"],
    ["auto:70000", "port 70000 is not from 1 to 65535"],
    ["interface:", "name an interface"],
    ["interface:eth 1", "name an interface"],
    ["interface:eth1:0", "port 0 is not from 1 to 65535"],
    ["cidr:10.0.0.0", '"10.0.0.0" has no /bits'],
    ["cidr:10.0.0.0/8:0", "port 0 is not from 1 to 65535"],
    ["cidr:ten/8", "no IP address"],
    ["env:", '"" is no name of a variable'],
    ["env:POD-IP", '"POD-IP" is no name of a variable'],
    ["0.0.0.0", "0.0.0.0 is what a server listens on"],
    ["[::]:80", ":: is what a server listens on"],
    ["fd00::7", "an IPv6 address stands in brackets"],
    ["10.0.0.300", '"10.0.0.300" is no IPv4 address'],
    ["a b", 'address "a b"'],
    ["http://a:80", 'address "http://a:80"'],
    ["unix:", "the path of the Unix socket is missing"],
  ])("%j is refused, with the ways to write it", (text, problem) => {
    const read = (): unknown => readAdvertise(text, FIELD);
    expect(read).toThrow(new RegExp(`^${FIELD.replace(".", "\\.")}`));
    if (text !== "") expect(read).toThrow(problem);
  });

  it.each([
    [[{ network: "a" }], "createServer options.advertise[0]: give { network:"],
    [[{ network: "a", address: "auto" }, "auto"], "createServer options.advertise[1]: give { network:"],
    [[{ network: "a", address: "env:" }], "createServer options.advertise[0].address is"],
    [7, "createServer options.advertise is number: write"],
    [null, "createServer options.advertise is object: write"],
  ])("%j is refused, with its place", (option, text) => {
    expect(() => readAdvertise(option as unknown as string, FIELD)).toThrow(text);
  });

  it.each([
    ["10.0.0.7:8080", "10.0.0.7:8082", [8080]],
    ["[fd00::7]:8080", "[fd00::7]:8082", [8080]],
    ["interface:eth1:8080", "interface:eth1:8082", [8080]],
    ["cidr:fd00::/8:8080", "cidr:fd00::/8:8082", [8080]],
    ["auto:8080", "auto:8082", [8080]],
    ["10.0.0.7", "10.0.0.7", []],
    ["[fd00::7]", "[fd00::7]", []],
    ["interface:eth1", "interface:eth1", []],
    ["env:HOST", "env:HOST", []],
  ])("%s is %s for the third of several servers with a port each", (text, next, ports) => {
    expect(withNextPorts(text, 2)).toBe(next);
    const list = withNextPorts([{ network: "a", address: text }], 2);
    expect(list).toEqual([{ network: "a", address: next }]);
    expect(advertisedPorts(text, FIELD)).toEqual(ports);
  });

  it("is read or refused with a TypeError or RangeError that names it, whatever it is", () => {
    const piece = fc.constantFrom(
      "auto",
      "interface:",
      "cidr:",
      "env:",
      "unix:",
      ":",
      "/8",
      "10.0.0.7",
      "[fd00::7]",
      "80",
      "eth0",
      "%",
      " ",
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 5 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        try {
          expect(readAdvertise(candidate, FIELD)).toHaveLength(1);
        } catch (error) {
          expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
          expect((error as Error).message.startsWith(FIELD)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
