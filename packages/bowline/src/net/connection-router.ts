import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Link } from "../http2/link.ts";
import type { Clock, Timer } from "../rpc/clock.ts";
import { isTlsSocket } from "../rpc/platform.ts";
import { clientProtocol } from "./first-bytes.ts";
import { NetLink } from "./net-link.ts";
import { shareReads } from "./shared-reads.ts";
import { type SocketPaths, socketPeer } from "./socket-peer.ts";

/**
 * What went wrong with a connection before it was handed on.
 *
 * - `tls-on-plaintext` a client speaks TLS to a port without
 * - `plaintext-on-tls` a client speaks plaintext to a TLS port
 * - `no-alpn` a TLS client speaks HTTP/2 without having agreed on it (RFC 9113 §3.2 demands ALPN)
 * - `http1` HTTP/1 where nobody takes it
 * - `garbage` neither HTTP nor TLS
 * - `timeout` first bytes or TLS handshake took too long
 * - `tls-handshake` the TLS handshake failed
 * - `client-certificate` a client certificate is missing or not trusted
 * - `too-many-connections` refused at `maxConnections`
 * - `few-descriptors` nearly all file descriptors of this process are open
 * - `accept-failed` the system could not hand over a connection, or has no descriptor for one
 */
export type Misuse =
  | "tls-on-plaintext"
  | "plaintext-on-tls"
  | "no-alpn"
  | "http1"
  | "garbage"
  | "timeout"
  | "tls-handshake"
  | "client-certificate"
  | "too-many-connections"
  | "few-descriptors"
  | "accept-failed";

/** Where connections go. */
export interface ConnectionTargets {
  /** An HTTP/2 connection, its preface still to be read. */
  readonly onHttp2: (link: Link) => void;
  /**
   * An HTTP/1 connection, plaintext or TLS, of which nothing is missing. Take it during the call:
   * `httpServer.emit("connection", socket)` does. Absent: such connections are answered with a hint and closed.
   */
  readonly onHttp1?: (socket: Socket) => void;
  /** For a log line; `text` says what to do. Comes as often as clients make mistakes: the owner bounds its rate. */
  readonly onMisuse?: (kind: Misuse, peer: string, text: string) => void;
}

/** How a router works. */
export interface RouterOptions extends ConnectionTargets {
  readonly clock: Clock;
  readonly handshakeTimeoutMs: number;
  /** Given on a Unix socket. */
  readonly paths?: SocketPaths;
  /** Given on a TLS port: takes over a socket whose next bytes are a ClientHello. */
  readonly handshake?: (socket: Socket) => void;
}

/** A fatal alert `protocol_version`: what plaintext clients of every make can show as "this port speaks TLS". */
const TLS_ALERT = Buffer.from([0x15, 3, 1, 0, 2, 2, 70]);

/** How long a refused client may take to read the answer. */
const REFUSAL_TIMEOUT_MS = 1000;

/**
 * Looks at the first bytes of accepted sockets and hands each to who speaks its protocol:
 * accepted → (TLS handshake →) first bytes → handed on, or refused with an answer that the client can show.
 */
export class ConnectionRouter {
  readonly #options: RouterOptions;
  readonly #timers = new Map<Socket, Timer>();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** A socket from the kernel. */
  accepted(socket: Socket): void {
    this.#watch(socket);
    this.#readFirst(socket, (head) => this.#routeRaw(socket, head));
  }

  /** A socket whose TLS handshake is done. */
  secured(socket: TLSSocket): void {
    socket.disableRenegotiation();
    socket.allowHalfOpen = true;
    this.#watch(socket);
    if (socket.alpnProtocol === "http/1.1") this.#toHttp1(socket, undefined);
    else this.#readFirst(socket, (head) => this.#routeSecured(socket, head));
  }

  /** The handshake on `socket` failed. */
  handshakeFailed(error: Error, socket: TLSSocket): void {
    const [kind, text] = explainHandshake(error, socket);
    this.#misuse(socket, kind, text);
    // Otherwise Node closes it, after the alert that tells the client.
    if (kind === "timeout") socket.destroy();
  }

  /** Bounds the time until the socket is handed on. */
  #watch(socket: Socket): void {
    const { clock, handshakeTimeoutMs } = this.#options;
    const expired = (): void => {
      this.#misuse(socket, "timeout", `did not say within ${handshakeTimeoutMs} ms what it speaks`);
      socket.destroy();
    };
    this.#timers.set(socket, clock.setTimeout(expired, handshakeTimeoutMs));
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#release(socket));
  }

  #release(socket: Socket): void {
    this.#timers.get(socket)?.cancel();
    this.#timers.delete(socket);
  }

  #readFirst(socket: Socket, route: (head: Buffer) => void): void {
    let head: Buffer = Buffer.alloc(0);
    const left = (): void => {
      if (head.length === 0) this.#leftSilently(socket);
      socket.destroy();
    };
    const received = (chunk: Buffer): void => {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      if (clientProtocol(head) === "undecided") return;
      socket.off("data", received).off("end", left).off("error", left);
      socket.pause();
      route(head);
    };
    socket.on("data", received).on("end", left).on("error", left);
  }

  /** Who goes away before saying anything is a probe, unless it took the trouble of a TLS handshake. */
  #leftSilently(socket: Socket): void {
    if (!isTlsSocket(socket)) return;
    const text =
      "left after the TLS handshake without a word; unless it is a probe, it may not trust this server's certificate";
    this.#misuse(socket, "tls-handshake", text);
  }

  #routeRaw(socket: Socket, head: Buffer): void {
    const protocol = clientProtocol(head);
    const { handshake } = this.#options;
    if (protocol === "tls" && handshake !== undefined) {
      this.#release(socket);
      // A client that goes away during the handshake would be kept until it times out.
      socket.allowHalfOpen = false;
      socket.unshift(head);
      handshake(socket);
    } else if (protocol === "tls") {
      // Plain text makes every TLS client say "wrong version number" or "not a TLS handshake".
      this.#refuse(
        socket,
        "tls-on-plaintext",
        "speaks TLS, this port does not: drop tls at the client, or turn it on here",
        badRequest(""),
      );
    } else if (protocol === "garbage") {
      this.#refuse(socket, "garbage", "speaks neither HTTP nor TLS");
    } else if (handshake !== undefined) {
      const answer = protocol === "http1" ? badRequest("This port speaks TLS.") : TLS_ALERT;
      this.#refuse(
        socket,
        "plaintext-on-tls",
        "speaks plaintext, this port speaks TLS: turn on tls at the client",
        answer,
      );
    } else if (protocol === "http2") {
      this.#toHttp2(socket, head);
    } else {
      this.#toHttp1(socket, head);
    }
  }

  #routeSecured(socket: TLSSocket, head: Buffer): void {
    const protocol = clientProtocol(head);
    const hasAgreed = socket.alpnProtocol === "h2";
    if (protocol === "http2" && hasAgreed) this.#toHttp2(socket, head);
    else if (protocol === "http1" && !hasAgreed) this.#toHttp1(socket, head);
    else if (protocol === "http2")
      this.#refuse(socket, "no-alpn", "speaks HTTP/2 over TLS but did not offer h2 by ALPN; let it do so");
    else this.#refuse(socket, "garbage", `speaks no HTTP/2 over TLS${hasAgreed ? ", though it agreed on h2" : ""}`);
  }

  #toHttp2(socket: Socket, head: Buffer): void {
    this.#release(socket);
    const { clock, paths, onHttp2 } = this.#options;
    // Of a connection that has waited for its worker, more than the first chunk may be here.
    const rest: Buffer | null = socket.readableLength === 0 ? null : socket.read();
    let link: NetLink | null = null;
    shareReads(socket, (count, buffer) => link?.receive(count, buffer) ?? true);
    link = new NetLink(socket, {
      clock,
      head: rest === null ? head : Buffer.concat([head, rest]),
      peer: socketPeer(socket, paths),
    });
    onHttp2(link);
  }

  #toHttp1(socket: Socket, head: Buffer | undefined): void {
    const { onHttp1 } = this.#options;
    if (onHttp1 === undefined) {
      return this.#refuse(
        socket,
        "http1",
        "speaks HTTP/1; this port serves HTTP/2 only",
        badRequest("This port speaks HTTP/2 only."),
      );
    }
    this.#release(socket);
    if (head !== undefined) socket.unshift(head);
    onHttp1(socket);
    socket.resume();
  }

  #refuse(socket: Socket, kind: Misuse, text: string, answer?: Buffer | string): void {
    this.#misuse(socket, kind, text);
    this.#release(socket);
    if (answer === undefined) return void socket.destroy();
    this.#timers.set(
      socket,
      this.#options.clock.setTimeout(() => socket.destroy(), REFUSAL_TIMEOUT_MS),
    );
    // What arrives meanwhile is read and dropped: unread bytes would turn the close into a reset, which can overtake the answer.
    socket.resume();
    socket.end(answer);
  }

  #misuse(socket: Socket, kind: Misuse, text: string): void {
    this.#options.onMisuse?.(kind, socketPeer(rawSocket(socket), this.#options.paths).remoteAddress, text);
  }
}

/**
 * The socket below a TLS socket, or the socket itself. The field is Node's own: nothing may depend on it but messages (a TLS socket that
 * is closed has forgotten its peer, the one below has not) and the kindness of a close.
 */
export function rawSocket(socket: Socket): Socket {
  return "_parent" in socket && socket._parent instanceof Socket ? socket._parent : socket;
}

function badRequest(text: string): string {
  return `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
}

function explainHandshake(error: Error, socket: TLSSocket): readonly [kind: Misuse, text: string] {
  const code = "code" in error ? String(error.code) : "";
  // Node's types promise an Error; it is a code, or null.
  const refusal: unknown = socket.authorizationError;
  if (typeof refusal === "string")
    return ["client-certificate", `shows a certificate that tls.authorities does not vouch for (${refusal})`];
  const known = HANDSHAKE_ERRORS.find(([pattern]) => pattern.test(code));
  if (known !== undefined) return [known[1], known[2]];
  return ["tls-handshake", "reason" in error && typeof error.reason === "string" ? error.reason : error.message];
}

const HANDSHAKE_ERRORS: readonly (readonly [RegExp, Misuse, string])[] = [
  [/HANDSHAKE_TIMEOUT/, "timeout", "did not finish the TLS handshake in time"],
  [
    /DID_NOT_RETURN_A_CERTIFICATE/,
    "client-certificate",
    "shows no certificate, which this server requires; set tls.certificate and tls.key at the client",
  ],
  [/NO_APPLICATION_PROTOCOL/, "tls-handshake", "offers neither h2 nor http/1.1 by ALPN"],
  [
    /UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW/,
    "tls-handshake",
    "speaks no TLS version that this server allows (tls.minVersion)",
  ],
  [/NO_SHARED_CIPHER/, "tls-handshake", "shares no cipher with this server, which takes only those of RFC 9113"],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_|UNSUPPORTED_CERTIFICATE)/,
    "tls-handshake",
    "does not trust this server's certificate; give it the authority (tls.authorities) and a name that the certificate carries",
  ],
  [
    /ECONNRESET/,
    "tls-handshake",
    "closed the connection during the TLS handshake; it may not trust this server's certificate",
  ],
];
