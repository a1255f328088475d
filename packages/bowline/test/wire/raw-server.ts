import type { ClientOptions } from "../../src/client/client-options.ts";
import { type Client, createClient } from "../../src/client/create-client.ts";
import { memoryNetwork } from "../../src/testing/network/memory-network.ts";
import type { RawListener } from "../../src/testing/network/raw-listener.ts";
import type { RawFrame } from "../../src/testing/raw-frame-parser.ts";
import { grpcMessage, grpcResponseFields } from "../../src/testing/raw-frames.ts";
import type { HeaderList } from "../../src/testing/raw-hpack.ts";
import type { RawPeer, RawPeerOptions } from "../../src/testing/raw-peer.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { WIRE, type WireClient } from "./wire-service.ts";

type Settings = readonly (readonly [id: number, value: number])[];

const ADDRESS = "127.0.0.1:8080";

/** A raw server in memory, with one client of ours for it, in virtual time. */
export class RawServer implements AsyncDisposable {
  readonly clock: VirtualClock = new VirtualClock(1000);
  readonly client: Client<WireClient>;
  readonly #raw: RawListener;

  private constructor(options: ClientOptions, peerOptions: Partial<RawPeerOptions>) {
    const { clock } = this;
    const network = memoryNetwork({ clock });
    this.#raw = network.listenRaw(ADDRESS, () => {}, peerOptions);
    this.client = createClient(WIRE, ADDRESS, { network, clock, random: () => 0.5, ...options });
  }

  /** Listens; nothing is connected yet. Calls have no deadline unless told. */
  static async listen(options: ClientOptions = {}, peerOptions: Partial<RawPeerOptions> = {}): Promise<RawServer> {
    return new RawServer({ timeoutMs: 0, ...options }, peerOptions);
  }

  /** All connections so far. */
  get peers(): readonly RawPeer[] {
    return this.#raw.peers;
  }

  /** The next connection, without a handshake. */
  open(): Promise<RawPeer> {
    return this.#raw.next();
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
    await this.#raw.close();
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
