import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { Link } from "../src/http2/link.ts";
import type { Misuse } from "../src/net/connection-router.ts";
import { type Listener, type ListenOptions, type ListenTarget, listen } from "../src/net/listener.ts";
import { openTlsFiles, type TlsMaterial, type TlsSettings } from "../src/net/tls/tls-files.ts";
import { certPath } from "./certs.ts";
import { LinkRecorder } from "./link-recorder.ts";
import { ManualClock, settled } from "./manual-clock.ts";

/** What an HTTP/2 client sends first. */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Path of the authority that vouches for most certificates of the tests. */
export const AUTHORITIES: string = certPath("authority.crt");

/** A link with what it told. */
export interface RecordedLink {
  readonly link: Link;
  readonly handler: LinkRecorder;
}

/** A mistake of a client, as the listener reported it. */
export interface ReportedMisuse {
  readonly kind: Misuse;
  readonly peer: string;
  readonly text: string;
}

/** What arrives one by one and is waited for one by one. */
export class Arrivals<T> {
  readonly all: T[] = [];
  #taken = 0;
  #waiting: (() => void) | undefined;

  add(item: T): void {
    this.all.push(item);
    this.#waiting?.();
  }

  /** The next one that nobody took yet. */
  async next(): Promise<T> {
    while (this.all.length === this.#taken) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.all[this.#taken++];
  }
}

/** Listeners, links and files of one test; `close` leaves nothing behind. */
export class NetBench {
  readonly clock: ManualClock = new ManualClock();
  readonly directory: string = mkdtempSync(join(tmpdir(), "bowline-net-"));
  readonly links: Arrivals<RecordedLink> = new Arrivals();
  readonly misuses: Arrivals<ReportedMisuse> = new Arrivals();
  readonly #listeners: Listener[] = [];
  readonly #materials: TlsMaterial[] = [];
  readonly #recorded: RecordedLink[] = [];
  readonly #sockets: Socket[] = [];
  readonly #servers: Server[] = [];

  path(name: string): string {
    return join(this.directory, name);
  }

  tls(role: "client" | "server", settings: TlsSettings): TlsMaterial {
    const material = openTlsFiles(role, settings, { clock: this.clock });
    this.#materials.push(material);
    return material;
  }

  /** Listens and starts each HTTP/2 link with a recorder, both to be found in `links`. */
  async listen(target: ListenTarget, options: Partial<ListenOptions> = {}): Promise<Listener> {
    const listener = await listen(target, {
      clock: this.clock,
      onHttp2: (link) => this.links.add(this.record(link)),
      onMisuse: (kind, peer, text) => this.misuses.add({ kind, peer, text }),
      ...options,
    });
    this.#listeners.push(listener);
    return listener;
  }

  record(link: Link): RecordedLink {
    const recorded = { link, handler: new LinkRecorder() };
    link.start(recorded.handler);
    this.#recorded.push(recorded);
    return recorded;
  }

  /** Keeps a bare socket from outliving the test, or from ending it by an error. */
  keep<S extends Socket>(socket: S): S {
    socket.on("error", () => {});
    this.#sockets.push(socket);
    return socket;
  }

  /** A bare client. */
  client(listener: Listener): Socket {
    return this.keep(connect({ port: listener.port, host: "127.0.0.1" }));
  }

  /** A bare TLS client, which offers `h2` unless told otherwise. */
  tlsClient(listener: Listener, options: ConnectionOptions = {}): TLSSocket {
    const ca = readFileSync(AUTHORITIES);
    return this.keep(connectTls({ port: listener.port, host: "127.0.0.1", ca, ALPNProtocols: ["h2"], ...options }));
  }

  /** Lets any server listen on a free port of 127.0.0.1, and says where. */
  async serve(server: Server): Promise<string> {
    server.on("connection", (socket) => this.keep(socket));
    this.#servers.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const bound = server.address();
    return `127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`;
  }

  async close(): Promise<void> {
    for (const { link } of this.#recorded) link.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
    await Promise.all(this.#recorded.map(({ handler }) => handler.untilEvent("closed")));
    for (const material of this.#materials) material.close();
    rmSync(this.directory, { recursive: true });
    if (this.clock.timers > 0) throw new Error(`${this.clock.timers} timers are still armed`);
  }
}

/** All bytes that a peer sends until it ends or breaks. */
export async function answer(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (!socket.readableEnded) await Promise.race([once(socket, "end"), once(socket, "close")]);
  return Buffer.concat(chunks);
}

/** Resolves when the listener has taken `count` connections. */
export async function accepted(listener: Listener, count = 1): Promise<void> {
  while (listener.connections < count) await settled();
}

/** Resolves when the listener has no more than `count` connections. */
export async function released(listener: Listener, count: number): Promise<void> {
  while (listener.connections > count) await settled();
}
