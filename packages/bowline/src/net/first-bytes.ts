/** What every HTTP/2 client sends first (RFC 9113 §3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** First byte of TLS records: alert and handshake; the second is the major version, always 3. */
const TLS_ALERT = 0x15;
const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 3;

/** Methods of HTTP/1 (RFC 9110 §9, RFC 5789), and PRI for a preface of another version. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];

/** Length and type of the frame that every HTTP/2 peer sends first. */
const FRAME_HEADER_BYTES = 9;
const FRAME_TYPE_SETTINGS = 4;

/** What a client speaks, by its first bytes; `undecided` when more are needed (never beyond 24). */
export type ClientProtocol = "undecided" | "http2" | "http1" | "tls" | "garbage";

/**
 * Tells a client's protocol as early as the bytes differ. `http2` means the whole preface is there.
 *
 * What begins with a method of HTTP/1 is left to an HTTP/1 server; other text gets no answer that it would not understand.
 */
export function clientProtocol(head: Uint8Array): ClientProtocol {
  const length = Math.min(head.length, PREFACE.length);
  let same = 0;
  while (same < length && head[same] === PREFACE[same]) same++;
  if (same === PREFACE.length) return "http2";
  if (same === head.length) return "undecided";
  const method = methodState(head);
  if (method !== "garbage") return method;
  if (head[0] !== TLS_HANDSHAKE) return "garbage";
  if (head.length === 1) return "undecided";
  return head[1] === TLS_MAJOR ? "tls" : "garbage";
}

/** True when a server's first bytes may be the start of an HTTP/2 SETTINGS frame. */
function looksLikeSettings(chunk: Uint8Array): boolean {
  if (chunk.length < FRAME_HEADER_BYTES) return chunk[0] === 0;
  return chunk[0] === 0 && chunk[3] === FRAME_TYPE_SETTINGS;
}

/** Greetings of servers that are met behind wrong ports, and what they are. */
const GREETINGS: readonly (readonly [RegExp, string])[] = [
  [/^SSH-/, "an SSH server"],
  [/^AMQP/, "an AMQP broker"],
  [/^[-+](ERR|OK|DENIED|NOAUTH)/, "a Redis (or POP3) server"],
  [/^220[ -]/, "an SMTP or FTP server"],
  [/^INFO \{/, "a NATS server"],
  [/^<(!|html|\?xml)/i, "something that answers with a document instead of HTTP/2 frames"],
];

/**
 * Says what the peer is, for the first bytes that a client received on a plaintext connection, as the end of a sentence
 * like `10.0.0.7:8080 …`. Undefined for what may be HTTP/2, or for nothing known.
 */
export function explainFirstBytes(chunk: Uint8Array): string | undefined {
  if (chunk.length === 0 || looksLikeSettings(chunk)) return undefined;
  if ((chunk[0] === TLS_ALERT || chunk[0] === TLS_HANDSHAKE) && (chunk.length === 1 || chunk[1] === TLS_MAJOR)) {
    return "speaks TLS on this port and refused a plaintext connection: turn on tls for this target";
  }
  const text = Buffer.from(chunk.subarray(0, 64)).toString("latin1");
  if (/^HTTP\/[01]/.test(text)) {
    return `speaks HTTP/1, not HTTP/2 (its answer: "${firstLine(text)}"): give the address of a gRPC server, or let the proxy pass HTTP/2`;
  }
  const greeting = GREETINGS.find(([pattern]) => pattern.test(text));
  return greeting && `is ${greeting[1]}, not a gRPC server (it said "${firstLine(text)}"): correct the address`;
}

/** The first line as far as it can be printed, at most 40 characters. */
function firstLine(text: string): string {
  return /^[\x20-\x7e]*/.exec(text)?.[0].slice(0, 40).trimEnd() ?? "";
}

/** What the bytes are by the method that they may begin with. */
function methodState(head: Uint8Array): "undecided" | "http1" | "garbage" {
  const text = Buffer.from(head.subarray(0, PREFACE.length)).toString("latin1");
  const space = text.indexOf(" ");
  if (space >= 0) return METHODS.includes(text.slice(0, space)) ? "http1" : "garbage";
  return METHODS.some((method) => method.startsWith(text)) ? "undecided" : "garbage";
}
