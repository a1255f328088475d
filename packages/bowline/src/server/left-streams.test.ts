// Handlers that stream, and calls that end where nobody was waiting for it: each must be left, so that its `finally` runs.
import { Readable } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { NoteService } from "../../test/client/note-service.ts";
import { inMemory } from "../testing/in-memory.ts";
import { grpcMessage, grpcRequestFields, rawData, rawHeaders, rawReset } from "../testing/raw-frames.ts";
import { settle, VirtualClock } from "../testing/virtual-clock.ts";

const CANCEL = 8;

describe("a streaming handler whose call was reset in the chunk that brought it", () => {
  it("is not begun, or is left again", async () => {
    const clock = new VirtualClock();
    let begun = 0;
    let left = 0;
    const follow = async function* (): AsyncIterable<string> {
      begun++;
      try {
        yield "never read";
        yield "never asked for";
      } finally {
        left++;
      }
    };
    const { network, address, server, close } = await inMemory(NoteService, { follow }, { clock });
    onTestFinished(close);
    const peer = await network.dialRaw(address, { clock });
    await peer.handshake();
    peer.send(
      rawHeaders(1, grpcRequestFields("/note.v1.Notes/Follow")),
      rawData(1, grpcMessage(Buffer.from("hello")), { end: true }),
      rawReset(1, CANCEL),
    );
    await settle();
    expect(server.stats.find(({ method }) => method.endsWith("/Follow"))?.started).toBe(1);
    expect(begun - left, "handlers that nobody left").toBe(0);
  });
});

describe("a streaming handler whose deadline passes while its answers wait for a window", () => {
  it("hears of it where it waits for the next request", async () => {
    const clock = new VirtualClock();
    const heard: string[] = [];
    const chat = async function* (texts: AsyncIterable<string>): AsyncIterable<string> {
      const reading = (async () => {
        for await (const _text of texts);
      })();
      reading.catch((error: unknown) => heard.push(String(error)));
      // More than the window of a client that gives no more.
      yield "x".repeat(100_000);
      await reading;
    };
    const { network, address, close } = await inMemory(NoteService, { chat }, { clock });
    onTestFinished(close);
    const peer = await network.dialRaw(address, { clock });
    await peer.handshake();
    const fields = grpcRequestFields("/note.v1.Notes/Chat", [["grpc-timeout", "100m"]]);
    peer.send(rawHeaders(1, fields));
    await clock.advance(200);
    expect(heard).toEqual([expect.stringContaining("DEADLINE_EXCEEDED")]);
    expect((await peer.expect("RST_STREAM")).errorCode).toBe(CANCEL);
  });
});

describe("a stream of Node's that a handler gives for its answers", () => {
  /** A server whose `follow` gives the stream when it is told to, and a client whose call has begun. */
  async function begun(stream: Readable) {
    const clock = new VirtualClock();
    let give = (): void => {};
    const given = new Promise<void>((resolve) => {
      give = resolve;
    });
    // A handler gives an iterable, or a promise of one.
    const follow = (async () => {
      await given;
      return stream;
    }) as unknown as () => AsyncIterable<string>;
    const { network, address, close } = await inMemory(NoteService, { follow }, { clock });
    onTestFinished(close);
    const peer = await network.dialRaw(address, { clock });
    await peer.handshake();
    peer.send(
      rawHeaders(1, grpcRequestFields("/note.v1.Notes/Follow")),
      rawData(1, grpcMessage(Buffer.from("hello")), { end: true }),
    );
    await settle();
    return { peer, give };
  }

  it("is closed when its call has ended before", async () => {
    const stream = Readable.from(["never read"]);
    const { peer, give } = await begun(stream);
    peer.send(rawReset(1, CANCEL));
    await settle();
    give();
    await settle();
    expect(stream.destroyed).toBe(true);
  });

  it("is closed when its call ends while it is waited for", async () => {
    const stream = new Readable({ objectMode: true, read: () => {} });
    const { peer, give } = await begun(stream);
    give();
    await settle();
    expect(stream.destroyed).toBe(false);
    peer.send(rawReset(1, CANCEL));
    await settle();
    expect(stream.destroyed).toBe(true);
  });

  it("ends nothing by an error that it has on the way out", async () => {
    const stream = new Readable({ destroy: (_error, done) => done(new Error("can't be closed")) });
    const { peer, give } = await begun(stream);
    peer.send(rawReset(1, CANCEL));
    await settle();
    give();
    await settle();
    expect(stream.errored).toMatchObject({ message: "can't be closed" });
  });

  it("is read to its end", async () => {
    const stream = Readable.from(["a", "b"]);
    const { peer, give } = await begun(stream);
    give();
    const end = await peer.expect("HEADERS", (frame) => frame.isEnd);
    expect(end.headers).toMatchObject({ "grpc-status": "0" });
    const data = peer.received.flatMap((frame) => (frame.type === "DATA" ? (frame.data ?? []) : []));
    expect(Buffer.concat(data)).toEqual(Buffer.concat(["a", "b"].map((each) => grpcMessage(Buffer.from(each)))));
  });
});
