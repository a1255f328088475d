import { describe, expect, it } from "vitest";
import { readHttpHosts } from "./http-host.ts";

const defaults = { owner: "consul registry", port: 8500, isTls: false };

function read(hosts: string | readonly string[], more: object = {}) {
  return readHttpHosts(hosts, { ...defaults, ...more });
}

describe("hosts of an HTTP registry", () => {
  it("are read in each form that people write them in", () => {
    const texts = [
      "10.0.0.1",
      "Consul.internal:8501",
      "[fd00::1]:8500",
      "fd00::2",
      "https://a.internal",
      "http://b.internal/p/q/",
    ];
    expect(read(texts).map(({ label, isTls, basePath }) => `${label} ${isTls} ${basePath}`)).toEqual([
      "10.0.0.1:8500 false ",
      "consul.internal:8501 false ",
      "[fd00::1]:8500 false ",
      "[fd00::2]:8500 false ",
      "a.internal:8500 true ",
      "b.internal:8500 false /p/q",
    ]);
    expect(read("[fd00::1]")[0]).toMatchObject({ hostname: "fd00::1", port: 8500 });
    expect(read("unix:/run/consul.sock")[0]).toMatchObject({
      socketPath: "/run/consul.sock",
      label: "unix:/run/consul.sock",
    });
    expect(read("unix:///run/consul.sock")[0].socketPath).toBe("/run/consul.sock");
  });

  it("take TLS and a base path from the defaults where they say nothing", () => {
    expect(read("a", { isTls: true, basePath: "/eureka" })[0]).toMatchObject({ isTls: true, basePath: "/eureka" });
    expect(read("http://a/other", { isTls: true, basePath: "/eureka" })[0]).toMatchObject({
      isTls: false,
      basePath: "/other",
    });
  });

  it.each<[string | readonly string[], RegExp]>([
    [[], /^consul registry: hosts: at least one is needed, such as "10\.0\.0\.1:8500"$/],
    ["", /hosts: "" is no host with a port; write it as "10\.0\.0\.1:8500" or "https:/],
    ["a:0", /"a:0" is no host/],
    ["a:65536", /is no host/],
    ["a:b", /is no host/],
    ["[1.2.3.4]:1", /is no host/],
    ["ftp://a", /has the scheme ftp/],
    ["a?x=1", /holds a blank, a query or a fragment/],
    ["a b", /holds a blank/],
    ["unix:run/x", /has no absolute path/],
    [["a", "a:8500"], /hosts\[1\]: a:8500 is listed twice; list it once/],
    [Array.from({ length: 65 }, (_, index) => `h${index}`), /65 are given; at most 64 are allowed/],
  ])("are refused when they can't be read: %j", (hosts, message) => {
    expect(() => read(hosts)).toThrow(message);
  });

  it("are refused with a user or password, without repeating it", () => {
    expect(() => read("http://root:hunter2@a:8500")).toThrow(/use the options for them/);
    expect(() => read("http://root:hunter2@a:8500")).not.toThrow(/hunter2|root/);
  });
});
