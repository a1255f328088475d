import type { Balancer } from "../../balancer/balancer.ts";
import { consistentHash } from "../../balancer/consistent-hash.ts";
import { p2c } from "../../balancer/p2c.ts";
import { roundRobin } from "../../balancer/round-robin.ts";
import { acceptEncoding, type Compression, findCompression, unknownCompression } from "../../codec/compression.ts";
import { clientKeepalive, type KeepaliveOptions } from "../../grpc/keepalive.ts";
import type { RequestConstants } from "../../grpc/wire/method-headers.ts";
import { http2Limits } from "../../http2/limits.ts";
import { DEFAULT_CONNECT_TIMEOUT_MS, dial } from "../../net/dial.ts";
import { explainFirstBytes } from "../../net/first-bytes.ts";
import type { Network } from "../../net/network.ts";
import { openTlsFiles, type TlsEnvironment, type TlsMaterial } from "../../net/tls/tls-files.ts";
import { guardLogger, jsonLogger } from "../../observe/logger.ts";
import { Misbehaviour } from "../../observe/misbehaviour.ts";
import { tlsFileLog } from "../../observe/tls-file-log.ts";
import { formatHostPort } from "../../registry/instance/address.ts";
import type { Instance, Registry, Watcher, WatchHandler } from "../../registry/registry.ts";
import type { RegistryConfig, RegistryContext } from "../../registry/registry-config.ts";
import { printTarget, type Target } from "../../registry/target/target.ts";
import { registryOf } from "../../registry/target/target-registry.ts";
import { ConnectionBackoff } from "../../resilience/backoff.ts";
import { RetryBudget } from "../../resilience/retry-budget.ts";
import { type Clock, systemClock } from "../../rpc/clock.ts";
import { environment } from "../../rpc/platform.ts";
import { type Random, systemRandom } from "../../rpc/random.ts";
import type { ClientOptions } from "../client-options.ts";
import { type ChannelDiscovery, channelDiscovery } from "../discovery/channel-discovery.ts";
import type { SnapshotStore } from "../discovery/snapshot-store.ts";
import { userAgent } from "../user-agent.ts";
import { identityOf } from "./channel-pool.ts";
import type { Endpoint, EndpointOptions } from "./endpoint.ts";
import { guardBalancer } from "./own-balancer.ts";

/** What a channel is made with. */
export interface ChannelOptions {
  readonly clock: Clock;
  /** For the order in which a large set is connected. */
  readonly random: Random;
  /** For people, in errors. */
  readonly target: string;
  readonly balancer: Balancer<Endpoint>;
  readonly endpoint: EndpointOptions;
  /** What servers did wrong is counted here. */
  readonly misbehaved: ReadonlyMap<string, number>;
  readonly retryBudget: RetryBudget;
  readonly constants: RequestConstants;
  readonly compression: Compression | null;
  readonly compressFromBytes: number;
  readonly maxReceiveBytes: number;
  /** Calls that may wait for an endpoint. */
  readonly maxWaitingCalls: number;
  /** Without a call for this long connections are closed, in ms; 0 = never. */
  readonly idleTimeoutMs: number;
  /** The last known instances, for a start without the registry; null: none are kept. */
  readonly disk: SnapshotStore | null;
  /** While nothing is known and the registry fails calls wait, up to their deadlines; else they fail at once. */
  readonly waitsForRegistry: boolean;
  watch(handler: WatchHandler): Watcher;
  /** The address of an instance that is dialled; null if none can be reached from here. */
  choose(instance: Instance): string | null;
  /** Why `choose` gave none, for people. */
  whyNone(instance: Instance): string;
  /** Trouble that no call hears of. */
  warn(text: string): void;
  /** The channel was closed: what was opened for it may go. */
  closed(): Promise<void>;
}

const DEFAULT_RECEIVE_BYTES = 4_194_304;
const DEFAULT_IDLE_MS = 1_800_000;
const DEFAULT_COMPRESS_FROM_BYTES = 1024;

/** Options that belong to a client, not to its channel. */
const CLIENT_ONLY: ReadonlySet<string> = new Set([
  "codec",
  "maxDecodedBytes",
  "timeoutMs",
  "retry",
  "interceptors",
  "credentials",
  "without",
]);

/** Options that are what their values are, whoever made the object. */
const PLAIN: ReadonlySet<string> = new Set(["limits", "keepalive", "tls", "networks", "rewrite", "reconnect"]);

/** A text that is the same for clients that may share a channel. */
export function channelKey(target: Target, options: ClientOptions): string {
  const parts = [printTarget(target)];
  for (const [name, value] of Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value === undefined || CLIENT_ONLY.has(name)) continue;
    parts.push(`${name}=${PLAIN.has(name) ? plainIdentity(value) : identityOf(value)}`);
  }
  return parts.join(" ");
}

/** Settings of plain values are the same if their values are; certificates in memory count by their octets. */
function plainIdentity(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1");
  if (typeof value !== "object" || value === null) return identityOf(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return entries
    .map(([name, each]) => `${name}:${plainIdentity(each)}`)
    .sort()
    .join(",");
}

/**
 * What a channel to `target` is made with; opens registry and certificates, which the channel closes.
 *
 * @throws TypeError or RangeError for settings that can't be used; nothing stays open then
 */
export function channelOptions(target: Target, options: ClientOptions): ChannelOptions {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const limits = http2Limits(options.limits);
  const maxReceiveBytes = options.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES;
  const compression = compressionOf(options.compression);
  const authority = options.authority ?? authorityOf(target);
  const serverName = serverNameOf(target, options.authority);
  const keepalive = keepaliveOf(options);
  const balancer = balancerOf(options, clock, random);
  const logger = guardLogger(options.logger ?? jsonLogger);
  const fields = { target: printTarget(target) };
  const warn = (text: string): void => logger.warn(fields, text);
  const report = (error: Error): void => warn(error.message);
  const context = { clock, random, environment: environment(), report };
  const opened = openAll(target, options, context, { warn, ...tlsFileLog(logger, fields) });
  const { tls } = opened;
  const misbehaviour = new Misbehaviour(clock, logger);
  const network: Pick<Network, "dial"> = options.network ?? { dial };
  const { connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = options;
  const endpoint: EndpointOptions = {
    clock,
    transport: {
      clock,
      limits,
      keepalive,
      maxReceiveBytes,
      explain: explainFirstBytes,
      misused: (kind, peer, text) => misbehaviour.add(kind, peer, text),
    },
    maxConnections: options.maxConnectionsPerEndpoint ?? 4,
    backoff: () => new ConnectionBackoff({ ...options.reconnect, random }),
    connectTimeoutMs,
    dial: (address, signal) => network.dial(address, { clock, tls, signal, serverName, connectTimeoutMs }),
  };
  return {
    clock,
    random,
    target: printTarget(target),
    balancer,
    endpoint,
    misbehaved: misbehaviour.counts,
    retryBudget: new RetryBudget({ clock }),
    constants: {
      scheme: tls === undefined ? "http" : "https",
      authority,
      userAgent: userAgent(),
      acceptEncoding,
      encoding: compression === null ? "" : compression.name,
    },
    compression,
    compressFromBytes: options.compressFromBytes ?? DEFAULT_COMPRESS_FROM_BYTES,
    maxReceiveBytes,
    maxWaitingCalls: options.maxWaitingCalls ?? 10_000,
    idleTimeoutMs: options.idleTimeoutMs ?? DEFAULT_IDLE_MS,
    ...opened.discovery,
    warn,
    watch: opened.watch,
    closed: opened.close,
  };
}

/** What is open as long as the channel. */
interface Opened {
  readonly tls: TlsMaterial | undefined;
  readonly discovery: ChannelDiscovery;
  watch(handler: WatchHandler): Watcher;
  close(): Promise<void>;
}

/** Certificates first: they can be wrong, and nothing else has been opened then. */
function openAll(
  target: Target,
  options: ClientOptions,
  context: RegistryContext,
  { warn, ...tlsLog }: Pick<ChannelOptions, "warn"> & ReturnType<typeof tlsFileLog>,
): Opened {
  const tls = openTls(options, { clock: context.clock, ...tlsLog });
  let configured: OpenRegistry | undefined;
  try {
    configured = openRegistry(options.registry, context);
    const found = registryOf(inNetwork(target, options.network), context, configured?.registry);
    return {
      tls,
      discovery: channelDiscovery(printTarget(target), found.registry, options, context, warn),
      watch: (handler) => found.registry.watch(found.service, handler),
      close: async () => {
        tls?.close();
        if (found.isOwned) await found.registry.close();
        if (configured?.isOwned === true) await configured.registry.close();
      },
    };
  } catch (error) {
    tls?.close();
    if (configured?.isOwned === true) void configured.registry.close();
    throw error;
  }
}

/** Names that the network knows by itself need no DNS: the address is dialled as it stands. */
function inNetwork(target: Target, network: Network | undefined): Target {
  if (target.kind !== "dns" || network?.resolvesNames !== true) return target;
  return { kind: "static", addresses: [formatHostPort(target)] };
}

/** Servers are asked for signs of life only by clients that say when. */
function keepaliveOf({ keepalive }: ClientOptions): KeepaliveOptions | null {
  if (keepalive?.timeMs === undefined) return null;
  const { timeMs, timeoutMs = 20_000, withoutCalls = false } = keepalive;
  return clientKeepalive({ timeMs, timeoutMs, permitWithoutStream: withoutCalls });
}

function openTls({ tls }: ClientOptions, environment: TlsEnvironment): TlsMaterial | undefined {
  if (tls === undefined || tls === false) return undefined;
  return openTlsFiles("client", tls === true ? {} : tls, { ...environment, option: "createClient options.tls" });
}

interface OpenRegistry {
  readonly registry: Registry;
  readonly isOwned: boolean;
}

function openRegistry(
  registry: RegistryConfig | Registry | undefined,
  context: RegistryContext,
): OpenRegistry | undefined {
  if (registry === undefined) return undefined;
  return "create" in registry ? { registry: registry.create(context), isOwned: true } : { registry, isOwned: false };
}

function compressionOf(name: string | undefined): Compression | null {
  if (name === undefined || name === "identity") return null;
  const found = findCompression(name);
  if (found !== undefined) return found;
  throw unknownCompression("createClient options.compression", name);
}

function balancerOf(options: ClientOptions, clock: Clock, random: Random): Balancer<Endpoint> {
  const { balancer = "p2c" } = options;
  if (typeof balancer === "function") return guardBalancer(balancer());
  if (balancer === "consistent_hash") return consistentHash();
  return balancer === "p2c" ? p2c({ clock, random }) : roundRobin({ random });
}

/** `:authority` of a target: its host and port, or the name of the service, as a URL would have it. */
function authorityOf(target: Target): string {
  switch (target.kind) {
    case "dns":
      return formatHostPort({ host: withoutZone(target.host), port: target.port });
    case "static":
      return target.addresses[0].startsWith("unix:") ? "localhost" : withoutZone(target.addresses[0]);
    case "unix":
      return "localhost";
    case "srv":
      return target.name;
    case "remote":
      // go-zero writes the name as ?key=, everybody else as the path.
      return encodeURIComponent(target.query.key ?? target.path).replaceAll("%3A", ":");
    default:
      return encodeURIComponent(target.service);
  }
}

/** What to ask a certificate for; undefined for the host of each address. A name stays itself whatever it resolves to. */
function serverNameOf(target: Target, authority: string | undefined): string | undefined {
  if (authority !== undefined) return /^\[?(.*?)\]?(:[0-9]+)?$/.exec(authority)?.[1];
  return target.kind === "dns" ? withoutZone(target.host) : undefined;
}

/** The zone of an IPv6 address (`fe80::1%eth0`) means something on this machine only (RFC 6874 §4). */
function withoutZone(host: string): string {
  return host.replace(/%[^\]]*/, "");
}
