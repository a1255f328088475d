import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { instanceAt } from "../instance/instance.ts";
import {
  decodeLease,
  encodeLease,
  fileName,
  fileRole,
  type Lease,
  leaseFileName,
  MAX_LEASE_BYTES,
} from "./lease-file.ts";

const LEASE: Lease = {
  service: "user.rpc",
  process: { pid: 7, startTime: "4711", pidSpace: "here" },
  instance: { ...instanceAt("10.0.0.7:8080"), tags: { ü: "\u2028", ["__proto__"]: "own" } },
};

describe("a lease file", () => {
  it("is read as it was written", () => {
    expect(decodeLease(encodeLease(LEASE))).toEqual({ lease: LEASE });
  });

  it("holds nothing of an instance but its fields", () => {
    const instance = { ...LEASE.instance, secret: "not to be seen" };
    expect(encodeLease({ ...LEASE, instance })).not.toContain("secret");
  });

  it("has a bound, told with the way out", () => {
    const instance = { ...LEASE.instance, tags: { long: "x".repeat(MAX_LEASE_BYTES) } };
    expect(() => encodeLease({ ...LEASE, instance })).toThrow(/at most 65536 are allowed; shorten its tags/);
  });

  const bad: [string, string, RegExp][] = [
    ["empty", "", /empty/],
    ["half written", encodeLease(LEASE).slice(0, 100), /no JSON/],
    ["no object", "17", /no lease/],
    ["of another format", '{"format":2}', /no lease of format 1/],
    ["without process", '{"format":1,"service":"a","instance":{}}', /no lease/],
    ["of process group 0", encodeLease({ ...LEASE, process: { ...LEASE.process, pid: 0 } }), /no lease/],
    ["of all processes", encodeLease({ ...LEASE, process: { ...LEASE.process, pid: -1 } }), /no lease/],
    ["without id", encodeLease(LEASE).replace('"id": "10.0.0.7:8080"', '"id": ""'), /instance\.id/],
    ["without port", encodeLease(LEASE).replace('"address": "10.0.0.7:8080"', '"address": "10.0.0.7"'), /no port/],
    ["with a weight of text", encodeLease(LEASE).replace('"weight": 1', '"weight": "1"'), /instance\.weight/],
  ];
  it.each(bad)("that is %s is refused with the reason", (_, text, problem) => {
    expect(decodeLease(text)).toEqual({ problem: expect.stringMatching(problem) });
  });

  it("never makes reading fail, whatever is in it", () => {
    const mutated = fc.tuple(fc.nat(400), fc.string({ unit: "binary", maxLength: 20 })).map(([at, junk]) => {
      const text = encodeLease(LEASE);
      return text.slice(0, at) + junk + text.slice(at + junk.length);
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string({ unit: "binary" }), fc.json()), (text) => {
        const decoded = decodeLease(text);
        if ("problem" in decoded) expect(decoded.problem.length).toBeLessThanOrEqual(200);
        else expect(decoded.lease.instance.addresses.length).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a file name", () => {
  it("shows plain names as they are and writes the rest in percent", () => {
    expect(fileName("user.v1.User_Service-2")).toBe("user.v1.User_Service-2");
    expect(fileName("a/b c")).toBe("a%2Fb%20c");
    expect(fileName("..")).toBe("%2E%2E");
    expect(fileName(".")).toBe("%2E");
    expect(fileName("ü")).toBe("%C3%BC");
    expect(fileName("CON.x")).toBe("%43ON.x");
    expect(fileName("a\0")).toBe("a%00");
  });

  it("is safe on every file system, differs where names differ, and is a lease's in the eyes of a reader", () => {
    const name = fc.oneof(fc.string({ minLength: 1 }), fc.string({ unit: "grapheme", minLength: 1, maxLength: 255 }));
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(name, (text) => {
        const file = leaseFileName(text);
        expect(file).toMatch(/^[A-Za-z0-9_%~-][A-Za-z0-9._%~-]*\.json$/);
        expect(file.length).toBeLessThanOrEqual(255);
        expect(fileRole(file)).toBe("lease");
        expect(fileName(text)).not.toMatch(/\.$/);
        expect(seen.get(file) ?? text).toBe(text);
        seen.set(file, text);
      }),
      { numRuns: 2_000 },
    );
  });
});
