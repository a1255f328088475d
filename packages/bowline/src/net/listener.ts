import {
  createServer,
  type DropArgument,
  type ListenOptions as NodeListenOptions,
  type Server,
  type Socket,
} from "node:net";
import type { TLSSocket, Server as TlsServer } from "node:tls";
import type { Clock } from "../rpc/clock.ts";
import { tlsModule } from "../rpc/platform.ts";
import {
  checkSocketAddress,
  formatAddress,
  formatHostPort,
  isUnixAddress,
  parseListenAddress,
  type SocketAddress,
} from "./address.ts";
import { ConnectionRouter, type ConnectionTargets, rawSocket } from "./connection-router.ts";
import { ListenError, listenError, removeStaleSocket } from "./listen-error.ts";
import { DESCRIPTOR_ADVICE, DescriptorWatch } from "./proc/descriptor-watch.ts";
import type { TlsMaterial } from "./tls/tls-files.ts";

/** Default time for a client to say what it speaks, and again for a TLS handshake. */
export const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;

/** Default bound of open connections. */
export const DEFAULT_MAX_CONNECTIONS = 10_000;

/** `host:port`, `:port` (all interfaces, IPv6 and IPv4), `[v6]:port`, `unix:/path`, or the same as an object. Port 0 takes any free one. */
export type ListenTarget = string | SocketAddress;

/** How to listen. */
export interface ListenOptions extends ConnectionTargets {
  readonly clock: Clock;
  /** Server material of `openTlsFiles`; absent = plaintext. New connections get its current certificates. */
  readonly tls?: TlsMaterial;
  /** Bound for the first bytes (up to the whole HTTP/2 preface) and, apart, for the TLS handshake, in ms. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** Open connections of any kind; those beyond are taken and closed at once. Default 10,000. */
  readonly maxConnections?: number;
  /**
   * In a worker of node:cluster: `shared` takes its turn of the connections that the primary accepts, and leaves the file of a Unix
   * socket to it; `own` binds the port itself. Default: as node:cluster does, which shares.
   */
  readonly cluster?: "shared" | "own";
}

/** A bound port. */
export interface Listener {
  /** As bound: `0.0.0.0:41234`, `[::]:8080`, `unix:/run/user.sock`. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Open connections, those that were handed on included. */
  readonly connections: number;
  /** Connections refused at `maxConnections` so far. */
  readonly refusedConnections: number;
  /** Closes the port (a Unix socket's file goes away). Connections live on; those not handed on yet still will be. */
  stopAccepting(): void;
  /**
   * Closes the port and destroys all connections; resolves when they are gone. Those that are ending in order (all was
   * written and `end` called) get `lingerMs` to do so, default 0: destroyed at once, their last words may be lost.
   */
  close(lingerMs?: number): Promise<void>;
}

/**
 * Binds a port that serves HTTP/2 and HTTP/1, with or without TLS, and hands each connection on once its protocol is known.
 *
 * Rejects with ListenError: no such address, taken (by whom, where it can be found out), not permitted. A Unix socket's
 * file that a killed server left behind is replaced. Throws RangeError for options out of range.
 */
export async function listen(target: ListenTarget, options: ListenOptions): Promise<Listener> {
  const { handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS, maxConnections = DEFAULT_MAX_CONNECTIONS } = options;
  checkPositive("handshakeTimeoutMs", handshakeTimeoutMs);
  checkPositive("maxConnections", maxConnections);
  const address = readTarget(target);
  if (isUnixAddress(address) && options.cluster !== "shared") await removeStaleSocket(address.path);
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  // In a worker of node:cluster, what is too much is refused here: passed on, it would go round for ever when all workers are full.
  Object.assign(server, { maxConnections, dropMaxConnection: true });
  // A worker of node:cluster may be handed connections before it hears that it listens.
  const early: Socket[] = [];
  const keep = (socket: Socket): void => void early.push(socket);
  server.on("connection", keep);
  await bind(server, address, options.cluster === "own");
  server.off("connection", keep);
  const listener = new PortListener(server, address, options, handshakeTimeoutMs);
  for (const socket of early) server.emit("connection", socket);
  return listener;
}

function checkPositive(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= 0x7fffffff) return;
  throw new RangeError(`${name} is ${value}; give a whole number from 1 to 2147483647`);
}

function readTarget(target: ListenTarget): SocketAddress {
  try {
    return typeof target === "string" ? parseListenAddress(target) : checkSocketAddress(target);
  } catch (error) {
    const text = typeof target === "string" ? target : JSON.stringify(target);
    throw new ListenError("address", text, error instanceof Error ? error.message : String(error), error);
  }
}

function bind(server: Server, address: SocketAddress, exclusive: boolean): Promise<void> {
  const where: NodeListenOptions = isUnixAddress(address)
    ? { path: address.path, exclusive }
    : { port: address.port, host: address.host === "" ? undefined : address.host, exclusive };
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => void listenError(error, address).then(reject);
    server.once("error", failed);
    server.listen(where, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

class PortListener implements Listener {
  readonly address: string;
  readonly port: number;
  refusedConnections = 0;
  readonly #server: Server;
  readonly #options: ListenOptions;
  readonly #router: ConnectionRouter;
  readonly #sockets = new Set<Socket>();
  readonly #descriptors: DescriptorWatch;
  readonly #closed: Promise<void>;
  readonly #tlsServer: TlsServer | undefined;
  /** By the socket below, for those whose handshake is done. */
  readonly #secured = new WeakMap<Socket, TLSSocket>();
  /** Of the TLS material, as the TLS server has it. */
  #generation = 0;

  constructor(server: Server, address: SocketAddress, options: ListenOptions, handshakeTimeoutMs: number) {
    this.#server = server;
    this.#options = options;
    const bound = server.address();
    const isTcp = bound !== null && typeof bound === "object";
    this.address = isTcp ? formatHostPort(bound.address, bound.port) : formatAddress(address);
    this.port = isTcp ? bound.port : 0;
    this.#router = new ConnectionRouter({
      ...options,
      handshakeTimeoutMs,
      paths: isUnixAddress(address) ? { local: address.path } : undefined,
      handshake: options.tls && ((socket) => this.#handshake(socket)),
    });
    this.#tlsServer = options.tls && this.#createTlsServer(options.tls, handshakeTimeoutMs);
    this.#descriptors = new DescriptorWatch(options.clock, (kind, text) => options.onMisuse?.(kind, "a client", text));
    this.#closed = new Promise((resolve) => server.once("close", () => resolve()));
    server.on("connection", (socket) => this.#accepted(socket));
    server.on("drop", (peer) => this.#dropped(peer));
    server.on("error", (error) => this.#acceptFailed(error));
  }

  get connections(): number {
    return this.#sockets.size;
  }

  stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
    this.#descriptors.close();
  }

  async close(lingerMs: number = 0): Promise<void> {
    this.stopAccepting();
    const gone = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of this.#sockets) if (lingerMs === 0 || !this.#isEnding(socket)) socket.destroy();
    const destroyRest = (): void => {
      for (const socket of this.#sockets) socket.destroy();
    };
    const timer = lingerMs === 0 ? null : this.#options.clock.setTimeout(destroyRest, lingerMs);
    await Promise.all([this.#closed, ...gone]);
    timer?.cancel();
  }

  #isEnding(socket: Socket): boolean {
    return (this.#secured.get(socket) ?? socket).writableEnded;
  }

  #accepted(socket: Socket): void {
    this.#sockets.add(socket);
    this.#descriptors.accepted(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Read once, the socket keeps it: messages need it when the connection is gone.
    void socket.remoteAddress;
    this.#router.accepted(socket);
  }

  #dropped(peer: DropArgument | undefined): void {
    this.refusedConnections++;
    const { maxConnections } = this.#server;
    const from =
      peer?.remoteAddress === undefined ? "a client" : formatHostPort(peer.remoteAddress, peer.remotePort ?? 0);
    const text = `was refused: ${maxConnections} connections are open; raise maxConnections or let clients share connections`;
    this.#options.onMisuse?.("too-many-connections", from, text);
  }

  /** The port stays open; the kernel keeps or drops what waits. Of a want of descriptors mostly the watch alone hears. */
  #acceptFailed(error: Error): void {
    const isOutOfFiles = "code" in error && (error.code === "EMFILE" || error.code === "ENFILE");
    const advice = isOutOfFiles ? `; ${DESCRIPTOR_ADVICE}` : "";
    this.#options.onMisuse?.("accept-failed", "a client", `could not be taken: ${error.message}${advice}`);
  }

  #createTlsServer(tls: TlsMaterial, handshakeTimeoutMs: number): TlsServer {
    this.#generation = tls.generation;
    const server = tlsModule().createServer({
      ...tls.options,
      ALPNProtocols: ["h2", "http/1.1"],
      requestCert: tls.clientCertificates !== "none",
      rejectUnauthorized: tls.clientCertificates === "require",
      handshakeTimeout: handshakeTimeoutMs,
    });
    server.on("secureConnection", (socket) => {
      this.#secured.set(rawSocket(socket), socket);
      this.#router.secured(socket);
    });
    server.on("tlsClientError", (error, socket) => this.#router.handshakeFailed(error, socket));
    return server;
  }

  /** Handshakes that are under way keep the certificate that they began with. */
  #handshake(socket: Socket): void {
    const { tls } = this.#options;
    if (tls !== undefined && tls.generation !== this.#generation) {
      this.#generation = tls.generation;
      this.#tlsServer?.setSecureContext(tls.options);
    }
    this.#tlsServer?.emit("connection", socket);
  }
}
