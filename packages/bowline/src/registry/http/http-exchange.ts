import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Clock, Timer } from "../../rpc/clock.ts";
import { isTlsSocket } from "../../rpc/platform.ts";
import type { HttpConnections } from "./http-connections.ts";
import { connectionError, HttpError } from "./http-error.ts";
import type { HttpHost } from "./http-host.ts";

/** One request to one host, all of it decided. */
export interface Exchange {
  readonly host: HttpHost;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  /** Begins each message: `consul registry: GET /v1/status/leader`. */
  readonly subject: string;
  readonly connectTimeoutMs: number;
  /** Until the answer's headers are there. */
  readonly headTimeoutMs: number;
  /** The answer goes on: its connection is one for itself. */
  readonly isStream: boolean;
  readonly signal: AbortSignal | undefined;
}

/** An answer whose body is still to come. */
export interface ExchangeHead {
  readonly message: IncomingMessage;
  /** Ends the request and its connection; the body then fails with `error`. */
  abort(error: HttpError): void;
  /** The error to tell for one of the body's. */
  explain(error: Error): HttpError;
  /** Address of this end of the connection, without a port; empty for a Unix socket. */
  readonly localAddress: string;
}

/**
 * Sends a request and waits for the head of the answer, whatever its status.
 *
 * A connection that was kept alive may have been closed by the server just now: such a request, not answered by a byte, is
 * sent once more on a new one (RFC 9112 §9.3.1), which all requests of registries permit.
 */
export async function exchange(connections: HttpConnections, clock: Clock, what: Exchange): Promise<ExchangeHead> {
  try {
    return await new Sending(connections, clock, what).head();
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error;
    return await new Sending(connections, clock, what).head(true);
  }
}

/** The server had closed the kept connection before it read the request. */
class StaleConnection extends Error {}

/** waiting for a connection → connected → answered (or failed, once). */
class Sending {
  readonly #connections: HttpConnections;
  readonly #clock: Clock;
  readonly #what: Exchange;
  #request: ClientRequest | null = null;
  #message: IncomingMessage | null = null;
  #timer: Timer | null = null;
  #connectTimer: Timer | null = null;
  #isConnected = false;
  #localAddress = "";
  /** Why this side ended it; Node only tells of a reset then. */
  #reason: HttpError | null = null;
  #fail: (error: Error) => void = () => {};
  readonly #cancel = (): void => this.#abort(this.#error("cancelled", "given up"));

  constructor(connections: HttpConnections, clock: Clock, what: Exchange) {
    this.#connections = connections;
    this.#clock = clock;
    this.#what = what;
  }

  head(isSecond: boolean = false): Promise<ExchangeHead> {
    const { host, method, path, headers, body, headTimeoutMs, isStream, signal } = this.#what;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(this.#error("cancelled", "given up"));
      this.#fail = (error) => {
        this.#disarm();
        const isStale =
          !isSecond && this.#reason === null && this.#request?.reusedSocket === true && this.#message === null;
        reject(isStale ? new StaleConnection() : this.#explain(error));
      };
      try {
        this.#request = this.#connections.begin(host, method, path, headers, isStream);
      } catch (error) {
        return this.#fail(error as Error);
      }
      signal?.addEventListener("abort", this.#cancel, { once: true });
      this.#timer = this.#clock.setTimeout(() => this.#abort(this.#tooLate(headTimeoutMs)), headTimeoutMs);
      this.#request.once("socket", (socket) => this.#connecting(socket));
      this.#request.on("error", this.#fail);
      this.#request.once("response", (message) => resolve(this.#answered(message)));
      this.#request.end(body);
    });
  }

  #connecting(socket: Socket): void {
    if (!socket.connecting && !(isTlsSocket(socket) && socket.getProtocol() === null)) return this.#connected(socket);
    const { connectTimeoutMs, host } = this.#what;
    this.#connectTimer = this.#clock.setTimeout(() => {
      const why = `${host.label} does not take connections: none came about within ${connectTimeoutMs} ms; check the address and the firewalls between`;
      this.#abort(this.#error("timeout", why));
    }, connectTimeoutMs);
    // A handshake that fails is a matter of TLS only once TCP stands.
    this.#isConnected = !socket.connecting;
    socket.once("connect", () => {
      this.#isConnected = true;
    });
    socket.once(isTlsSocket(socket) ? "secureConnect" : "connect", () => this.#connected(socket));
  }

  #connected(socket: Socket): void {
    this.#isConnected = true;
    this.#connectTimer?.cancel();
    this.#localAddress = socket.localAddress ?? "";
  }

  #answered(message: IncomingMessage): ExchangeHead {
    this.#message = message;
    this.#timer?.cancel();
    this.#connectTimer?.cancel();
    message.once("close", () => this.#disarm());
    return {
      message,
      abort: (error) => this.#abort(error),
      explain: (error) => this.#explain(error),
      localAddress: this.#localAddress,
    };
  }

  #abort(reason: HttpError): void {
    this.#reason ??= reason;
    this.#message?.destroy(reason);
    this.#request?.destroy(reason);
    // Node tells nothing of a request that waits for a connection, until there is one.
    if (this.#request?.socket === null) this.#fail(reason);
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#connectTimer?.cancel();
    this.#what.signal?.removeEventListener("abort", this.#cancel);
  }

  #explain(error: Error): HttpError {
    if (this.#reason !== null) return this.#reason;
    const { subject, host } = this.#what;
    const serverName = this.#connections.serverName(host);
    return connectionError(subject, host, error, {
      isConnected: this.#isConnected,
      hasAnswer: this.#message !== null,
      serverName,
    });
  }

  #tooLate(timeoutMs: number): HttpError {
    const { host } = this.#what;
    if (this.#isConnected) return this.#error("timeout", `${host.label} did not answer within ${timeoutMs} ms`);
    return this.#error("timeout", `no connection to ${host.label} was free or came about within ${timeoutMs} ms`);
  }

  #error(kind: "cancelled" | "timeout", why: string): HttpError {
    return new HttpError(kind, `${this.#what.subject}: ${why}`, { host: this.#what.host.label });
  }
}
