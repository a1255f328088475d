import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkSocketAddress, formatAddress, formatHostPort, parseAddress, parseListenAddress } from "./address.ts";

describe("parseAddress", () => {
  it.each([
    ["user.internal:8080", { host: "user.internal", port: 8080 }],
    ["my_host-1:1", { host: "my_host-1", port: 1 }],
    ["10.0.0.7:65535", { host: "10.0.0.7", port: 65_535 }],
    ["[::1]:80", { host: "::1", port: 80 }],
    ["[fe80::1%eth0]:80", { host: "fe80::1%eth0", port: 80 }],
    ["unix:/run/user.sock", { path: "/run/user.sock" }],
    ["unix:///run/user.sock", { path: "/run/user.sock" }],
    ["unix://////run/user.sock", { path: "/run/user.sock" }],
    ["unix:run/user:1.sock", { path: "run/user:1.sock" }],
  ])("reads %s", (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  it.each([
    ["", "write host:port"],
    ["localhost", "the port is missing"],
    ["localhost:", 'port ""'],
    ["localhost:http", 'port "http" is not a number from 0 to 65535'],
    ["localhost:65536", 'port "65536"'],
    ["localhost:-1", 'port "-1"'],
    ["localhost:000080", 'port "000080"'],
    ["localhost:0", "port 0 can be listened on"],
    [":8080", "the host is missing"],
    ["::1", "an IPv6 address stands in brackets"],
    ["::1:8080", "an IPv6 address stands in brackets"],
    ["[::1]", "the port is missing"],
    ["[::g]:80", '"::g" is no IPv6 address'],
    ["[10.0.0.1]:80", '"10.0.0.1" is no IPv6 address'],
    ["10.0.0:80", '"10.0.0" is no IPv4 address'],
    ["10.0.0.256:80", '"10.0.0.256" is no IPv4 address'],
    ["a:b:80", '"a:b" is neither a name nor an IPv6 address in brackets'],
    ["http://localhost:80", "write host:port"],
    ["user@host:80", "write host:port"],
    ["host name:80", "write host:port"],
    ["hö.test:80", '"hö.test" is no host name'],
    ["unix:", "the path of the Unix socket is missing"],
    ["unix:a\0b", "the path of the Unix socket is missing"],
    [`unix:/${"x".repeat(200)}`, "the path has 201 bytes"],
  ])("refuses %j and says why", (text, why) => {
    expect(() => parseAddress(text)).toThrow(RangeError);
    expect(() => parseAddress(text)).toThrow(why);
  });
});

describe("parseListenAddress", () => {
  it("takes an empty host for all interfaces and port 0 for any port", () => {
    expect(parseListenAddress(":8080")).toEqual({ host: "", port: 8080 });
    expect(parseListenAddress("127.0.0.1:0")).toEqual({ host: "127.0.0.1", port: 0 });
  });
});

describe("checkSocketAddress", () => {
  it("holds objects to the same rules", () => {
    expect(checkSocketAddress({ host: "::1", port: 0 })).toEqual({ host: "::1", port: 0 });
    expect(checkSocketAddress({ path: "/run/x" })).toEqual({ path: "/run/x" });
    expect(() => checkSocketAddress({ host: "", port: 70_000 })).toThrow('port "70000"');
    expect(() => checkSocketAddress({ host: "", port: 1.5 })).toThrow('port "1.5"');
    expect(() => checkSocketAddress({ host: "a b", port: 1 })).toThrow("no host name");
    expect(() => checkSocketAddress({ path: "" })).toThrow("path");
  });
});

describe("formatAddress", () => {
  it("shows IPv4 behind a dual-stack socket as IPv4", () => {
    expect(formatHostPort("::ffff:10.0.0.7", 80)).toBe("10.0.0.7:80");
    expect(formatHostPort("::FFFF:10.0.0.7", 80)).toBe("10.0.0.7:80");
  });

  it("writes what parseListenAddress reads", () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain(), fc.constant(""));
    const tcp = fc.record({ host, port: fc.integer({ min: 0, max: 65_535 }) });
    const unix = fc.record({ path: fc.stringMatching(/^\/[a-z/:.]{0,40}$/).filter((path) => !path.startsWith("//")) });
    fc.assert(
      fc.property(fc.oneof(tcp, unix), (address) => {
        fc.pre(!("host" in address) || !/^::ffff:\d+\./i.test(address.host));
        expect(parseListenAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });

  it("never lets a text through that is no address, and throws nothing but RangeError", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(parseListenAddress(formatAddress(parseListenAddress(text)))).toEqual(parseListenAddress(text));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
