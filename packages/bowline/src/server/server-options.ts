import {
  connectionLifetime,
  type KeepaliveOptions,
  type LifetimeOptions,
  type PingPolicy,
  pingPolicy,
  serverKeepalive,
} from "../grpc/keepalive.ts";
import type { Http2Limits } from "../http2/limits.ts";
import { parseListenAddress } from "../net/address.ts";
import type { Network } from "../net/network.ts";
import { checkTlsSettings, type TlsSettings } from "../net/tls/tls-files.ts";
import type { Logger } from "../observe/logger.ts";
import { checkChange, checkInstanceId, checkServiceName } from "../registry/instance/instance.ts";
import type { Registry } from "../registry/registry.ts";
import { checkRegistry, type RegistryConfig } from "../registry/registry-config.ts";
import type { Clock } from "../rpc/clock.ts";
import { isReservedKey } from "../rpc/metadata.ts";
import type { Service } from "../rpc/method.ts";
import { checkOptions, nearestName, type OptionSpecs } from "../rpc/options.ts";
import type { Random } from "../rpc/random.ts";
import { type AuthenticationOptions, checkAuthentication } from "./guard.ts";
import { type AdvertiseOption, readAdvertise } from "./lifecycle/advertise-option.ts";
import { checkHealthCheck, type HealthCheckOptions } from "./lifecycle/health-check.ts";
import { SERVER_LAYERS, type ServerInterceptor } from "./pipeline.ts";
import { checkWorkers, type WorkerOptions } from "./workers/worker-options.ts";

/** Ages of connections and answers to PINGs. */
export interface ServerKeepaliveOptions {
  /** Silence after which a client is asked for a sign of life, in ms. Default 2 hours. */
  readonly timeMs?: number;
  /** Time for its answer, in ms. Default 20,000. */
  readonly timeoutMs?: number;
  /** A client's PINGs may come as often as this, in ms; more get GOAWAY `too_many_pings` (gRFC A8). Default 5 minutes. */
  readonly minPingMs?: number;
  /** Clients may send PINGs while no call is open. Default false. */
  readonly pingWithoutCalls?: boolean;
  /** Age after which a connection is ended in order, ± 10 %, in ms. Default never. */
  readonly maxAgeMs?: number;
  /** Time for calls to end after that, in ms. Default forever. */
  readonly maxAgeGraceMs?: number;
  /** A connection without calls for this long is ended in order, in ms. Default never. */
  readonly maxIdleMs?: number;
}

/** How a server behaves; all of it is optional. */
export interface ServerOptions {
  /** Name of the service in the registry, and in logs. Needed with `registry`. */
  readonly name?: string;
  /** `host:port`, `:port` for all interfaces, `[v6]:port`, `unix:/path`; port 0 takes any free one. Default `0.0.0.0:0`. */
  readonly listen?: string;
  /**
   * What others are told to connect to: `auto`, `host:port`, `host` (with the port that was bound), `interface:eth1`, `cidr:10.0.0.0/8`,
   * `env:HOST_IP`, or a list of `{ network, address }`. Default: `BOWLINE_ADVERTISE` of the environment, else what was bound; for a wildcard
   * `POD_IP`, else the address by which this machine reaches the registry.
   */
  readonly advertise?: AdvertiseOption;
  /** Labels of the networks from which the advertised address can be reached, `["vpc-a"]`. Default: from anywhere. */
  readonly networks?: readonly string[];
  /** Where the server makes itself known once it serves, e.g. `local()`. */
  readonly registry?: RegistryConfig | Registry;
  /** Unique name of this process in the registry. Default: name, pid and a random part. */
  readonly instanceId?: string;
  /** Share of the load relative to the other instances; 0: none. Default 1. */
  readonly weight?: number;
  /** The zone that the instance is in, for those who look at the registry and for balancers of your own. Default none. */
  readonly zone?: string;
  /** Version of the program, for those who look at the registry. Default none. */
  readonly version?: string;
  /** More that the registry shall tell of the instance, texts by name. Default none. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Connects to its own advertised address after registering, and logs what is wrong with it. Default true. */
  readonly selfCheck?: boolean;
  /** Takes the instance out of the registry while a check fails, but never the last one of the service. Default none. */
  readonly healthCheck?: HealthCheckOptions;
  /** TLS from PEM files or texts; files are read again when they change. Default: plaintext. */
  readonly tls?: TlsSettings;
  /** What must be done before the server serves, registers and says SERVING; clients that connect before wait. A rejection ends the start. */
  readonly ready?: () => Promise<void> | void;
  /** Who may call, found out before a body is decoded: `authenticate: { by: bearer({ verify }) }`. Default: everybody. */
  readonly authenticate?: AuthenticationOptions;
  /** Around each handler, first = outermost. */
  readonly interceptors?: readonly ServerInterceptor[];
  /** Longest time for a unary call, in ms, if its caller does not allow less; 0: none. Streams have none. Default 0. */
  readonly timeoutMs?: number;
  /** The same for single methods, in place of `timeoutMs`: `{ "/stock.v1.Stock/Count": 500 }`. Default none. */
  readonly methodTimeoutsMs?: Readonly<Record<string, number>>;
  /** Keys of metadata that travel on to the calls that handlers make. Trace headers always do. */
  readonly propagate?: readonly string[];
  /** Answers are compressed by this (`gzip`, `deflate`, `br`, `zstd`) for clients that take it. Default: not. */
  readonly compression?: string;
  /** Smaller answers are not compressed, in bytes. Default 1024. */
  readonly compressFromBytes?: number;
  /** Largest request message, after inflation, in bytes. Default 4 MiB. */
  readonly maxReceiveBytes?: number;
  /** Memory that the objects of one request may take, about, in bytes. Default 32 MiB, or 8 times its size if larger. */
  readonly maxDecodedBytes?: number;
  /** Open connections. Default 10,000. */
  readonly maxConnections?: number;
  /** After the announcement of a stop, new calls are still taken for this long, in ms. Default 2000. */
  readonly drainAcceptMs?: number;
  /** A stop takes at most this long, in ms; then calls that still run are cancelled. Default 30,000. */
  readonly drainTimeoutMs?: number;
  /**
   * Stop in order on SIGTERM and SIGINT; when all servers of the process have stopped, it ends with `process.exitCode` or 0. A second
   * signal ends it at once. Default true. False: whoever starts the server calls `close()`.
   */
  readonly handleSignals?: boolean;
  /**
   * Serve in so many processes, by node:cluster, each of which runs this program; `"auto"` is one for each core. This process becomes
   * their primary. 1 is one worker that is started again when it ends. Default: serve in this process.
   */
  readonly workers?: number | "auto" | WorkerOptions;
  /** Serve grpc.health.v1. Default true. */
  readonly health?: boolean;
  /** Serve grpc.reflection, v1 and v1alpha. Default true. */
  readonly reflection?: boolean;
  readonly keepalive?: ServerKeepaliveOptions;
  /** Bounds of HTTP/2, see `HTTP2_LIMITS`. */
  readonly limits?: Partial<Http2Limits>;
  /** Where log lines go. Default: JSON on standard error. */
  readonly logger?: Logger;
  /** Built-in layers to leave out, by name: for measurements. */
  readonly without?: readonly string[];
  /** Where the server listens. Default: this machine's sockets; `memoryNetwork()` of bowline/testing is one without ports. */
  readonly network?: Network;
  /** For tests: the source of time. */
  readonly clock?: Clock;
  /** For tests: the source of chance. */
  readonly random?: Random;
}

const MS = { kind: "number", min: 0, max: 0x7fffffff, unit: "ms" } as const;
const LONG_MS = { kind: "number", min: 1, max: Number.POSITIVE_INFINITY, unit: "ms" } as const;
const BYTES = { kind: "number", min: 0, max: 0x7fffffff, isWhole: true, unit: "bytes" } as const;

const SPECS: OptionSpecs = {
  name: { kind: "string" },
  listen: { kind: "string" },
  advertise: { kind: "any" },
  networks: { kind: "array" },
  registry: { kind: "any" },
  instanceId: { kind: "string" },
  weight: { kind: "number", min: 0, max: 1_000_000, unit: "load" },
  zone: { kind: "string" },
  version: { kind: "string" },
  tags: { kind: "object" },
  selfCheck: { kind: "boolean" },
  healthCheck: { kind: "object" },
  tls: { kind: "object" },
  ready: { kind: "function" },
  authenticate: { kind: "object" },
  interceptors: { kind: "array" },
  timeoutMs: MS,
  methodTimeoutsMs: { kind: "object" },
  propagate: { kind: "array" },
  compression: { kind: "string" },
  compressFromBytes: BYTES,
  maxReceiveBytes: BYTES,
  maxDecodedBytes: BYTES,
  maxConnections: { kind: "number", min: 1, max: 1_000_000, isWhole: true, unit: "connections" },
  drainAcceptMs: MS,
  drainTimeoutMs: MS,
  handleSignals: { kind: "boolean" },
  workers: { kind: "any" },
  health: { kind: "boolean" },
  reflection: { kind: "boolean" },
  keepalive: { kind: "object" },
  limits: { kind: "object" },
  logger: { kind: "object" },
  without: { kind: "array" },
  network: { kind: "object" },
  clock: { kind: "object", methods: ["now", "fresh", "setTimeout", "setInterval"], example: "a VirtualClock" },
  random: { kind: "function" },
};

const KEEPALIVE_SPECS: OptionSpecs = {
  timeMs: LONG_MS,
  timeoutMs: LONG_MS,
  minPingMs: MS,
  pingWithoutCalls: { kind: "boolean" },
  maxAgeMs: LONG_MS,
  maxAgeGraceMs: LONG_MS,
  maxIdleMs: LONG_MS,
};

/** @throws TypeError or RangeError naming what is wrong with a server's options */
export function checkServerOptions(options: ServerOptions): void {
  checkOptions("createServer options", options, SPECS);
  checkOptions("createServer options.keepalive", options.keepalive, KEEPALIVE_SPECS);
  const { registry, name, listen, logger, instanceId, tls } = options;
  checkRegistry("createServer options.registry", registry);
  if (registry !== undefined && name === undefined) {
    throw new TypeError(
      'createServer options.name is missing: a registry needs the name of the service, such as "user.rpc"',
    );
  }
  if (registry !== undefined && name !== undefined) prefixed("name", () => checkServiceName(name));
  if (instanceId !== undefined) prefixed("instanceId", () => checkInstanceId(instanceId));
  if (tls !== undefined) checkTlsSettings("server", tls, "createServer options.tls");
  checkAuthentication(options.authenticate, asksForCertificates(tls));
  if (listen !== undefined) prefixed("listen", () => parseListenAddress(listen));
  checkPresence(options);
  for (const method of ["info", "warn", "error"] as const) {
    if (logger === undefined || typeof logger[method] === "function") continue;
    throw new TypeError(`createServer options.logger.${method} is missing: give a logger such as pino or console`);
  }
  if (options.network !== undefined && typeof options.network.listen !== "function") {
    throw new TypeError("createServer options.network can't listen: give a Network such as memoryNetwork()");
  }
  checkEach("interceptors", options.interceptors, (each) => typeof each === "function", "a function");
  checkEach("propagate", options.propagate, isPropagatable, "the key of metadata");
  for (const layer of options.without ?? []) checkLayer(layer);
  checkMethodTimeouts(options.methodTimeoutsMs);
  checkWorkers(options);
}

function checkMethodTimeouts(timeouts: ServerOptions["methodTimeoutsMs"] = {}): void {
  const field = "createServer options.methodTimeoutsMs";
  for (const [path, timeoutMs] of Object.entries(timeouts)) {
    if (!/^\/[^/]+\/[^/]+$/.test(path)) {
      throw new TypeError(`${field}: ${JSON.stringify(path)} is no method; write it as "/stock.v1.Stock/Count"`);
    }
    if (typeof timeoutMs === "number" && timeoutMs >= 1 && timeoutMs <= MS.max) continue;
    throw new RangeError(`${field}[${JSON.stringify(path)}] is ${String(timeoutMs)}: give 1 to ${MS.max} ms`);
  }
}

/**
 * Checks what can be known only when all services are there.
 *
 * @throws TypeError for a time limit of a method that none of them has
 */
export function checkMethodPaths({ methodTimeoutsMs = {} }: ServerOptions, services: readonly Service[]): void {
  const known = services.flatMap((service) => Object.values(service.methods).map(({ path }) => path));
  for (const path of Object.keys(methodTimeoutsMs)) {
    if (known.includes(path)) continue;
    const nearest = nearestName(path, known);
    const hint = nearest === undefined ? "add its service, or leave the entry out" : `did you mean "${nearest}"?`;
    const option = `createServer options.methodTimeoutsMs[${JSON.stringify(path)}]`;
    throw new TypeError(`${option} is for a method that no service of this server has; ${hint}`);
  }
}

/** What a registry tells of the instance. */
function checkPresence({ advertise, networks, weight = 1, tags = {}, healthCheck }: ServerOptions): void {
  if (advertise !== undefined) readAdvertise(advertise, "createServer options.advertise");
  checkEach("networks", networks, (each) => typeof each === "string" && each !== "", "the label of a network");
  if (networks !== undefined && networks.length > 0 && typeof advertise === "object") {
    throw new TypeError(
      "createServer options.networks: the entries of advertise have networks of their own; leave out one of the two",
    );
  }
  try {
    checkChange({ weight, tags, state: "ready" });
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replace("instance.", "createServer options.");
    throw error;
  }
  checkHealthCheck("createServer options.healthCheck", healthCheck);
}

/** True when clients are asked for a certificate. */
function asksForCertificates(tls: TlsSettings | undefined): boolean {
  const { authorities = [], clientCertificates } = tls ?? {};
  return clientCertificates === undefined ? [authorities].flat().length > 0 : clientCertificates !== "none";
}

/** What a server does about the age, silence and PINGs of its connections. */
export function connectionCare(options: ServerKeepaliveOptions = {}): {
  readonly keepalive: KeepaliveOptions;
  readonly pings: PingPolicy;
  readonly lifetime: LifetimeOptions | null;
} {
  const { timeMs, timeoutMs, minPingMs, pingWithoutCalls, maxAgeMs, maxAgeGraceMs, maxIdleMs } = options;
  // Nothing is kept of a connection's life that nobody limits.
  const isLimited = maxAgeMs !== undefined || maxIdleMs !== undefined;
  return {
    keepalive: serverKeepalive(given({ timeMs, timeoutMs })),
    pings: pingPolicy(given({ minTimeMs: minPingMs, permitWithoutStream: pingWithoutCalls })),
    lifetime: isLimited ? connectionLifetime(given({ maxAgeMs, maxAgeGraceMs, maxIdleMs })) : null,
  };
}

/** Without the entries that are undefined, which would hide a default. */
function given<T extends object>(entries: T): Partial<T> {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Runs a check of something that does not know which option it is. */
function prefixed(option: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof Error) error.message = `createServer options.${option}: ${error.message}`;
    throw error;
  }
}

function checkEach(
  option: string,
  list: readonly unknown[] | undefined,
  fits: (each: unknown) => boolean,
  what: string,
): void {
  list?.forEach((each, index) => {
    const shown = typeof each === "string" ? JSON.stringify(each) : typeof each;
    if (!fits(each)) throw new TypeError(`createServer options.${option}[${index}] is ${shown}: give ${what}`);
  });
}

/** Keys of gRPC itself never travel on. */
function isPropagatable(key: unknown): boolean {
  return typeof key === "string" && /^[0-9a-z_.-]+$/i.test(key) && !isReservedKey(key.toLowerCase());
}

function checkLayer(layer: string): void {
  if (SERVER_LAYERS.includes(layer)) return;
  const nearest = nearestName(String(layer), SERVER_LAYERS);
  const hint = nearest === undefined ? `layers are ${SERVER_LAYERS.join(", ")}` : `did you mean ${nearest}?`;
  throw new TypeError(`createServer options.without: there is no layer "${layer}"; ${hint}`);
}
