import { isIP, isIPv6 } from "node:net";

/** A port of a host: a name or an IP address; IPv6 without brackets, perhaps with a zone (`fe80::1%eth0`). */
export interface TcpAddress {
  readonly host: string;
  /** 0..65535. */
  readonly port: number;
}

/** A Unix socket: the path of its file. */
export interface UnixAddress {
  readonly path: string;
}

/** Where a socket listens or connects to. */
export type SocketAddress = TcpAddress | UnixAddress;

/** Longest path of a Unix socket, in bytes: `sun_path` of Linux (108) and macOS (104) without the closing zero. */
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103;

const FORMS = `write host:port, [IPv6 address]:port or unix:/path`;

/** True for a Unix socket. */
export function isUnixAddress(address: SocketAddress): address is UnixAddress {
  return "path" in address;
}

/**
 * Parses the address of a peer: `user.internal:8080`, `10.0.0.7:8080`, `[fd00::7]:8080`, `unix:/run/user.sock` (`unix:///run/user.sock` too).
 *
 * Throws RangeError that says what is wrong with the text and how to write it.
 */
export function parseAddress(text: string): SocketAddress {
  const address = parseListenAddress(text);
  if (isUnixAddress(address)) return address;
  if (address.host === "") throw wrong(text, "the host is missing");
  if (address.port === 0) throw wrong(text, "port 0 can be listened on, not connected to");
  return address;
}

/** The same for an address to listen on: the host may be empty (`:8080`, all interfaces) and the port 0 (any free one). */
export function parseListenAddress(text: string): SocketAddress {
  if (text.startsWith("unix:"))
    return { path: checkPath(text, text.slice("unix:".length).replace(/^\/{2,}(?=\/)/, "")) };
  const colon = text.lastIndexOf(":");
  if (text === "" || /[\s/@?#]/.test(text)) throw wrong(text, FORMS);
  if (isIPv6(text) || isIPv6(text.slice(0, Math.max(0, colon)))) {
    throw wrong(text, "an IPv6 address stands in brackets, as in [::1]:8080");
  }
  if (colon < 0 || text.endsWith("]")) throw wrong(text, `the port is missing; ${FORMS}`);
  return { host: parseHost(text, text.slice(0, colon)), port: parsePort(text, text.slice(colon + 1)) };
}

/** The text that `parseListenAddress` reads: IPv6 in brackets, an IPv4 address mapped into IPv6 as plain IPv4. */
export function formatAddress(address: SocketAddress): string {
  return isUnixAddress(address) ? `unix:${address.path}` : formatHostPort(address.host, address.port);
}

/** `host:port` with brackets around IPv6; `::ffff:10.0.0.7` (how a dual-stack socket shows IPv4) becomes `10.0.0.7`. */
export function formatHostPort(host: string, port: number): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host);
  if (mapped !== null) return `${mapped[1]}:${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Checks an address that was given as an object, with the rules of `parseListenAddress`.
 *
 * Throws RangeError.
 */
export function checkSocketAddress(address: SocketAddress): SocketAddress {
  if (isUnixAddress(address)) return { path: checkPath(`unix:${address.path}`, address.path) };
  const text = formatHostPort(address.host, address.port);
  if (address.host !== "" && isIP(address.host) === 0) parseHost(text, address.host);
  return { host: address.host, port: parsePort(text, String(address.port)) };
}

function parseHost(text: string, host: string): string {
  if (host.startsWith("[") && host.endsWith("]")) {
    const inner = host.slice(1, -1);
    if (!isIPv6(inner)) throw wrong(text, `"${inner}" is no IPv6 address`);
    return inner;
  }
  if (host.includes(":")) throw wrong(text, `"${host}" is neither a name nor an IPv6 address in brackets; ${FORMS}`);
  if (/^[\d.]+$/.test(host) && isIP(host) === 0) throw wrong(text, `"${host}" is no IPv4 address`);
  if (host.length > 253 || /[^\w.-]/.test(host)) throw wrong(text, `"${host}" is no host name`);
  return host;
}

function parsePort(text: string, digits: string): number {
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(port <= 65_535)) throw wrong(text, `port "${digits}" is not a number from 0 to 65535`);
  return port;
}

function checkPath(text: string, path: string): string {
  if (path === "" || path.includes("\0")) throw wrong(text, "the path of the Unix socket is missing; write unix:/path");
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw wrong(text, `the path has ${bytes} bytes, a Unix socket takes ${MAX_PATH_BYTES}; choose a shorter directory`);
  }
  return path;
}

function wrong(text: string, why: string): RangeError {
  return new RangeError(`address "${text}": ${why}`);
}
