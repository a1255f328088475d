import { describe, expect, it } from "vitest";
import { seededRandom } from "../../rpc/random.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Instance } from "../registry.ts";
import { entryId } from "../remote/entry-id.ts";
import { endEntry, isWritten, readEntry, type ServiceDefinition, writeService } from "./format.ts";
import { type ConsulOptions, completeConsulOptions } from "./options.ts";

const full: Instance = {
  id: "user.rpc-77-abc",
  addresses: [
    { address: "10.0.0.7:8080", network: "vpc-a" },
    { address: "[fd00::7]:8081", network: "" },
  ],
  weight: 2.5,
  zone: "zone-1",
  version: "1.2.3",
  tags: { canary: "yes", "with space": 'and "quotes" ü 😀', zone: "odd", bowline: "odd", empty: "" },
  state: "draining",
};

function write(instance: Instance, options: ConsulOptions = {}): ServiceDefinition {
  return writeService("user.rpc", instance, completeConsulOptions(options, {}), "run1");
}

/** As the health API shows it. */
function shown({ Name, Check: _check, ...service }: ServiceDefinition, more: object = {}): object {
  const Service = { Service: Name, Address: "", Port: 0, ...service, ...more };
  return { Node: { Address: "10.9.9.9" }, Service, Checks: [{ Status: "passing" }] };
}

function read(entry: unknown, health: "passing" | "warning" | "any" = "passing") {
  return readEntry(entry, health);
}

describe("the format of Consul entries", () => {
  it("writes no half of a character: Consul would give back another, and what is there would never be what was written", () => {
    const { Meta } = write({ ...full, tags: { half: "a\ud800b" } });
    expect(Meta.half).toBe("a\ufffdb");
    const service = { Meta: { ...Meta }, Weights: { Passing: 3, Warning: 1 } };
    expect(isWritten(service, write({ ...full, tags: { half: "a\ud800b" } }))).toBe(true);
    expect(isWritten({ ...service, Meta: { ...Meta, more: "" } }, write(full))).toBe(false);
    expect(isWritten(undefined, write(full))).toBe(false);
  });

  it("brings back each field of an instance", () => {
    for (const instance of [
      full,
      instanceAt("10.0.0.7:8080"),
      instanceAt("[fd00::7]:80"),
      instanceAt("unix:/run/u.sock"),
      instanceAt("user.internal:80"),
    ]) {
      expect(read(shown(write(instance)))).toEqual({ instance });
    }
  });

  it("brings back instances with anything in them, within Consul's limits", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const text = (max: number): string =>
      String.fromCodePoint(
        ...Array.from(
          { length: Math.floor(random() * max) },
          () => 0x20 + Math.floor(random() * (random() < 0.2 ? 0xd000 : 0x5f)),
        ),
      );
    for (let round = 0; round < 300; round++) {
      const tags = Object.fromEntries(
        Array.from({ length: Math.floor(random() * 60) }, () => [
          random() < 0.5 ? `key_${text(3).replace(/[^\w-]/g, "")}` : text(12),
          text(40),
        ]),
      );
      const instance: Instance = {
        ...full,
        id: `i${text(100)}`,
        zone: text(700),
        version: text(20),
        weight: random() * 100,
        tags,
        state: "ready",
      };
      const definition = write(instance);
      expect(Object.keys(definition.Meta).length, `seed ${seed}`).toBeLessThanOrEqual(64);
      for (const [key, value] of Object.entries(definition.Meta)) {
        expect(key).toMatch(/^[A-Za-z0-9_-]{1,128}$/);
        expect(Buffer.byteLength(value)).toBeLessThanOrEqual(512);
      }
      expect(read(shown(definition)), `seed ${seed}, round ${round}`).toEqual({ instance });
    }
  });

  it("shows readers of zero-contrib's format what they look for", () => {
    const definition = write({ ...full, weight: 3 }, { tags: ["v1"], meta: { team: "a" } });
    expect(definition).toMatchObject({
      Name: "user.rpc",
      Address: "10.0.0.7",
      Port: 8080,
      Tags: ["v1"],
      Weights: { Passing: 3 },
      Meta: { team: "a", zone: "zone-1", version: "1.2.3", canary: "yes" },
    });
    expect(write(instanceAt("[fd00::7]:80"))).toMatchObject({ Address: "fd00::7", Port: 80 });
    expect(write({ ...full, weight: 0 }).Weights.Passing).toBe(1);
    expect(write({ ...full, weight: 1e9 }).Weights.Passing).toBe(65_535);
  });

  it("says how Consul finds out whether it lives", () => {
    const id = entryId("user.rpc", full.id);
    const check = (options: ConsulOptions): object => write(full, options).Check;
    expect(check({ ttlSeconds: 15 })).toEqual({
      CheckID: `service:${id}`,
      Name: "bowline ttl",
      Status: "passing",
      TTL: "15s",
      DeregisterCriticalServiceAfter: "60s",
    });
    // Nobody updates it, and it does not run out.
    expect(write(full, {}).Checks).toEqual([
      { CheckID: `restart:${id}`, Name: "bowline restart", Status: "passing", TTL: "876000h" },
    ]);
    expect(write(full, { check: "tcp" }).Checks).toEqual([]);
    expect(check({ check: "tcp", checkIntervalSeconds: 3 })).toMatchObject({
      TCP: "10.0.0.7:8080",
      Interval: "3s",
      Timeout: "3s",
    });
    expect(check({ check: "grpc" })).toMatchObject({ GRPC: "10.0.0.7:8080", GRPCUseTLS: false });
    expect(check({ check: { kind: "grpc", service: "user.v1.User", tls: true } })).toMatchObject({
      GRPC: "10.0.0.7:8080/user.v1.User",
      GRPCUseTLS: true,
    });
    expect(check({ check: { kind: "http", url: "http://10.0.0.7:9090/healthz" } })).toMatchObject({
      HTTP: "http://10.0.0.7:9090/healthz",
    });
    expect(() => write(instanceAt("unix:/run/u.sock"), { check: "tcp" })).toThrow(
      /an agent can't check unix:\/run\/u\.sock with tcp/,
    );
  });

  it("has ids that are unique over services, safe in a path, and readable", () => {
    expect(entryId("user.rpc", "user.rpc-77-abc")).toMatch(/^user\.rpc-77-abc-[0-9a-f]{12}$/);
    expect(entryId("order", "user.rpc-77-abc")).toMatch(/^order-user\.rpc-77-abc-[0-9a-f]{12}$/);
    const odd = ["../x", "a/b", "ü", "%41", "A", "a", "x".repeat(255)].map((id) => entryId("s/../t", id));
    expect(new Set(odd).size).toBe(7);
    for (const id of odd) expect(id).toMatch(/^[A-Za-z0-9_.:-]{1,230}$/);
    expect(entryId("a", "a-b-c")).not.toBe(entryId("a-b", "a-b-c"));
  });

  it("refuses tags that Consul has no room for, before anybody is asked", () => {
    const tags = { long: "x".repeat(20_000) };
    expect(() => write({ ...full, tags })).toThrow(
      /the tags of instance "user\.rpc-77-abc" take 20\d\d\d bytes; Consul has room for 16384: give it fewer or shorter tags/,
    );
  });

  it("reads what zero-contrib and others have registered", () => {
    const entry = {
      Node: { Address: "10.9.9.9" },
      Service: {
        ID: "user.rpc-10.0.0.1-8080",
        Address: "10.0.0.1",
        Port: 8080,
        Tags: ["v2", "colour=blue"],
        Meta: { version: "2", team: "a" },
        Weights: { Passing: 4, Warning: 2 },
      },
      Checks: [{ Status: "passing" }, { Status: "passing" }],
    };
    const instance = {
      ...instanceAt("10.0.0.1:8080"),
      id: "user.rpc-10.0.0.1-8080",
      weight: 4,
      version: "2",
      tags: { v2: "", colour: "blue", team: "a" },
    };
    expect(read(entry)).toEqual({ instance });
    expect(read({ ...entry, Checks: [{ Status: "passing" }, { Status: "warning" }] }, "warning")).toEqual({
      instance: { ...instance, weight: 2 },
    });
  });

  it("weighs as usual where what is written is more than any number", () => {
    const Weights = JSON.parse('{"Passing":1e999}');
    const entry = { Service: { ID: "x", Address: "10.0.0.1", Port: 80, Weights }, Checks: [] };
    expect(read(entry)).toMatchObject({ instance: { weight: 1 } });
  });

  it("takes gRPC's port where Spring has registered the one of HTTP", () => {
    const Service = { ID: "x", Address: "10.0.0.1", Port: 8080, Meta: { gRPC_port: "9090" } };
    expect(read({ Service, Checks: [] })).toMatchObject({ instance: { addresses: [{ address: "10.0.0.1:9090" }] } });
    const own = { ...full, tags: { gRPC_port: "9090" } };
    expect(read(shown(write(own)))).toEqual({ instance: own });
  });

  it("takes the node's address for a service without one, and other addresses for other networks", () => {
    const TaggedAddresses = {
      lan_ipv4: { Address: "10.9.9.9", Port: 80 },
      wan_ipv4: { Address: "203.0.113.9", Port: 8443 },
      wan: { Address: "203.0.113.9", Port: 8443 },
      "consul-virtual": { Address: "240.0.0.1", Port: 80 },
    };
    const entry = {
      Node: { Address: "10.9.9.9" },
      Service: { ID: "x", Address: "", Port: 80, Meta: null, TaggedAddresses },
      Checks: [],
    };
    expect(read(entry)).toMatchObject({
      instance: {
        addresses: [
          { address: "10.9.9.9:80", network: "" },
          { address: "203.0.113.9:8443", network: "wan" },
        ],
      },
    });
  });

  it("leaves out those whose checks fail, as it is told", () => {
    const entry = (status: string): object => ({
      ...shown(write(full)),
      Checks: [{ Status: "passing" }, { Status: status }],
    });
    const seen = (status: string): boolean[] =>
      (["passing", "warning", "any"] as const).map((health) => read(entry(status), health) !== undefined);
    expect(seen("passing")).toEqual([true, true, true]);
    expect(seen("warning")).toEqual([false, true, true]);
    expect(seen("critical")).toEqual([false, false, true]);
    expect(seen("maintenance")).toEqual([false, false, true]);
  });

  it("believes no details that belong to another address", () => {
    const moved = shown(write(full), { Address: "10.0.0.8" });
    expect(read(moved)).toMatchObject({
      instance: { addresses: [{ address: "10.0.0.8:8080", network: "" }], state: "ready" },
    });
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /an entry without an id/],
    ["a text", "x", /an entry without an id/],
    ["no service", { Node: {} }, /an entry without an id/],
    ["no address", { Service: { ID: "x", Port: 80 } }, /"x": "" with port "80" is no address/],
    ["port 0", { Service: { ID: "x", Address: "a", Port: 0 } }, /"x": "a:0" with port "0" is no address/],
    ["a port beyond", { Service: { ID: "x", Address: "a", Port: 70_000 } }, /is no address/],
    ["a port as text", { Service: { ID: "x", Address: "a", Port: "80" } }, /is no address/],
    ["a host that is none", { Service: { ID: "x", Address: "a b", Port: 80 } }, /is no address/],
    [
      "1 MiB",
      { Service: { ID: "x", Address: "a".repeat(2 ** 20), Port: 80 } },
      /^"x": ".{1,80}" with port "80" is no address$/,
    ],
    [
      "details that are no JSON",
      { Service: { ID: "x", Address: "a", Port: 80, Meta: { bowline: "{" } } },
      /details are no JSON object: "\{"/,
    ],
    [
      "details without id",
      { Service: { ID: "x", Address: "a", Port: 80, Meta: { bowline: "{}" } } },
      /have no id or address/,
    ],
    [
      "details with an id too long",
      {
        Service: { ID: "x", Address: "a", Port: 80, Meta: { bowline: `{"id":"${"y".repeat(256)}","address":"a:80"}` } },
      },
      /have no id or address/,
    ],
    [
      "details with an address that is none",
      { Service: { ID: "x", Address: "a", Port: 80, Meta: { bowline: '{"id":"y","addresses":[{"address":"a"}]}' } } },
      /have no id or address/,
    ],
  ])("says what is wrong with an entry: %s", (_name, entry, fault) => {
    expect(read(entry)?.fault).toMatch(fault);
  });

  it("leaves out an entry whose registration has ended, by a mark in its tags that counts for that registration only", () => {
    const instance = instanceAt("10.0.0.7:8080");
    const entry = shown(write(instance, { tags: ["v1"] })) as { Node: object; Service: object };
    const failing = { ...entry, Node: { Node: "n1" }, Checks: [{ Status: "critical" }] };
    const [change, check, ...rest] = endEntry(failing, "run1") as [
      { Service: { Service: Partial<ServiceDefinition> } },
      object,
    ];
    expect(change).toMatchObject({ Service: { Verb: "cas", Node: "n1" } });
    const ID = entryId("user.rpc", instance.id);
    expect(check).toMatchObject({ Check: { Verb: "set", Check: { Node: "n1", ServiceID: ID, Status: "critical" } } });
    expect(rest).toEqual([]);
    const { Service } = change.Service;
    expect(Service).toEqual({ ...entry.Service, Tags: ["v1", ...(Service.Tags ?? []).slice(1)] });
    expect(read({ ...entry, Service }, "any")).toBeUndefined();
    expect(endEntry({ ...failing, Service }, "run1")).toEqual([]);
    expect(endEntry(failing, "run2")).toEqual([]);
    const again = { ...Service, Meta: { ...Service.Meta, "bowline-run": "run2" } };
    expect(read({ ...entry, Service: again })).toEqual({ instance: { ...instance, tags: { v1: "" } } });
  });

  it("never throws, whatever an entry holds", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const values: unknown[] = [null, 0, -1, 1e300, "", "x", "__proto__", [], {}, true, [null], { a: 1 }, '{"v":9}'];
    const some = (): unknown => values[Math.floor(random() * values.length)];
    for (let round = 0; round < 2000; round++) {
      const Service = {
        ID: "x",
        Address: "10.0.0.1",
        Port: 80,
        Meta: { bowline: some(), zone: some() },
        Tags: [some(), some()],
        Weights: { Passing: some() },
        TaggedAddresses: { wan: { Address: some(), Port: some() } },
      };
      const broken = {
        Node: some(),
        Service:
          random() < 0.1 ? some() : { ...Service, [["Meta", "Tags", "Port", "Address", "Weights"][round % 5]]: some() },
        Checks: random() < 0.5 ? some() : [some()],
      };
      expect(() => read(broken, "any"), `seed ${seed}, round ${round}`).not.toThrow();
      expect(() => endEntry(broken, ""), `seed ${seed}, round ${round}`).not.toThrow();
    }
  });
});
