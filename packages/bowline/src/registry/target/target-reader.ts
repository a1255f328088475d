import { type AddressFault, formatHostPort, type HostPort, isFault, readHostPort } from "../instance/address.ts";
import { MAX_NAME_LENGTH } from "../instance/instance.ts";
import type { Target } from "./target.ts";
import { exampleOf, isBuiltIn } from "./target-scheme.ts";
import { withoutSecrets } from "./target-secrets.ts";

/** A bare service name: letters and digits of any script, `_ . -`, and `/` between parts. */
const BARE_NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*(?:\/[\p{L}\p{N}_.-]+)*$/u;
const BLANK_OR_CONTROL = /[\s\p{Cc}]/u;
const DNS_PORT = 53;
/** Labels of letters, digits, hyphens and, as in `_grpc._tcp`, underscores; RFC 1035 §2.3.4 limits both. */
const DNS_NAME = /^(?=.{1,254}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?$/;

/**
 * One text while it is read; knows how to complain about a part of it.
 *
 * Each method named for a kind reads the whole text as a target of that kind. All throw TypeError.
 */
export class TargetReader {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** What no target may hold, whatever its kind. */
  checkCharacters(): void {
    if (this.#text === "") {
      throw this.fault(0, 0, "is empty; the address of a server is known only after await server.start()", "dns");
    }
    const blank = this.#text.search(BLANK_OR_CONTROL);
    if (blank >= 0) {
      throw this.fault(
        blank,
        blank + 1,
        "is a space, line break or control character; write a space inside a name as %20",
        "",
      );
    }
    if (!this.#text.isWellFormed()) throw this.fault(0, this.#text.length, "holds half of a surrogate pair", "");
  }

  static(scheme: string): Target {
    const start = this.#behindAuthority(scheme);
    const seen = new Set<string>();
    let at = start;
    for (const entry of this.#text.slice(start).split(",")) {
      const address = formatHostPort(this.#hostPort(at, at + entry.length, scheme));
      if (seen.has(address))
        throw this.fault(at, at + entry.length, `is listed twice (as ${address}); list it once`, scheme);
      seen.add(address);
      at += entry.length + 1;
    }
    return { kind: "static", addresses: [...seen] };
  }

  dns(): Target {
    const [authority, start] = this.#authority("dns");
    const { host, port } = this.#hostPort(start, this.#text.length, "dns");
    return {
      kind: "dns",
      host,
      port,
      server: authority === "" ? "" : this.#dnsServer(start - 1 - authority.length, start - 1),
    };
  }

  srv(): Target {
    const [authority, start] = this.#authority("srv");
    const name = this.#decode(start, this.#text.length, "srv").toLowerCase();
    if (name.includes(":")) {
      throw this.fault(start, this.#text.length, "has a port, which the SRV records say: leave it out", "srv");
    }
    if (!DNS_NAME.test(name)) throw this.fault(start, this.#text.length, "is no name of DNS", "srv");
    const server = authority === "" ? "" : this.#dnsServer(start - 1 - authority.length, start - 1);
    return { kind: "srv", name, server };
  }

  local(): Target {
    const [authority, start] = this.#authority("local");
    const end = this.#text.length;
    const service = this.#name(start, end, "local");
    const namespace = authority === "" ? "" : this.#name(start - 1 - authority.length, start - 1, "local");
    return { kind: "local", service, namespace };
  }

  unix(): Target {
    const isAbsolute = this.#text.startsWith("//", "unix:".length);
    const start = "unix:".length + (isAbsolute ? 2 : 0);
    if (isAbsolute && this.#text[start] !== "/") {
      throw this.fault(
        start,
        this.#text.length,
        "has no place for a host; an absolute path starts with unix:///, a relative one with unix:",
        "unix",
      );
    }
    const path = this.#decode(start, this.#text.length, "unix");
    if (path === "" || path === "/") throw this.fault(start, this.#text.length, "is no path of a socket", "unix");
    return { kind: "unix", path };
  }

  bare(): Target {
    const text = this.#text;
    const prefix = /^([A-Za-z][A-Za-z0-9+.-]*):(?!\/\/)/.exec(text)?.[1].toLowerCase() ?? "";
    if (isBuiltIn(prefix) && !/^[0-9]+$/.test(text.slice(prefix.length + 1))) {
      throw this.fault(0, prefix.length + 1, `is a scheme without its slashes: did you mean ${prefix}:///?`, prefix);
    }
    if (text.includes(","))
      throw this.fault(0, text.length, "is a list; a list of addresses needs the scheme static:///", "static");
    if (text.includes(":") || text.startsWith("[")) return this.#bareAddress();
    if (text === "localhost" || /^[0-9.]+$/.test(text)) {
      throw this.fault(0, text.length, "has no port; a port is required", "dns");
    }
    if (text.length > MAX_NAME_LENGTH) throw this.fault(0, text.length, tooLong(text), "local");
    if (BARE_NAME.test(text)) return { kind: "registry", service: text };
    throw this.fault(
      0,
      text.length,
      "is neither host:port nor a service name (letters, digits, _ . - and / between them); a path needs unix:",
      "unix",
    );
  }

  #bareAddress(): Target {
    const read = readHostPort(this.#text);
    if (isFault(read)) throw this.#addressFault(0, this.#text.length, read, "dns");
    if (isLiteral(read.host)) return { kind: "static", addresses: [formatHostPort(read)] };
    return { kind: "dns", host: read.host, port: read.port, server: "" };
  }

  /** The index behind `scheme:///`, for schemes that have nothing to say between the second and the third slash. */
  #behindAuthority(scheme: string): number {
    const start = scheme.length + "://".length;
    if (this.#text[start] === "/") return start + 1;
    throw this.fault(
      start,
      this.#text.length,
      `stands where nothing may stand: write three slashes, ${scheme}:///`,
      scheme,
    );
  }

  /** What stands between `scheme://` and the next slash, and the index behind that slash. */
  #authority(scheme: string): [authority: string, pathStart: number] {
    const start = scheme.length + "://".length;
    const slash = this.#text.indexOf("/", start);
    if (slash >= 0) return [this.#text.slice(start, slash), slash + 1];
    throw this.fault(start, this.#text.length, `has no third slash: did you mean ${scheme}:///?`, scheme);
  }

  #dnsServer(start: number, end: number): string {
    const text = this.#decode(start, end, "dns");
    // Without a port the one of DNS is meant, as in gRPC's naming document; a bare IPv6 address counts as such.
    const hasPort = text.startsWith("[") ? text.includes("]:") : /^[^:]*:[^:]*$/.test(text);
    const bracketed = !text.startsWith("[") && !hasPort && text.includes(":") ? `[${text}]` : text;
    const read = readHostPort(hasPort ? text : `${bracketed}:${DNS_PORT}`);
    if (!isFault(read) && isLiteral(read.host)) return formatHostPort(read);
    const problem =
      "is no DNS server: it must be an IP address, with or without a port, as in dns://10.0.0.2/user.internal:8080";
    throw this.fault(start, end, problem, "dns");
  }

  #hostPort(start: number, end: number, scheme: string): HostPort {
    const raw = this.#text.slice(start, end);
    const read = readHostPort(this.#decode(start, end, scheme));
    if (isFault(read)) throw this.#addressFault(start, end, raw.includes("%") ? { ...read, at: 0 } : read, scheme);
    return read;
  }

  #name(start: number, end: number, scheme: string): string {
    const name = this.#decode(start, end, scheme);
    if (name === "") throw this.fault(start, end, "is where the name of the service is missing", scheme);
    if (name.length > MAX_NAME_LENGTH) throw this.fault(start, end, tooLong(name), scheme);
    return name;
  }

  #decode(start: number, end: number, scheme: string): string {
    const raw = this.#text.slice(start, end);
    const reserved = raw.search(/[?#]/);
    if (reserved >= 0) {
      const wanted = raw[reserved] === "?" ? "%3F" : "%23";
      throw this.fault(
        start + reserved,
        end,
        `is not understood: ${scheme} takes no query and no fragment; inside a name write ${wanted}`,
        scheme,
      );
    }
    const percent = raw.search(/%(?![0-9A-Fa-f]{2})/);
    if (percent >= 0) {
      throw this.fault(start + percent, start + percent + 3, 'is no percent-encoding; write "%" as %25', scheme);
    }
    const text = decodeUtf8(raw);
    if (text === undefined) throw this.fault(start, end, "holds percent-encoded bytes that are no UTF-8", scheme);
    if (/\p{Cc}/u.test(text)) throw this.fault(start, end, "holds a control character", scheme);
    return text;
  }

  #addressFault(start: number, end: number, fault: AddressFault, scheme: string): TypeError {
    const from = Math.min(start + fault.at, end);
    return this.fault(start, end, fault.problem, scheme, from);
  }

  /** The error about the characters from `start` to `end`; `place` is what to point at, if it is not the start. */
  fault(start: number, end: number, problem: string, scheme: string, place: number = start): TypeError {
    const part = withoutSecrets(this.#text, start, end);
    const subject = part === "" ? "the empty text" : quote(part);
    return new TypeError(
      `target ${quote(withoutSecrets(this.#text))}: ${subject} (character ${place + 1}) ${problem}. Correct: "${exampleOf(scheme)}"`,
    );
  }
}

function decodeUtf8(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function isLiteral(host: string): boolean {
  return host.includes(":") || /^[0-9.]+$/.test(host);
}

function tooLong(name: string): string {
  return `is a name of ${name.length} characters; at most ${MAX_NAME_LENGTH} are allowed`;
}

/** Long texts are cut, so that a message stays a message. */
function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
