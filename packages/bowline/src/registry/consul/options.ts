import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { type HttpHost, readHttpHosts } from "../http/http-host.ts";
import { checkHttpTls, type HttpTlsSettings } from "../http/http-tls.ts";

/**
 * How Consul finds out whether an instance lives. `ttl`: the instance says so itself, three times in `ttlSeconds`. The agent asks
 * with the others: `tcp` connects to its address, `grpc` calls `grpc.health.v1` there (`service` of it, default the whole server),
 * `http` gets a URL.
 */
export type ConsulCheck =
  | { readonly kind: "ttl" }
  | { readonly kind: "tcp" }
  | { readonly kind: "grpc"; readonly service?: string; readonly tls?: boolean }
  | { readonly kind: "http"; readonly url: string };

/** How current an answer must be: of the leader (`default`), of any server (`stale`), or confirmed by a majority (`consistent`). */
export type ConsulConsistency = "default" | "stale" | "consistent";

/** Which Consul, and how it is used. */
export interface ConsulOptions {
  /**
   * The agents' HTTP addresses, `10.0.0.1:8500` or `https://…` or `unix:/run/consul.sock`; the first that answers is used. Name agents,
   * no load balancer: a registration lives with the agent that took it. Default: `CONSUL_HTTP_ADDR` of the environment, else the
   * agent of this machine, `127.0.0.1:8500`.
   */
  readonly hosts?: string | readonly string[];
  /** ACL token. Default: `CONSUL_HTTP_TOKEN` of the environment, else none. */
  readonly token?: string;
  /** File that holds the token, read again every 10 s. Default: `CONSUL_HTTP_TOKEN_FILE`. */
  readonly tokenFile?: string;
  /** `true` for agents with a public certificate, or settings. Default: as the hosts say, `https://` or not. */
  readonly tls?: boolean | HttpTlsSettings;
  /** Whose instances are looked up. Default: the agent's own. What is registered belongs to the agent's datacentre. */
  readonly datacenter?: string;
  /** Consul Enterprise. Default: `CONSUL_NAMESPACE`, else the token's. */
  readonly namespace?: string;
  /** Consul Enterprise. Default: `CONSUL_PARTITION`, else the agent's. */
  readonly partition?: string;
  /** Only instances with this tag, or all of these, are seen. Default: any. */
  readonly tag?: string | readonly string[];
  /** Consul's filter expression, `Service.Meta.version == "2"`. Default none. */
  readonly filter?: string;
  /** Which instances are seen: those whose checks pass; also those with a warning; all. Default `passing`. */
  readonly health?: "passing" | "warning" | "any";
  /** Default `default`. `stale` goes on while there is no leader. */
  readonly consistency?: ConsulConsistency;
  /** Written with each registration, beside what the instance says. Default none. */
  readonly tags?: readonly string[];
  /** Written with each registration, beside what the instance says. Keys: letters, digits, `_` and `-`. Default none. */
  readonly meta?: Readonly<Record<string, string>>;
  /** Default `ttl`. */
  readonly check?: "ttl" | "tcp" | "grpc" | ConsulCheck;
  /** Life of an instance that does not say that it lives, in s, from 2 to 86,400. Default 10. */
  readonly ttlSeconds?: number;
  /** How often an agent asks, with checks other than `ttl`, in s, from 1 to 3600. Default 5. */
  readonly checkIntervalSeconds?: number;
  /** An instance that fails its check for so long is forgotten, in s, from 60 (Consul's least) to 604,800. Default 60. */
  readonly deregisterAfterSeconds?: number;
  /** How long an agent holds a question until something changes, in ms, from 1000 to 600,000. Default 30,000. */
  readonly waitMs?: number;
  /** For one agent, TLS included, in ms. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** For one agent to answer, beyond `waitMs`, in ms. Default 5000. */
  readonly requestTimeoutMs?: number;
  /**
   * Services that are watched at the same time, each on a connection of its own; further ones take turns. Consul allows 200
   * connections of one machine (`http_max_conns_per_client`). Default 100.
   */
  readonly maxConnections?: number;
}

/** Options with their defaults, and what the environment adds to them. */
export interface CheckedConsulOptions {
  readonly hosts: readonly HttpHost[];
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly tls: HttpTlsSettings | undefined;
  readonly datacenter: string | undefined;
  readonly namespace: string | undefined;
  readonly partition: string | undefined;
  readonly tag: readonly string[];
  readonly filter: string | undefined;
  readonly health: "passing" | "warning" | "any";
  readonly consistency: ConsulConsistency;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  readonly check: ConsulCheck;
  readonly ttlSeconds: number;
  readonly checkIntervalSeconds: number;
  readonly deregisterAfterSeconds: number;
  readonly waitMs: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
}

const OWNER = "consul registry";
const DEFAULT_HOST = "127.0.0.1:8500";

const SPECS: OptionSpecs = {
  hosts: { kind: "any" },
  token: { kind: "string" },
  tokenFile: { kind: "string" },
  tls: { kind: "any" },
  datacenter: { kind: "string" },
  namespace: { kind: "string" },
  partition: { kind: "string" },
  tag: { kind: "any" },
  filter: { kind: "string" },
  health: { kind: "one-of", values: ["passing", "warning", "any"] },
  consistency: { kind: "one-of", values: ["default", "stale", "consistent"] },
  tags: { kind: "array" },
  meta: { kind: "object" },
  check: { kind: "any" },
  ttlSeconds: { kind: "number", min: 2, max: 86_400, unit: "s" },
  checkIntervalSeconds: { kind: "number", min: 1, max: 3600, unit: "s" },
  deregisterAfterSeconds: { kind: "number", min: 60, max: 604_800, unit: "s" },
  waitMs: { kind: "number", min: 1000, max: 600_000, unit: "ms" },
  connectTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  requestTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  maxConnections: { kind: "number", min: 1, max: 10_000, isWhole: true, unit: "connections" },
};

const CHECK_SPECS: Readonly<Record<string, OptionSpecs>> = {
  ttl: { kind: { kind: "string" } },
  tcp: { kind: { kind: "string" } },
  grpc: { kind: { kind: "string" }, service: { kind: "string" }, tls: { kind: "boolean" } },
  http: { kind: { kind: "string" }, url: { kind: "string" } },
};

/** Consul's own limit, `metaKeyMaxLength` and `metaValueMaxLength` of agent/structs. */
const META_KEY = /^[A-Za-z0-9_-]{1,128}$/;
const MAX_META_BYTES = 512;

/**
 * Checks options without the environment, for an early error.
 *
 * @throws TypeError or RangeError that names the option, its value, what is allowed and how to write it; never the token
 */
export function checkConsulOptions(options: ConsulOptions): void {
  completeConsulOptions(options, {});
}

/** Checks options and adds the defaults and the variables of Consul's own tools. @throws TypeError as {@link checkConsulOptions} */
export function completeConsulOptions(
  options: ConsulOptions,
  environment: Readonly<Record<string, string | undefined>>,
): CheckedConsulOptions {
  checkOptions(OWNER, options, SPECS);
  checkHttpTls(OWNER, options.tls);
  const { tls = false, tag = [], tags = [], meta = {}, check = "ttl" } = options;
  if (options.token !== undefined && options.tokenFile !== undefined) {
    throw new TypeError(`${OWNER}: token and tokenFile are both given: give one of them`);
  }
  return {
    hosts: hostsOf(options, environment),
    ...tokenOf(options, environment),
    tls: typeof tls === "object" ? tls : undefined,
    datacenter: nameOf("datacenter", options.datacenter),
    namespace: nameOf("namespace", options.namespace ?? (environment.CONSUL_NAMESPACE || undefined)),
    partition: nameOf("partition", options.partition ?? (environment.CONSUL_PARTITION || undefined)),
    tag: textsOf("tag", typeof tag === "string" ? [tag] : tag),
    filter: options.filter,
    health: options.health ?? "passing",
    consistency: options.consistency ?? "default",
    tags: textsOf("tags", tags),
    meta: metaOf(meta),
    check: checkOf(check),
    ttlSeconds: options.ttlSeconds ?? 10,
    checkIntervalSeconds: options.checkIntervalSeconds ?? 5,
    deregisterAfterSeconds: options.deregisterAfterSeconds ?? 60,
    waitMs: options.waitMs ?? 30_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    requestTimeoutMs: options.requestTimeoutMs ?? 5000,
    maxConnections: options.maxConnections ?? 100,
  };
}

function hostsOf(
  options: ConsulOptions,
  environment: Readonly<Record<string, string | undefined>>,
): readonly HttpHost[] {
  const { tls = false } = options;
  const fromEnvironment = options.hosts === undefined && (environment.CONSUL_HTTP_ADDR ?? "") !== "";
  const hosts = options.hosts ?? (environment.CONSUL_HTTP_ADDR || DEFAULT_HOST);
  const read = readHttpHosts(typeof hosts === "string" ? hosts : [...hosts], {
    owner: OWNER,
    option: fromEnvironment ? "CONSUL_HTTP_ADDR" : "hosts",
    port: 8500,
    isTls: tls !== false || (fromEnvironment && environment.CONSUL_HTTP_SSL === "true"),
  });
  const plain = read.find((host) => !host.isTls && host.socketPath === "");
  if (tls !== false && plain !== undefined) {
    throw new TypeError(
      `${OWNER}: tls is set, but ${plain.label} is written with http://; write https:// or leave the scheme out`,
    );
  }
  return read;
}

/** What is an option counts before what the environment says; in it, as for Consul's own tools, the file before the variable. */
function tokenOf(
  { token, tokenFile }: ConsulOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Pick<CheckedConsulOptions, "token" | "tokenFile"> {
  if (token === "") throw new TypeError(`${OWNER}: token is empty: leave it out for a Consul without ACLs`);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError(`${OWNER}: token holds blanks or characters that no token has`);
  }
  if (token !== undefined || tokenFile !== undefined) return { token, tokenFile };
  const file = environment.CONSUL_HTTP_TOKEN_FILE || undefined;
  if (file !== undefined) return { token: undefined, tokenFile: file };
  const fromEnvironment = environment.CONSUL_HTTP_TOKEN || undefined;
  if (fromEnvironment !== undefined && !/^[\x21-\x7e]+$/.test(fromEnvironment)) {
    throw new TypeError(`${OWNER}: CONSUL_HTTP_TOKEN holds blanks or characters that no token has`);
  }
  return { token: fromEnvironment, tokenFile: undefined };
}

function nameOf(option: string, name: string | undefined): string | undefined {
  if (name === undefined || /^[A-Za-z0-9_-]{1,128}$/.test(name)) return name;
  throw new TypeError(`${OWNER}: ${option}: ${JSON.stringify(name)} is no name; letters, digits, _ and - are allowed`);
}

function textsOf(option: string, list: readonly string[]): readonly string[] {
  if (!Array.isArray(list)) throw new TypeError(`${OWNER}: ${option}: give an array of texts`);
  list.forEach((text: unknown, index) => {
    if (typeof text === "string" && text !== "" && !/\p{Cc}/u.test(text)) return;
    throw new TypeError(
      `${OWNER}: ${option}[${index}]: ${JSON.stringify(text)} is no tag; give a text that is not empty`,
    );
  });
  return [...list];
}

function metaOf(meta: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(meta)) {
    if (!META_KEY.test(key) || key.startsWith("consul-") || isOwnMeta(key)) {
      throw new TypeError(
        `${OWNER}: meta: ${JSON.stringify(key)} is no key; letters, digits, _ and -, at most 128, and no beginning with consul- or bowline`,
      );
    }
    if (typeof value !== "string" || Buffer.byteLength(value) > MAX_META_BYTES) {
      throw new TypeError(`${OWNER}: meta.${key}: give a text of at most ${MAX_META_BYTES} bytes`);
    }
  }
  return { ...meta };
}

function checkOf(check: NonNullable<ConsulOptions["check"]>): ConsulCheck {
  const given: ConsulCheck = typeof check === "string" ? ({ kind: check } as ConsulCheck) : check;
  const specs = Object.hasOwn(CHECK_SPECS, String(given?.kind)) ? CHECK_SPECS[given.kind] : undefined;
  if (specs === undefined) {
    throw new TypeError(
      `${OWNER}: check: give "ttl", "tcp", "grpc" or { kind: "http", url: "http://10.0.0.7:9090/healthz" }`,
    );
  }
  checkOptions(`${OWNER}: check`, given, specs);
  if (given.kind === "http" && !/^https?:\/\/[^\s]+$/.test(given.url ?? "")) {
    throw new TypeError(`${OWNER}: check.url: ${JSON.stringify(given.url)} is no URL that the agent can get`);
  }
  return given;
}

/** True for the keys of service metadata that Bowline writes its own into: `bowline`, `bowline-2` …, `bowline-run`. */
export function isOwnMeta(key: string): boolean {
  return /^bowline(-[0-9]+|-run)?$/.test(key);
}
