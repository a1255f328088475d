import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Hands connections on to a server and counts what comes back: what was compressed shows from outside. */
export class CountingRelay {
  /** Octets that the server has sent so far. */
  receivedBytes = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(host: string, port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, host);
      server.on("data", (chunk: Buffer) => {
        this.receivedBytes += chunk.length;
      });
      for (const [from, to] of [
        [client, server],
        [server, client],
      ]) {
        this.#sockets.add(from);
        from.pipe(to);
        from.on("error", () => to.destroy());
        from.on("close", () => to.destroy());
      }
    });
  }

  /** Listens on a free port of loopback. */
  static async open(host: string, port: number): Promise<CountingRelay> {
    const relay = new CountingRelay(host, port);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  /** `host:port` to connect to instead of the server. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
