import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { RawPeer } from "bowline/testing";
import type { CallEnd, Caller } from "./caller.ts";

/** A hostile server's part in one connection; `ids` are the streams of the calls that came. */
export type HostileScript = (peer: RawPeer, ids: readonly number[], socket: Socket) => Promise<void>;

/** How a client is made to call. */
export interface HostileCalls {
  /** Calls at the same time, over one connection; the script begins when all have come. Default 1. */
  readonly count?: number;
  /** Calls that are made in all, when each connection takes a part of them: the script begins with `count`. Default: `count`. */
  readonly calls?: number;
  /** Their deadline. Default 5,000 ms. */
  readonly timeoutMs?: number;
  /** Options of `createClient`, given as JSON. */
  readonly client?: object;
  /** Sent with each call. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A Bowline client in a process of its own, and the hostile server that it is made to call. */
export class AttackedClient implements AsyncDisposable {
  readonly caller: Caller;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #script: HostileScript = async () => {};
  #count = 1;
  #scripts: Promise<void>[] = [];

  private constructor(caller: Caller, server: Server) {
    this.caller = caller;
    this.#server = server;
    server.on("connection", (socket) => this.#serve(socket));
  }

  /** Opens the hostile server's port. */
  static async start(caller: Caller): Promise<AttackedClient> {
    const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new AttackedClient(caller, server);
  }

  /**
   * The client makes calls to a server that does what `script` says once they have come. Resolves with the ends of the calls, when the
   * script has ended too; rejects with what it threw. Connections without calls, which a client opens to be ready for more, are left alone.
   */
  async call(script: HostileScript, calls: HostileCalls = {}): Promise<readonly CallEnd[]> {
    const { count = 1, timeoutMs = 5000, client: options, metadata } = calls;
    const total = calls.calls ?? count;
    this.#script = script;
    this.#count = count;
    this.#scripts = [];
    const { port } = this.#server.address() as AddressInfo;
    const ends = await this.caller.call(`127.0.0.1:${port}`, total, { timeoutMs, options, metadata });
    await Promise.all(this.#scripts);
    return ends;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    const peer = new RawPeer(socket, { role: "server", acknowledges: true, timeoutMs: 10_000 });
    const script = this.#script;
    void this.#awaitCalls(peer).then((ids) => {
      if (ids === undefined) return;
      const run = script(peer, ids, socket);
      run.catch(() => {});
      this.#scripts.push(run);
    });
  }

  async #awaitCalls(peer: RawPeer): Promise<number[] | undefined> {
    try {
      await peer.handshake();
      const ids: number[] = [];
      while (ids.length < this.#count) ids.push((await peer.expect("HEADERS")).streamId);
      return ids;
    } catch {
      return undefined;
    }
  }
}
