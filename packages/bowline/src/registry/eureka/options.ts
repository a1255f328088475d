import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { type HttpHost, readHttpHosts } from "../http/http-host.ts";
import { checkHttpTls, type HttpTlsSettings } from "../http/http-tls.ts";

/** Which Eureka, and how it is used. */
export interface EurekaOptions {
  /**
   * The servers, `10.0.0.1:8761` or with a path of their own, `https://eureka.internal/eureka/v2`; the first that answers is used, the
   * others are gone to when it fails. A host without a path means `/eureka`, as Spring Cloud has it.
   */
  readonly hosts: string | readonly string[];
  /** Of HTTP basic authentication. Default: the environment's `BOWLINE_EUREKA_USER`, else none. */
  readonly user?: string;
  /** Default: the environment's `BOWLINE_EUREKA_PASSWORD`. */
  readonly password?: string;
  /** `true` for servers with a public certificate, or settings. Default: as the hosts say, `https://` or not. */
  readonly tls?: boolean | HttpTlsSettings;
  /**
   * True: this instance's port is registered as the secure one, and of others the secure port is taken where both are enabled.
   * Default false.
   */
  readonly secure?: boolean;
  /** Between two questions for what has changed, in s, from 0.1 to 120. Default 5. A server's own cache may hold changes back for 30 s. */
  readonly refreshSeconds?: number;
  /** Life of an instance that does not renew, in s, from 3 to 3600; it renews three times in it. Servers look for dead ones once a minute. Default 30. */
  readonly ttlSeconds?: number;
  /** For one server, TLS included, in ms. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** For one server to answer, in ms. Default 5000. */
  readonly requestTimeoutMs?: number;
}

/** Options with their defaults, and what the environment adds to them. */
export interface CheckedEurekaOptions {
  readonly hosts: readonly HttpHost[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly tls: HttpTlsSettings | undefined;
  readonly secure: boolean;
  readonly refreshSeconds: number;
  readonly ttlSeconds: number;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

const OWNER = "eureka registry";

const SPECS: OptionSpecs = {
  hosts: { kind: "any" },
  user: { kind: "string" },
  password: { kind: "string" },
  tls: { kind: "any" },
  secure: { kind: "boolean" },
  // A server remembers changes for three minutes.
  refreshSeconds: { kind: "number", min: 0.1, max: 120, unit: "s" },
  ttlSeconds: { kind: "number", min: 3, max: 3600, isWhole: true, unit: "s" },
  connectTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
  requestTimeoutMs: { kind: "number", min: 1, max: 600_000, unit: "ms" },
};

/**
 * Checks options without the environment, for an early error.
 *
 * @throws TypeError or RangeError that names the option, its value, what is allowed and how to write it; never the password
 */
export function checkEurekaOptions(options: EurekaOptions): void {
  completeEurekaOptions(options, { BOWLINE_EUREKA_PASSWORD: "" });
}

/** Checks options and adds defaults and the environment's variables. @throws TypeError as {@link checkEurekaOptions} */
export function completeEurekaOptions(
  options: EurekaOptions,
  environment: Readonly<Record<string, string | undefined>>,
): CheckedEurekaOptions {
  checkOptions(OWNER, options, SPECS);
  checkHttpTls(OWNER, options.tls);
  const { tls = false } = options;
  if (options.hosts === undefined) throw new TypeError(`${OWNER}: hosts is missing: write it as "10.0.0.1:8761"`);
  const hosts = readHttpHosts(typeof options.hosts === "string" ? options.hosts : [...options.hosts], {
    owner: OWNER,
    port: 8761,
    isTls: tls !== false,
    basePath: "/eureka",
  });
  const plain = hosts.find((host) => !host.isTls && host.socketPath === "");
  if (tls !== false && plain !== undefined) {
    throw new TypeError(
      `${OWNER}: tls is set, but ${plain.label} is written with http://; write https:// or leave the scheme out`,
    );
  }
  return {
    hosts,
    ...credentialsOf(options, environment),
    tls: typeof tls === "object" ? tls : undefined,
    secure: options.secure ?? false,
    refreshSeconds: options.refreshSeconds ?? 5,
    ttlSeconds: options.ttlSeconds ?? 30,
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    requestTimeoutMs: options.requestTimeoutMs ?? 5000,
  };
}

function credentialsOf(
  options: EurekaOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Pick<CheckedEurekaOptions, "user" | "password"> {
  if (options.user === "") throw new TypeError(`${OWNER}: user is empty: leave it out for servers without users`);
  // RFC 7617 §2: the first colon ends the user.
  if (options.user?.includes(":")) throw new TypeError(`${OWNER}: user: a colon can't be part of it`);
  const user = options.user ?? (environment.BOWLINE_EUREKA_USER || undefined);
  if (user === undefined) {
    if (options.password === undefined) return { user: undefined, password: undefined };
    throw new TypeError(`${OWNER}: password is given without user: servers need both`);
  }
  const password = options.password ?? environment.BOWLINE_EUREKA_PASSWORD;
  if (password !== undefined) return { user, password };
  throw new TypeError(
    `${OWNER}: the user ${JSON.stringify(user)} has no password; set the option password or BOWLINE_EUREKA_PASSWORD in the environment`,
  );
}
