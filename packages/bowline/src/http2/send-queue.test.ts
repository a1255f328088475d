import { beforeEach, describe, expect, it } from "vitest";
import { CapturingLink } from "../../test/wire/capturing-link.ts";
import { RawSetting, rawSettings } from "../testing/raw-frames.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { FrameWriter } from "./frame-writer.ts";
import { DEFAULT_WINDOW_BYTES, MAX_INT31 } from "./frames.ts";
import { SendQueue, type SendQueueOwner } from "./send-queue.ts";
import { PeerSettings } from "./settings.ts";
import { Http2Stream } from "./stream.ts";

const STALL_MS = 30_000;

/** A queue with its surroundings; `sent` tells what left as `stream:octets`, with a `!` for END_STREAM. */
class Scene implements SendQueueOwner<Http2Stream> {
  readonly clock = new VirtualClock();
  readonly link = new CapturingLink();
  readonly writer = new FrameWriter(this.link);
  readonly peer = new PeerSettings();
  readonly queue = new SendQueue<Http2Stream>(this, this.writer, this.peer, this.clock, STALL_MS);
  readonly events: string[] = [];
  /** Called when a stream has nothing left to send. */
  onEmptied: (stream: Http2Stream) => void = () => {};
  /** Called when a stream is stalled. */
  onStalled: () => void = () => {};
  #seen = 0;

  stream(id: number, window: number = DEFAULT_WINDOW_BYTES): Http2Stream {
    const made = new Http2Stream();
    made.id = id;
    made.sendWindow = window;
    return made;
  }

  get sent(): string[] {
    this.writer.flush();
    const frames = this.link.frames.slice(this.#seen);
    this.#seen += frames.length;
    return frames.map((frame) => `${frame.streamId}:${frame.payload.length}${frame.isEnd ? "!" : ""}`);
  }

  localEnded(stream: Http2Stream): void {
    this.events.push(`ended ${stream.id}`);
  }

  emptied(stream: Http2Stream): void {
    this.events.push(`emptied ${stream.id}`);
    this.onEmptied(stream);
  }

  stalled(stream: Http2Stream): void {
    this.events.push(`stalled ${stream.id}`);
    this.onStalled();
    this.queue.remove(stream);
  }
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});

describe("a send queue", () => {
  it("sends at once what windows and frame size allow, and the rest as windows come", () => {
    const stream = scene.stream(1, 40_000);
    expect(scene.queue.send(stream, Buffer.alloc(50_000), true)).toBe(false);
    expect(scene.sent).toEqual(["1:16384", "1:16384", "1:7232"]);
    expect(stream).toMatchObject({ sendWindow: 0, queuedBytes: 10_000 });
    expect(scene.queue.creditStream(stream, 9_999)).toBe(true);
    expect(scene.sent).toEqual(["1:9999"]);
    expect(scene.events).toEqual([]);
    scene.queue.creditStream(stream, 1);
    expect(scene.sent).toEqual(["1:1!"]);
    expect(scene.events).toEqual(["ended 1"]);
    expect(stream).toMatchObject({ queue: null, queuedBytes: 0 });
  });

  it("keeps the order of what is sent while something waits", () => {
    const stream = scene.stream(1, 4);
    scene.queue.send(stream, Buffer.from("first"), false);
    expect(scene.queue.takeWindow(stream, 0)).toBe(false);
    scene.queue.send(stream, Buffer.from("second"), false);
    scene.queue.send(stream, Buffer.alloc(0), true);
    expect(stream.queuedBytes).toBe(7);
    scene.queue.creditStream(stream, 100);
    scene.writer.flush();
    expect(Buffer.concat(scene.link.frames.map((frame) => frame.payload)).toString()).toBe("firstsecond");
    expect(scene.link.frames.at(-1)).toMatchObject({ isEnd: true });
  });

  it("ends a stream with the last octet of data, and with an empty frame when there are none, whatever the window", () => {
    scene.queue.send(scene.stream(1), Buffer.from("x"), true);
    scene.queue.send(scene.stream(3, 0), Buffer.alloc(0), true);
    scene.queue.send(scene.stream(5, -5), Buffer.alloc(0), true);
    expect(scene.sent).toEqual(["1:1!", "3:0!", "5:0!"]);
    expect(scene.events).toEqual(["ended 1", "ended 3", "ended 5"]);
  });

  it("sends one octet for each octet of window that a peer lets drip", () => {
    const stream = scene.stream(1, 0);
    scene.queue.send(stream, Buffer.from("abc"), false);
    expect(scene.sent).toEqual([]);
    for (let i = 0; i < 3; i++) scene.queue.creditStream(stream, 1);
    expect(scene.sent).toEqual(["1:1", "1:1", "1:1"]);
    expect(scene.events).toEqual(["emptied 1"]);
  });

  it("waits below zero after the peer has shrunk its windows, until credit makes up for it", () => {
    const stream = scene.stream(1, 10);
    scene.queue.send(stream, Buffer.alloc(15), true);
    expect(scene.sent).toEqual(["1:10"]);
    stream.sendWindow -= 100;
    scene.queue.creditStream(stream, 100);
    expect(scene.sent).toEqual([]);
    scene.queue.creditStream(stream, 5);
    expect(scene.sent).toEqual(["1:5!"]);
  });

  it("gives each stream one frame a round when the connection's window opens", () => {
    scene.queue.window = 0;
    const streams = [1, 3, 5].map((id) => scene.stream(id, MAX_INT31));
    for (const stream of streams) scene.queue.send(stream, Buffer.alloc(40_000), true);
    scene.queue.creditConnection(5 * 16_384);
    expect(scene.sent).toEqual(["1:16384", "3:16384", "5:16384", "1:16384", "3:16384"]);
    scene.queue.creditConnection(1_000_000);
    expect(scene.sent).toEqual(["5:16384", "1:7232!", "3:7232!", "5:7232!"]);
    expect(scene.queue.window).toBe(1_000_000 + 5 * 16_384 - 120_000);
  });

  it("shares out a connection's window that opens bit by bit", () => {
    scene.queue.window = 0;
    const streams = [1, 3, 5].map((id) => scene.stream(id, MAX_INT31));
    for (const stream of streams) scene.queue.send(stream, Buffer.alloc(500), true);
    for (let i = 0; i < 6; i++) scene.queue.creditConnection(100);
    expect(scene.sent).toEqual(["1:100", "3:100", "5:100", "1:100", "3:100", "5:100"]);
  });

  it("lets a small answer pass while a large one waits for its own window", () => {
    const large = scene.stream(1, 10);
    scene.queue.send(large, Buffer.alloc(100_000), true);
    const small = scene.stream(3);
    expect(scene.queue.takeWindow(small, 20)).toBe(true);
    expect(scene.queue.send(small, Buffer.alloc(20), true)).toBe(true);
    expect(scene.sent).toEqual(["1:10", "3:20!"]);
  });

  it("takes both windows for a frame that its owner writes, or none", () => {
    const stream = scene.stream(1, 100);
    scene.queue.window = 50;
    expect(scene.queue.takeWindow(stream, 51)).toBe(false);
    expect(scene.queue.takeWindow(stream, 50)).toBe(true);
    expect([scene.queue.window, stream.sendWindow]).toEqual([0, 50]);
    scene.queue.window = 100_000;
    stream.sendWindow = 100_000;
    expect(scene.queue.takeWindow(stream, 16_385)).toBe(false);
    scene.peer.apply(rawSettings([[RawSetting.MAX_FRAME_SIZE, 20_000]]), 9, 15, false, 32);
    expect(scene.queue.takeWindow(stream, 16_385)).toBe(true);
  });

  it("holds everything back while the link is congested", () => {
    scene.link.accepts = false;
    const stream = scene.stream(1);
    scene.queue.send(stream, Buffer.alloc(10), false);
    expect(scene.sent).toEqual(["1:10"]);
    expect(scene.queue.takeWindow(stream, 1)).toBe(false);
    scene.queue.send(stream, Buffer.alloc(20), false);
    scene.queue.creditConnection(1000);
    expect(scene.sent).toEqual([]);
    scene.link.accepts = true;
    scene.writer.drained();
    scene.queue.pumpAll();
    expect(scene.sent).toEqual(["1:20"]);
  });

  it("hands no more of a large message to a link that does not take it, whatever the windows", () => {
    scene.link.accepts = false;
    scene.queue.window = MAX_INT31;
    const stream = scene.stream(1, MAX_INT31);
    expect(scene.queue.send(stream, Buffer.alloc(10_000_000), true)).toBe(false);
    expect(scene.link.bytes.length).toBeLessThan(550_000);
    expect(stream.queuedBytes).toBeGreaterThan(9_450_000);
    // Each time the link has taken all, as much again, by turns with what else is to be sent.
    const other = scene.stream(3, MAX_INT31);
    scene.queue.send(other, Buffer.alloc(20_000), true);
    scene.writer.drained();
    scene.queue.pumpAll();
    expect(scene.sent.slice(-33, -30)).toEqual(["1:16384", "3:16384", "1:16384"]);
    expect(scene.link.bytes.length).toBeLessThan(1_100_000);
  });

  it("does not look at streams that wait for their own windows whenever the connection's grows, or the other way round", () => {
    let looks = 0;
    const counted = (id: number, window: number): Http2Stream => {
      const stream = scene.stream(id, window);
      Object.defineProperty(stream, "sendWindow", {
        get: () => {
          looks++;
          return window;
        },
        set: (value: number) => {
          window = value;
        },
      });
      return stream;
    };
    scene.queue.window = 0;
    for (let id = 1; id < 400; id += 2) scene.queue.send(counted(id, id % 4 === 1 ? 0 : 1000), Buffer.alloc(10), true);
    looks = 0;
    for (let i = 0; i < 50; i++) scene.queue.creditConnection(1);
    expect(scene.sent).toHaveLength(50);
    expect(looks).toBeLessThan(50 * 5);
  });

  it("forgets what waits on a stream that is gone", () => {
    const gone = scene.stream(1, 0);
    const stays = scene.stream(3, 0);
    scene.queue.send(gone, Buffer.alloc(10), true);
    scene.queue.send(stays, Buffer.alloc(10), true);
    scene.queue.remove(gone);
    gone.sendWindow = 100;
    stays.sendWindow = 100;
    scene.queue.windowsGrown();
    expect(scene.sent).toEqual(["3:10!"]);
    expect(gone).toMatchObject({ queue: null, queuedBytes: 0 });
  });

  it("goes on with what an emptied stream sends in answer", () => {
    const stream = scene.stream(1, 0);
    const other = scene.stream(3, 0);
    let more = 3;
    scene.onEmptied = (each) => {
      while (more-- > 0 && scene.queue.send(each, Buffer.alloc(5), more === 0));
    };
    scene.queue.send(stream, Buffer.alloc(5), false);
    scene.queue.send(other, Buffer.alloc(7), true);
    stream.sendWindow = 1000;
    other.sendWindow = 1000;
    scene.queue.windowsGrown();
    expect(scene.sent).toEqual(["1:5", "1:5", "1:5", "1:5!", "3:7!"]);
  });

  it("refuses credit past 2^31 - 1, for a stream and for the connection", () => {
    const stream = scene.stream(1, 1);
    expect(scene.queue.creditStream(stream, MAX_INT31)).toBe(false);
    expect(stream.sendWindow).toBe(1);
    expect(scene.queue.creditConnection(MAX_INT31)).toBe(false);
    expect(scene.queue.window).toBe(DEFAULT_WINDOW_BYTES);
    expect(scene.queue.creditConnection(MAX_INT31 - DEFAULT_WINDOW_BYTES)).toBe(true);
  });
});

describe("a finished answer that can't leave", () => {
  it("counts as stalled after its time, and no timer stays behind", async () => {
    scene.queue.send(scene.stream(1, 5), Buffer.alloc(10), true);
    await scene.clock.advance(STALL_MS - 1);
    expect(scene.events).toEqual([]);
    await scene.clock.advance(STALL_MS / 4 + 1);
    expect(scene.events).toEqual(["stalled 1"]);
    await scene.clock.advance(STALL_MS);
    expect(scene.clock.pending).toBe(0);
  });

  it("is stalled once when the end of another one has ended it", async () => {
    const streams = [1, 3].map((id) => scene.stream(id, 0));
    for (const stream of streams) scene.queue.send(stream, Buffer.alloc(10), true);
    scene.onStalled = () => {
      for (const stream of streams) stream.id = 0;
    };
    await scene.clock.advance(STALL_MS * 1.25);
    expect(scene.events).toEqual(["stalled 1"]);
  });

  it("is stalled in spite of drips of window", async () => {
    const stream = scene.stream(1, 0);
    scene.queue.send(stream, Buffer.alloc(100_000), true);
    for (let second = 0; second < 60 && scene.events.length === 0; second++) {
      await scene.clock.advance(1000);
      scene.queue.creditStream(stream, 100);
    }
    expect(scene.events).toEqual(["stalled 1"]);
    expect(scene.clock.now()).toBeLessThanOrEqual(STALL_MS * 1.25 + 1000);
  });

  it("is not stalled while the peer takes it in small portions at a fair pace", async () => {
    scene.queue.window = MAX_INT31;
    const stream = scene.stream(1, 0);
    scene.queue.send(stream, Buffer.alloc(1_000_000), true);
    for (let second = 0; second < 100; second++) {
      await scene.clock.advance(1000);
      scene.queue.creditStream(stream, 4096);
      scene.queue.creditStream(stream, 4096);
    }
    expect(scene.events).toEqual([]);
  });

  it("is not stalled by the pace of the connection's window either", async () => {
    scene.queue.window = 0;
    const streams = [1, 3, 5, 7].map((id) => scene.stream(id, MAX_INT31));
    for (const stream of streams) scene.queue.send(stream, Buffer.alloc(500_000), true);
    for (let second = 0; second < 100; second++) {
      await scene.clock.advance(1000);
      scene.queue.creditConnection(4 * 1000);
    }
    expect(scene.events).toEqual([]);
  });

  it("has its time from its end on: before that, a reader that takes long only holds its writer up", async () => {
    const stream = scene.stream(1, 0);
    scene.queue.send(stream, Buffer.alloc(10), false);
    await scene.clock.advance(10 * STALL_MS);
    expect(scene.events).toEqual([]);
    scene.queue.send(stream, Buffer.alloc(10), true);
    await scene.clock.advance(STALL_MS / 2);
    expect(scene.events).toEqual([]);
    await scene.clock.advance(STALL_MS);
    expect(scene.events).toEqual(["stalled 1"]);
  });
});
