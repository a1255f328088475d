import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Instance } from "../registry.ts";
import {
  joinInstance,
  keySuffix,
  rangeEnd,
  readDetails,
  readValue,
  serviceKeys,
  serviceOfKey,
  writeDetails,
  writeValue,
} from "./format.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

const instance: Instance = {
  id: "user-1",
  addresses: [
    { address: "10.0.0.7:8080", network: "" },
    { address: "203.0.113.9:80", network: "public" },
  ],
  weight: 2,
  zone: "a",
  version: "1.2",
  tags: { canary: "yes" },
  state: "draining",
};

describe("an instance in etcd", () => {
  it("has go-zero's key and value, byte for byte", () => {
    const { values, details } = serviceKeys("", "user.rpc");
    expect(values + keySuffix(7_587_883_301_129_417_221n, 1)).toBe("user.rpc/7587883301129417221");
    expect(writeValue(instance, "go-zero")).toBe("10.0.0.7:8080");
    expect(details).toBe("bowline/instances/user.rpc/");
    expect(serviceKeys("staging/", "user.rpc")).toEqual({
      values: "staging/user.rpc/",
      details: "staging/bowline/instances/user.rpc/",
    });
  });

  it("has a key of its own when several share a lease", () => {
    expect([1, 2, 3].map((slot) => keySuffix(9n, slot))).toEqual(["9", "9-2", "9-3"]);
  });

  it("has the value of etcd's own gRPC naming when that is asked for", () => {
    expect(writeValue(instance, "grpc-naming")).toBe('{"Op":0,"Addr":"10.0.0.7:8080","Metadata":null}');
  });

  it("says little beside its address when there is little to say", () => {
    const plain: Instance = {
      ...instance,
      addresses: [instance.addresses[0]],
      weight: 1,
      zone: "",
      version: "",
      tags: {},
    };
    expect(writeDetails({ ...plain, state: "ready" })).toBe(
      '{"v":1,"id":"user-1","addresses":[{"address":"10.0.0.7:8080"}]}',
    );
  });

  it("is read as it was written", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 }).filter((each) => each.isWellFormed());
    const address = fc
      .record({ host: fc.ipV4(), port: fc.integer({ min: 1, max: 65_535 }), network: text })
      .map(({ host, port, network }) => ({ address: `${host}:${port}`, network }));
    const any: fc.Arbitrary<Instance> = fc.record({
      id: text.filter((each) => each !== ""),
      addresses: fc.array(address, { minLength: 1, maxLength: 4 }),
      weight: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map((each) => each + 0),
      zone: text,
      version: text,
      tags: fc.dictionary(text, text),
      state: fc.constantFrom("ready" as const, "draining" as const),
    });
    fc.assert(
      fc.property(any, fc.constantFrom("go-zero" as const, "grpc-naming" as const), (written, style) => {
        const value = readValue(bytes(writeValue(written, style)));
        const details = readDetails(bytes(writeDetails(written)));
        if (typeof value === "string" || typeof details === "string")
          throw new Error(`${String(value)} ${String(details)}`);
        expect(JSON.stringify(joinInstance(value, details))).toBe(JSON.stringify(written));
      }),
    );
  });

  it("of a Go service is its address and nothing else", () => {
    const value = readValue(bytes("Host-1.example:8080"));
    expect(value).toEqual({ address: "host-1.example:8080", tags: {} });
    if (typeof value === "string") throw new Error(value);
    expect(joinInstance(value, undefined)).toMatchObject({
      id: "host-1.example:8080",
      weight: 1,
      state: "ready",
      tags: {},
    });
  });

  it("of etcd's gRPC naming brings the texts of its metadata as tags", () => {
    const value = readValue(bytes('{"Op":0,"Addr":"10.0.0.7:80","Metadata":{"zone":"b","weight":3}}'));
    expect(value).toEqual({ address: "10.0.0.7:80", tags: { zone: "b" } });
    expect(readValue(bytes('{"Addr":"10.0.0.7:80"}'))).toEqual({ address: "10.0.0.7:80", tags: {} });
  });

  it("does not take the details of another address for its own", () => {
    const details = readDetails(bytes(writeDetails(instance)));
    if (typeof details === "string") throw new Error(details);
    expect(joinInstance({ address: "10.0.0.8:8080", tags: {} }, details).id).toBe("10.0.0.8:8080");
  });

  it("of a later version is read as far as it is known", () => {
    const later = '{"v":9,"id":"a","addresses":[{"address":"h:1","more":1}],"weight":3,"state":"warming","new":{}}';
    expect(readDetails(bytes(later))).toMatchObject({ id: "a", weight: 3, state: "ready" });
  });

  const badValues: readonly [string, Uint8Array, RegExp][] = [
    ["nothing", bytes(""), /it is empty/],
    ["blanks", bytes("  "), /it is empty/],
    ["a host without a port", bytes("10.0.0.7"), /"10\.0\.0\.7" is no address/],
    ["a port out of range", bytes("10.0.0.7:70000"), /is no address/],
    ["other JSON", bytes('{"weight":1}'), /neither a bare address nor etcd's gRPC naming/],
    ["half of JSON", bytes("{"), /neither a bare address/],
    ["a deleted endpoint", bytes('{"Op":1,"Addr":"h:1"}'), /no added endpoint/],
    ["a mebibyte", Buffer.alloc(1 << 20, "x"), /1048576 bytes, more than 4096/],
    ["no UTF-8", Buffer.from([0xff, 0xfe]), /no UTF-8 text/],
  ];
  it.each(badValues)("that holds %s is none, and the text says why", (_name, value, message) => {
    expect(readValue(value)).toMatch(message);
  });

  const badDetails: readonly [string, RegExp][] = [
    ["[]", /no JSON object/],
    ["{", /no JSON object/],
    ["{}", /id undefined|id "undefined"/],
    ['{"id":""}', /is no name/],
    ['{"id":"a"}', /no addresses/],
    ['{"id":"a","addresses":[null]}', /is no text/],
    ['{"id":"a","addresses":[{"address":"h"}]}', /no address/],
    ['{"id":"a","addresses":[{"address":"h:1"}],"weight":-1}', /weight "-1" is no finite number/],
    ['{"id":"a","addresses":[{"address":"h:1"}],"weight":1e999}', /weight "Infinity" is no finite number/],
    ['{"id":"a","addresses":[{"address":"h:1"}],"tags":{"a":1}}', /tags/],
    ['{"id":"a","addresses":[{"address":"h:1"}],"zone":1}', /zone/],
  ];
  it.each(badDetails)("with the details %s has none, and the text says why", (text, message) => {
    expect(readDetails(bytes(text))).toMatch(message);
  });

  it("gives a reading or a reason for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.json(), (octets, json) => {
        for (const input of [octets, bytes(json)]) {
          for (const read of [readValue(input), readDetails(input)])
            expect(["string", "object"]).toContain(typeof read);
        }
      }),
    );
  });
});

describe("the service of a key", () => {
  it.each([
    ["user.rpc/7587883301129417221", "", "user.rpc"],
    ["user.rpc/7587883301129417221-2", "", "user.rpc"],
    ["shop/user/12", "", "shop/user"],
    ["staging/user.rpc/12", "staging/", "user.rpc"],
    ["user.rpc/10.0.0.7:8080", "", "user.rpc"],
    ["user.rpc/[fd00::7]:8080", "", "user.rpc"],
  ])("%s under the prefix %j is %s", (key, prefix, service) => {
    expect(serviceOfKey(bytes(key), prefix)).toBe(service);
  });

  it.each([
    "user.rpc",
    "user.rpc/",
    "user.rpc/config",
    "/12",
    "12",
    "bowline/instances/user.rpc/12",
    "staging/bowline/instances/a/1",
  ])("is none for %s", (key) => {
    expect(serviceOfKey(bytes(key), "")).toBeUndefined();
  });

  it("is none for octets that are no text, and for names that are no service's", () => {
    expect(serviceOfKey(Uint8Array.of(255, 0x2f, 0x31), "")).toBeUndefined();
    expect(serviceOfKey(bytes(`${"x".repeat(5000)}/12`), "")).toBeUndefined();
  });
});

describe("the range of a prefix", () => {
  it("holds all keys that begin with it, and no others", () => {
    const end = Buffer.from(rangeEnd(bytes("user.rpc/")));
    expect(end.toString()).toBe("user.rpc0");
    expect(Buffer.compare(Buffer.from("user.rpc/\u{10ffff}"), end)).toBeLessThan(0);
    expect(Buffer.compare(Buffer.from("user.rpcx/1"), end)).toBeGreaterThan(0);
  });
});
