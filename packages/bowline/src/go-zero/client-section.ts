import { appCredentials } from "../auth/call-credentials.ts";
import type { ClientOptions } from "../client/client-options.ts";
import { parseTarget } from "../registry/target/target.ts";
import { readEtcd } from "./etcd-section.ts";
import type { Section } from "./section.ts";

/** What `createClient` takes beside the service. */
export interface GoZeroClient {
  readonly target: string;
  readonly options: ClientOptions;
}

/** go-zero's default, and that of `createClient` for calls that do not stream. */
const DEFAULT_TIMEOUT_MS = 2000;
const TIMEOUT = { min: -0x7fff_ffff, max: 0x7fff_ffff, unit: "ms" };
/** What grpc-go makes of shorter times. */
const MIN_KEEPALIVE_MS = 10_000;

/** Reads `RpcClientConf` (zrpc/config.go). @throws TypeError that names the field */
export function readClient(section: Section): GoZeroClient {
  const place = readPlace(section);
  if (section.flag("NonBlock") === false) section.note("NonBlock", "clients never wait for a connection when made");
  const without = readMiddlewares(section.section("Middlewares"));
  const options: ClientOptions = {
    ...place.options,
    ...readCredentials(section),
    ...readTimeout(section),
    ...readKeepalive(section),
    ...readBalancer(section),
    ...(without.length === 0 ? {} : { without }),
  };
  section.noteUnknown("RpcClientConf");
  return { target: place.target, options };
}

/** Endpoints before Target before Etcd, as `BuildTarget` has it. */
function readPlace(section: Section): GoZeroClient {
  const endpoints = section.texts("Endpoints") ?? [];
  const target = section.text("Target") ?? "";
  const etcd = section.inherited("Etcd");
  if (endpoints.length > 0) {
    if (target !== "") section.note("Target", "is not used: Endpoints go before it");
    const text = `static:///${endpoints.join(",")}`;
    section.checked("Endpoints", () => parseTarget(text));
    return { target: text, options: {} };
  }
  if (target !== "") {
    const text = target.replace(/^passthrough:\/\/\//, "");
    section.checked("Target", () => parseTarget(text));
    return { target: text, options: {} };
  }
  if (etcd === undefined) throw section.fault("Etcd", undefined, "give Endpoints, Target or Etcd");
  return inEtcd(etcd);
}

function inEtcd(etcd: Section): GoZeroClient {
  const place = readEtcd(etcd);
  if (place === undefined) throw etcd.fault("Hosts", [], "a client needs Hosts and Key");
  const { hosts, key, registry, isPlain } = place;
  if (isBareName(key)) return { target: key, options: { registry } };
  // A target can hold any key, but no password.
  if (!isPlain) {
    throw etcd.fault("Key", key, "with User or certificates give letters, digits, and _ . - / between them");
  }
  const target = `etcd:///${hosts.join(",")}?key=${encodeURIComponent(key)}`;
  etcd.checked("Key", () => parseTarget(target));
  return { target, options: {} };
}

function isBareName(key: string): boolean {
  try {
    return parseTarget(key).kind === "registry";
  } catch {
    return false;
  }
}

/** go-zero sends them without TLS, and both or none. */
function readCredentials(section: Section): Pick<ClientOptions, "credentials"> {
  const app = section.text("App") ?? "";
  const token = section.secret("Token") ?? "";
  if (app !== "" && token !== "") {
    return { credentials: section.checked("App", () => appCredentials({ app, token, allowPlaintext: true })) };
  }
  if (app !== "" || token !== "") section.note(app === "" ? "App" : "Token", "is missing: calls carry neither");
  return {};
}

function readTimeout(section: Section): Pick<ClientOptions, "timeoutMs"> {
  const timeoutMs = Math.max(0, section.number("Timeout", TIMEOUT) ?? DEFAULT_TIMEOUT_MS);
  // The names of middlewares are asked for again where they are read.
  if (section.section("Middlewares")?.flag("Timeout") === false) return { timeoutMs: 0 };
  if (timeoutMs === DEFAULT_TIMEOUT_MS) return {};
  if (timeoutMs > 0) section.note("Timeout", "is the time of calls that stream, too: give those timeoutMs: 0");
  return { timeoutMs };
}

function readKeepalive(section: Section): Pick<ClientOptions, "keepalive"> {
  const timeMs = section.duration("KeepaliveTime") ?? 0;
  if (timeMs === 0) return {};
  if (timeMs < MIN_KEEPALIVE_MS) section.note("KeepaliveTime", "10s is the least, for grpc-go as well");
  return { keepalive: { timeMs: Math.max(MIN_KEEPALIVE_MS, timeMs) } };
}

function readBalancer(section: Section): Pick<ClientOptions, "balancer"> {
  const name = section.text("BalancerName") ?? "p2c_ewma";
  if (name === "round_robin" || name === "consistent_hash") return { balancer: name };
  if (name !== "p2c_ewma") section.note("BalancerName", `there is no balancer ${JSON.stringify(name)}: p2c is used`);
  return {};
}

/** Names of layers to leave out. */
function readMiddlewares(section: Section | undefined): string[] {
  if (section === undefined) return [];
  const without: string[] = [];
  if (section.flag("Trace") === false) without.push("trace");
  if (section.flag("Prometheus") === false) without.push("metrics");
  if (section.flag("Duration") !== undefined) section.note("Duration", "slow calls are not logged");
  if (section.flag("Breaker") !== undefined) section.note("Breaker", "there is no breaker yet");
  section.flag("Timeout");
  section.noteUnknown("RpcClientConf.Middlewares");
  return without;
}
