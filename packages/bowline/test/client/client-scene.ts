import { createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { afterEach } from "vitest";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { type Client, createClient } from "../../src/client/create-client.ts";
import { silentLogger } from "../../src/observe/logger.ts";
import { createServer } from "../../src/server/create-server.ts";
import type { Server } from "../../src/server/server.ts";
import type { ServerOptions } from "../../src/server/server-options.ts";
import { RawPeer } from "../../src/testing/raw-peer.ts";
import { echoNotes, type NoteClient, type NoteHandlers, NoteService } from "./note-service.ts";

/** A listening socket whose connections a test plays by hand. */
export interface RawServer {
  readonly address: string;
  readonly port: number;
  /** All connections that came, in order. */
  readonly sockets: readonly Socket[];
  close(): Promise<void>;
}

/** Servers, clients and scripted peers on loopback, closed after each test, the last one first. */
export class ClientScene {
  #closers: (() => unknown)[] = [];

  /** Starts a server of the note service. */
  async server(handlers: Partial<NoteHandlers> = {}, options: ServerOptions = {}): Promise<Server> {
    const server = createServer({
      listen: "127.0.0.1:0",
      handleSignals: false,
      drainAcceptMs: 0,
      drainTimeoutMs: 0,
      logger: silentLogger,
      ...options,
    });
    server.add(NoteService, { ...echoNotes, ...handlers });
    await server.start();
    this.#closers.push(() => server.close());
    return server;
  }

  /** A client of the note service; never retries what a handler may have seen unless the options say otherwise. */
  client(target: string, options: ClientOptions = {}): Client<NoteClient> {
    const client = createClient(NoteService, target, { retry: false, timeoutMs: 5000, ...options });
    this.#closers.push(() => client.close());
    return client;
  }

  /** Listens and hands over each socket. */
  async tcpServer(onSocket: (socket: Socket) => void, port: number = 0): Promise<RawServer> {
    const sockets: Socket[] = [];
    const server: TcpServer = createTcpServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      onSocket(socket);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    const bound = (server.address() as { port: number }).port;
    const close = async (): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    };
    this.#closers.push(close);
    return { address: `127.0.0.1:${bound}`, port: bound, sockets, close };
  }

  /** Listens and plays `script` on each connection; SETTINGS and PING are acknowledged. */
  rawServer(script: (peer: RawPeer, index: number) => unknown): Promise<RawServer> {
    let count = 0;
    return this.tcpServer((socket) => {
      const peer = new RawPeer(socket, { role: "server", acknowledges: true });
      // A test that ends closes its sockets; a script that still waits then is no failure.
      void Promise.resolve(script(peer, count++)).catch(() => {});
    });
  }

  onClose(closer: () => unknown): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    const closers = this.#closers;
    this.#closers = [];
    for (const close of closers.reverse()) await close();
  }
}

/** A scene for the tests of a file. */
export function useScene(): ClientScene {
  const scene = new ClientScene();
  afterEach(() => scene.close());
  return scene;
}
