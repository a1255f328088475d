// Wrong values of ClientOptions. What each option does: client-defaults.test.ts, src/client/create-client.test.ts.
import { describe, expect, it } from "vitest";
import { openChannelCount } from "../../src/client/channel/channel-pool.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { createClient } from "../../src/client/create-client.ts";
import { local } from "../../src/registry/local/local.ts";
import { NoteService } from "../client/note-service.ts";
import { allowed, NO_NUMBERS, type NumberOption, outOfRange, thrown } from "./refusals.ts";

const TARGET = "static:///127.0.0.1:1";
const LONGEST = 0x7fffffff;

/** What making a client throws; no channel is left open by it. */
function refusal(options: unknown, target: string = TARGET): string {
  const before = openChannelCount();
  const text = thrown(() => createClient(NoteService, target, options as ClientOptions));
  expect(openChannelCount()).toBe(before);
  return text;
}

/** Nothing is thrown. */
async function accepted(options: ClientOptions, target: string = TARGET): Promise<void> {
  await createClient(NoteService, target, options).close();
}

/** `{ "keepalive.timeMs": 5 }` as a user writes it. */
function nested(name: string, value: unknown): object {
  const [first, second] = name.split(".");
  return { [first]: second === undefined ? value : { [second]: value } };
}

const NUMBERS: readonly NumberOption[] = [
  { name: "timeoutMs", min: 0, max: LONGEST, unit: "ms", zero: "no deadline" },
  { name: "compressFromBytes", min: 0, max: LONGEST, unit: "bytes", isWhole: true },
  { name: "maxReceiveBytes", min: 0, max: LONGEST, unit: "bytes", isWhole: true },
  { name: "maxConnectionsPerEndpoint", min: 1, max: 1000, unit: "connections", isWhole: true },
  { name: "maxWaitingCalls", min: 0, max: 10_000_000, unit: "calls", isWhole: true },
  { name: "connectTimeoutMs", min: 1, max: 600_000, unit: "ms" },
  { name: "idleTimeoutMs", min: 0, max: LONGEST, unit: "ms", zero: "never" },
  { name: "retry.maxAttempts", min: 1, max: 5, unit: "attempts", isWhole: true },
  { name: "retry.baseMs", min: 1, max: 60_000, unit: "ms" },
  { name: "retry.maxMs", min: 1, max: 600_000, unit: "ms" },
  { name: "keepalive.timeMs", min: 10_000, max: Number.POSITIVE_INFINITY, unit: "ms" },
  { name: "keepalive.timeoutMs", min: 1, max: LONGEST, unit: "ms" },
];

describe.each(NUMBERS)("option $name", (option) => {
  const { name, min, max } = option;

  it(`may be ${min} and ${max}`, async () => {
    await accepted(nested(name, min));
    await accepted(nested(name, max));
  });

  it.each(outOfRange(option))("can't be %d: a RangeError tells field, value and range", (value) => {
    expect(refusal(nested(name, value))).toBe(
      `RangeError: createClient options.${name} is ${value}: ${allowed(option)}`,
    );
  });

  it("must be a number: a TypeError tells field, value and range", () => {
    for (const [value, shown] of NO_NUMBERS) {
      expect(refusal(nested(name, value))).toBe(
        `TypeError: createClient options.${name} is ${shown}: ${allowed(option)}`,
      );
    }
  });
});

describe("options of a client", () => {
  it.each([
    [null, "not null"],
    ["x", 'not "x"'],
    [7, "not 7"],
    [[], "not an array"],
  ])("are an object: %j", (options, text) => {
    expect(refusal(options)).toBe(`TypeError: createClient options: give an object of options, ${text}`);
  });

  it.each([
    ["timeoutMS", "timeoutMs"],
    ["interceptor", "interceptors"],
    ["maxRecieveBytes", "maxReceiveBytes"],
    ["compresion", "compression"],
    ["keepAlive", "keepalive"],
    ["keepalive.time", "timeMs"],
    ["keepalive.withoutCall", "withoutCalls"],
    ["retry.maxAttempt", "maxAttempts"],
    ["limits.maxHeaderField", "maxHeaderFields"],
  ])("that are misspelt are named with the right one: %s", (name, meant) => {
    expect(refusal(nested(name, 1))).toMatch(new RegExp(`^TypeError: .*${name} is not .*; did you mean ${meant}\\?$`));
  });

  it.each(["plugins", "toString", "constructor", "hasOwnProperty"])(
    "that are like no other are named with all there are: %s",
    (name) => {
      expect(refusal({ [name]: 1 })).toContain(`createClient options.${name} is not an option; known are timeoutMs, `);
      expect(refusal({ limits: { [name]: 1 } })).toContain(`limits.${name} is not a limit; known are maxConcurrent`);
    },
  );

  it.each([
    [
      "balancer",
      "roundrobin",
      'balancer is roundrobin: give "p2c", "round_robin", "consistent_hash" or a function that makes one',
    ],
    ["balancer", null, 'balancer is null: give "p2c", "round_robin", "consistent_hash" or a function that makes one'],
    ["tls", null, "tls: give true, false or TLS settings"],
    ["tls", "/etc/tls.pem", "tls: give true, false or TLS settings"],
    ["tls", [], "tls: give an object of options, not an array"],
    ["retry", null, "retry is null: give false, or settings such as { maxAttempts: 3 }"],
    ["retry", true, "retry is true: give false, or settings such as { maxAttempts: 3 }"],
    ["retry", 3, "retry: give an object of options, not 3"],
    ["interceptors", () => {}, "interceptors is a function: give an array"],
    ["compression", 1, "compression is 1"],
    ["compression", "GZIP", 'compression is "GZIP": give one of '],
    ["compression", "", 'compression is "": give one of '],
    ["keepalive", true, "keepalive is true: give an object"],
    ["keepalive", [], "keepalive: give an object of options, not an array"],
    ["keepalive.withoutCalls", 1, "keepalive.withoutCalls is 1: give a boolean"],
    ["limits", null, "limits is null: give an object"],
    ["without", "retry", 'without is "retry": give an array'],
    ["random", 0.5, "random is 0.5: give a function"],
    ["clock", Date, "clock is a function: give an object"],
    ["clock", {}, "clock.now is missing: give a VirtualClock"],
  ])("of the wrong type are refused with what is right: %s %o", (name, value, text) => {
    expect(refusal(nested(name, value))).toContain(`TypeError: createClient options.${text}`);
  });

  it("limits: can't be a list", () => {
    expect(refusal({ limits: [1] })).toMatch(/^TypeError: limits: give an object such as/);
  });

  it.each(["", "a b", "a\r\nx: y", "bücher.example", "user@host", "host/path"])(
    "authority: must be a host, with or without a port: %j",
    (authority) => {
      expect(refusal({ authority })).toBe(
        `TypeError: createClient options.authority is ${JSON.stringify(authority)}: ` +
          "give a host, with or without a port, as in user.internal:8080",
      );
    },
  );

  it.each(["localhost", "user.internal:8080", "10.0.0.7", "[fd00::7]:443", "my_service"])(
    "authority: may be %s",
    (authority) => accepted({ authority }),
  );

  it("registry: local itself is told from what it returns", () => {
    expect(refusal({ registry: local }, "user.rpc")).toBe(
      "TypeError: createClient options.registry is a function: call it and give what it returns, as in local()",
    );
  });

  it.each([null, "local", {}, { watch() {} }])("registry: must be one: %o", (registry) => {
    expect(refusal({ registry }, "user.rpc")).toBe(
      "TypeError: createClient options.registry is no registry: give one such as local()",
    );
  });

  it("without: names the layer that there is not, with the nearest or all", () => {
    expect(refusal({ without: ["metric"] })).toBe(
      'TypeError: createClient options.without: there is no layer "metric"; did you mean metrics?',
    );
    for (const layer of ["transport", 5, null]) {
      expect(refusal({ without: [layer] })).toBe(
        `TypeError: createClient options.without: there is no layer "${layer}"; layers are trace, metrics, deadline, retry`,
      );
    }
  });

  it("that are wrong together with others leave nothing half-built either", () => {
    expect(refusal({ registry: local(), tls: { key: "x" } }, "user.rpc")).toContain("tls.certificate is missing");
    expect(refusal({ tls: true }, "user.rpc")).toContain("a bare service name needs a registry");
    expect(refusal({ balancer: () => ({ pick() {} }) })).toContain("must return an object with update, pick and done");
  });
});
