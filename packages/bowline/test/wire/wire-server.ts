import { expect } from "vitest";
import { createServer } from "../../src/server/create-server.ts";
import type { Server } from "../../src/server/server.ts";
import type { ServerOptions } from "../../src/server/server-options.ts";
import { type MemoryNetwork, memoryNetwork } from "../../src/testing/network/memory-network.ts";
import type { RawFrame } from "../../src/testing/raw-frame-parser.ts";
import { grpcMessage, grpcRequestFields } from "../../src/testing/raw-frames.ts";
import type { HeaderList } from "../../src/testing/raw-hpack.ts";
import type { RawPeer, RawPeerOptions } from "../../src/testing/raw-peer.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { echo, WIRE, type WireHandlers } from "./wire-service.ts";

/** A log line of a server. */
export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly fields: object;
  readonly text: string;
}

/** A running server of the service {@link WIRE} in memory, for raw clients, in virtual time. */
export class WireServer implements AsyncDisposable {
  readonly clock: VirtualClock = new VirtualClock(1000);
  readonly lines: LogLine[] = [];
  readonly server: Server;
  /** Calls that reached a handler. */
  handled = 0;
  readonly network: MemoryNetwork = memoryNetwork({ clock: this.clock });

  private constructor(handlers: Partial<WireHandlers>, options: ServerOptions) {
    const line = (level: LogLine["level"]) => (fields: object, text: string) =>
      void this.lines.push({ level, fields, text });
    this.server = createServer({
      network: this.network,
      listen: "127.0.0.1:8080",
      handleSignals: false,
      health: false,
      reflection: false,
      clock: this.clock,
      // Raw peers find out by PING what the server has read.
      keepalive: { minPingMs: 0, pingWithoutCalls: true },
      logger: { info: line("info"), warn: line("warn"), error: line("error") },
      ...options,
    });
    this.server.add(WIRE, this.#counted({ ...echo, ...handlers }));
  }

  /** Serves {@link echo} unless told otherwise. */
  static async start(handlers: Partial<WireHandlers> = {}, options: ServerOptions = {}): Promise<WireServer> {
    const made = new WireServer(handlers, options);
    await made.server.start();
    return made;
  }

  /** A raw client that has not said anything. */
  open(options: Partial<RawPeerOptions> = {}): Promise<RawPeer> {
    return this.network.dialRaw(this.server.address, options);
  }

  /** A raw client that has shaken hands. */
  async connect(settings?: readonly (readonly [number, number])[]): Promise<RawPeer> {
    const peer = await this.open();
    await peer.handshake(settings);
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.network.links()) link.reset();
    // The drain waits in virtual time.
    await this.clock.advanceUntil(this.server.close());
  }

  #counted(handlers: WireHandlers): WireHandlers {
    const counting = (name: keyof WireHandlers) => (request: never, context: never) => {
      this.handled++;
      return (handlers[name] as (...args: never[]) => never)(request, context);
    };
    const names: readonly (keyof WireHandlers)[] = ["unary", "read", "serverStream", "clientStream", "bidiStream"];
    return Object.fromEntries(names.map((name) => [name, counting(name)])) as unknown as WireHandlers;
  }
}

/** Sends a whole unary request. */
export function callUnary(peer: RawPeer, streamId: number, text = "hello", more: HeaderList = []): RawPeer {
  return peer
    .headers(streamId, grpcRequestFields("/wire.v1.Wire/Unary", more))
    .data(streamId, grpcMessage(Buffer.from(text)), { end: true });
}

/** The end of a call: the fields of its trailers, or of its only block. */
export async function trailersOf(peer: RawPeer, streamId: number): Promise<Readonly<Record<string, string>>> {
  const frame = await peer.expect("HEADERS", (each) => each.streamId === streamId && each.isEnd);
  return frame.headers ?? {};
}

/** The data of a stream so far. */
export function dataOf(peer: RawPeer, streamId: number): Buffer {
  return Buffer.concat(framesOf(peer, streamId).flatMap((frame) => frame.data ?? []));
}

/** All frames of a stream so far. */
export function framesOf(peer: RawPeer, streamId: number): RawFrame[] {
  return peer.received.filter((frame) => frame.streamId === streamId);
}

/** A whole call works: the connection is well. */
export async function expectEcho(peer: RawPeer, streamId: number, text = `echo ${streamId}`): Promise<void> {
  callUnary(peer, streamId, text);
  expect(await trailersOf(peer, streamId)).toMatchObject({ "grpc-status": "0" });
  expect(dataOf(peer, streamId)).toEqual(grpcMessage(Buffer.from(text)));
}
