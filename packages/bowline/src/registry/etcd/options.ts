import type { Network } from "../../net/network.ts";
import type { TlsSettings } from "../../net/tls/tls-files.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { formatHostPort, isFault, readHostPort } from "../instance/address.ts";
import { DETAILS_ROOT, type EtcdStyle } from "./format.ts";

/** TLS towards etcd, as a user sets it. Files are read again when they change. */
export interface EtcdTlsSettings extends Omit<TlsSettings, "clientCertificates"> {
  /** The name that the members' certificates must carry. Default: the host that is connected to. */
  readonly serverName?: string;
  /**
   * True: whoever answers is believed, whatever certificate it shows, and so is anyone between. For a look at a test system only; use
   * `authorities` for a private authority. go-zero's `InsecureSkipVerify`. Default false.
   */
  readonly dangerouslySkipVerification?: boolean;
}

/** Which etcd, and how it is used. */
export interface EtcdOptions {
  /**
   * The members' client addresses, `10.0.0.1:2379`; one is enough, others are gone to when it fails. Only these are ever dialled:
   * the URLs that members advertise are not asked for.
   */
  readonly hosts: readonly string[];
  /** Default: the environment's `BOWLINE_ETCD_USER`, else none. */
  readonly user?: string;
  /** Default: the environment's `BOWLINE_ETCD_PASSWORD`. */
  readonly password?: string;
  /** `true` for members with a public certificate, or settings; with `certificate` and `key` for mutual TLS. Default: plaintext. */
  readonly tls?: boolean | EtcdTlsSettings;
  /** Goes before all keys, for fleets that share an etcd: `staging/`. Default empty, as in go-zero. */
  readonly prefix?: string;
  /**
   * How an instance's address is written. `go-zero`: the bare `host:port`; `grpc-naming`: the JSON of etcd's own gRPC naming, for
   * Go clients with etcd's resolver. Both are always read. Default `go-zero`.
   */
  readonly register?: EtcdStyle;
  /**
   * Whether weight, zone, tags and state are written and read, under `bowline/instances/`. False for a user of etcd who may touch
   * nothing but the services' own keys. Default true.
   */
  readonly metadata?: boolean;
  /** Life of an instance that is not renewed, in s, from 2 to 3600; it is renewed three times in it. Default 10, as in go-zero. */
  readonly ttlSeconds?: number;
  /** Time for connecting to one member, TLS included, in ms. Default 2000. */
  readonly connectTimeoutMs?: number;
  /** Time for one member to answer, connecting included, in ms. Default 3000, as in go-zero. */
  readonly requestTimeoutMs?: number;
  /** Where members are dialled. Default: this machine's sockets. */
  readonly network?: Network;
}

/** Options with their defaults, hosts in their one form. */
export interface CheckedEtcdOptions {
  readonly hosts: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean | EtcdTlsSettings;
  readonly prefix: string;
  readonly register: EtcdStyle;
  readonly metadata: boolean;
  readonly ttlSeconds: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly network: Network | undefined;
}

const OWNER = "etcd registry";
/** A member after another is tried while somebody waits: more than these are a mistake. */
const MAX_HOSTS = 64;

const SPECS: OptionSpecs = {
  hosts: { kind: "array" },
  user: { kind: "string" },
  password: { kind: "string" },
  tls: { kind: "any" },
  prefix: { kind: "string" },
  register: { kind: "one-of", values: ["go-zero", "grpc-naming"] },
  metadata: { kind: "boolean" },
  // etcd raises what is below one and a half election timeouts, 2 s with its defaults.
  ttlSeconds: { kind: "number", min: 2, max: 3600, isWhole: true, unit: "s" },
  connectTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  requestTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  network: { kind: "object", methods: ["dial"], example: "a Network such as memoryNetwork()" },
};

const TLS_SPECS: OptionSpecs = {
  certificate: { kind: "any" },
  key: { kind: "any" },
  passphrase: { kind: "string" },
  authorities: { kind: "any" },
  minVersion: { kind: "one-of", values: ["TLSv1.2", "TLSv1.3"] },
  serverName: { kind: "string" },
  dangerouslySkipVerification: { kind: "boolean" },
};

/** @throws TypeError or RangeError that names the option, its value, what is allowed and how to write it; never the password */
export function checkEtcdOptions(options: EtcdOptions): CheckedEtcdOptions {
  checkOptions(OWNER, options, SPECS);
  const { tls = false, prefix = "", user, password } = options;
  if (typeof tls !== "boolean") {
    if (typeof tls !== "object" || tls === null) throw new TypeError(`${OWNER}.tls: give true, false or TLS settings`);
    checkOptions(`${OWNER}.tls`, tls, TLS_SPECS);
    if (tls.serverName !== undefined && !/^[A-Za-z0-9_.:-]+$/.test(tls.serverName)) {
      throw new TypeError(`${OWNER}.tls.serverName: ${JSON.stringify(tls.serverName)} is no name of a host`);
    }
  }
  if (user === "") throw new TypeError(`${OWNER}.user is empty: leave it out for an etcd without users`);
  if (user === undefined && password !== undefined) {
    throw new TypeError(`${OWNER}.password is given without user: etcd needs both`);
  }
  if (/\p{Cc}/u.test(prefix) || !prefix.isWellFormed()) {
    throw new TypeError(`${OWNER}.prefix: ${JSON.stringify(prefix)} holds control characters or half a surrogate pair`);
  }
  return {
    hosts: readHosts(options.hosts),
    user,
    password,
    tls,
    prefix,
    register: options.register ?? "go-zero",
    metadata: options.metadata ?? true,
    ttlSeconds: options.ttlSeconds ?? 10,
    connectTimeoutMs: options.connectTimeoutMs ?? 2000,
    requestTimeoutMs: options.requestTimeoutMs ?? 3000,
    network: options.network,
  };
}

/** The user and password that count: those of the options, else those of the environment. @throws TypeError if one is missing */
export function etcdCredentials(
  options: CheckedEtcdOptions,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly user: string; readonly password: string } | undefined {
  const user = options.user ?? (environment.BOWLINE_ETCD_USER || undefined);
  if (user === undefined) return undefined;
  const password = options.password ?? environment.BOWLINE_ETCD_PASSWORD;
  if (password !== undefined) return { user, password };
  throw new TypeError(
    `${OWNER}: the user ${JSON.stringify(user)} has no password; set the option password or BOWLINE_ETCD_PASSWORD in the environment`,
  );
}

/** A service whose keys would lie among what Bowline adds to others can't be told from them. @throws TypeError */
export function checkEtcdService(service: string): void {
  if (!`${service}/`.startsWith(DETAILS_ROOT)) return;
  throw new TypeError(`${OWNER}: service: ${JSON.stringify(service)} lies under ${DETAILS_ROOT}; choose another name`);
}

function readHosts(hosts: readonly string[]): readonly string[] {
  const example = 'write it as "10.0.0.1:2379"';
  if (hosts === undefined || hosts.length === 0) {
    throw new TypeError(`${OWNER}.hosts: at least one is needed; ${example}`);
  }
  if (hosts.length > MAX_HOSTS)
    throw new RangeError(`${OWNER}.hosts: ${hosts.length} are too many; give at most ${MAX_HOSTS}`);
  const read = new Set<string>();
  hosts.forEach((text: unknown, index) => {
    const field = `${OWNER}.hosts[${index}]`;
    if (typeof text !== "string") throw new TypeError(`${field}: expected a text, got ${typeof text}; ${example}`);
    if (text.includes("@")) throw new TypeError(`${field}: holds a user or password; use the options for them`);
    const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
    if (scheme !== undefined) {
      const advice = scheme === "https://" ? "leave it out and set tls" : "leave it out";
      throw new TypeError(`${field}: ${JSON.stringify(text)} has a scheme; ${advice}, ${example}`);
    }
    const address = readHostPort(text);
    if (isFault(address)) throw new TypeError(`${field}: ${JSON.stringify(text)} ${address.problem}; ${example}`);
    const host = formatHostPort(address);
    if (read.has(host)) throw new TypeError(`${field}: ${host} is listed twice; list it once`);
    read.add(host);
  });
  return [...read];
}
