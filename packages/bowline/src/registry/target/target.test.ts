import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTarget, printTarget, type Target } from "./target.ts";

function messageOf(text: string): string {
  try {
    parseTarget(text);
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as TypeError).message;
  }
  throw new Error(`${JSON.stringify(text)} was accepted`);
}

const dns = (host: string, port: number, server = ""): Target => ({ kind: "dns", host, port, server });
const srv = (name: string, server = ""): Target => ({ kind: "srv", name, server });
const fixed = (...addresses: string[]): Target => ({ kind: "static", addresses });
const local = (service: string, namespace = ""): Target => ({ kind: "local", service, namespace });
const remote = (scheme: string, hosts: string[], path: string, query: Record<string, string> = {}): Target => ({
  kind: "remote",
  scheme,
  hosts,
  path,
  query,
});
const consul = (path: string, query?: Record<string, string>): Target => remote("consul", ["host:8500"], path, query);

describe("a target", () => {
  const readable: [string, Target, string?][] = [
    ["static:///a:1", fixed("a:1")],
    ["static:///a:1,10.0.0.7:8080,[::1]:3", fixed("a:1", "10.0.0.7:8080", "[::1]:3")],
    ["direct:///a:1,b:2", fixed("a:1", "b:2"), "static:///a:1,b:2"],
    ["STATIC:///User.Internal:65535", fixed("user.internal:65535"), "static:///user.internal:65535"],
    ["static:///[0:0:0:0:0:0:0:1]:80", fixed("[::1]:80"), "static:///[::1]:80"],
    ["static:///%5B::1%5D:80", fixed("[::1]:80"), "static:///[::1]:80"],
    ["static:///[fe80::1%25eth0]:80", fixed("[fe80::1%eth0]:80")],
    ["static:///user_svc.shop:80", fixed("user_svc.shop:80")],
    ["static:///käse.example:80", fixed("xn--kse-qla.example:80"), "static:///xn--kse-qla.example:80"],
    ["10.0.0.7:8080", fixed("10.0.0.7:8080"), "static:///10.0.0.7:8080"],
    ["[::1]:8080", fixed("[::1]:8080"), "static:///[::1]:8080"],
    ["[fe80::1%eth0]:8080", fixed("[fe80::1%eth0]:8080"), "static:///[fe80::1%25eth0]:8080"],
    ["user.internal:8080", dns("user.internal", 8080), "dns:///user.internal:8080"],
    ["localhost:8080", dns("localhost", 8080), "dns:///localhost:8080"],
    // Names of containers that are also schemes.
    ["consul:8500", dns("consul", 8500), "dns:///consul:8500"],
    ["dns:53", dns("dns", 53), "dns:///dns:53"],
    ["dns:///user.internal:8080", dns("user.internal", 8080)],
    ["dns:///user.internal.:8080", dns("user.internal.", 8080)],
    ["dns:///10.0.0.7:8080", dns("10.0.0.7", 8080)],
    ["dns:///[FD00::7]:8080", dns("fd00::7", 8080), "dns:///[fd00::7]:8080"],
    ["dns://10.0.0.2/user:80", dns("user", 80, "10.0.0.2:53"), "dns://10.0.0.2:53/user:80"],
    ["dns://10.0.0.2:5353/user:80", dns("user", 80, "10.0.0.2:5353")],
    ["dns://[fd00::2]/user:80", dns("user", 80, "[fd00::2]:53"), "dns://[fd00::2]:53/user:80"],
    ["dns://fd00::2/user:80", dns("user", 80, "[fd00::2]:53"), "dns://[fd00::2]:53/user:80"],
    ["srv:///_grpc._tcp.User.internal", srv("_grpc._tcp.user.internal"), "srv:///_grpc._tcp.user.internal"],
    ["srv://10.0.0.2/user.internal.", srv("user.internal.", "10.0.0.2:53"), "srv://10.0.0.2:53/user.internal."],
    ["local:///user.rpc", local("user.rpc")],
    ["local:///my%20service/a%2Fb", local("my service/a/b"), "local:///my%20service/a/b"],
    ["local://staging/user.rpc", local("user.rpc", "staging")],
    ["user.rpc", { kind: "registry", service: "user.rpc" }],
    ["shop/user-v1", { kind: "registry", service: "shop/user-v1" }],
    ["unix:///run/user.sock", { kind: "unix", path: "/run/user.sock" }],
    ["unix:/run/user.sock", { kind: "unix", path: "/run/user.sock" }, "unix:///run/user.sock"],
    ["unix:user.sock", { kind: "unix", path: "user.sock" }],
    ["unix:../a%20b%3F.sock", { kind: "unix", path: "../a b?.sock" }],
    ["etcd://h1:2379,h2:2379/user.rpc", remote("etcd", ["h1:2379", "h2:2379"], "user.rpc")],
    ["etcd:///h1:2379,h2:2379?key=user.rpc", remote("etcd", [], "h1:2379,h2:2379", { key: "user.rpc" })],
    ["discov://h1:2379/a/b", remote("discov", ["h1:2379"], "a/b")],
    [
      "Consul://host:8500/user.rpc?tag=a%26b&dc=",
      consul("user.rpc", { tag: "a&b", dc: "" }),
      "consul://host:8500/user.rpc?tag=a%26b&dc=",
    ],
    ["consul://host:8500/my%20service", consul("my service")],
    ["eureka://[fd00::7]:8761/%3F%23%25", remote("eureka", ["[fd00::7]:8761"], "?#%")],
  ];
  it.each(readable)("%s is read", (text, target, printed = text) => {
    expect(parseTarget(text)).toEqual(target);
    expect(printTarget(target)).toBe(printed);
  });

  const unreadable: [string, RegExp][] = [
    ["", /the empty text .* is empty; the address of a server is known only after await server\.start\(\)/],
    ["a:1 ", /" " \(character 4\) is a space/],
    ["a:1\n", /"\\n" \(character 4\) is a space, line break/],
    [
      "static:///",
      /the empty text \(character 11\) is empty.*Correct: "static:\/\/\/10\.0\.0\.7:8080,10\.0\.0\.8:8080"/,
    ],
    ["static:///a:1,", /\(character 15\) is empty/],
    ["static:///a:1,b", /"b" \(character 16\) has no port; a port is required/],
    ["static:///a:1,b:", /"b:" \(character 17\) has no port/],
    ["static:///a:1,A:1", /"A:1" \(character 15\) is listed twice \(as a:1\)/],
    ["static:///[::1]:1,[0::1]:1", /is listed twice \(as \[::1\]:1\)/],
    ["static://a:1", /"a:1" \(character 10\) .*three slashes, static:\/\/\//],
    ["static:///a:0", /"a:0" \(character 13\) has the port "0"; a port is a number from 1 to 65535/],
    ["static:///a:65536", /has the port "65536"/],
    ["static:///a:08", /has the port "08"/],
    ["static:///a:http", /has the port "http"/],
    ["static:///:80", /has no host/],
    ["static:///host:80:90", /"host:80:90" \(character 15\) has more than one colon; an IPv6 address goes in brackets/],
    ["static:///::1:80", /IPv6 address without brackets and port/],
    ["::1", /IPv6 address without brackets and port/],
    ["[::1]", /has no port/],
    ["[::1", /"\[" without "\]"/],
    ["[a.b]:80", /has no IPv6 address between the brackets/],
    ["10.0.0:80", /looks like an IPv4 address but is none/],
    ["256.0.0.1:80", /looks like an IPv4 address but is none/],
    ["static:///a:1?x=1", /"\?x=1" \(character 14\) is not understood: static takes no query/],
    ["dns:///a:1#x", /takes no query and no fragment/],
    ["static:///a%zz:1", /"%zz" \(character 12\) is no percent-encoding/],
    ["local:///%ff", /no UTF-8/],
    ["local:///a%00", /control character/],
    ["local:///", /name of the service is missing.*Correct: "local:\/\/\/user\.rpc"/],
    ["local://user.rpc", /has no third slash: did you mean local:\/\/\//],
    ["local:user.rpc", /did you mean local:\/\/\//],
    ["dns:user:80", /did you mean dns:\/\/\//],
    ["dns://resolver.internal/a:80", /"resolver\.internal" \(character 7\) is no DNS server: it must be an IP address/],
    ["unix://run/user.sock", /"run\/user\.sock" \(character 8\) has no place for a host/],
    ["unix:", /is no path/],
    ["unix:///", /is no path/],
    ["a:1,b:2", /is a list; .*static:\/\/\//],
    ["localhost", /has no port; a port is required/],
    ["10.0.0.7", /has no port/],
    ["/run/user.sock", /a path needs unix:.*Correct: "unix:\/\/\/run\/user\.sock"/],
    ["ectd://h:2379/user", /"ectd" \(character 1\) is an unknown scheme: did you mean etcd:\/\/\?/],
    ["dsn:///a:1", /did you mean dns:\/\/\?/],
    ["sttic:///a:1", /did you mean static:\/\/\?/],
    ["srv:///user.internal:80", /"user\.internal:80" \(character 8\) has a port, which the SRV records say/],
    ["srv:///a..b", /"a\.\.b" \(character 8\) is no name of DNS/],
    ["srv:///", /\(character 8\) is no name of DNS/],
    ["etcd://h:2379", /"h:2379" \(character 8\) lacks the name of the service/],
    ["etcd://h:2379?key=a/b", /"h:2379" \(character 8\) lacks the name of the service/],
    ["etcd://h:2379/a#b", /"#b" \(character 16\) is a fragment/],
    ["etcd://h:2379,/a", /\(character 15\) is where a host is missing/],
    ["etcd://root:secret@h:2379/a", /\(character 8\) is where a name or password stands/],
    ["etcd://h:2379/a?key", /"key" \(character 17\) is no setting; write key=value/],
    ["etcd://h:2379/a?k=1&k=2", /"k=2" \(character 21\) stands there twice/],
    ["consul://h:8500/a%0Ab", /"a%0Ab" \(character 17\) holds a control character/],
    ["etcd://h:2379/a%2", /"a%2" \(character 15\) holds a "%"/],
    [
      "zookeeper://a:1",
      /is an unknown scheme; built in are static, direct, dns, srv, local, unix, etcd, discov, consul, eureka, nacos, k8s\./,
    ],
    ["https://user.internal:443", /is no scheme of a target; leave it out and write host:port/],
    [`static:///${"x".repeat(201)}`, /…"/],
    ["\ud800", /half of a surrogate pair/],
  ];
  it.each(unreadable)("%j is refused with the place and a correct example", (text, message) => {
    const error = messageOf(text);
    expect(error).toMatch(message);
    expect(error).toMatch(/^target "/);
    const example = /Correct: "(.*)"$/.exec(error)?.[1] ?? "";
    expect(printTarget(parseTarget(example))).toBe(example);
  });

  it.each([
    "nacos://nacos:s3cret@10.0.0.1:8848/user.rpc",
    "consul://10.0.0.1:8500,user:s3cret@10.0.0.2:8500/user.rpc",
    "etcd://root:s3cret@10.0.0.1:2379/user.rpc",
    "etcd://root:p#s3cret@10.0.0.1:2379/user.rpc",
    "etcd://root:p?s3cret@10.0.0.1:2379/user.rpc",
    "dns://user:s3cret@h/x:80",
    "srv://user:s3cret@h/x",
    "static:///u:s3cret@h:80",
    "u:s3cret@h:80",
    "https://user:s3cret@user.internal",
    "consul://10.0.0.1:8500/user.rpc?token=s3cret",
    "consul://10.0.0.1:8500/user.rpc?dc=a&%74oken=s3cret&x",
    "etcd://10.0.0.1:2379/user.rpc?pass=s3cret",
    "etcd://10.0.0.1:2379/user.rpc?tls=true&password=s3cret",
    "nacos://10.0.0.1:8848/user.rpc?secretKey=s3cret",
    "nacos://10.0.0.1:8848/user.rpc?access_key=s3cret",
    "k8s://shop/user?id-token=s3cret",
    "dns:///user.internal:80?token=s3cret",
    "local:///user.rpc#access-token=s3cret",
  ])("%s is refused, and its secret is not repeated", (text) => {
    expect(messageOf(text)).toMatch(/^target ".*\*\*\*/);
    expect(messageOf(text)).not.toContain("s3cret");
  });

  it("a secret is refused with the place where it belongs", () => {
    expect(messageOf("etcd://h:2379/a?user=u&password=x")).toMatch(
      /"password=\*\*\*" \(character 24\) holds a secret: targets are logged, give it as an option or as BOWLINE_ETCD_PASSWORD/,
    );
    expect(messageOf("consul://h:8500/a?token=x")).toMatch(/give it as an option or as CONSUL_HTTP_TOKEN/);
    expect(messageOf("k8s://shop/a?token=x")).toMatch(/give it as an option or by the environment/);
  });

  it.each(["xds"])("with the scheme %s says that it is not built in", (scheme) => {
    expect(messageOf(`${scheme}://host:1/user.rpc`)).toMatch(
      `"${scheme}" (character 1) is a scheme that is not built in`,
    );
  });

  it("that is no text is refused", () => {
    for (const value of [undefined, null, 1, {}]) expect(() => parseTarget(value as string)).toThrow(TypeError);
  });

  it("gives a target or a TypeError for any text, and what is printed is read as the same target", () => {
    const scheme = fc.constantFrom(
      "",
      "static:///",
      "direct:///",
      "dns:///",
      "dns://",
      "local:///",
      "local://",
      "unix:",
      "unix:///",
      "etcd://",
      "srv:///",
      "consul://127.0.0.1:8500/",
    );
    const piece = fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().map((address) => `[${address}]`),
      fc.nat(70_000).map((port) => `:${port}`),
      fc.constantFrom(":", ",", "/", "%", "%20", "%2", "[", "]", "?", "#", "@", ".", "-", "%25eth0", "\ud800", "é"),
    );
    const text = fc.tuple(scheme, fc.array(piece, { maxLength: 6 })).map(([start, rest]) => start + rest.join(""));
    let read = 0;
    fc.assert(
      fc.property(text, (candidate) => {
        let target: Target;
        try {
          target = parseTarget(candidate);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          expect(error.message).toContain("Correct: ");
          return;
        }
        read++;
        expect(parseTarget(printTarget(target))).toEqual(target);
      }),
      { numRuns: 2_000 },
    );
    expect(read).toBeGreaterThan(100);
  });
});
