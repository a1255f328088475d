import { isIPv4, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";

/** Where a server listens on TCP. */
export interface HostPort {
  /** A name, an IPv4 address, or an IPv6 address without brackets; lower case. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** What is wrong with a text, for a message that shows the place. */
export interface AddressFault {
  /** Index of the faulty part in the text that was read. */
  readonly at: number;
  /** The sentence after the faulty text: `has no port; a port is required`. */
  readonly problem: string;
}

const PORT = /^[1-9][0-9]{0,4}$/;
/** Letters, digits, hyphen, and the underscore that container tools put into names. RFC 1123 §2.1 for the lengths. */
const HOST = /^(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/;
const ALL_DIGITS_AND_DOTS = /^[0-9.]+$/;
const NOT_ASCII = /[^\p{ASCII}]/u;

/** True for what `readHostPort` returns when it could not read. */
export function isFault(value: HostPort | AddressFault): value is AddressFault {
  return "problem" in value;
}

/** Reads `host:port`, `10.0.0.7:8080` or `[fd00::7]:8080`. Never throws. */
export function readHostPort(text: string): HostPort | AddressFault {
  if (text === "") return { at: 0, problem: "is empty" };
  return text.startsWith("[") ? readBracketed(text) : readPlain(text);
}

/** `host:port` as one text, IPv6 in brackets. */
export function formatHostPort(address: HostPort): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * Brings an address of an instance into its one form: host in lower case, IPv6 compressed and in brackets, `unix:path`
 * without the two slashes that some write before an absolute path.
 *
 * @throws TypeError that names `field`, the address and what is wrong with it
 */
export function checkAddress(address: string, field: string): string {
  if (typeof address !== "string") {
    throw new TypeError(`${field}: expected a text such as "10.0.0.7:8080", got ${typeof address}`);
  }
  if (address.startsWith("unix:")) {
    const path = address.slice("unix:".length).replace(/^\/{2,}(?=\/)/, "");
    if (path !== "" && !path.includes("\0")) return `unix:${path}`;
    throw new TypeError(`${field}: ${JSON.stringify(address)} has no path; write it as "unix:/run/user.sock"`);
  }
  const read = readHostPort(address);
  if (!isFault(read)) return formatHostPort(read);
  throw new TypeError(`${field}: ${JSON.stringify(address)} ${read.problem}; write it as "10.0.0.7:8080"`);
}

function readBracketed(text: string): HostPort | AddressFault {
  const end = text.indexOf("]");
  if (end < 0) return { at: 0, problem: 'has "[" without "]"' };
  const inside = text.slice(1, end);
  if (!isIPv6(inside)) return { at: 1, problem: "has no IPv6 address between the brackets" };
  if (text[end + 1] !== ":") return { at: end + 1, problem: "has no port; a port is required" };
  return withPort(compressIPv6(inside), text, end + 2);
}

function readPlain(text: string): HostPort | AddressFault {
  const colon = text.indexOf(":");
  if (colon < 0) return { at: text.length, problem: "has no port; a port is required" };
  if (text.indexOf(":", colon + 1) >= 0) {
    const problem = isIPv6(text)
      ? "is an IPv6 address without brackets and port; write [address]:port"
      : "has more than one colon; an IPv6 address goes in brackets, [address]:port";
    return { at: colon, problem };
  }
  const host = readHost(text.slice(0, colon));
  return typeof host === "string" ? withPort(host, text, colon + 1) : host;
}

function readHost(text: string): string | AddressFault {
  if (text === "") return { at: 0, problem: "has no host before the colon" };
  const host = (NOT_ASCII.test(text) ? domainToASCII(text) : text).toLowerCase();
  if (isIPv4(host)) return host;
  // The system's resolver would read 10.1 as 10.0.0.1 and 010.0.0.1 as octal: nobody means that.
  if (ALL_DIGITS_AND_DOTS.test(host)) return { at: 0, problem: "looks like an IPv4 address but is none" };
  if (HOST.test(host)) return host;
  return {
    at: 0,
    problem: "has a host that is no name: letters, digits, hyphens and dots, at most 63 characters a part",
  };
}

function withPort(host: string, text: string, at: number): HostPort | AddressFault {
  const digits = text.slice(at);
  if (digits === "") return { at, problem: "has no port; a port is required" };
  const port = Number(digits);
  if (PORT.test(digits) && port <= 65_535) return { host, port };
  return { at, problem: `has the port ${JSON.stringify(digits)}; a port is a number from 1 to 65535` };
}

/** RFC 5952, so that two spellings of one address are one address. A zone (`%eth0`) stays as it is. */
function compressIPv6(address: string): string {
  const percent = address.indexOf("%");
  const zone = percent < 0 ? "" : address.slice(percent);
  const bare = percent < 0 ? address : address.slice(0, percent);
  return new URL(`http://[${bare}]/`).hostname.slice(1, -1) + zone;
}
