// Wrong values of ServerOptions. More: src/server/options.test.ts. What each option does: server-defaults.test.ts.
import { describe, expect, it } from "vitest";
import { local } from "../../src/registry/local/local.ts";
import { createServer } from "../../src/server/create-server.ts";
import type { ServerOptions } from "../../src/server/server-options.ts";
import { certPair, certPath } from "../certs.ts";
import { allowed, NO_NUMBERS, type NumberOption, outOfRange, thrown } from "./refusals.ts";

const LONGEST = 0x7fffffff;
const FOREVER = Number.POSITIVE_INFINITY;

const refusal = (options: unknown): string => thrown(() => createServer(options as ServerOptions));

/** `{ "keepalive.timeMs": 5 }` as a user writes it. */
function nested(name: string, value: unknown): object {
  const [first, second] = name.split(".");
  return { [first]: second === undefined ? value : { [second]: value } };
}

const NUMBERS: readonly NumberOption[] = [
  { name: "compressFromBytes", min: 0, max: LONGEST, unit: "bytes", isWhole: true },
  { name: "maxReceiveBytes", min: 0, max: LONGEST, unit: "bytes", isWhole: true },
  { name: "maxConnections", min: 1, max: 1_000_000, unit: "connections", isWhole: true },
  { name: "drainAcceptMs", min: 0, max: LONGEST, unit: "ms" },
  { name: "drainTimeoutMs", min: 0, max: LONGEST, unit: "ms" },
  { name: "keepalive.timeMs", min: 1, max: FOREVER, unit: "ms" },
  { name: "keepalive.timeoutMs", min: 1, max: FOREVER, unit: "ms" },
  { name: "keepalive.minPingMs", min: 0, max: LONGEST, unit: "ms" },
  { name: "keepalive.maxAgeMs", min: 1, max: FOREVER, unit: "ms" },
  { name: "keepalive.maxAgeGraceMs", min: 1, max: FOREVER, unit: "ms" },
  { name: "keepalive.maxIdleMs", min: 1, max: FOREVER, unit: "ms" },
];

describe.each(NUMBERS)("option $name", (option) => {
  const { name, min, max } = option;

  it(`may be ${min} and ${max}`, () => {
    for (const value of [min, max]) expect(createServer(nested(name, value)).state).toBe("new");
  });

  it.each(outOfRange(option))("can't be %d: a RangeError tells field, value and range", (value) => {
    expect(refusal(nested(name, value))).toBe(
      `RangeError: createServer options.${name} is ${value}: ${allowed(option)}`,
    );
  });

  it("must be a number: a TypeError tells field, value and range", () => {
    for (const [value, shown] of NO_NUMBERS) {
      expect(refusal(nested(name, value))).toBe(
        `TypeError: createServer options.${name} is ${shown}: ${allowed(option)}`,
      );
    }
  });
});

describe("options of a server", () => {
  it.each([
    [null, "null"],
    [8080, "8080"],
    [":8080", '":8080"'],
    [[], "an array"],
  ])("are an object: %j", (options, shown) => {
    expect(refusal(options)).toBe(`TypeError: createServer options: give an object of options, not ${shown}`);
  });

  it.each([
    ["port", "known are name, listen, "],
    ["toString", "known are name, listen, "],
    ["listens", "did you mean listen?"],
    ["drainTimeout", "did you mean drainTimeoutMs?"],
    ["handleSignal", "did you mean handleSignals?"],
    ["keepalive.minPing", "did you mean minPingMs?"],
    ["keepalive.pingsWithoutCalls", "did you mean pingWithoutCalls?"],
    ["tls.certificates", "did you mean certificate?"],
    ["tls.clientCertificate", "did you mean clientCertificates?"],
  ])("that are misspelt are named, with the nearest or all: %s", (name, hint) => {
    const text = refusal(nested(name, 1));
    expect(text).toContain(`TypeError: createServer options.${name} is not an option; `);
    expect(text).toContain(hint);
  });

  it.each([
    ["listen", 8080, "listen is 8080: give a string"],
    ["name", 1, "name is 1: give a string"],
    ["instanceId", null, "instanceId is null: give a string"],
    ["ready", "later", 'ready is "later": give a function'],
    ["interceptors", {}, "interceptors is an object: give an array"],
    ["interceptors", [undefined], "interceptors[0] is undefined: give a function"],
    ["propagate", "x-tenant", 'propagate is "x-tenant": give an array'],
    ["compression", 1, "compression is 1"],
    ["compression", "Gzip", 'compression is "Gzip": give one of identity'],
    ["handleSignals", "false", 'handleSignals is "false": give a boolean'],
    ["health", 0, "health is 0: give a boolean"],
    ["reflection", null, "reflection is null: give a boolean"],
    ["keepalive", 5, "keepalive is 5: give an object"],
    ["keepalive.pingWithoutCalls", "yes", 'keepalive.pingWithoutCalls is "yes": give a boolean'],
    ["limits", "none", 'limits is "none": give an object'],
    ["logger", "info", 'logger is "info": give an object'],
    ["without", ["deadlin"], 'without: there is no layer "deadlin"; did you mean deadline?'],
    ["without", [5], 'without: there is no layer "5"; layers are trace, metrics, deadline'],
    ["clock", {}, "clock.now is missing: give a VirtualClock"],
    ["tls", true, "tls is true: give an object"],
  ])("of the wrong type are refused with what is right: %s %o", (name, value, text) => {
    expect(refusal(nested(name, value))).toContain(`TypeError: createServer options.${text}`);
  });

  it.each([
    ["", "write host:port, [IPv6 address]:port or unix:/path"],
    ["8080", "the port is missing"],
    ["localhost:", 'port "" is not a number from 0 to 65535'],
    ["localhost:-1", 'port "-1" is not a number from 0 to 65535'],
    ["localhost:http", 'port "http" is not a number'],
    ["::1:8080", "an IPv6 address stands in brackets, as in [::1]:8080"],
    ["[::1]", "the port is missing"],
    ["[::g]:80", '"::g" is no IPv6 address'],
    ["300.0.0.1:80", '"300.0.0.1" is no IPv4 address'],
    ["http://localhost:80", "write host:port"],
    ["unix:", "the path of the Unix socket is missing; write unix:/path"],
    [`unix:/${"x".repeat(200)}`, "choose a shorter directory"],
  ])("listen: a text that is no address is refused with the way to write one: %j", (listen, text) => {
    const message = refusal({ listen });
    expect(message).toContain(`RangeError: createServer options.listen: address "${listen}": `);
    expect(message).toContain(text);
  });

  it.each([
    ["localhost:0", "port 0 can be listened on, not connected to"],
    [":80", "the host is missing"],
  ])("advertise: must be an address to connect to: %s", (advertise, text) => {
    expect(refusal({ advertise })).toContain(`createServer options.advertise: address "${advertise}": ${text}`);
  });

  it("registry: needs a name, and must be one", () => {
    expect(refusal({ registry: local() })).toBe(
      'TypeError: createServer options.name is missing: a registry needs the name of the service, such as "user.rpc"',
    );
    expect(refusal({ name: "a", registry: local })).toContain("registry is a function: call it");
    expect(refusal({ name: "a", registry: {} })).toBe(
      "TypeError: createServer options.registry is no registry: give one such as local()",
    );
  });

  it.each(["", "x".repeat(256), "a\nb"])("instanceId: must be an id that a registry takes: %j", (instanceId) => {
    expect(refusal({ instanceId })).toContain("TypeError: createServer options.instanceId: instance.id: ");
  });

  it.each(["a b", "ü", "", "grpc-timeout", "host", ":path"])(
    "propagate: takes keys that metadata may have: %j",
    (key) => {
      expect(refusal({ propagate: ["x-tenant", key] })).toBe(
        `TypeError: createServer options.propagate[1] is ${JSON.stringify(key)}: give the key of metadata`,
      );
    },
  );

  it.each<[object, string]>([
    [{}, "tls.certificate and createServer options.tls.key are missing; a TLS server needs both"],
    [{ certificate: certPath("server.crt") }, "tls.key is missing, while createServer options.tls.certificate is set"],
    [{ ...certPair("server"), clientCertificates: "require" }, 'tls.authorities is missing; "require" needs'],
    [
      { ...certPair("server"), clientCertificates: true },
      'tls.clientCertificates is "true"; allowed: "none", "request"',
    ],
    [{ ...certPair("server"), minVersion: "TLSv1.1" }, 'tls.minVersion is "TLSv1.1"; allowed: "TLSv1.2", "TLSv1.3"'],
    [{ ...certPair("server"), passphrase: 7 }, "tls.passphrase is 7: give a string"],
    [{ cert: "a", key: "b" }, "tls.cert is not an option; known are certificate, key, "],
  ])("tls: is checked before anything starts: %o", (tls, text) => {
    expect(refusal({ tls })).toContain(`TypeError: createServer options.${text}`);
  });
});
