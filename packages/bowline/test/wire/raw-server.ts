import { once } from "node:events";
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { type Client, createClient } from "../../src/client/create-client.ts";
import type { RawFrame } from "../../src/testing/raw-frame-parser.ts";
import { grpcMessage, grpcResponseFields } from "../../src/testing/raw-frames.ts";
import type { HeaderList } from "../../src/testing/raw-hpack.ts";
import { RawPeer } from "../../src/testing/raw-peer.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { WIRE, type WireClient } from "./wire-service.ts";

type Settings = readonly (readonly [id: number, value: number])[];

/** A raw server on a port, with one client of ours for it. The client's time is virtual. */
export class RawServer implements AsyncDisposable {
  readonly clock: VirtualClock = new VirtualClock(1000);
  readonly client: Client<WireClient>;
  /** All connections so far. */
  readonly peers: RawPeer[] = [];
  readonly #net: NetServer;
  readonly #sockets: Socket[] = [];
  readonly #coming: ((socket: Socket) => void)[] = [];
  readonly #waiting: Socket[] = [];

  private constructor(net: NetServer, options: ClientOptions) {
    this.#net = net;
    net.on("connection", (socket) => {
      this.#sockets.push(socket);
      socket.on("error", () => {});
      const taker = this.#coming.shift();
      if (taker === undefined) this.#waiting.push(socket);
      else taker(socket);
    });
    const { port } = net.address() as AddressInfo;
    this.client = createClient(WIRE, `127.0.0.1:${port}`, { clock: this.clock, random: () => 0.5, ...options });
  }

  /** Listens; nothing is connected yet. Calls have no deadline unless told. */
  static async listen(options: ClientOptions = {}): Promise<RawServer> {
    const net = createServer({ allowHalfOpen: true, noDelay: true });
    net.listen(0, "127.0.0.1");
    await once(net, "listening");
    return new RawServer(net, { timeoutMs: 0, ...options });
  }

  /** The next socket that the client opens. */
  socket(): Promise<Socket> {
    const waiting = this.#waiting.shift();
    return waiting === undefined ? new Promise((resolve) => this.#coming.push(resolve)) : Promise.resolve(waiting);
  }

  /** The next connection, without a handshake. */
  async open(acknowledges: boolean = true): Promise<RawPeer> {
    const peer = new RawPeer(await this.socket(), { role: "server", acknowledges });
    this.peers.push(peer);
    return peer;
  }

  /** The next connection, after the handshake. */
  async accept(settings?: Settings): Promise<RawPeer> {
    const peer = await this.open();
    await peer.handshake(settings);
    return peer;
  }

  /** Makes the client connect, and gives the connection after the handshake. */
  async connect(settings?: Settings): Promise<RawPeer> {
    const connected = this.client.channel.connect();
    const peer = await this.accept(settings);
    await connected;
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#net.close(resolve));
  }
}

/** The next request's HEADERS; with its whole body, when it is unary. */
export async function nextRequest(peer: RawPeer): Promise<RawFrame> {
  const headers = await peer.expect("HEADERS");
  await peer.expect("DATA", (frame) => frame.streamId === headers.streamId && frame.isEnd);
  return headers;
}

/** Answers a stream like a server that is well. */
export function answer(peer: RawPeer, streamId: number, text = "answer"): void {
  peer
    .headers(streamId, grpcResponseFields())
    .data(streamId, grpcMessage(Buffer.from(text)))
    .headers(streamId, [["grpc-status", "0"]], { end: true });
}

/** An answer of one block that is a status. */
export function answerStatus(peer: RawPeer, streamId: number, code: number, more: HeaderList = []): void {
  peer.headers(streamId, grpcResponseFields([["grpc-status", String(code)], ...more]), { end: true });
}

/** What a promise came to: its value, or the error it was rejected with. */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}
