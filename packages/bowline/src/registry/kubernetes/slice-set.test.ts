import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSlice, type Slice } from "./endpoint-slice.ts";
import { SliceSet } from "./slice-set.ts";

let version = 0;

/** A slice as the API sends it; `pods` are `name=address` with `!` in front for one that is not ready, `~` for one that leaves. */
function slice(name: string, pods: readonly string[], more: object = {}): Slice {
  const endpoints = pods.map((pod) => {
    const [, sign, target, address] = /^([!~]?)([^=]+)=(.*)$/.exec(pod) as RegExpExecArray;
    const isReady = sign === "";
    return {
      addresses: [address],
      conditions: { ready: isReady, serving: sign !== "!", terminating: sign === "~" },
      targetRef: { kind: "Pod", name: target, uid: `uid-${target}` },
    };
  });
  const metadata = { name, resourceVersion: String(++version) };
  const ports = [{ name: "grpc", port: 8080, protocol: "TCP" }];
  return readSlice({ metadata, addressType: "IPv4", ports, endpoints, ...more }) as Slice;
}

function shown(set: SliceSet): string[] {
  return set.instances.map(({ addresses, state }) => `${addresses.map(({ address }) => address).join("+")} ${state}`);
}

describe("the slices of a service", () => {
  it("are one set of instances; pods that aren't ready are left out, those that leave are draining", () => {
    const set = new SliceSet(undefined);
    expect(set.put(slice("s1", ["a=10.0.0.1", "!b=10.0.0.2"]))).toBe(true);
    expect(set.put(slice("s2", ["~c=10.0.0.3"]))).toBe(true);
    expect(shown(set)).toEqual(["10.0.0.1:8080 ready", "10.0.0.3:8080 draining"]);
  });

  it("give a pod of both families once, IPv4 first", () => {
    const set = new SliceSet(undefined);
    set.put(slice("v6", ["a=fd00::1"], { addressType: "IPv6" }));
    set.put(slice("v4", ["a=10.0.0.1"]));
    expect(shown(set)).toEqual(["10.0.0.1:8080+[fd00::1]:8080 ready"]);
  });

  it("lose nobody who moves from one to another, in either order of events", () => {
    for (const firstAway of [true, false]) {
      const set = new SliceSet(undefined);
      set.put(slice("s1", ["a=10.0.0.1", "b=10.0.0.2"]));
      const [before] = set.instances;
      const [away, there] = [slice("s1", ["b=10.0.0.2"]), slice("s2", ["a=10.0.0.1"])];
      if (firstAway) set.replace([away, there]);
      else {
        set.put(there);
        set.put(away);
      }
      expect(set.instances.find(({ id }) => id === "uid-a")).toBe(before);
      expect(set.instances).toHaveLength(2);
    }
  });

  it("keep the objects of instances that stay, and tell no change where there is none", () => {
    const set = new SliceSet(undefined);
    const first = slice("s1", ["a=10.0.0.1", "b=10.0.0.2"]);
    set.put(first);
    const [a, b] = set.instances;
    expect(set.put(first)).toBe(false);
    expect(set.put(slice("s1", ["b=10.0.0.2", "a=10.0.0.1"]))).toBe(false);
    expect(set.put(slice("s1", ["a=10.0.0.1", "~b=10.0.0.2"]))).toBe(true);
    expect(set.instances[0]).toBe(a);
    expect(set.instances[1]).not.toBe(b);
    expect(set.delete("s1")).toBe(true);
    expect(set.delete("s1")).toBe(false);
    expect(set.instances).toEqual([]);
  });

  it.each<[string, string | number | undefined, object[], string[], RegExp | undefined]>([
    ["the only port", undefined, [{ name: "", port: 80 }], ["10.0.0.1:80 ready"], undefined],
    [
      "no port of several",
      undefined,
      [
        { name: "a", port: 1 },
        { name: "b", port: 2 },
      ],
      [],
      /several ports: a \(1\), b \(2\); write .*service:a$/,
    ],
    ["no port of none", undefined, [], [], /no TCP port/],
    [
      "a port by name",
      "b",
      [
        { name: "a", port: 1 },
        { name: "b", port: 2 },
      ],
      ["10.0.0.1:2 ready"],
      undefined,
    ],
    ["a name that isn't there", "c", [{ name: "a", port: 1 }], [], /no port c; it has a \(1\)/],
    ["a number as written", 90, [{ name: "", port: 90 }], ["10.0.0.1:90 ready"], undefined],
    [
      "a number of no pod",
      80,
      [{ name: "a", port: 90 }],
      ["10.0.0.1:80 ready"],
      /called as written, but .* a \(90\): is it/,
    ],
    ["a number without ports", 80, [], ["10.0.0.1:80 ready"], undefined],
    [
      "no port of UDP",
      undefined,
      [
        { port: 1, protocol: "UDP" },
        { port: 2, protocol: "TCP" },
      ],
      ["10.0.0.1:2 ready"],
      undefined,
    ],
  ])("take %s", (_what, wanted, ports, instances, fault) => {
    const set = new SliceSet(wanted);
    set.put(slice("s1", ["a=10.0.0.1"], { ports }));
    expect(shown(set)).toEqual(instances);
    expect(set.faults.join()).toMatch(fault ?? /^$/);
  });

  it("skip addresses that are none, with a word on each, and forget the fault with the slice", () => {
    const set = new SliceSet(undefined);
    set.put(slice("s1", ["a=10.0.0.999", "b=fd00::1", "c=", "d=10.0.0.4"]));
    expect(shown(set)).toEqual(["10.0.0.4:8080 ready"]);
    expect(set.faults).toEqual(['s1: "10.0.0.999" is no IPv4', 's1: "fd00::1" is no IPv4', 's1: "" is no IPv4']);
    set.delete("s1");
    expect(set.faults).toEqual([]);
  });

  it("are the same whatever way they came: one by one, or all at once", () => {
    const pods = fc.uniqueArray(fc.nat(12), { maxLength: 8 });
    const steps = fc.array(fc.tuple(fc.constantFrom("s1", "s2", "s3"), fc.option(pods)), { maxLength: 20 });
    fc.assert(
      fc.property(steps, (all) => {
        const grown = new SliceSet(undefined);
        const last = new Map<string, Slice>();
        for (const [name, numbers] of all) {
          if (numbers === null) {
            grown.delete(name);
            last.delete(name);
          } else {
            const next = slice(
              name,
              numbers.map((number) => `p${number}=10.0.0.${number}`),
            );
            grown.put(next);
            last.set(name, next);
          }
        }
        const whole = new SliceSet(undefined);
        whole.replace([...last.values()]);
        expect(shown(grown).sort()).toEqual(shown(whole).sort());
        const ids = new Set([...last.values()].flatMap(({ endpoints }) => endpoints.map(({ key }) => key)));
        expect(grown.instances).toHaveLength(ids.size);
      }),
      { numRuns: 300 },
    );
  });
});

it.each([null, 7, "text", [], {}, { metadata: {} }, { metadata: { name: "" } }, { metadata: { name: 7 } }])(
  "%j is no slice",
  (value) => {
    expect(readSlice(value)).toBeUndefined();
  },
);

it("a slice of nothing but a name has no endpoints", () => {
  expect(readSlice({ metadata: { name: "s" }, endpoints: { a: 1 }, ports: [7, null, { port: "x" }] })).toMatchObject({
    name: "s",
    ports: [],
    endpoints: [],
  });
});
