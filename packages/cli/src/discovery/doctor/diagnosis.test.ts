import { describe, expect, it } from "vitest";
import { isWithin, kindOf } from "../probe/address-kind.ts";
import type { Step, StepName } from "../probe/probe.ts";
import { type Circumstances, diagnose } from "./diagnosis.ts";

const HOME: Circumstances = {
  ownNetworks: ["10.0.1.5/24", "fd00:1::5/64"],
  isRegistered: true,
  isRegistryShared: true,
  network: "",
  rewrite: null,
  others: [],
};

const failed = (name: StepName, code: string, detail = "as told"): Step[] => [
  { name, isOk: false, ms: 1, detail, code },
];

describe("a diagnosis", () => {
  it.each<[string, Step[], RegExp, RegExp]>([
    ["db-7f9c:80", failed("resolve", "ENOTFOUND"), /db-7f9c does not resolve .*ENOTFOUND/, /container's own host name/],
    [
      "10.0.2.9:80",
      failed("tcp", "ETIMEDOUT"),
      /private address of a network .* 10\.0\.1\.5\/24, fd00/,
      /advertise: "PUB/,
    ],
    ["[fd00:2::9]:80", failed("tcp", "EHOSTUNREACH"), /fd00:2::9 is a private address/, /PUBLIC_HOST:80/],
    ["100.64.0.9:80", failed("tcp", "ECONNREFUSED"), /private address of a network/, /advertise/],
    ["169.254.3.4:80", failed("tcp", "EHOSTUNREACH"), /private address of a network/, /advertise/],
    [
      "10.0.1.9:80",
      failed("tcp", "ECONNREFUSED"),
      /10\.0\.1\.9 answers, but nothing listens on port 80/,
      /start the server/,
    ],
    ["10.0.1.9:80", failed("tcp", "ETIMEDOUT"), /no way to 10\.0\.1\.9:80 from here/, /firewall .* port 80/],
    ["203.0.113.9:80", failed("tcp", "ETIMEDOUT"), /no way to 203\.0\.113\.9:80/, /firewall/],
    ["0.0.0.0:80", failed("tcp", "ECONNREFUSED"), /what a server listens on/, /set advertise/],
    ["[::]:80", failed("tcp", "ECONNREFUSED"), /what a server listens on/, /set advertise/],
    ["127.0.0.1:80", failed("tcp", "ECONNREFUSED"), /loopback of whoever reads it/, /set advertise/],
    [
      "unix:/run/a.sock",
      failed("tcp", "EACCES"),
      /socket \/run\/a\.sock can't be opened \(EACCES\)/,
      /own machine only/,
    ],
    ["a:1", failed("tls", "ERR_SSL_WRONG_VERSION_NUMBER"), /speaks no TLS/, /tls of createServer/],
    ["a:1", failed("tls", "CERT_HAS_EXPIRED"), /expired/, /renew/],
    ["a:1", failed("tls", "ERR_TLS_CERT_ALTNAME_INVALID"), /not made out to a: as told/, /authority of the client/],
    ["a:1", failed("tls", "DEPTH_ZERO_SELF_SIGNED_CERT"), /nobody whom this side trusts/, /tls\.authorities/],
    ["a:1", failed("tls", "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"), /ended the handshake/, /tls\.certificate/],
    ["a:1", failed("tls", "ERR_ALPN"), /handshake failed: as told/, /both sides/],
    ["a:1", failed("http2", "ERR_TLS_WANTED", "the server expects TLS"), /expects TLS/, /--tls/],
    ["a:1", failed("http2", "ETIMEDOUT"), /says nothing: a process that hangs/, /SIGSTOP/],
    ["a:1", failed("http2", "ERR_HTTP1"), /no gRPC server: as told/, /another program/],
    ["a:1", failed("health", "NOT_SERVING"), /says NOT_SERVING/, /draining/],
    ["a:1", failed("health", "UNAUTHENTICATED"), /health service failed: UNAUTHENTICATED/, /log/],
  ])("of %s, %j", (address, steps, problem, remedy) => {
    const diagnosis = diagnose(address, steps, HOME);
    expect(diagnosis?.problem).toMatch(problem);
    expect(diagnosis?.remedies.join("\n")).toMatch(remedy);
  });

  it.each<[string, Step[], RegExp, readonly string[]]>([
    ["a.internal:80", failed("resolve", "ENOTFOUND"), /does not resolve/, ["correct the name, or have"]],
    ["10.0.1.9:80", failed("tcp", "ECONNREFUSED"), /nothing listens/, ["start the server, or correct the address"]],
    ["127.0.0.1:80", failed("tcp", "ECONNREFUSED"), /nothing listens/, ["start the server, or correct the address"]],
    ["10.0.2.9:80", failed("tcp", "ETIMEDOUT"), /no way .* is not in$/, ["a firewall", "or correct the address"]],
    ["203.0.113.9:80", failed("tcp", "ETIMEDOUT"), /ETIMEDOUT\)$/, ["a firewall", "or correct the address"]],
    ["0.0.0.0:80", failed("tcp", "ECONNREFUSED"), /what a server listens on/, ["write the server's own address"]],
    ["a:1", failed("http2", "ERR_HTTP1"), /no gRPC server/, ["the port belongs to another program"]],
  ])(
    "of %s that stands in the target itself says nothing of entries and advertising",
    (address, steps, problem, remedies) => {
      const alone = { ...HOME, isRegistered: false, isRegistryShared: false };
      const diagnosis = diagnose(address, steps, alone);
      expect(diagnosis?.problem).toMatch(problem);
      expect(diagnosis?.remedies.map((remedy, at) => remedy.startsWith(remedies[at]))).toEqual(
        remedies.map(() => true),
      );
      expect(diagnosis?.remedies.join("\n")).not.toMatch(/advertise|entry/);
    },
  );

  it("names the label of the network, and both ways to mend it", () => {
    const diagnosis = diagnose("10.0.2.9:80", failed("tcp", "ETIMEDOUT"), { ...HOME, network: "vpc-b" });
    expect(diagnosis?.problem).toContain("10.0.2.9 (labelled vpc-b)");
    expect(diagnosis?.remedies.join("\n")).toContain('rewrite: [{ from: "10.0.2.9", to: "PUBLIC_HOST" }]');
  });

  it("names the other addresses of the instance, and which client takes them", () => {
    const others = [
      { network: "public", address: "203.0.113.9:80" },
      { network: "", address: "a:1" },
    ];
    const remedies = diagnose("10.0.2.9:80", failed("tcp", "ETIMEDOUT"), { ...HOME, others })?.remedies ?? [];
    expect(remedies[0]).toBe(
      'to take public=203.0.113.9:80 instead: networks: ["public"] of the client, --network public here',
    );
    expect(remedies.join("\n")).not.toContain("a:1");
  });

  it("of an address that a rule has made is about the rule, not about the server", () => {
    const rewritten = { ...HOME, rewrite: "10.0.0.0/8=127.0.0.1" };
    const diagnosis = diagnose("127.0.0.1:80", failed("tcp", "ECONNREFUSED"), rewritten);
    expect(diagnosis?.problem).toBe(
      "there is no way to 127.0.0.1:80 from here (ECONNREFUSED), and that is where the rule 10.0.0.0/8=127.0.0.1 leads",
    );
    expect(diagnosis?.remedies.join("\n")).not.toContain("advertise");
    const well: Step[] = [{ name: "health", isOk: true, ms: 1, detail: "SERVING", code: "" }];
    expect(diagnose("127.0.0.1:80", well, rewritten)).toBeNull();
  });

  it("tells the networks that this machine is in, without those of single links", () => {
    const ownNetworks = ["10.0.1.5/24", "fe80::1/64", "169.254.3.4/16"];
    const problem = (own: readonly string[]): string | undefined =>
      diagnose("10.0.2.9:80", failed("tcp", "ETIMEDOUT"), { ...HOME, ownNetworks: own })?.problem;
    expect(problem(ownNetworks)).toContain("its own are 10.0.1.5/24 (ETIMEDOUT)");
    expect(problem(ownNetworks.slice(1))).toContain("its own are none at all");
  });

  it("is none when all went well, except for a loopback in a registry that others read", () => {
    const well: Step[] = [{ name: "health", isOk: true, ms: 1, detail: "SERVING", code: "" }];
    expect(diagnose("10.0.1.9:80", well, HOME)).toBeNull();
    expect(diagnose("127.0.0.1:80", well, HOME)?.problem).toMatch(/no other machine can reach it/);
    expect(diagnose("127.0.0.1:80", well, { ...HOME, isRegistryShared: false })).toBeNull();
    expect(diagnose("unix:/run/a.sock", [], HOME)).toBeNull();
  });
});

it.each([
  ["127.0.0.2", "loopback"],
  ["::1", "loopback"],
  ["localhost", "loopback"],
  ["0.0.0.0", "wildcard"],
  ["::", "wildcard"],
  ["fe80::1%eth0", "link-local"],
  ["172.31.0.1", "private"],
  ["172.32.0.1", "public"],
  ["fdff::1", "private"],
  ["2001:db8::1", "public"],
  ["user.internal", "name"],
])("%s is of the kind %s", (host, kind) => {
  expect(kindOf(host)).toBe(kind);
});

it("an address is within a network of its own family only", () => {
  expect(isWithin("10.0.1.200", HOME.ownNetworks)).toBe(true);
  expect(isWithin("10.0.2.1", HOME.ownNetworks)).toBe(false);
  expect(isWithin("fd00:1::9%eth0", HOME.ownNetworks)).toBe(true);
  expect(isWithin("user.internal", HOME.ownNetworks)).toBe(false);
  expect(isWithin("10.0.1.1", [])).toBe(false);
});
