import { describe, expect, it } from "vitest";
import { seededRandom } from "../../rpc/random.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Instance } from "../registry.ts";
import { appName, hashCodeOf, readApplications, readInstance, writeInstance } from "./format.ts";
import { completeEurekaOptions, type EurekaOptions } from "./options.ts";

const full: Instance = {
  id: "user.rpc-77-abc",
  addresses: [
    { address: "10.0.0.7:8080", network: "vpc-a" },
    { address: "[fd00::7]:8081", network: "" },
  ],
  weight: 2.5,
  zone: "zone-1",
  version: "1.2.3",
  tags: { canary: "yes", "with space": 'and "quotes" ü 😀', zone: "odd", bowline: "odd", weight: "odd", empty: "" },
  state: "ready",
};

function checked(options: Partial<EurekaOptions> = {}) {
  return completeEurekaOptions({ hosts: "a", ...options }, {});
}

function write(instance: Instance, options: Partial<EurekaOptions> = {}) {
  return writeInstance("user.rpc", "entry-1", instance, checked(options), 5).instance;
}

/** An instance as a Java service has registered it. */
function java(more: object = {}): object {
  return {
    instanceId: "host:user:8080",
    app: "USER",
    hostName: "host.internal",
    ipAddr: "10.0.0.1",
    status: "UP",
    port: { $: 8080, "@enabled": "true" },
    securePort: { $: 8443, "@enabled": "false" },
    metadata: { "@class": "java.util.Collections$EmptyMap" },
    ...more,
  };
}

describe("the format of Eureka instances", () => {
  it("brings back each field of an instance", () => {
    for (const instance of [
      full,
      instanceAt("10.0.0.7:8080"),
      instanceAt("[fd00::7]:80"),
      instanceAt("user.internal:80"),
      { ...full, weight: 0 },
    ]) {
      for (const secure of [false, true]) {
        const entry = readInstance(write(instance, { secure }), checked({ secure }));
        expect(entry).toMatchObject({ id: "entry-1", status: "UP", fault: "", service: "user.rpc", instance });
      }
    }
  });

  it("shows Java's clients what they look for", () => {
    expect(write(full, { ttlSeconds: 15 })).toMatchObject({
      instanceId: "entry-1",
      app: "USER.RPC",
      hostName: "10.0.0.7",
      ipAddr: "10.0.0.7",
      vipAddress: "user.rpc",
      status: "UP",
      port: { $: 8080, "@enabled": "true" },
      securePort: { $: 443, "@enabled": "false" },
      leaseInfo: { renewalIntervalInSecs: 5, durationInSecs: 15 },
      metadata: { canary: "yes", empty: "", zone: "zone-1", version: "1.2.3", weight: "2.5" },
      lastDirtyTimestamp: "5",
    });
    expect(write(full, { secure: true })).toMatchObject({
      port: { $: 80, "@enabled": "false" },
      securePort: { $: 8080, "@enabled": "true" },
    });
    expect(() => write(instanceAt("unix:/run/u.sock"))).toThrow(
      /"unix:\/run\/u\.sock" has no host and port, which Eureka needs/,
    );
  });

  it("has applications under their plain names in upper case, and safe ones for others", () => {
    expect(appName("user.rpc")).toBe("USER.RPC");
    for (const name of ["user/rpc", "..", "käse 🧀", "a?b", "x".repeat(255)])
      expect(appName(name)).toMatch(/^[A-Z0-9_.-]{1,255}$/);
    expect(new Set(["a/b", "a_b", "a//b", "a:b"].map(appName)).size).toBe(4);
    expect([".", ".."].map(appName).every((name) => name.length > 2)).toBe(true);
  });

  it("reads what Java's services have registered", () => {
    const read = (more: object, options: Partial<EurekaOptions> = {}) =>
      readInstance(java(more), checked(options)).instance;
    expect(read({})).toEqual({ ...instanceAt("10.0.0.1:8080"), id: "host:user:8080" });
    expect(read({ metadata: { zone: "z", version: "2", weight: "3", team: "a" } })).toMatchObject({
      zone: "z",
      version: "2",
      weight: 3,
      tags: { team: "a" },
    });
    expect(read({ metadata: { weight: "many" } })?.weight).toBe(1);
    expect(read({ metadata: { gRPC_port: "9090" } })?.addresses[0].address).toBe("10.0.0.1:9090");
    expect(read({ metadata: { "gRPC.port": "9091" } })?.addresses[0].address).toBe("10.0.0.1:9091");
    expect(read({ ipAddr: "" })?.addresses[0].address).toBe("host.internal:8080");
    const both = { securePort: { $: "8443", "@enabled": true } };
    expect(read(both)?.addresses[0].address).toBe("10.0.0.1:8080");
    expect(read(both, { secure: true })?.addresses[0].address).toBe("10.0.0.1:8443");
    expect(read({ ...both, port: { $: "8080", "@enabled": "false" } })?.addresses[0].address).toBe("10.0.0.1:8443");
    expect(read({ status: "OUT_OF_SERVICE" })?.state).toBe("draining");
    for (const status of ["DOWN", "STARTING", "UNKNOWN", "", 7]) expect(read({ status })).toBeUndefined();
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /an entry without an id/],
    [
      "no port",
      java({ port: null, securePort: null }),
      /"host:user:8080": "10\.0\.0\.1" with port "none" is no address/,
    ],
    ["no port that is enabled", java({ port: { $: 80, "@enabled": "false" } }), /with port "none"/],
    ["a port beyond", java({ port: { $: 70_000, "@enabled": "true" } }), /with port "70000" is no address/],
    ["no host", java({ ipAddr: "", hostName: "" }), /"" with port/],
    [
      "1 MiB",
      java({ ipAddr: "", hostName: "x".repeat(2 ** 20) }),
      /^"host:user:8080": ".{1,80}" with port "8080" is no address$/,
    ],
    ["details that are no JSON", java({ metadata: { bowline: "{" } }), /its details are no JSON object/],
  ])("says what is wrong with an entry: %s", (_name, value, fault) => {
    const entry = readInstance(value, checked());
    expect(entry.instance).toBeUndefined();
    expect(entry.fault).toMatch(fault);
  });

  it("reads applications in both forms of JSON, and nothing else", () => {
    const user = { name: "USER", instance: [java()] };
    for (const application of [[user], user, [{ name: "user", instance: java() }]]) {
      expect(readApplications({ applications: { apps__hashcode: "UP_1_", application } })).toEqual({
        hash: "UP_1_",
        apps: [{ name: "USER", instances: [java()] }],
      });
    }
    expect(readApplications({ applications: { apps__hashcode: "" } })).toEqual({ hash: "", apps: [] });
    for (const other of [null, [], {}, "x", { applications: null }]) expect(readApplications(other)).toBeUndefined();
  });

  it("counts statuses as the server does", () => {
    expect(
      hashCodeOf(
        new Map([
          ["UP", 5],
          ["DOWN", 1],
          ["STARTING", 0],
        ]),
      ),
    ).toBe("DOWN_1_UP_5_");
    expect(hashCodeOf(new Map())).toBe("");
  });

  it("never throws, whatever an entry holds", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const values: unknown[] = [
      null,
      0,
      -1,
      1e300,
      "",
      "x",
      "__proto__",
      [],
      {},
      true,
      [null],
      { $: {}, "@enabled": "true" },
      '{"v":9}',
    ];
    const some = (): unknown => values[Math.floor(random() * values.length)];
    for (let round = 0; round < 2000; round++) {
      const field = ["port", "metadata", "ipAddr", "hostName", "status", "instanceId", "actionType"][round % 7];
      const value = java({
        [field]: some(),
        metadata: random() < 0.5 ? { bowline: some(), weight: some(), gRPC_port: some() } : some(),
      });
      expect(() => readInstance(value, checked()), `seed ${seed}, round ${round}`).not.toThrow();
      expect(() => readApplications({ applications: { application: some(), apps__hashcode: some() } })).not.toThrow();
    }
  });
});
