import { connect as connectTcp, isIP, type NetConnectOpts, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Link } from "../http2/link.ts";
import type { Clock } from "../rpc/clock.ts";
import { tlsModule } from "../rpc/platform.ts";
import { isUnixAddress, parseAddress, type SocketAddress } from "./address.ts";
import { DialError, type DialProgress, dialError, explainLinkError } from "./dial-error.ts";
import { NetLink } from "./net-link.ts";
import { sharedReads } from "./shared-reads.ts";
import { socketPeer } from "./socket-peer.ts";
import type { TlsMaterial } from "./tls/tls-files.ts";

/**
 * Default time for resolving, TCP and TLS together. A lost SYN is repeated after 1 s, the second after 3 s: 5 s lets two
 * be lost and is still short of a caller's patience. (gRPC's 20 s covers all addresses of a target; this is one of them.)
 */
export const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** Time after which the next resolved address of a host is tried (RFC 8305); Node's 250 ms gives up distant hosts. */
const NEXT_ADDRESS_AFTER_MS = 1000;

/** How to connect. */
export interface DialOptions {
  readonly clock: Clock;
  /** Client material of `openTlsFiles`; absent = plaintext. Its current certificates are taken with each call. */
  readonly tls?: TlsMaterial;
  /**
   * The name that the server's certificate must carry, sent along as SNI unless it is an IP address.
   * Default: the host of the address; `localhost` for a Unix socket.
   */
  readonly serverName?: string;
  /**
   * True: whoever answers is believed, whatever certificate it shows, and so is anyone between. No option of clients leads here; only
   * adapters to registries offer it, under a name that says so. Default false.
   */
  readonly dangerouslySkipVerification?: boolean;
  /** Bound for resolving, TCP and TLS together, in ms. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Gives up when aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to `address` (`host:port`, `[v6]:port`, `unix:/path`): TCP or a Unix socket, with TLS on top when asked for.
 * A TLS link has been verified and has agreed on `h2`.
 *
 * Rejects with DialError, whatever went wrong; nothing is left open then.
 */
export function dial(address: string, options: DialOptions): Promise<Link> {
  return new Promise((resolve, reject) => new Dialing(address, options, resolve, reject).start());
}

/** One attempt: connecting → (handshaking) → settled. */
class Dialing {
  readonly #address: string;
  readonly #options: DialOptions;
  readonly #resolve: (link: Link) => void;
  readonly #reject: (error: DialError) => void;
  #serverName = "";
  #isConnected = false;
  #isSettled = false;
  #socket: Socket | null = null;
  #link: NetLink | null = null;
  #stop: () => void = () => {};
  readonly #aborted = (): void =>
    this.#fail(new DialError("cancelled", this.#address, "the caller gave up", this.#options.signal?.reason));

  constructor(
    address: string,
    options: DialOptions,
    resolve: (link: Link) => void,
    reject: (error: DialError) => void,
  ) {
    this.#address = address;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { signal, clock, connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = this.#options;
    if (signal?.aborted === true) return this.#aborted();
    try {
      this.#connect(parseAddress(this.#address));
    } catch (error) {
      return this.#fail(
        new DialError("address", this.#address, error instanceof Error ? error.message : String(error), error),
      );
    }
    const timer = clock.setTimeout(() => this.#timedOut(connectTimeoutMs), connectTimeoutMs);
    signal?.addEventListener("abort", this.#aborted, { once: true });
    this.#stop = () => {
      timer.cancel();
      signal?.removeEventListener("abort", this.#aborted);
    };
  }

  #connect(target: SocketAddress): void {
    const host = isUnixAddress(target) ? "localhost" : target.host;
    this.#serverName = this.#options.serverName ?? host;
    const { tls } = this.#options;
    const socket = tls === undefined ? connectTcp(this.#socketOptions(target)) : this.#connectTls(target, tls);
    this.#socket = socket;
    socket.on("error", (error) => this.#fail(dialError(error, this.#progress())));
    socket.on("close", () =>
      this.#fail(new DialError("closed", this.#address, "the peer closed the connection at once")),
    );
    socket.once("connect", () => {
      this.#isConnected = true;
    });
    // Reading must go on during a handshake; what is decrypted with its last flight waits in the link.
    if (tls === undefined) socket.pause();
    socket.once(tls === undefined ? "connect" : "secureConnect", () => this.#connected(target, socket));
  }

  #connectTls(target: SocketAddress, tls: TlsMaterial): TLSSocket {
    const name = this.#serverName;
    const socket = tlsModule().connect({
      ...this.#socketOptions(target),
      secureContext: tls.current(),
      ALPNProtocols: ["h2"],
      rejectUnauthorized: this.#options.dangerouslySkipVerification !== true,
      servername: isIP(name) === 0 ? name : "",
      checkServerIdentity: (_host, certificate) => tlsModule().checkServerIdentity(name, certificate),
    });
    socket.disableRenegotiation();
    return socket;
  }

  #socketOptions(target: SocketAddress): NetConnectOpts {
    const onread = sharedReads((count, buffer) => this.#link?.receive(count, buffer) ?? true);
    const common = { allowHalfOpen: true, noDelay: true, onread };
    if (isUnixAddress(target)) return { ...common, path: target.path };
    return {
      ...common,
      host: target.host,
      port: target.port,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
    };
  }

  #connected(target: SocketAddress, socket: Socket): void {
    if (this.#isSettled) return;
    const peer = socketPeer(socket, isUnixAddress(target) ? { remote: target.path } : undefined);
    if (peer.tls !== undefined && peer.tls.alpn !== "h2") {
      const why =
        "the peer speaks TLS but did not agree on HTTP/2 (ALPN); it is no gRPC server, or a proxy without HTTP/2";
      return this.#fail(new DialError("protocol", this.#address, why));
    }
    const progress = this.#progress();
    this.#settle();
    this.#link = new NetLink(socket, {
      clock: this.#options.clock,
      peer,
      explain: (error, hasReceived) => explainLinkError(error, hasReceived, progress),
    });
    this.#resolve(this.#link);
  }

  #timedOut(connectTimeoutMs: number): void {
    const what = !this.#isConnected
      ? "no connection; check the address and the firewalls between"
      : "the TLS handshake was not answered; does that port speak TLS?";
    this.#fail(new DialError("timeout", this.#address, `${what} (gave up after ${connectTimeoutMs} ms)`));
  }

  #fail(error: DialError): void {
    if (this.#isSettled) return;
    this.#settle();
    this.#socket?.destroy();
    this.#reject(error);
  }

  #settle(): void {
    this.#isSettled = true;
    this.#stop();
  }

  #progress(): DialProgress {
    return {
      address: this.#address,
      isTls: this.#options.tls !== undefined,
      isConnected: this.#isConnected,
      serverName: this.#serverName,
    };
  }
}
