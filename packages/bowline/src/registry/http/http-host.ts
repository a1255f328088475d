import { isIPv6 } from "node:net";

/** One server that a registry's HTTP API is reached at. */
export interface HttpHost {
  /** For messages, and to name it in a request: `10.0.0.1:8500`, `unix:/run/consul.sock`. Holds no secret. */
  readonly label: string;
  /** A name or an address, IPv6 without brackets; empty for a Unix socket. */
  readonly hostname: string;
  /** 1 to 65535; 0 for a Unix socket. */
  readonly port: number;
  /** Path of a Unix socket; empty for TCP. */
  readonly socketPath: string;
  readonly isTls: boolean;
  /** Goes before the path of each request: `/eureka`; empty or with a leading and without a trailing slash. */
  readonly basePath: string;
}

/** What a text that names a host may leave out. */
export interface HttpHostDefaults {
  /** For messages: `consul registry`. */
  readonly owner: string;
  /** Name of the option: `hosts`. Default `hosts`. */
  readonly option?: string;
  readonly port: number;
  /** True: a text without a scheme means https. */
  readonly isTls: boolean;
  /** Of a text without a path. Default: none. */
  readonly basePath?: string;
}

/** More servers than this are a mistake: one of them after another is tried while a call waits. */
const MAX_HOSTS = 64;

/**
 * Reads `10.0.0.1`, `10.0.0.1:8500`, `[fd00::1]:8500`, `http://10.0.0.1:8500/prefix`, `https://…` or `unix:/run/consul.sock`,
 * one text or a list of them.
 *
 * @throws TypeError or RangeError that names the option, the text and how to write it: no host, one twice, no port, a query,
 * or a user and password (which belong into options of their own, and are not repeated in the message)
 */
export function readHttpHosts(hosts: string | readonly string[], defaults: HttpHostDefaults): readonly HttpHost[] {
  const field = `${defaults.owner}: ${defaults.option ?? "hosts"}`;
  const texts = typeof hosts === "string" ? [hosts] : hosts;
  if (!Array.isArray(texts) || texts.length === 0) {
    throw new TypeError(`${field}: at least one is needed, such as "10.0.0.1:${defaults.port}"`);
  }
  if (texts.length > MAX_HOSTS)
    throw new RangeError(`${field}: ${texts.length} are given; at most ${MAX_HOSTS} are allowed`);
  const byLabel = new Map<string, HttpHost>();
  texts.forEach((text: unknown, index) => {
    const name = typeof hosts === "string" ? field : `${field}[${index}]`;
    const host = readHost(text, name, defaults);
    if (byLabel.has(host.label)) throw new TypeError(`${name}: ${host.label} is listed twice; list it once`);
    byLabel.set(host.label, host);
  });
  return [...byLabel.values()];
}

function readHost(text: unknown, name: string, defaults: HttpHostDefaults): HttpHost {
  const example = `write it as "10.0.0.1:${defaults.port}" or "https://10.0.0.1:${defaults.port}"`;
  if (typeof text !== "string") throw new TypeError(`${name}: expected a text, got ${typeof text}; ${example}`);
  if (text.includes("@")) {
    throw new TypeError(`${name}: holds a user or password; leave them out here and use the options for them`);
  }
  if (text.startsWith("unix:")) return readSocket(text, name, defaults);
  const shown = JSON.stringify(text.slice(0, 200));
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1].toLowerCase();
  if (scheme !== undefined && scheme !== "http" && scheme !== "https") {
    throw new TypeError(`${name}: ${shown} has the scheme ${scheme}; ${example}`);
  }
  const isTls = scheme === undefined ? defaults.isTls : scheme === "https";
  const rest = scheme === undefined ? text : text.slice(scheme.length + "://".length);
  if (/[\s?#\\\p{Cc}]/u.test(rest))
    throw new TypeError(`${name}: ${shown} holds a blank, a query or a fragment; ${example}`);
  const slash = rest.indexOf("/");
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const path = slash < 0 ? "" : rest.slice(slash).replace(/\/+$/, "");
  const { hostname, port } = readAuthority(authority, defaults.port) ?? {};
  if (hostname === undefined || port === undefined)
    throw new TypeError(`${name}: ${shown} is no host with a port; ${example}`);
  const label = `${isIPv6(hostname) ? `[${hostname}]` : hostname}:${port}`;
  return { label, hostname, port, socketPath: "", isTls, basePath: path === "" ? (defaults.basePath ?? "") : path };
}

function readSocket(text: string, name: string, defaults: HttpHostDefaults): HttpHost {
  const socketPath = text.slice("unix:".length).replace(/^\/{2,}(?=\/)/, "");
  if (!socketPath.startsWith("/") || socketPath.includes("\0")) {
    throw new TypeError(`${name}: ${JSON.stringify(text)} has no absolute path; write it as "unix:/run/agent.sock"`);
  }
  const basePath = defaults.basePath ?? "";
  return { label: `unix:${socketPath}`, hostname: "", port: 0, socketPath, isTls: false, basePath };
}

function readAuthority(text: string, defaultPort: number): { hostname: string; port: number } | undefined {
  if (isIPv6(text)) return { hostname: text.toLowerCase(), port: defaultPort };
  const parts = /^(?:\[([^\]]+)\]|([^:[\]/]+))(?::([0-9]{1,5}))?$/.exec(text);
  if (parts === null) return undefined;
  const [, bracketed, plain, digits] = parts;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  return { hostname: (bracketed ?? plain).toLowerCase(), port };
}
