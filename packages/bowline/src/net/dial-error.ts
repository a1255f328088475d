import type { PeerCertificate } from "node:tls";

/**
 * Why no connection came about.
 *
 * - `address` the text is no address
 * - `unknown-host` the name can't be resolved
 * - `refused` nothing listens there (a Unix socket: no file, or nobody behind it)
 * - `unreachable` no route, or no permission
 * - `timeout` no answer in time
 * - `closed` the peer took the connection and closed it before it was usable
 * - `tls` a certificate or the TLS settings of one side do not fit the other's
 * - `protocol` the peer does not speak TLS where it was expected, or no HTTP/2
 * - `cancelled` the caller's signal
 * - `other` anything else; see `cause`
 */
export type DialErrorKind =
  | "address"
  | "unknown-host"
  | "refused"
  | "unreachable"
  | "timeout"
  | "closed"
  | "tls"
  | "protocol"
  | "cancelled"
  | "other";

/** The one error of `dial`. The message names the address, the reason and what to do, in one sentence. */
export class DialError extends Error {
  override readonly name: string = "DialError";
  readonly kind: DialErrorKind;
  readonly address: string;

  constructor(kind: DialErrorKind, address: string, why: string, cause?: unknown) {
    super(`cannot connect to ${address}: ${why}`, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.address = address;
  }
}

/** How far a connection had come when it failed. */
export interface DialProgress {
  readonly address: string;
  /** True when this side speaks TLS. */
  readonly isTls: boolean;
  /** True when the TCP connection stood, so that the failure belongs to the handshake or to what came after. */
  readonly isConnected: boolean;
  /** The name that the certificate must carry. */
  readonly serverName: string;
}

type Explanation = readonly [kind: DialErrorKind, why: string];

/** Turns an error of a connecting or young socket into a DialError; one that is a DialError already stays. */
export function dialError(error: Error, progress: DialProgress): DialError {
  if (error instanceof DialError) return error;
  const [kind, why] = explainTls(error, progress) ??
    explainSystem(error, progress) ?? ["other", error.message || codeOf(error)];
  return new DialError(kind, progress.address, why, error);
}

/**
 * The error of an established link, for what only then shows that the two do not fit: a peer that leaves without a word,
 * or a TLS alert. (A server checks the client's certificate after TLS 1.3 has told the client that all is well.)
 * Other errors stay as they are.
 */
export function explainLinkError(
  error: Error | undefined,
  hasReceived: boolean,
  progress: DialProgress,
): Error | undefined {
  const isCut = error === undefined || CUT.includes(codeOf(error));
  if (!hasReceived && isCut)
    return new DialError("closed", progress.address, progress.isTls ? SILENT_TLS : SILENT_PLAINTEXT, error);
  return error !== undefined && codeOf(error).includes("ALERT") ? dialError(error, progress) : error;
}

const CUT: readonly string[] = ["ECONNRESET", "EPIPE", "ECONNABORTED"];

const SILENT_TLS =
  "the peer closed the connection after the TLS handshake without a word; it may not trust this client's certificate " +
  "(tls.certificate), which its log tells";

const SILENT_PLAINTEXT =
  "the peer closed the connection without a word; it may expect TLS (turn on tls for this target), be no gRPC server, or be full";

/** The code; of several attempts (one per resolved address) the first one's. */
function codeOf(error: Error): string {
  if ("code" in error && typeof error.code === "string") return error.code;
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  return first instanceof Error ? codeOf(first) : "";
}

function explainSystem(error: Error, progress: DialProgress): Explanation | undefined {
  if (progress.isConnected) {
    const isCut = CUT.includes(codeOf(error));
    return isCut
      ? ["closed", progress.isTls ? CLOSED_IN_HANDSHAKE : "the peer closed the connection at once"]
      : undefined;
  }
  const isUnix = progress.address.startsWith("unix:");
  return isUnix ? (UNIX_ERRORS[codeOf(error)] ?? TCP_ERRORS[codeOf(error)]) : TCP_ERRORS[codeOf(error)];
}

const CLOSED_IN_HANDSHAKE =
  "the peer closed the connection during the TLS handshake: either that port speaks plaintext (drop tls), " +
  "or the server refused this client, which its log explains";

const NO_ROUTE = "there is no route to this address from here; use one that is reachable from this network";

const TCP_ERRORS: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: ["refused", "nothing listens on this port; start the server or correct the address"],
  ECONNRESET: ["closed", "the peer closed the connection at once"],
  ETIMEDOUT: ["timeout", "the host does not answer; check the address and the firewalls between"],
  EHOSTUNREACH: ["unreachable", NO_ROUTE],
  ENETUNREACH: ["unreachable", NO_ROUTE],
  EADDRNOTAVAIL: ["unreachable", "this machine has no address or no free port for it; IPv6 may be off here"],
  ENOTFOUND: ["unknown-host", "the host name does not exist; correct it or the DNS settings"],
  EAI_AGAIN: ["unknown-host", "the DNS server does not answer; try again or check the DNS settings"],
  EACCES: ["unreachable", "the system does not permit it; a firewall of this machine or missing rights"],
  EPERM: ["unreachable", "the system does not permit it; a firewall of this machine or missing rights"],
  EMFILE: ["other", "this process has no file descriptor left; raise the limit (ulimit -n)"],
  ENFILE: ["other", "this machine has no file descriptor left"],
};

const UNIX_ERRORS: Readonly<Record<string, Explanation>> = {
  ENOENT: ["refused", "there is no such socket file; start the server or correct the path"],
  ECONNREFUSED: ["refused", "the socket file is there but nobody listens; start the server"],
  EACCES: ["unreachable", "no permission to use this socket file; change its mode or the user"],
  ENOTSOCK: ["refused", "this file is no socket; correct the path"],
};

const ISSUER_UNKNOWN: Explanation = [
  "tls",
  "its certificate was issued by an authority that this client does not trust; put that authority's certificate into tls.authorities",
];
const CLIENT_REFUSED: Explanation = [
  "tls",
  "the server refused this client's certificate; give tls.certificate and tls.key from an authority that the server trusts",
];

/** Codes of Node and OpenSSL, which name the alert of the peer (`…_ALERT_…`) or this side's own finding. */
const TLS_ERRORS: readonly (readonly [RegExp, Explanation])[] = [
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_TOO_LARGE|HTTP_REQUEST|wrong version number/,
    ["protocol", "the port speaks plaintext, not TLS; drop tls for this target or turn it on at the server"],
  ],
  [
    /ALERT_NO_APPLICATION_PROTOCOL/,
    [
      "protocol",
      "the peer speaks TLS but did not agree on HTTP/2 (ALPN); it is no gRPC server, or a proxy without HTTP/2",
    ],
  ],
  [
    /DEPTH_ZERO_SELF_SIGNED_CERT/,
    [
      "tls",
      "its certificate is signed by itself; put that certificate into tls.authorities, or give the server one from your authority",
    ],
  ],
  [/SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY_LEAF|GET_ISSUER)/, ISSUER_UNKNOWN],
  [/^CERT_HAS_EXPIRED/, ["tls", "its certificate has expired; renew it at the server"]],
  [/^CERT_NOT_YET_VALID/, ["tls", "its certificate is not valid yet; compare the clocks of both machines"]],
  [/^CERT_REVOKED/, ["tls", "its certificate has been revoked; give the server a new one"]],
  [
    /INVALID_PURPOSE/,
    ["tls", "its certificate is not made for servers (extended key usage); issue one with serverAuth"],
  ],
  [/ALERT_CERTIFICATE_REQUIRED/, ["tls", "the server asks for a client certificate; set tls.certificate and tls.key"]],
  [
    /ALERT_HANDSHAKE_FAILURE/,
    [
      "tls",
      "the server refused the handshake; it may ask for a client certificate (tls.certificate, tls.key) or share no cipher with this client",
    ],
  ],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED|DECRYPT_ERROR)/,
    CLIENT_REFUSED,
  ],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/,
    ["tls", "both sides have no TLS version in common; the server must speak TLS 1.2 or 1.3"],
  ],
  [
    /EE_KEY_TOO_SMALL|CA_KEY_TOO_SMALL|CA_MD_TOO_WEAK/,
    [
      "tls",
      "its certificate is too weak (key or signature); issue one with an RSA key of 2048 bits or more or an EC key, and SHA-256",
    ],
  ],
];

function explainTls(error: Error, progress: DialProgress): Explanation | undefined {
  if (!progress.isTls || !progress.isConnected) return undefined;
  const code = codeOf(error);
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return ["tls", explainName(error, progress.serverName)];
  const text = code === "EPROTO" ? error.message : code;
  const known = TLS_ERRORS.find(([pattern]) => pattern.test(text))?.[1];
  if (known !== undefined) return known;
  return /^(ERR_SSL|ERR_TLS|CERT_|EPROTO|INVALID_CA|PATH_LENGTH)/.test(code)
    ? ["tls", `TLS failed: ${reasonOf(error)}`]
    : undefined;
}

function explainName(error: Error, serverName: string): string {
  const certificate: unknown = "cert" in error ? error.cert : undefined;
  const { subjectaltname, subject } = (certificate ?? {}) as Partial<PeerCertificate>;
  if (subjectaltname) {
    return `its certificate is for ${subjectaltname}, not for "${serverName}"; set authority to a name that it carries, or issue a certificate with this one`;
  }
  const commonNames = [subject?.CN ?? []].flat();
  const common = commonNames.length === 0 ? "" : ` (its common name is ${commonNames.join(", ")})`;
  return `its certificate carries no subject alternative name${common}, so that it is not for "${serverName}"; issue one that carries it as such`;
}

function reasonOf(error: Error): string {
  return "reason" in error && typeof error.reason === "string" ? error.reason : error.message;
}
