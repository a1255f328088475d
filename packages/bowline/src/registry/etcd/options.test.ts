import { describe, expect, it } from "vitest";
import { etcd } from "./etcd.ts";
import { checkEtcdOptions, checkEtcdService, type EtcdOptions, etcdCredentials } from "./options.ts";

describe("the options of etcd", () => {
  it("have the defaults of go-zero", () => {
    expect(checkEtcdOptions({ hosts: ["10.0.0.1:2379"] })).toEqual({
      hosts: ["10.0.0.1:2379"],
      user: undefined,
      password: undefined,
      tls: false,
      prefix: "",
      register: "go-zero",
      metadata: true,
      ttlSeconds: 10,
      connectTimeoutMs: 2000,
      requestTimeoutMs: 3000,
      network: undefined,
    });
  });

  it("may be one host or a list of them", () => {
    expect(etcd("h:2379").name).toBe("etcd");
    expect(etcd(["h:2379", "[FD00::1]:2379"]).name).toBe("etcd");
  });

  const hosts = ["h:1"];
  const bad: readonly [string, unknown, RegExp][] = [
    ["no hosts", {}, /hosts: at least one/],
    ["an empty list", { hosts: [] }, /hosts: at least one/],
    ["a host without port", { hosts: ["h"] }, /hosts\[0\]: "h" has no port.*10\.0\.0\.1:2379/],
    ["a URL", { hosts: ["http://h:2379"] }, /has a scheme; leave it out/],
    ["a URL with TLS", { hosts: ["https://h:2379"] }, /leave it out and set tls/],
    ["a host twice", { hosts: ["h:1", "H:1"] }, /listed twice/],
    ["a number as host", { hosts: [2379] }, /expected a text/],
    ["too many hosts", { hosts: Array.from({ length: 65 }, (_, at) => `h${at}:1`) }, /at most 64/],
    ["a life that is too short", { hosts, ttlSeconds: 1 }, /ttlSeconds is 1/],
    ["half a second of life", { hosts, ttlSeconds: 2.5 }, /ttlSeconds is 2.5/],
    ["an unknown style", { hosts, register: "json" }, /"go-zero", "grpc-naming"/],
    ["an unknown option", { hosts, tttlSeconds: 3 }, /ttlSeconds/],
    ["TLS that is a text", { hosts, tls: "yes" }, /tls: give true, false or TLS settings/],
    ["an unknown part of TLS", { hosts, tls: { ca: "x" } }, /tls\.ca/],
    ["a name that is none", { hosts, tls: { serverName: "a b" } }, /tls\.serverName/],
    ["an empty user", { hosts, user: "" }, /user is empty/],
    ["a password alone", { hosts, password: "s3cret" }, /password is given without user/],
    ["a prefix with a line break", { hosts, prefix: "a\n" }, /prefix/],
  ];
  it.each(bad)("are refused with %s, and the message names the option", (_name, options, message) => {
    expect(() => checkEtcdOptions(options as EtcdOptions)).toThrow(message);
  });

  it("are missed when nothing is said at all", () => {
    expect(() => (etcd as () => unknown)()).toThrow(/^etcd registry\.hosts: at least one is needed; write it as "10/);
    expect(() => etcd(null as never)).toThrow(/^etcd registry: give an object of options, not null/);
  });

  it("keep a user or password in a host out of the message", () => {
    expect(() => etcd("root:s3cret@h:2379")).toThrow(/use the options/);
    expect(() => etcd("root:s3cret@h:2379")).not.toThrow(/s3cret/);
  });

  it("take user and password from the environment where they say nothing", () => {
    const none = checkEtcdOptions({ hosts });
    const environment = { BOWLINE_ETCD_USER: "a", BOWLINE_ETCD_PASSWORD: "b" };
    expect(etcdCredentials(none, {})).toBeUndefined();
    expect(etcdCredentials(none, environment)).toEqual({ user: "a", password: "b" });
    const own = checkEtcdOptions({ hosts, user: "c", password: "d" });
    expect(etcdCredentials(own, environment)).toEqual({ user: "c", password: "d" });
    expect(() => etcdCredentials(checkEtcdOptions({ hosts, user: "c" }), {})).toThrow(/BOWLINE_ETCD_PASSWORD/);
  });

  it("keep services out of the place of Bowline's own keys", () => {
    expect(() => checkEtcdService("bowline/instances/user")).toThrow(/choose another name/);
    expect(() => checkEtcdService("bowline/instances")).toThrow(/choose another name/);
    expect(() => checkEtcdService("bowline/instance")).not.toThrow();
  });
});
