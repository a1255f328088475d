import { describe, expect, it } from "vitest";
import type { Instance } from "../registry.ts";
import { infoOf, keyOfEntry, readInstance, writeInstance, writtenService } from "./format.ts";
import { completeNacosOptions } from "./options.ts";

const options = completeNacosOptions({}, {});
const full: Instance = {
  id: "user-1",
  addresses: [
    { address: "10.0.0.7:8080", network: "vpc-a" },
    { address: "[fd00::7]:8080", network: "" },
  ],
  weight: 2.5,
  zone: "zone-1",
  version: "1.2.3",
  tags: { canary: "yes", zone: "a tag of this name", "preserved.register.source": "x" },
  state: "ready",
};

/** As a server gives it back. */
const returned = (instance: Instance, more: object = {}): unknown => ({
  instanceId: "10.0.0.7#8080#DEFAULT#DEFAULT_GROUP@@user.rpc",
  serviceName: "DEFAULT_GROUP@@user.rpc",
  ...writeInstance(instance, options),
  ...more,
});

describe("an instance in Nacos", () => {
  it("stands where zero-contrib and other SDKs look for it", () => {
    const written = writeInstance(full, options);
    expect(written).toMatchObject({ ip: "10.0.0.7", port: 8080, weight: 2.5, clusterName: "DEFAULT", ephemeral: true });
    expect(written.metadata).toMatchObject({ zone: "zone-1", version: "1.2.3", canary: "yes" });
    expect(written.metadata["preserved.register.source"]).toBeUndefined();
  });

  it("is read as it was written", () => {
    for (const each of [
      full,
      { ...full, weight: 0 },
      { ...full, weight: 0.001 },
      { ...full, weight: 20_000 },
      { ...full, state: "draining" as const },
      { ...full, addresses: [{ address: "[fd00::7]:8080", network: "" }] },
      { ...full, tags: {}, zone: "", version: "", id: "ü 🧀" },
    ]) {
      expect(readInstance(returned(each))).toEqual({ instance: each });
    }
  });

  it("has no weight for others while it drains", () => {
    expect(writeInstance({ ...full, state: "draining" }, options).weight).toBe(0);
  });

  it("gets nothing new while Nacos says that it is not healthy or not enabled", () => {
    for (const flag of ["healthy", "enabled"]) {
      expect(readInstance(returned(full, { [flag]: false }))).toEqual({ instance: { ...full, state: "draining" } });
    }
  });

  it("is read as others write it: weight and metadata, and the port of gRPC that Spring puts there", () => {
    const entry = { ip: "10.0.0.8", port: 80, weight: 3, metadata: { gRPC_port: "9090", zone: "b", app: "shop" } };
    expect(readInstance(entry)).toEqual({
      instance: {
        id: "10.0.0.8:9090",
        addresses: [{ address: "10.0.0.8:9090", network: "" }],
        weight: 3,
        zone: "b",
        version: "",
        tags: { gRPC_port: "9090", app: "shop" },
        state: "ready",
      },
    });
    const elsewhere = readInstance({ ip: "10.0.0.8", port: 80, clusterName: "B" });
    expect(elsewhere).toMatchObject({ instance: { id: "10.0.0.8:80#B" } });
  });

  it("weighs as usual where what is written is more than any number", () => {
    const entry = JSON.parse('{"ip":"10.0.0.8","port":80,"weight":1e999}');
    expect(readInstance(entry)).toMatchObject({ instance: { weight: 1 } });
    const bowline = '{"v":1,"id":"a","address":"10.0.0.8:80","weight":1e999}';
    expect(readInstance({ ...entry, weight: 3, metadata: { bowline } })).toMatchObject({
      instance: { id: "a", weight: 3 },
    });
  });

  it("does not take the details of an entry that was copied to another address", () => {
    const read = readInstance(returned(full, { ip: "10.0.0.9" }));
    const addresses = [{ address: "10.0.0.9:8080", network: "" }];
    expect(read).toMatchObject({ instance: { id: "10.0.0.9:8080", addresses } });
  });

  it("is left out with a reason where it is none", () => {
    const bad: unknown[] = [
      null,
      "text",
      {},
      { ip: "", port: 80 },
      { ip: "10.0.0.1", port: 0 },
      { ip: "10.0.0.1", port: 70_000 },
      { ip: "10.0.0.1", port: "80" },
      { ip: "no host", port: 80 },
      { ip: "10.0.0.1", port: 80, metadata: { bowline: "{" } },
      { ip: "10.0.0.1", port: 80, metadata: { bowline: "[]" } },
    ];
    for (const entry of bad) expect(readInstance(entry).fault).toMatch(/is no address|details/);
  });

  it("can't be a Unix socket", () => {
    const local = { ...full, addresses: [{ address: "unix:/run/a.sock", network: "" }] };
    expect(() => writeInstance(local, options)).toThrow(/addresses\[0\].*host:port first/);
  });

  it("is told from others by what is written", () => {
    expect(keyOfEntry(returned(full))).toBe(keyOfEntry(writeInstance(full, options)));
    expect(keyOfEntry(returned(full))).not.toBe(keyOfEntry(writeInstance({ ...full, id: "user-2" }, options)));
  });
});

describe("a service in Nacos", () => {
  it("keeps a name that Nacos takes, and encodes what it would refuse or misread", () => {
    expect(["user.rpc", "a/b:c_d-e", "..", "user%2Frpc", "a b", "x@@y", "käse"].map(writtenService)).toEqual([
      ...["user.rpc", "a/b:c_d-e", ".."],
      ...["user%252Frpc", "a%20b", "x%40%40y", "k%C3%A4se"],
    ]);
    expect(() => writtenService("ü".repeat(255))).toThrow(/service: .*512/);
  });

  it("may come without a list of instances, but not with something else in its place", () => {
    expect(infoOf({ name: "a" })).toEqual({ hosts: [], time: 0 });
    expect(infoOf({ hosts: [1], lastRefTime: 5 })).toEqual({ hosts: [1], time: 5 });
    expect([infoOf(null), infoOf("x"), infoOf({ hosts: {} })]).toEqual([undefined, undefined, undefined]);
  });
});
