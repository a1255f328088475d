import { type AppTokenOptions, appToken } from "../auth/app-token.ts";
import { parseListenAddress } from "../net/address.ts";
import type { ServerOptions } from "../server/server-options.ts";
import { readEtcd } from "./etcd-section.ts";
import { leaveOut, leaveOutRedis } from "./left-out.ts";
import type { Section } from "./section.ts";

const TIMEOUT = { min: -0x7fff_ffff, max: 0x7fff_ffff, unit: "ms" };
/** go-zero's default. */
const DEFAULT_TIMEOUT_MS = 2000;
const CPU = { min: 0, max: 999, unit: "thousandths" };
const MODES = ["dev", "test", "rt", "pre", "pro"];
/** Of `Shutdown`, where it is set without one of its fields (core/proc/shutdown.go). */
const WRAP_UP_MS = 1000;
const WAIT_MS = 5500;

/**
 * Reads `RpcServerConf` (zrpc/config.go). `tokens` stand in for the Redis of `Auth`.
 *
 * @throws TypeError that names the field
 */
export function readServer(section: Section, tokens: AppTokenOptions["tokens"] | undefined): ServerOptions {
  const name = section.text("Name") ?? "";
  if (name === "") throw section.fault("Name", undefined, "give the name of the service");
  const listen = section.text("ListenOn") ?? "";
  if (listen === "") throw section.fault("ListenOn", undefined, "give host:port, 0.0.0.0:8080");
  section.checked("ListenOn", () => parseListenAddress(listen));
  const without = readMiddlewares(section.section("Middlewares"));
  const health = section.flag("Health");
  noteGovernance(section);
  const limits = readTimeouts(section);
  const options: ServerOptions = {
    ...readRegistration(section, name),
    listen,
    ...readAuth(section, tokens),
    ...readShutdown(section.section("Shutdown")),
    ...limits,
    ...(health === false ? { health } : {}),
    ...(without.length === 0 ? {} : { without }),
  };
  leaveOut(section);
  section.noteUnknown("RpcServerConf", isClient);
  return options;
}

/** Clients find a server by its key; its name is for logs. */
function readRegistration(section: Section, name: string): Pick<ServerOptions, "name" | "registry"> {
  const etcd = section.section("Etcd");
  const place = etcd === undefined ? undefined : readEtcd(etcd);
  if (place === undefined) return { name };
  if (place.key !== name) section.note("Name", `the server is named ${place.key}, by Etcd.Key`);
  return { name: place.key, registry: place.registry };
}

function readAuth(
  section: Section,
  tokens: AppTokenOptions["tokens"] | undefined,
): Pick<ServerOptions, "authenticate"> {
  const isOn = section.flag("Auth") ?? false;
  const isStrict = section.flag("StrictControl") ?? false;
  leaveOutRedis(section.section("Redis"));
  if (!isOn) {
    if (section.has("Redis")) section.note("Redis", "is not used: Auth is off");
    return {};
  }
  if (tokens === undefined) {
    const advice = "give server({ tokens }), by name of the app or as a function that asks Redis";
    throw section.fault("Auth", true, `Redis is not read here; ${advice}`);
  }
  if (section.has("Redis")) section.note("Redis", "is not read: the tokens given to server() count");
  if (!isStrict) section.note("StrictControl", "apps that are not known are refused here, as if it were true");
  return { authenticate: { by: section.checked("Auth", () => appToken({ tokens })) } };
}

/** go-zero leaves etcd, waits WrapUpTime, drains, and ends after WaitTime in all. */
function readShutdown(section: Section | undefined): Pick<ServerOptions, "drainAcceptMs" | "drainTimeoutMs"> {
  if (section === undefined) return {};
  const drainAcceptMs = section.duration("WrapUpTime") ?? WRAP_UP_MS;
  const drainTimeoutMs = section.duration("WaitTime") ?? WAIT_MS;
  section.noteUnknown("ShutdownConf");
  return { drainAcceptMs, drainTimeoutMs };
}

/** What protects a go-zero server and has no counterpart yet. */
function noteGovernance(section: Section): void {
  const mode = section.text("Mode", MODES) ?? "pro";
  if (mode !== "pro") section.note("Mode", "there are no modes: nothing is turned off");
  if (section.number("CpuThreshold", CPU) !== undefined) section.note("CpuThreshold", "no calls are shed yet");
}

/** The time that unary calls may take. Without `Timeout` go-zero looks at none of `MethodTimeouts`. */
function readTimeouts(section: Section): Pick<ServerOptions, "timeoutMs" | "methodTimeoutsMs"> {
  const timeoutMs = section.number("Timeout", TIMEOUT) ?? DEFAULT_TIMEOUT_MS;
  const methods: [string, number][] = [];
  for (const each of section.sections("MethodTimeouts") ?? []) {
    const method = each.text("FullMethod") ?? "";
    if (!/^\/[^/]+\/[^/]+$/.test(method))
      throw each.fault("FullMethod", method || undefined, "give /package.Service/Method");
    const limitMs = each.duration("Timeout");
    if (limitMs === undefined || limitMs < 1) throw each.fault("Timeout", limitMs, "give a duration of 1ms or more");
    each.noteUnknown("MethodTimeoutConf");
    methods.push([method, limitMs]);
  }
  if (timeoutMs > 0)
    return methods.length === 0 ? { timeoutMs } : { timeoutMs, methodTimeoutsMs: Object.fromEntries(methods) };
  if (methods.length > 0) section.note("MethodTimeouts", "count for nothing while Timeout is 0, as in go-zero");
  return {};
}

/** Names of layers to leave out. */
function readMiddlewares(section: Section | undefined): string[] {
  if (section === undefined) return [];
  const without: string[] = [];
  if (section.flag("Trace") === false) without.push("trace");
  if (section.flag("Prometheus") === false) without.push("metrics");
  if (section.flag("Recover") === false) section.note("Recover", "what a handler throws never ends the process");
  if (section.flag("Stat") !== undefined) section.note("Stat", "there are no lines of statistics");
  if (section.flag("Breaker") !== undefined) section.note("Breaker", "there is no breaker yet");
  const stat = section.section("StatConf");
  if (stat !== undefined) {
    stat.duration("SlowThreshold");
    stat.texts("IgnoreContentMethods");
    stat.noteUnknown("StatConf");
    section.note("StatConf", "calls are not logged");
  }
  section.noteUnknown("RpcServerConf.Middlewares");
  return without;
}

/** A section of a client of another service is read when it is asked for. */
function isClient(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const names = Object.keys(value).map((name) => name.toLowerCase());
  return ["etcd", "endpoints", "target"].some((name) => names.includes(name));
}
