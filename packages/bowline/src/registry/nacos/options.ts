import type { Network } from "../../net/network.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { type HttpHost, readHttpHosts } from "../http/http-host.ts";
import { checkHttpTls, type HttpTlsSettings } from "../http/http-tls.ts";

/** Which Nacos, and how it is used. */
export interface NacosOptions {
  /**
   * The servers' main addresses, `10.0.0.1:8848` or `https://…`; one is used at a time, others are gone to when it fails. The path of
   * the HTTP API is `/nacos` unless a host is written with another. Default: the environment's `NACOS_SERVER_ADDR`, else `127.0.0.1:8848`.
   */
  readonly hosts?: string | readonly string[];
  /** Default: the environment's `BOWLINE_NACOS_USER`, else none. */
  readonly user?: string;
  /** Default: the environment's `BOWLINE_NACOS_PASSWORD`. */
  readonly password?: string;
  /** Signs requests, as Alibaba Cloud's Nacos asks for. Default: the environment's `BOWLINE_NACOS_ACCESS_KEY`, else none. */
  readonly accessKey?: string;
  /** Default: the environment's `BOWLINE_NACOS_SECRET_KEY`. */
  readonly secretKey?: string;
  /** For gRPC, and for HTTP where a host does not say `http://`: `true` for public certificates, or settings. Default: plaintext. */
  readonly tls?: boolean | HttpTlsSettings;
  /** Id of the namespace, not its shown name. Default `public`. */
  readonly namespace?: string;
  /** Group of the services. Default `DEFAULT_GROUP`. */
  readonly group?: string;
  /** Cluster that instances are registered in. Default `DEFAULT`. */
  readonly cluster?: string;
  /** Clusters whose instances are seen. Default: all. */
  readonly clusters?: readonly string[];
  /** Written with each registration, beside what the instance says. Default none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * `grpc` (Nacos 2 and 3), `http` (beats each 5 s, looks each 5 s), or `auto`: gRPC, and HTTP as long as no server can be reached by
   * gRPC. Default `auto`.
   */
  readonly protocol?: "auto" | "grpc" | "http";
  /** What the gRPC port is above the main port. Default 1000, as in Nacos. */
  readonly grpcPortOffset?: number;
  /** For connecting to one server, TLS included, in ms. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** For one server to answer, in ms. Default 3000. */
  readonly requestTimeoutMs?: number;
  /** Where servers are dialled for gRPC. Default: this machine's sockets. */
  readonly network?: Network;
}

/** Options with their defaults, and what the environment adds to them. */
export interface CheckedNacosOptions {
  readonly hosts: readonly HttpHost[];
  readonly credentials: NacosLogin | undefined;
  readonly tls: boolean | HttpTlsSettings;
  readonly namespace: string;
  readonly group: string;
  readonly cluster: string;
  readonly clusters: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly protocol: "auto" | "grpc" | "http";
  readonly grpcPortOffset: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly network: Network | undefined;
}

/** Who one is for Nacos. */
export type NacosLogin =
  | { readonly kind: "user"; readonly user: string; readonly password: string }
  | { readonly kind: "keys"; readonly accessKey: string; readonly secretKey: string };

type Environment = Readonly<Record<string, string | undefined>>;

const OWNER = "nacos registry";
const DEFAULT_HOST = "127.0.0.1:8848";
const MAX_PORT = 65_535;

const SPECS: OptionSpecs = {
  hosts: { kind: "any" },
  user: { kind: "string" },
  password: { kind: "string" },
  accessKey: { kind: "string" },
  secretKey: { kind: "string" },
  tls: { kind: "any" },
  namespace: { kind: "string" },
  group: { kind: "string" },
  cluster: { kind: "string" },
  clusters: { kind: "array" },
  metadata: { kind: "object" },
  protocol: { kind: "one-of", values: ["auto", "grpc", "http"] },
  grpcPortOffset: { kind: "number", min: -MAX_PORT, max: MAX_PORT, isWhole: true, unit: "ports" },
  connectTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  requestTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  network: { kind: "object", methods: ["dial"], example: "a Network such as memoryNetwork()" },
};

/**
 * Checks options without the environment, for an early error.
 *
 * @throws TypeError or RangeError that names the option, its value, what is allowed and how to write it; never the password or key
 */
export function checkNacosOptions(options: NacosOptions): void {
  const pretended = { BOWLINE_NACOS_PASSWORD: "x", BOWLINE_NACOS_SECRET_KEY: "x" };
  completeNacosOptions(options, pretended);
}

/** Checks options and adds the defaults and the environment. @throws TypeError or RangeError as {@link checkNacosOptions} */
export function completeNacosOptions(options: NacosOptions, environment: Environment): CheckedNacosOptions {
  checkOptions(OWNER, options, SPECS);
  checkHttpTls(OWNER, options.tls);
  const { tls = false, grpcPortOffset = 1000, clusters = [] } = options;
  if (tls === null || (typeof tls !== "boolean" && typeof tls !== "object")) {
    throw new TypeError(`${OWNER}: tls: give true, false or TLS settings`);
  }
  const named = (option: string, name: string): string => checkName(option, name);
  return {
    hosts: hostsOf(options, environment, grpcPortOffset),
    credentials: loginOf(options, environment),
    tls,
    namespace: named("namespace", options.namespace || "public"),
    group: named("group", options.group ?? "DEFAULT_GROUP"),
    cluster: named("cluster", options.cluster ?? "DEFAULT"),
    clusters: clusters.map((name, index) => named(`clusters[${index}]`, name)),
    metadata: metadataOf(options.metadata ?? {}),
    protocol: options.protocol ?? "auto",
    grpcPortOffset,
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    requestTimeoutMs: options.requestTimeoutMs ?? 3000,
    network: options.network,
  };
}

/** Where a server's gRPC is: `10.0.0.1:9848`. */
export function grpcAddress(host: HttpHost, offset: number): string {
  const name = host.hostname.includes(":") ? `[${host.hostname}]` : host.hostname;
  return `${name}:${host.port + offset}`;
}

/** True for the key of an instance's metadata that Bowline writes its own into. */
export function isOwnMetadata(key: string): boolean {
  return key === "bowline";
}

function hostsOf(options: NacosOptions, environment: Environment, offset: number): readonly HttpHost[] {
  const fromEnvironment = options.hosts === undefined ? environment.NACOS_SERVER_ADDR || undefined : undefined;
  const hosts = options.hosts ?? fromEnvironment?.split(",") ?? DEFAULT_HOST;
  const option = fromEnvironment === undefined ? "hosts" : "NACOS_SERVER_ADDR";
  const read = readHttpHosts(typeof hosts === "string" ? hosts : [...hosts], {
    owner: OWNER,
    option,
    port: 8848,
    isTls: options.tls !== undefined && options.tls !== false,
    basePath: "/nacos",
  });
  for (const { socketPath, label, port } of read) {
    if (socketPath !== "") throw new TypeError(`${OWNER}: ${option}: ${label} is a Unix socket, which Nacos has not`);
    if (port + offset >= 1 && port + offset <= MAX_PORT) continue;
    throw new RangeError(
      `${OWNER}: ${option}: ${label} would have its gRPC at port ${port + offset}; change grpcPortOffset (${offset}) or the port`,
    );
  }
  return read;
}

function loginOf(options: NacosOptions, environment: Environment): NacosLogin | undefined {
  const user = options.user ?? (environment.BOWLINE_NACOS_USER || undefined);
  const accessKey = options.accessKey ?? (environment.BOWLINE_NACOS_ACCESS_KEY || undefined);
  if (options.user === "") throw new TypeError(`${OWNER}: user is empty: leave it out for a Nacos without users`);
  if (options.accessKey === "") throw new TypeError(`${OWNER}: accessKey is empty: leave it out`);
  if (options.user !== undefined && options.accessKey !== undefined) {
    throw new TypeError(`${OWNER}: user and accessKey are both given: give one of them`);
  }
  if (user === undefined && options.password !== undefined) {
    throw new TypeError(`${OWNER}: password is given without user: Nacos needs both`);
  }
  if (user !== undefined && options.accessKey === undefined) {
    const password = options.password ?? environment.BOWLINE_NACOS_PASSWORD;
    if (password !== undefined) return { kind: "user", user, password };
    throw new TypeError(
      `${OWNER}: the user ${JSON.stringify(user)} has no password; set the option password or BOWLINE_NACOS_PASSWORD in the environment`,
    );
  }
  if (accessKey === undefined) {
    if (options.secretKey !== undefined) throw new TypeError(`${OWNER}: secretKey is given without accessKey`);
    return undefined;
  }
  const secretKey = options.secretKey ?? environment.BOWLINE_NACOS_SECRET_KEY;
  if (secretKey !== undefined && secretKey !== "") return { kind: "keys", accessKey, secretKey };
  throw new TypeError(
    `${OWNER}: accessKey has no secretKey; set that option or BOWLINE_NACOS_SECRET_KEY in the environment`,
  );
}

/** Nacos's own rules for names, `ParamCheckRule`, as far as all releases agree on them. */
function checkName(option: string, name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z0-9_.:-]{1,128}$/.test(name)) return name;
  throw new TypeError(
    `${OWNER}: ${option}: ${JSON.stringify(name)} is no name; letters, digits, _ - . and : are allowed, at most 128`,
  );
}

function metadataOf(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(metadata)) {
    if (key === "" || isOwnMetadata(key)) {
      throw new TypeError(`${OWNER}: metadata: ${JSON.stringify(key)} is no key; it may not be empty or "bowline"`);
    }
    if (typeof value !== "string")
      throw new TypeError(`${OWNER}: metadata.${key}: expected a text, got ${typeof value}`);
  }
  return { ...metadata };
}
