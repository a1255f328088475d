import type { CallCredentials } from "../auth/call-credentials.ts";
import type { Balancer } from "../balancer/balancer.ts";
import { compressionNames, findCompression } from "../codec/compression.ts";
import type { Http2Limits } from "../http2/limits.ts";
import type { Network } from "../net/network.ts";
import type { TlsSettings } from "../net/tls/tls-files.ts";
import type { Logger } from "../observe/logger.ts";
import type { Registry } from "../registry/registry.ts";
import { checkRegistry, type RegistryConfig } from "../registry/registry-config.ts";
import type { Clock } from "../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import type { Random } from "../rpc/random.ts";
import type { CallOptions } from "./call-options.ts";
import type { Endpoint } from "./channel/endpoint.ts";
import { checkDiscoverySettings, DISCOVERY_SPECS, type DiscoverySettings } from "./discovery/discovery-options.ts";
import type { Interceptor, PlacedInterceptor } from "./interceptor.ts";
import type { RetryPolicy } from "./pipeline.ts";

/** PINGs that find out whether a silent server is alive. */
export interface KeepaliveOptions {
  /** Silence after which a PING is sent, in ms, from 10,000 on. Default: no PINGs. */
  readonly timeMs?: number;
  /** Time for its answer, in ms; then the connection counts as dead. Default 20,000. */
  readonly timeoutMs?: number;
  /** Ask while no call is open, too. Default false; servers may take it ill (gRFC A8). */
  readonly withoutCalls?: boolean;
}

/** A balancer that comes with Bowline. */
export type BalancerName = "p2c" | "round_robin" | "consistent_hash";

/** How a client behaves; all of it is optional. */
export interface ClientOptions extends DiscoverySettings {
  /** Time for a call that says nothing else, in ms; 0 = no deadline. Default 2000 for unary calls, no deadline for those that stream. */
  readonly timeoutMs?: number;
  /** Where bare service names are looked up, e.g. `local()`. */
  readonly registry?: RegistryConfig | Registry;
  /**
   * How the endpoint for an attempt is chosen: `p2c` by load and latency, `round_robin` in turn, `consistent_hash` by the call option
   * `hashKey`, as go-zero's. Default `p2c`. A function makes one of your own, once for each channel.
   */
  readonly balancer?: BalancerName | (() => Balancer<Endpoint>);
  /** TLS: `true` for a server with a public certificate, or settings. Default: plaintext. */
  readonly tls?: boolean | TlsSettings;
  /** What to ask the server's certificate for, and `:authority`. Default: the host of the target. */
  readonly authority?: string;
  /** When failed attempts of idempotent methods are repeated; `false` = never. Default 2 attempts. */
  readonly retry?: false | Partial<RetryPolicy>;
  /** What proves to servers who calls, such as `bearerCredentials({ token })`; with TLS only, unless they say otherwise. Default: nothing. */
  readonly credentials?: CallCredentials;
  /** Around each call, first = outermost; `before("retry", …)` and `after("trace", …)` give a place. */
  readonly interceptors?: readonly (Interceptor | PlacedInterceptor)[];
  /**
   * How messages are written: `json` is ProtoJSON (`application/grpc+json`), for servers that prefer it and for reading along.
   * Default `proto`: whatever the codecs of the methods speak, which is the binary form unless they are your own.
   */
  readonly codec?: "proto" | "json";
  /** Compresses requests: `gzip`, `deflate`, `br`, `zstd`. A call may choose otherwise. Default: none. */
  readonly compression?: string;
  /** Smaller requests are not compressed, in bytes. Default 1024. */
  readonly compressFromBytes?: number;
  /** Largest answer message, after inflation, in bytes. Default 4 MiB. */
  readonly maxReceiveBytes?: number;
  /** Memory that the objects of one answer may take, about, in bytes. Default 32 MiB, or 8 times its size if larger. */
  readonly maxDecodedBytes?: number;
  /** Connections to one address when the server's stream limit is reached. Default 4. */
  readonly maxConnectionsPerEndpoint?: number;
  /** Calls that may wait for an endpoint; more fail with RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxWaitingCalls?: number;
  /** Time for connecting to one address, TLS included, in ms. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Without a call for this long connections are closed, in ms; 0 = never. Default 30 minutes (gRFC A61). */
  readonly idleTimeoutMs?: number;
  readonly keepalive?: KeepaliveOptions;
  /** Bounds of HTTP/2, see `HTTP2_LIMITS`. */
  readonly limits?: Partial<Http2Limits>;
  /**
   * Where lines go about servers that break a rule or pass a limit, ten in 10 s and the first of each kind at most, and about a registry
   * that fails; pino and console fit. Default: JSON on stderr.
   */
  readonly logger?: Logger;
  /** Built-in layers to leave out, by name: for measurements. */
  readonly without?: readonly string[];
  /** Where addresses are dialled. Default: this machine's sockets; `memoryNetwork()` of bowline/testing is one without ports. */
  readonly network?: Network;
  /** For tests: the source of time. */
  readonly clock?: Clock;
  /** For tests: the source of chance. */
  readonly random?: Random;
}

const MS = { min: 0, max: 0x7fffffff, unit: "ms" } as const;
const BYTES = { min: 0, max: 0x7fffffff, isWhole: true, unit: "bytes" } as const;

const BALANCERS: readonly BalancerName[] = ["p2c", "round_robin", "consistent_hash"];

const SPECS: OptionSpecs = {
  timeoutMs: { kind: "number", ...MS, zero: "no deadline" },
  registry: { kind: "any" },
  ...DISCOVERY_SPECS,
  balancer: { kind: "any" },
  tls: { kind: "any" },
  authority: { kind: "string" },
  retry: { kind: "any" },
  credentials: { kind: "object", methods: ["current", "fresh", "refused"], example: "bearerCredentials({ token })" },
  interceptors: { kind: "array" },
  codec: { kind: "one-of", values: ["proto", "json"] },
  compression: { kind: "string" },
  compressFromBytes: { kind: "number", ...BYTES },
  maxReceiveBytes: { kind: "number", ...BYTES },
  maxDecodedBytes: { kind: "number", ...BYTES },
  maxConnectionsPerEndpoint: { kind: "number", min: 1, max: 1000, isWhole: true, unit: "connections" },
  maxWaitingCalls: { kind: "number", min: 0, max: 10_000_000, isWhole: true, unit: "calls" },
  connectTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  idleTimeoutMs: { kind: "number", ...MS, zero: "never" },
  keepalive: { kind: "object" },
  limits: { kind: "object" },
  logger: { kind: "object", methods: ["info", "warn", "error"], example: "pino or console" },
  without: { kind: "array" },
  network: { kind: "object" },
  clock: { kind: "object", methods: ["now", "fresh", "setTimeout", "setInterval"], example: "a VirtualClock" },
  random: { kind: "function" },
};

const KEEPALIVE_SPECS: OptionSpecs = {
  timeMs: { kind: "number", min: 10_000, max: Number.POSITIVE_INFINITY, unit: "ms" },
  timeoutMs: { kind: "number", min: 1, max: 0x7fffffff, unit: "ms" },
  withoutCalls: { kind: "boolean" },
};

const RETRY_SPECS: OptionSpecs = {
  maxAttempts: { kind: "number", min: 1, max: 5, isWhole: true, unit: "attempts" },
  baseMs: { kind: "number", min: 1, max: 60_000, unit: "ms" },
  maxMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
};

const CALL_SPECS: OptionSpecs = {
  timeoutMs: { kind: "number", ...MS, zero: "no deadline" },
  signal: { kind: "object" },
  metadata: { kind: "object" },
  waitForReady: { kind: "boolean" },
  hashKey: { kind: "string" },
  compression: { kind: "one-of", values: compressionNames },
  compressIf: { kind: "function" },
  onHeader: { kind: "function" },
  onTrailer: { kind: "function" },
};

/** @throws TypeError or RangeError naming what is wrong with a client's options */
export function checkClientOptions(options: ClientOptions): void {
  checkOptions("createClient options", options, SPECS);
  checkOptions("createClient options.keepalive", options.keepalive, KEEPALIVE_SPECS);
  const retry: unknown = options.retry;
  if (retry === true || retry === null) {
    throw new TypeError(`createClient options.retry is ${retry}: give false, or settings such as { maxAttempts: 3 }`);
  }
  if (options.retry !== false) checkOptions("createClient options.retry", options.retry, RETRY_SPECS);
  checkRegistry("createClient options.registry", options.registry);
  checkDiscoverySettings(options);
  checkAuthority(options.authority);
  const { balancer } = options;
  if (balancer !== undefined && typeof balancer !== "function" && !BALANCERS.includes(balancer)) {
    throw new TypeError(
      `createClient options.balancer is ${String(balancer)}: give "p2c", "round_robin", "consistent_hash" or a function that makes one`,
    );
  }
  if (options.network !== undefined && typeof options.network.dial !== "function") {
    throw new TypeError("createClient options.network can't dial: give a Network such as memoryNetwork()");
  }
  const { tls, credentials } = options;
  if (tls !== undefined && typeof tls !== "boolean" && (typeof tls !== "object" || tls === null)) {
    throw new TypeError("createClient options.tls: give true, false or TLS settings");
  }
  if (credentials !== undefined && credentials.allowPlaintext !== true && (tls === undefined || tls === false)) {
    throw new TypeError(
      "createClient options.credentials would be sent without TLS, for everybody on the way to read: set tls, or allowPlaintext: true where the credentials are made",
    );
  }
}

/** What goes into a header must not end it; RFC 3986 §3.2 has no user in `:authority` (RFC 9113 §8.3.1). */
function checkAuthority(authority: string | undefined): void {
  if (authority === undefined || /^[\w.~!$&'()*+,;=%:[\]-]+$/.test(authority)) return;
  throw new TypeError(
    `createClient options.authority is ${JSON.stringify(authority)}: give a host, with or without a port, as in user.internal:8080`,
  );
}

/**
 * Run for each call that has options: nothing is allocated and no name looked up while all is well.
 *
 * @throws TypeError or RangeError naming what is wrong with a call's options
 */
export function checkCallOptions(options: CallOptions): void {
  if (typeof options !== "object" || options === null) return explainCallOptions(options);
  const { timeoutMs, signal, metadata, waitForReady, hashKey, compression, compressIf, onHeader, onTrailer } = options;
  let known = 0;
  let isWell = true;
  if (timeoutMs !== undefined) {
    known++;
    isWell = typeof timeoutMs === "number" && timeoutMs >= MS.min && timeoutMs <= MS.max;
  }
  if (signal !== undefined) {
    known++;
    isWell &&= typeof signal === "object" && signal !== null && typeof signal.addEventListener === "function";
  }
  if (metadata !== undefined) {
    known++;
    isWell &&= typeof metadata === "object" && metadata !== null;
  }
  if (waitForReady !== undefined) {
    known++;
    isWell &&= typeof waitForReady === "boolean";
  }
  if (hashKey !== undefined) {
    known++;
    isWell &&= typeof hashKey === "string";
  }
  if (compression !== undefined) {
    known++;
    isWell &&= findCompression(compression) !== undefined;
  }
  if (compressIf !== undefined) {
    known++;
    isWell &&= typeof compressIf === "function";
  }
  if (onHeader !== undefined) {
    known++;
    isWell &&= typeof onHeader === "function";
  }
  if (onTrailer !== undefined) {
    known++;
    isWell &&= typeof onTrailer === "function";
  }
  for (const _name in options) known--;
  if (!isWell || known !== 0 || Symbol.iterator in options) explainCallOptions(options);
}

/** Finds what is wrong; nothing may be, when a known option is there and undefined. */
function explainCallOptions(options: CallOptions): void {
  checkOptions("call options", options, CALL_SPECS);
  const { signal } = options;
  if (options instanceof AbortSignal) throw new TypeError("call options is an AbortSignal: give { signal }");
  if (Symbol.iterator in options) throw new TypeError("call options is a list: metadata goes in as { metadata }");
  if (signal === undefined || typeof signal.addEventListener === "function") return;
  throw new TypeError(
    "call options.signal is no AbortSignal: give the signal of an AbortController, controller.signal",
  );
}
