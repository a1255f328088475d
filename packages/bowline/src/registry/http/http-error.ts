import { dialError } from "../../net/dial-error.ts";
import type { HttpHost } from "./http-host.ts";

/**
 * Why a request has no answer that can be used.
 *
 * - `unreachable` no connection came about: refused, no route, unknown name
 * - `timeout` no connection or no whole answer in time
 * - `tls` a certificate or the TLS settings of one side don't fit the other's
 * - `closed` the connection ended before the answer was whole
 * - `status` an answer with a status that the request did not ask for
 * - `redirect` an answer that points elsewhere
 * - `malformed` an answer that is no HTTP, or no JSON where JSON was expected
 * - `too-large` an answer with more bytes than are allowed
 * - `cancelled` the caller's signal, or the client was closed
 */
export type HttpErrorKind =
  | "unreachable"
  | "timeout"
  | "tls"
  | "closed"
  | "status"
  | "redirect"
  | "malformed"
  | "too-large"
  | "cancelled";

/** What else is known of a failed request. */
export interface HttpErrorDetails {
  /** Label of the host; empty when several were tried. */
  readonly host?: string;
  /** Of an answer; 0 without one. */
  readonly status?: number;
  /** Beginning of the answer's body, in one line; for the adapter to judge, and shown in the message. */
  readonly text?: string;
  readonly cause?: unknown;
}

/** The one error of an HTTP client: names the registry, the request without its query, the host, the reason, what to do. */
export class HttpError extends Error {
  override readonly name: string = "HttpError";
  readonly kind: HttpErrorKind;
  readonly host: string;
  readonly status: number;
  readonly text: string;

  constructor(kind: HttpErrorKind, message: string, details: HttpErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.host = details.host ?? "";
    this.status = details.status ?? 0;
    this.text = details.text ?? "";
  }

  /**
   * True when another host, or the same one later, may well answer otherwise: nothing but what the settings or the request
   * itself are to blame for is final. Statuses: 408, 425, 429 and 5xx, but not 501 and 505.
   */
  get isTransient(): boolean {
    if (this.kind === "status") return isTransientStatus(this.status);
    return (
      this.kind === "unreachable" || this.kind === "timeout" || this.kind === "closed" || this.kind === "malformed"
    );
  }
}

/** True for what trying again can't mend. Certificates may be renewed, and who gave up has a reason. */
export function isFinalFailure(error: Error): boolean {
  return !(error instanceof HttpError) || !(error.isTransient || error.kind === "tls" || error.kind === "cancelled");
}

/** True for statuses that say "not now": RFC 9110 §15.5.9 and §15.6, RFC 6585 §4, RFC 8470 §5.2. */
export function isTransientStatus(status: number): boolean {
  if (status >= 500) return status !== 501 && status !== 505;
  return status === 408 || status === 425 || status === 429;
}

/** The error of a socket or of Node's HTTP parser, in words that name the host and what to change. */
export function connectionError(
  subject: string,
  host: HttpHost,
  error: Error,
  progress: { readonly isConnected: boolean; readonly hasAnswer: boolean; readonly serverName: string },
): HttpError {
  if (error instanceof HttpError) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const details = { host: host.label, cause: error };
  if (code.startsWith("HPE_")) return new HttpError("malformed", `${subject}: ${parserWords(host, code)}`, details);
  if (progress.isConnected && CUT.has(code)) {
    const hint = host.isTls ? "" : "; it may expect TLS (set tls, or write https://)";
    const when = progress.hasAnswer ? "in the middle of its answer" : `without an answer${hint}`;
    return new HttpError("closed", `${subject}: ${host.label} closed the connection ${when}`, details);
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const why = `its certificate is not for ${JSON.stringify(progress.serverName)}; set tls.serverName to a name that it carries`;
    return new HttpError("tls", `${subject}: ${host.label}: ${why}`, details);
  }
  const address = host.label;
  const dialed = dialError(error, {
    address,
    isTls: host.isTls,
    isConnected: progress.isConnected,
    serverName: progress.serverName,
  });
  const kind = KINDS[dialed.kind] ?? "unreachable";
  return new HttpError(kind, `${subject}: ${dialed.message}`, details);
}

const CUT: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);

const KINDS: Readonly<Record<string, HttpErrorKind>> = {
  timeout: "timeout",
  closed: "closed",
  tls: "tls",
  protocol: "tls",
  cancelled: "cancelled",
};

function parserWords(host: HttpHost, code: string): string {
  if (code === "HPE_HEADER_OVERFLOW") return `${host.label} answered with more headers than are allowed`;
  const hint = host.isTls ? "" : "; it may be another program's port, or speak TLS (set tls, or write https://)";
  return `${host.label} answered something that is no HTTP/1.1 (${code})${hint}`;
}

/** The first characters of a body in one line without control characters, for messages. */
export function excerpt(body: Buffer, maxCharacters: number = 160): string {
  const text = body
    .subarray(0, maxCharacters * 4)
    .toString("utf8")
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
  return text.length > maxCharacters ? `${text.slice(0, maxCharacters)}…` : text;
}
