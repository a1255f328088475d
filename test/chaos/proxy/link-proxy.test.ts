import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Chance } from "../../codec/chance.ts";
import { createProxy, type LinkProxy } from "./link-proxy.ts";

const SEED = 7;
/** What must come in any case may take this long on a busy machine. */
const SOON = { timeout: 20_000 };

let server: Server;
let proxy: LinkProxy;
/** Both sides of what was opened through the proxy. */
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  server = createServer({ allowHalfOpen: true, noDelay: true });
  server.on("connection", (socket) => socket.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await createProxy({ target: `127.0.0.1:${(server.address() as AddressInfo).port}`, seed: SEED });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await proxy[Symbol.asyncDispose]();
  server.close();
});

/** A connection through the proxy: the side that connected, and the target's. */
async function open(): Promise<{ near: Socket; far: Socket }> {
  const accepted = once(server, "connection");
  const [host, port] = proxy.address.split(":");
  const near = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  near.on("error", () => {});
  await once(near, "connect");
  const [far] = (await accepted) as [Socket];
  sockets.push(near, far);
  return { near, far };
}

/** So many bytes from a socket, and the pieces in which they came. */
async function read(socket: Socket, bytes: number): Promise<{ all: Buffer; pieces: number[]; tookMs: number }> {
  const startedAt = performance.now();
  const parts: Buffer[] = [];
  for (let got = 0; got < bytes; ) {
    const [part] = (await once(socket, "data")) as [Buffer];
    parts.push(part);
    got += part.length;
  }
  return {
    all: Buffer.concat(parts),
    pieces: parts.map(({ length }) => length),
    tookMs: performance.now() - startedAt,
  };
}

/** True when it ended with an error. */
function closed(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => socket.once("close", resolve));
}

describe(`a proxy (seed ${SEED})`, { timeout: 60_000 }, () => {
  it("hands on what comes, both ways, and each side's end", async () => {
    const { near, far } = await open();
    near.end("question");
    const question = await read(far, 8);
    if (!far.readableEnded) await once(far, "end");
    far.end("answer");
    const answer = await read(near, 6);
    expect([String(question.all), String(answer.all)]).toEqual(["question", "answer"]);
    await expect.poll(() => proxy.counts, SOON).toMatchObject({ open: 0, accepted: 1, reset: 0, passedBytes: 14 });
  });

  it("delays each way by its latency, with jitter, and loses no byte and no order", async () => {
    proxy.set({ up: { latencyMs: 60 }, down: { latencyMs: 20, jitterMs: 30, lossRatio: 0.2, repeatMs: 40 } });
    const { near, far } = await open();
    const bytes = Buffer.from(new Chance(SEED).bytes(50_000));
    near.write("x");
    const { tookMs } = await read(far, 1);
    far.write(bytes);
    const answer = await read(near, bytes.length);
    expect(tookMs).toBeGreaterThan(55);
    expect(answer.tookMs).toBeGreaterThan(55);
    expect(answer.all.equals(bytes)).toBe(true);
  });

  it("lets so many bytes through in a second", async () => {
    proxy.setBoth({ bytesPerSecond: 50_000 });
    const { near, far } = await open();
    near.write(Buffer.alloc(20_000));
    expect((await read(far, 20_000)).tookMs).toBeGreaterThan(350);
  });

  it("cuts into single bytes", async () => {
    proxy.setBoth({ sliceBytes: 1 });
    const { near, far } = await open();
    near.write("0123456789".repeat(20));
    const { all, pieces } = await read(far, 200);
    expect(String(all)).toBe("0123456789".repeat(20));
    // A receiver that is late finds several at once.
    expect(pieces.filter((length) => length === 1).length).toBeGreaterThan(50);
  });

  it("freezes, and goes on where it was", async () => {
    const { near, far } = await open();
    proxy.setBoth({ isFrozen: true });
    near.write("held");
    const again = await open();
    again.near.write("held, too");
    await expect.poll(() => proxy.counts.open, SOON).toBe(2);
    expect(proxy.counts.passedBytes).toBe(0);
    const reads = Promise.all([read(far, 4), read(again.far, 9)]);
    proxy.setBoth({});
    expect((await reads).map(({ all }) => String(all))).toEqual(["held", "held, too"]);
  });

  it("swallows one way, the news of an end included", async () => {
    const { near, far } = await open();
    proxy.set({ up: { isSwallowing: true } });
    near.write("unheard");
    far.write("heard");
    expect(String((await read(near, 5)).all)).toBe("heard");
    await expect.poll(() => proxy.counts.swallowedBytes, SOON).toBe(7);
    const gone = closed(near);
    near.resetAndDestroy();
    await gone;
    far.write("into the dark");
    await expect.poll(() => far.writableLength, SOON).toBe(0);
    expect([far.destroyed, far.readableEnded]).toEqual([false, false]);
  });

  it("resets both sides", async () => {
    const { near, far } = await open();
    const errors = Promise.all([closed(near), closed(far)]);
    expect(proxy.reset()).toBe(1);
    expect(await errors).toEqual([true, true]);
    expect(proxy.counts).toMatchObject({ open: 0, reset: 1 });
  });

  it("refuses connections, and resets those whose target is gone", async () => {
    const attempt = (): Promise<boolean> => {
      const [host, port] = proxy.address.split(":");
      return closed(connect(Number(port), host).on("error", () => {}));
    };
    proxy.refuse(true);
    expect(await attempt()).toBe(true);
    proxy.refuse(false);
    server.close();
    expect(await attempt()).toBe(true);
  });

  it("holds up a sender whose bytes can't leave", async () => {
    proxy.setBoth({ isFrozen: true, bufferBytes: 1000 });
    const { near, far } = await open();
    // More than the buffers of all sockets on the way hold.
    const chunk = Buffer.alloc(1_000_000);
    for (let count = 0; count < 40; count++) near.write(chunk);
    await expect.poll(() => near.writableLength, SOON).toBeLessThan(40_000_000);
    expect([near.writableLength > 0, proxy.counts.passedBytes]).toEqual([true, 0]);
    proxy.setBoth({});
    expect((await read(far, 40_000_000)).all).toHaveLength(40_000_000);
  });

  it("says which condition is out of range", () => {
    expect(() => proxy.setBoth({ lossRatio: 2 })).toThrow("conditions.lossRatio is 2: give a number from 0 to 1");
    expect(() => proxy.set({ down: { sliceBytes: 0 } })).toThrow("conditions.sliceBytes is 0");
  });
});
