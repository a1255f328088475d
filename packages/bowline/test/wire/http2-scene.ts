import { expect } from "vitest";
import { Connection } from "../../src/http2/connection.ts";
import { errorCodeName, Http2Error } from "../../src/http2/frames.ts";
import { type Http2Limits, http2Limits } from "../../src/http2/limits.ts";
import { type MemoryLink, type MemoryLinkOptions, memoryLinkPair } from "../../src/testing/memory-link.ts";
import type { RawFrame } from "../../src/testing/raw-frame-parser.ts";
import { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle, VirtualClock } from "../../src/testing/virtual-clock.ts";
import { type RecordedStream, RecordingOwner, sendFields } from "./recording-owner.ts";

/** How to set up a {@link Http2Scene}. */
export interface SceneOptions {
  /** Our side. */
  readonly role: "server" | "client";
  readonly limits?: Partial<Http2Limits>;
  readonly link?: MemoryLinkOptions;
  /** The raw peer answers SETTINGS and PING by itself. Default true. */
  readonly acknowledges?: boolean;
}

/** Request fields that any server takes. */
export const REQUEST = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/wire"],
  [":authority", "raw-peer"],
] as const;

/** One of our connections with a raw peer at the other end of a link in memory, in virtual time. */
export class Http2Scene {
  readonly clock: VirtualClock = new VirtualClock();
  readonly owner: RecordingOwner = new RecordingOwner();
  readonly connection: Connection<RecordedStream>;
  readonly peer: RawPeer;
  /** Our end of the link, and the peer's. */
  readonly near: MemoryLink;
  readonly far: MemoryLink;

  constructor({ role, limits, link, acknowledges = true }: SceneOptions) {
    [this.near, this.far] = memoryLinkPair(link);
    const isServer = role === "server";
    this.connection = new Connection(this.near, this.owner, {
      isServer,
      clock: this.clock,
      limits: http2Limits(limits),
    });
    this.peer = new RawPeer(this.far, { role: isServer ? "client" : "server", acknowledges });
    this.connection.start();
  }

  /** A scene whose sides have shaken hands; `settings` are the raw peer's. */
  static async ready(options: SceneOptions, settings?: readonly (readonly [number, number])[]): Promise<Http2Scene> {
    const scene = new Http2Scene(options);
    await scene.peer.handshake(settings);
    await settle();
    return scene;
  }

  /** The stream with this id, as our side knows it. */
  stream(id: number): RecordedStream {
    const found = this.owner.streams.find((each) => each.streamId === id);
    if (found === undefined) throw new Error(`our side has heard of no stream ${id}`);
    return found;
  }

  /** Opens a stream of ours (client only) with a request; unless `end`, its data may follow. */
  request(end: boolean = true): RecordedStream {
    const stream = this.owner.createStream();
    this.connection.open(stream);
    stream.streamId = stream.id;
    sendFields(this.connection, stream, REQUEST, end);
    return stream;
  }

  /** A PING to and fro: our side has read all that the peer sent before, and lives. */
  async isAlive(): Promise<void> {
    await this.peer.roundTrip();
    expect(this.owner.ends).toEqual([]);
  }

  /** Our side ends the connection for the peer's fault: GOAWAY with the code and one sentence, to the peer and to our log. */
  async endsWith(code: number, text: RegExp): Promise<RawFrame> {
    const goaway = await this.peer.expect("GOAWAY");
    expect(`${errorCodeName(goaway.errorCode ?? -1)}: ${goaway.debug}`).toMatch(text);
    expect(goaway.errorCode).toBe(code);
    expect(goaway.debug).toMatch(/^[^\n]{10,160}$/);
    await this.peer.closed;
    await settle();
    expect(this.owner.ends).toHaveLength(1);
    expect(this.owner.ends[0]).toBeInstanceOf(Http2Error);
    expect(this.owner.ends[0]).toMatchObject({ code, byPeer: false });
    expect(this.owner.ends[0]?.message).toMatch(text.source.startsWith("^") ? /./ : text);
    this.leavesNothing();
    return goaway;
  }

  /** Our side resets one stream for the peer's fault, and the connection goes on. */
  async resets(id: number, code: number): Promise<void> {
    const reset = await this.peer.expect("RST_STREAM", (frame) => frame.streamId === id);
    expect(errorCodeName(reset.errorCode ?? -1)).toBe(errorCodeName(code));
    await this.isAlive();
  }

  /** After the end: no stream, no timer, every stream was told of its end once. */
  leavesNothing(): void {
    expect(this.connection.isClosed).toBe(true);
    expect(this.connection.streams.size).toBe(0);
    expect(this.clock.pending).toBe(0);
    for (const stream of this.owner.streams) expect(stream.resets.length).toBeLessThanOrEqual(1);
  }
}
