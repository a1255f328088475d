import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { LinkPeer } from "../http2/link.ts";
import { isTlsSocket } from "../rpc/platform.ts";
import { formatHostPort } from "./address.ts";

/** Given for a Unix socket: the paths of its two ends, as far as this side knows them. */
export interface SocketPaths {
  readonly remote?: string;
  readonly local?: string;
}

/**
 * Who is at the other end of a connected socket. Addresses are read now, since a closed socket has forgotten them;
 * the names in a certificate when they are asked for, once.
 */
export function socketPeer(socket: Socket, paths?: SocketPaths): LinkPeer {
  const remoteAddress = paths ? `unix:${paths.remote ?? ""}` : addressText(socket.remoteAddress, socket.remotePort);
  const localAddress = paths ? `unix:${paths.local ?? ""}` : addressText(socket.localAddress, socket.localPort);
  const addresses = { remoteAddress, localAddress };
  return isTlsSocket(socket) ? { ...addresses, tls: new TlsPeer(socket) } : addresses;
}

function addressText(host: string | undefined, port: number | undefined): string {
  return host === undefined || port === undefined ? "unknown" : formatHostPort(host, port);
}

class TlsPeer {
  readonly alpn: string;
  readonly authorized: boolean;
  readonly #certificate: X509Certificate | undefined;
  #subjectAltNames: readonly string[] | undefined;
  #commonName: string | undefined;

  constructor(socket: TLSSocket) {
    this.alpn = socket.alpnProtocol || "";
    this.#certificate = socket.getPeerX509Certificate();
    // Older releases of Node call a resumed TLS 1.3 session authorized though it never had a certificate.
    this.authorized = socket.authorized && this.#certificate !== undefined;
  }

  get subjectAltNames(): readonly string[] {
    this.#subjectAltNames ??= parseSubjectAltNames(this.#certificate?.subjectAltName ?? "");
    return this.#subjectAltNames;
  }

  get commonName(): string {
    this.#commonName ??= lastCommonName(this.#certificate);
    return this.#commonName;
  }
}

/** Of several common names the last, as Go does: the most specific one. */
function lastCommonName(certificate: X509Certificate | undefined): string {
  const names: string | string[] = certificate?.toLegacyObject().subject?.CN ?? "";
  return typeof names === "string" ? names : (names.at(-1) ?? "");
}

/**
 * Splits what Node gives as `subjectAltName`: entries apart by `, `, each `TYPE:value`, where a value with odd
 * characters is a JSON string (CVE-2021-44532: unquoted, `a.test, DNS:b.test` could be one name or two).
 *
 * Quotes are taken off: `DNS:user.internal`. What can't be read is left out, with all behind it; nothing is thrown.
 */
export function parseSubjectAltNames(text: string): readonly string[] {
  const names: string[] = [];
  for (const match of text.matchAll(/((?:[^",]|"(?:[^"\\]|\\.)*"|,(?! ))+)(?:, |$)/gy)) {
    const name = unquote(match[1]);
    if (name !== undefined) names.push(name);
  }
  return names;
}

function unquote(entry: string): string | undefined {
  const colon = entry.indexOf(":");
  const value = entry.slice(colon + 1);
  if (colon <= 0) return undefined;
  if (!value.startsWith('"')) return entry;
  try {
    return `${entry.slice(0, colon)}:${String(JSON.parse(value))}`;
  } catch {
    return undefined;
  }
}
