import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Receive, sharedReads, shareReads } from "./shared-reads.ts";

let server: Server;
const sockets: Socket[] = [];

beforeEach(async () => {
  server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

/** A connection; the server's end gives what it reads to `receive` if it can. */
async function connection(receive: Receive): Promise<{ near: Socket; far: Socket; isShared: boolean }> {
  const accepted = once(server, "connection");
  const far = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [near]: Socket[] = await accepted;
  sockets.push(near, far);
  return { near, far, isShared: shareReads(near, receive) };
}

/** Resolves with what was received, once there is so much of it. */
function collecting(bytes: number): { receive: Receive; all: Promise<Buffer>; memory: Set<ArrayBufferLike> } {
  const chunks: Buffer[] = [];
  const memory = new Set<ArrayBufferLike>();
  let done: (all: Buffer) => void;
  const all = new Promise<Buffer>((resolve) => {
    done = resolve;
  });
  const receive = (count: number, buffer: Buffer): boolean => {
    memory.add(buffer.buffer);
    chunks.push(Buffer.from(buffer.subarray(0, count)));
    const whole = Buffer.concat(chunks);
    if (whole.length >= bytes) done(whole);
    return true;
  };
  return { receive, all, memory };
}

describe("the buffer that all read into", () => {
  it("can't be given to another thread", () => {
    const { buffer } = sharedReads(() => true);
    const { buffer: memory } = buffer as Buffer<ArrayBuffer>;
    expect(() => structuredClone(memory, { transfer: [memory] })).toThrow(/DataCloneError|transfer/);
    expect(memory.byteLength).toBe(65_536);
  });
});

describe("sockets that a server has accepted", () => {
  it("read into one buffer, the same as sockets that were made so, and give no data events", async () => {
    const made = collecting(1);
    const first = collecting(200_000);
    const second = collecting(100_000);
    const a = await connection(first.receive);
    const b = await connection(second.receive);
    expect([a.isShared, b.isShared]).toEqual([true, true]);
    a.near.on("data", () => expect.unreachable());
    a.far.write(Buffer.alloc(200_000, 1));
    b.far.write(Buffer.alloc(100_000, 2));
    expect((await first.all).equals(Buffer.alloc(200_000, 1))).toBe(true);
    expect((await second.all).equals(Buffer.alloc(100_000, 2))).toBe(true);
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, "connection");
    const own = connect({ port, host: "127.0.0.1", onread: sharedReads(made.receive) });
    const [peer]: Socket[] = await accepted;
    sockets.push(own, peer);
    peer.write("x");
    await made.all;
    expect(new Set([...first.memory, ...second.memory, ...made.memory]).size).toBe(1);
  });

  it("stop reading while they are paused, and tell of their end", async () => {
    const received = collecting(4);
    const { near, far } = await connection(received.receive);
    near.pause();
    far.end("late");
    await once(far, "finish");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(received.memory.size).toBe(0);
    const ended = once(near, "end");
    near.resume();
    expect(String(await received.all)).toBe("late");
    await ended;
  });

  it("stop when they are told so, until they are resumed", async () => {
    const taken: string[] = [];
    const { near, far } = await connection((count, buffer) => {
      taken.push(buffer.toString("latin1", 0, count));
      return taken.length > 1;
    });
    far.write("first");
    while (taken.length === 0) await new Promise((resolve) => setImmediate(resolve));
    far.end("second");
    await once(far, "finish");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(taken).toEqual(["first"]);
    const ended = once(near, "end");
    near.resume();
    await ended;
    expect(taken).toEqual(["first", "second"]);
  });

  it("read as they did where Node has no handle that takes a buffer, or keeps one already", async () => {
    const { near, far } = await connection(() => expect.unreachable());
    // It is one of those that were made so.
    expect(shareReads(near, () => true)).toBe(false);
    sockets.push(far);
    const bare = new Socket();
    expect(shareReads(bare, () => true)).toBe(false);
    bare.destroy();
    expect(shareReads(bare, () => true)).toBe(false);
    const accepted = once(server, "connection");
    const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const [other]: Socket[] = await accepted;
    sockets.push(client, other);
    const plain = new Proxy(other, {
      get: (target, key) => (key === "_handle" ? { readStart: () => 0 } : Reflect.get(target, key)),
    });
    expect(shareReads(plain, () => expect.unreachable())).toBe(false);
    client.write("as ever");
    expect(String((await once(other, "data"))[0])).toBe("as ever");
  });
});
