import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { answer, ChannelScene } from "../../../test/client/channel-scene.ts";
import { collect } from "../../../test/client/note-service.ts";
import { failure, gate } from "../../../test/client/outcomes.ts";
import { Code } from "../../rpc/code.ts";
import { grpcMessage, grpcResponseFields } from "../../testing/raw-frames.ts";
import type { RawPeer } from "../../testing/raw-peer.ts";
import { settle } from "../../testing/virtual-clock.ts";

const CANCEL = 8;
const OK = [["grpc-status", "0"]] as const;

function begin(peer: RawPeer, ...texts: string[]): void {
  peer.headers(1, grpcResponseFields());
  for (const text of texts) peer.data(1, grpcMessage(Buffer.from(text)));
}

function end(peer: RawPeer): void {
  peer.headers(1, OK as never, { end: true });
}

describe("a server stream", () => {
  it("gives the messages in their order, then ends", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const texts = collect(scene.stream("follow", "x"));
    await settle();
    begin(peer, "a", "b");
    await settle();
    peer.data(1, grpcMessage(Buffer.from("c")));
    end(peer);
    expect(await texts).toEqual(["a", "b", "c"]);
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
  });

  it("gives what came before the server's error, then the error", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const iterator = scene.stream("follow", "x")[Symbol.asyncIterator]();
    await settle();
    begin(peer, "a");
    peer.headers(1, [["grpc-status", "5"]], { end: true });
    await settle();
    expect(await iterator.next()).toEqual({ value: "a", done: false });
    const error = await failure(iterator.next());
    expect(error).toMatchObject({
      code: Code.NOT_FOUND,
      origin: "remote",
      sent: true,
      method: "/note.v1.Notes/Follow",
    });
  });

  it("that is left early is cancelled at the server", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const reading = (async () => {
      for await (const text of scene.stream("follow", "x")) return text;
      return "nothing";
    })();
    await settle();
    begin(peer, "a", "b");
    expect(await reading).toBe("a");
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: CANCEL });
    expect(scene.channel.endpoints[0].inFlight).toBe(0);
    expect(scene.channel.stats[0].byCode[Code.CANCELLED]).toBe(1);
  });

  it("is not read on once its caller has aborted it, even when all of it has come", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const abort = new AbortController();
    const iterator = scene.stream("follow", "x", { signal: abort.signal })[Symbol.asyncIterator]();
    await settle();
    begin(peer, "a", "b");
    end(peer);
    await settle();
    expect(await iterator.next()).toEqual({ value: "a", done: false });
    abort.abort();
    expect(await failure(iterator.next())).toMatchObject({ code: Code.CANCELLED, reason: "cancelled", sent: true });
  });

  it("that was left before it was connected never gets there", async () => {
    const scene = new ChannelScene();
    const iterator = scene.stream("follow", "x")[Symbol.asyncIterator]();
    await iterator.return?.();
    const peer = await scene.connected();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
    expect(scene.channel.waitingCount).toBe(0);
  });

  it("that nobody reads holds the server back, and keeps nothing when it ends", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const stream = scene.stream("follow", "x");
    await settle();
    peer.headers(1, grpcResponseFields());
    const message = grpcMessage(Buffer.alloc(10_000, 65));
    for (let i = 0; i < 20; i++) peer.data(1, message);
    await settle();
    const updates = peer.received.filter(({ type, streamId }) => type === "WINDOW_UPDATE" && streamId === 1);
    expect(updates).toEqual([]);
    await scene.clock.advance(2005);
    expect(await peer.expect("RST_STREAM")).toMatchObject({ errorCode: CANCEL });
    const error = await failure(collect(stream));
    expect(error.code).toBe(Code.DEADLINE_EXCEEDED);
    const { address } = scene.channel.endpoints[0];
    expect(error.text).toBe(`deadline of 2000 ms exceeded: the answer of ${address} had not ended`);
    expect([scene.channel.wheel.size, scene.channel.endpoints[0].inFlight]).toEqual([0, 0]);
  });

  it("gets window as its messages are read", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const iterator = scene.stream("follow", "x")[Symbol.asyncIterator]();
    await settle();
    peer.headers(1, grpcResponseFields());
    const message = grpcMessage(Buffer.alloc(10_000, 65));
    for (let i = 0; i < 20; i++) peer.data(1, message);
    await settle();
    for (let i = 0; i < 20; i++) await iterator.next();
    const update = await peer.expect("WINDOW_UPDATE", ({ streamId }) => streamId === 1);
    expect(update.increment).toBeGreaterThan(30_000);
    await iterator.return?.();
  });

  it("is read once: a second loop goes on where the first one stopped", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const stream = scene.stream("follow", "x");
    await settle();
    begin(peer, "a");
    end(peer);
    expect(await collect(stream)).toEqual(["a"]);
    expect(await collect(stream)).toEqual([]);
    const left = scene.stream("follow", "x");
    await left[Symbol.asyncIterator]().return?.();
    expect((await failure(collect(left))).text).toBe("the stream was left before its end");
  });

  it("gives several reads at once a message each, and the end to those left over", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const iterator = scene.stream("follow", "x")[Symbol.asyncIterator]();
    const reads = Array.from({ length: 4 }, () => iterator.next());
    await settle();
    begin(peer, "a");
    await settle();
    peer.data(1, grpcMessage(Buffer.from("b")));
    end(peer);
    expect((await Promise.all(reads)).map(({ value, done }) => (done ? "done" : value))).toEqual([
      "a",
      "b",
      "done",
      "done",
    ]);
  });

  it("fails all reads at once when it fails", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const iterator = scene.stream("follow", "x")[Symbol.asyncIterator]();
    const reads = [failure(iterator.next()), failure(iterator.next())];
    await settle();
    peer.destroy();
    expect((await Promise.all(reads)).map(({ reason }) => reason)).toEqual(["connection", "connection"]);
  });

  it("that can't be read is cancelled", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const texts = failure(collect(scene.stream("follow", "x")));
    await settle();
    begin(peer, "\0");
    expect(await texts).toMatchObject({ code: Code.INTERNAL, reason: "codec" });
    expect(await peer.expect("RST_STREAM")).toMatchObject({ errorCode: CANCEL });
  });
});

describe("a stream of requests", () => {
  it("is taken as fast as the server takes it", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    let taken = 0;
    const requests = function* (): Generator<string> {
      for (; taken < 100; taken++) yield "x".repeat(10_000);
    };
    const call = scene.call("join", requests());
    await settle(50);
    // A window of 65,535 bytes and what may wait behind it.
    expect(taken).toBeLessThan(20);
    peer.windowUpdate(0, 10_000_000).windowUpdate(1, 10_000_000);
    await peer.expect("DATA", ({ isEnd }) => isEnd);
    answer(peer, 1, "all");
    expect(await call).toBe("all");
    expect(taken).toBe(100);
  });

  it("is left, its finally run, when the server ends before it", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const left = gate();
    const requests = async function* (): AsyncGenerator<string> {
      try {
        for (;;) {
          yield "x";
          await settle(1);
        }
      } finally {
        left.open();
      }
    };
    const call = scene.call("join", requests());
    await peer.expect("DATA");
    answer(peer, 1, "enough");
    expect(await call).toBe("enough");
    await left.opened;
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: 0 });
  });

  it("is left when the call is cancelled, even while it waits", async () => {
    const scene = new ChannelScene();
    await scene.connected();
    const controller = new AbortController();
    let isLeft = false;
    const requests = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => {}),
        return: async () => {
          isLeft = true;
          return { done: true as const, value: undefined };
        },
      }),
    };
    const call = failure(scene.call("join", requests, { signal: controller.signal }));
    await settle();
    controller.abort();
    expect((await call).code).toBe(Code.CANCELLED);
    expect(isLeft).toBe(true);
  });

  it("that throws ends the call with what it throws", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const requests = async function* (): AsyncGenerator<string> {
      yield "x";
      throw new Error("out of notes");
    };
    const error = await failure(scene.call("join", requests()));
    expect(error).toMatchObject({ code: Code.UNKNOWN, text: "out of notes", sent: true, attempt: 1 });
    expect(await peer.expect("RST_STREAM")).toMatchObject({ errorCode: CANCEL });
  });

  it("with a message that can't be encoded ends the call", async () => {
    const scene = new ChannelScene();
    await scene.connected();
    const error = await failure(scene.call("join", ["x", 7]));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec" });
  });

  it("that can't be iterated sends nothing", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const error = await failure(scene.call("join", 7));
    expect(error).toMatchObject({ code: Code.INTERNAL, sent: false, attempt: 0 });
    await peer.roundTrip();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
  });

  it("may be answered message by message", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const heard: unknown[] = [];
    const requests = async function* (): AsyncGenerator<string> {
      yield "one";
      await settle(30);
      yield "two";
    };
    const chat = (async () => {
      for await (const text of scene.stream("chat", requests())) heard.push(text);
    })();
    await peer.expect("DATA");
    begin(peer, "re: one");
    await settle();
    expect(heard).toEqual(["re: one"]);
    await peer.expect("DATA");
    peer.data(1, grpcMessage(Buffer.from("re: two")));
    await peer.expect("DATA", ({ isEnd }) => isEnd);
    end(peer);
    await chat;
    expect(heard).toEqual(["re: one", "re: two"]);
  });
});

describe("requests that nobody has begun to read", () => {
  const neverRead = (): Readable => new Readable({ objectMode: true, read: () => {} });

  it("are closed when the call fails before it is sent", async () => {
    const scene = new ChannelScene();
    const requests = neverRead();
    const aborted = AbortSignal.abort();
    expect(await failure(collect(scene.stream("chat", requests, { signal: aborted })))).toMatchObject({
      code: Code.CANCELLED,
    });
    expect(requests.destroyed).toBe(true);
  });

  it("are closed when an interceptor answers by itself", async () => {
    const scene = new ChannelScene({ interceptors: [async () => "from the cache"] });
    const requests = neverRead();
    expect(await scene.call("join", requests)).toBe("from the cache");
    expect(requests.destroyed).toBe(true);
  });

  it("are closed as streams of the web are", async () => {
    const scene = new ChannelScene();
    const reasons: unknown[] = [];
    const cancel = (reason: unknown): void => void reasons.push(reason);
    await failure(scene.call("join", new ReadableStream({ cancel }), { signal: AbortSignal.abort() }));
    expect(reasons).toEqual([undefined]);
  });

  it("do not change how the call ends by what they throw", async () => {
    const scene = new ChannelScene();
    const requests = {
      [Symbol.asyncIterator](): never {
        throw new Error("can't be read");
      },
    };
    const error = await failure(scene.call("join", requests, { signal: AbortSignal.abort() }));
    expect(error.code).toBe(Code.CANCELLED);
  });
});

describe("a stream of Node that gives requests", () => {
  it("is closed while more is waited for, and may fail then", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    let destroyed = 0;
    const destroy = (_: unknown, done: (error: Error) => void): void => {
      destroyed++;
      done(new Error("could not be closed"));
    };
    const requests = new Readable({ objectMode: true, read: () => {}, destroy });
    const controller = new AbortController();
    const joined = scene.call("join", requests, { signal: controller.signal });
    await peer.expect("HEADERS");
    controller.abort();
    expect(await failure(joined)).toMatchObject({ code: Code.CANCELLED });
    await settle();
    expect(destroyed).toBe(1);
  });
});
