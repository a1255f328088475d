import { describe, expect, it } from "vitest";
import type { RemoteTarget } from "../remote-target.ts";
import { consul } from "./consul.ts";
import { type ConsulOptions, completeConsulOptions } from "./options.ts";
import { fromTarget } from "./target.ts";

function target(
  query: Record<string, string> = {},
  hosts: readonly string[] = ["10.0.0.1:8500"],
  path: string = "user.rpc",
): RemoteTarget {
  return { kind: "remote", scheme: "consul", hosts, path, query };
}

describe("targets of Consul", () => {
  it("name agents, service and what is looked for", () => {
    const query = {
      tag: "a,b",
      dc: "dc2",
      ns: "n",
      partition: "p",
      healthy: "false",
      filter: "x == 1",
      "allow-stale": "",
      tls: "true",
    };
    const { config, service } = fromTarget(target(query, ["10.0.0.1", "10.0.0.2"]));
    expect([config.name, service]).toEqual(["consul", "user.rpc"]);
    expect(fromTarget(target({}, [])).service).toBe("user.rpc");
  });

  it.each<[RemoteTarget, RegExp]>([
    [target({ limit: "3" }), /"limit" is no setting of consul; known are tag, dc, ns/],
    [target({}, undefined, ""), /lacks the name of the service\. Correct: "consul:\/\/10/],
    [target({}, undefined, "user.rpc/"), /"user\.rpc\/" can't be asked for: no part between slashes may be empty/],
    [target({ "allow-stale": "maybe" }), /has allow-stale that is not true or false/],
    [target({ "allow-stale": "true", "require-consistent": "1" }), /asks for stale and for consistent answers/],
    [target({ dc: "a b" }), /datacenter: "a b" is no name/],
    [target({}, ["10.0.0.1:99999"]), /hosts\[0\]: "10\.0\.0\.1:99999" is no host with a port/],
  ])("are refused with what is wrong: %#", (wrong, message) => {
    expect(() => fromTarget(wrong)).toThrow(message);
  });
});

describe("options of Consul", () => {
  it("have defaults, and take what Consul's own tools read from the environment", () => {
    expect(completeConsulOptions({}, {})).toMatchObject({
      health: "passing",
      consistency: "default",
      ttlSeconds: 10,
      token: undefined,
    });
    expect(completeConsulOptions({}, {}).hosts[0].label).toBe("127.0.0.1:8500");
    const environment = {
      CONSUL_HTTP_ADDR: "https://consul.internal:8501",
      CONSUL_HTTP_TOKEN: "secret",
      CONSUL_NAMESPACE: "team",
      CONSUL_PARTITION: "",
    };
    const read = completeConsulOptions({}, environment);
    expect(read).toMatchObject({ token: "secret", namespace: "team", partition: undefined });
    expect(read.hosts[0]).toMatchObject({ label: "consul.internal:8501", isTls: true });
    expect(completeConsulOptions({ token: "own", hosts: "a" }, environment)).toMatchObject({
      token: "own",
      hosts: [{ label: "a:8500" }],
    });
    expect(completeConsulOptions({}, { ...environment, CONSUL_HTTP_TOKEN_FILE: "/run/token" })).toMatchObject({
      tokenFile: "/run/token",
      token: undefined,
    });
    expect(completeConsulOptions({}, { CONSUL_HTTP_ADDR: "a", CONSUL_HTTP_SSL: "true" }).hosts[0].isTls).toBe(true);
  });

  it.each<[ConsulOptions, RegExp]>([
    [{ host: "a" } as ConsulOptions, /consul registry\.host is not an option; did you mean hosts\?/],
    [{ hosts: [] }, /hosts: at least one is needed/],
    [{ hosts: "http://u:p@a" }, /holds a user or password/],
    [{ ttlSeconds: 1 }, /ttlSeconds is 1: give a number of s from 2 to 86400/],
    [{ deregisterAfterSeconds: 59 }, /deregisterAfterSeconds is 59/],
    [{ health: "good" as "any" }, /health is "good": give one of "passing"/],
    [{ check: "udp" as "tcp" }, /check: give "ttl", "tcp", "grpc" or/],
    [{ check: { kind: "http", url: "/healthz" } }, /check\.url: "\/healthz" is no URL/],
    [{ check: { kind: "tcp", url: "x" } as unknown as "tcp" }, /check\.url is not an option/],
    [{ tags: [""] }, /tags\[0\]: "" is no tag/],
    [{ tag: ["a", 1 as unknown as string] }, /tag\[1\]: 1 is no tag/],
    [{ meta: { "a b": "" } }, /meta: "a b" is no key/],
    [{ meta: { bowline: "" } }, /meta: "bowline" is no key/],
    [{ meta: { "consul-x": "" } }, /meta: "consul-x" is no key/],
    [{ meta: { a: "x".repeat(513) } }, /meta\.a: give a text of at most 512 bytes/],
    [{ token: "" }, /token is empty: leave it out/],
    [{ token: "a", tokenFile: "b" }, /token and tokenFile are both given/],
    [{ tls: { autorities: "x" } as never }, /tls\.autorities is not an option; did you mean authorities\?/],
    [{ tls: true, hosts: "http://a" }, /tls is set, but a:8500 is written with http:\/\//],
    [{ datacenter: "" }, /datacenter: "" is no name/],
  ])("are refused when they are wrong: %#", (options, message) => {
    expect(() => consul(options)).toThrow(message);
  });

  it("never repeat a token", () => {
    expect(() => consul({ token: "hunter2 " })).toThrow(/token holds blanks/);
    expect(() => consul({ token: "hunter2 " })).not.toThrow(/hunter2/);
  });
});
