import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LinkRecorder } from "../../test/link-recorder.ts";
import { ManualClock, settled } from "../../test/manual-clock.ts";
import type { LinkPeer } from "../http2/link.ts";
import { NetLink, type NetLinkOptions } from "./net-link.ts";

const PEER: LinkPeer = { remoteAddress: "10.0.0.7:8080", localAddress: "10.0.0.1:40000" };

let clock: ManualClock;
let server: Server;
let directory: string;

beforeEach(async () => {
  clock = new ManualClock();
  directory = mkdtempSync(join(tmpdir(), "bowline-link-"));
  server = createServer({ allowHalfOpen: true });
  server.listen(join(directory, "s"));
  await once(server, "listening");
});

afterEach(async () => {
  const closed = once(server, "close");
  server.close();
  await closed;
  rmSync(directory, { recursive: true });
  expect(clock.timers).toBe(0);
});

/** A link and the bare socket at its other end. */
async function pair(
  options: Partial<NetLinkOptions> = {},
): Promise<{ link: NetLink; far: Socket; handler: LinkRecorder }> {
  const accepted = once(server, "connection");
  const far = connect({ path: join(directory, "s"), allowHalfOpen: true });
  const [near]: Socket[] = await accepted;
  far.on("error", () => {});
  return { link: new NetLink(near, { clock, peer: PEER, ...options }), far, handler: new LinkRecorder() };
}

/** A link over a socket that reads into one buffer of ours, as `dial` makes it. */
async function onreadPair(bufferBytes: number): Promise<{ link: NetLink; far: Socket; handler: LinkRecorder }> {
  let link: NetLink | undefined;
  const accepted = once(server, "connection");
  const buffer = Buffer.alloc(bufferBytes);
  const callback = (count: number, bytes: Uint8Array): boolean => link?.receive(count, bytes as Buffer) ?? true;
  const near = connect({ path: join(directory, "s"), allowHalfOpen: true, onread: { buffer, callback } });
  near.pause();
  await once(near, "connect");
  const [far]: Socket[] = await accepted;
  far.on("error", () => {});
  link = new NetLink(near, { clock, peer: PEER });
  return { link, far, handler: new LinkRecorder() };
}

/** What the kernel holds when this is called would have been read by the time it resolves. */
async function arrived(): Promise<void> {
  await settled();
  await settled();
}

async function finish(link: NetLink, far: Socket, handler: LinkRecorder): Promise<void> {
  link.destroy();
  far.destroy();
  await handler.untilEvent("closed");
}

describe("NetLink", () => {
  it("delivers nothing before start, then the head first", async () => {
    const { link, far, handler } = await pair({ head: Buffer.from("first ") });
    await new Promise((resolve) => far.write("second", resolve));
    await arrived();
    link.start(handler);
    expect(handler.events).toEqual([]);
    await handler.untilText("second");
    expect(handler.text).toBe("first second");
    await finish(link, far, handler);
  });

  it("refuses a second handler", async () => {
    const { link, far, handler } = await pair();
    link.start(handler);
    expect(() => link.start(handler)).toThrow(/started once/);
    await finish(link, far, handler);
  });

  it("sends single chunks and lists of chunks in order", async () => {
    const { link, far, handler } = await pair();
    link.start(handler);
    expect(link.write(Buffer.from("a"))).toBe(true);
    expect(link.writeAll([Buffer.from("b"), new Uint8Array([0x63]), Buffer.from("d")])).toBe(true);
    expect(link.isIdle).toBe(true);
    let got = "";
    while (got !== "abcd") got += String((await once(far, "data"))[0]);
    await finish(link, far, handler);
  });

  it("is content when the kernel took all at once, however much the stream in between counted", async () => {
    const { link, far, handler } = await tcpPair();
    link.start(handler);
    const chunk = Buffer.alloc(40_000);
    expect(link.writeAll([chunk, chunk])).toBe(true);
    expect(link.isIdle).toBe(true);
    expect(link.write(Buffer.alloc(65_536))).toBe(link.isIdle);
    far.resume();
    await arrived();
    expect(handler.events).toEqual([]);
    await finish(link, far, handler);
  });

  it("refuses to be called content while the peer does not read, and tells when all is gone", async () => {
    const { link, far, handler } = await pair();
    link.start(handler);
    const chunk = Buffer.alloc(262_144, 1);
    let written = 0;
    do written += chunk.length;
    while (link.write(chunk));
    expect(link.isIdle).toBe(false);
    expect(handler.events).toEqual([]);
    let received = 0;
    far.on("data", (bytes: Buffer) => {
      received += bytes.length;
    });
    await handler.untilEvent("drain");
    expect(link.isIdle).toBe(true);
    expect(handler.events).toEqual(["drain"]);
    while (received < written) await once(far, "data");
    await finish(link, far, handler);
  });

  it("tells of a drain that came before start", async () => {
    const { link, far, handler } = await pair();
    const chunk = Buffer.alloc(1 << 20);
    while (link.write(chunk));
    far.resume();
    await new Promise<void>((resolve) => {
      const look = (): void => void (link.isIdle ? resolve() : far.once("data", look));
      look();
    });
    link.start(handler);
    await handler.untilEvent("drain");
    await finish(link, far, handler);
  });

  it("still answers after the peer has ended its side", async () => {
    const { link, far, handler } = await pair();
    link.start(handler);
    far.end("question");
    await handler.untilEvent("end");
    expect(handler.events).toEqual(["data", "end"]);
    link.write(Buffer.from("answer"));
    link.end();
    expect(String((await once(far, "data"))[0])).toBe("answer");
    await handler.untilEvent("closed");
    expect(handler.error).toBeUndefined();
  });

  it("holds back data while paused and loses none", async () => {
    const { link, far, handler } = await pair();
    handler.onData = () => link.pause();
    link.start(handler);
    far.write("one");
    await handler.untilText("one");
    await new Promise((resolve) => far.write("two", resolve));
    far.end();
    await once(far, "finish");
    await arrived();
    expect(handler.text).toBe("one");
    handler.onData = () => {};
    link.resume();
    await handler.untilEvent("end");
    expect(handler.text).toBe("onetwo");
    await finish(link, far, handler);
  });

  it("stays paused when it was paused before start", async () => {
    const { link, far, handler } = await pair({ head: Buffer.from("head") });
    link.pause();
    link.start(handler);
    await new Promise((resolve) => far.write(" tail", resolve));
    await arrived();
    expect(handler.events).toEqual([]);
    link.resume();
    await handler.untilText("head tail");
    await finish(link, far, handler);
  });

  it("reports the peer's reset once, after everything else", async () => {
    const { link, far, handler } = await tcpPair();
    link.start(handler);
    far.write("x");
    await handler.untilText("x");
    far.resetAndDestroy();
    await handler.untilEvent("closed");
    expect(handler.events).toEqual(["data", "closed"]);
    expect(handler.error).toMatchObject({ code: "ECONNRESET" });
    expect(link.write(Buffer.from("late"))).toBe(false);
    expect(link.writeAll([Buffer.from("later")])).toBe(false);
    link.end();
    link.destroy();
  });

  it("passes errors through its explanation", async () => {
    const { link, far, handler } = await tcpPair({ explain: (cause) => new Error("explained", { cause }) });
    link.start(handler);
    far.resetAndDestroy();
    await handler.untilEvent("closed");
    expect(handler.error?.message).toBe("explained");
    link.destroy();
  });

  it("tells of an end that came before start only after start", async () => {
    const { link, far, handler } = await pair();
    far.end("bye");
    await once(far, "finish");
    link.start(handler);
    await handler.untilEvent("end");
    expect(handler.text).toBe("bye");
    await finish(link, far, handler);
  });

  it("tells of a destruction before start only after start", async () => {
    const { link, far, handler } = await pair();
    link.destroy(new Error("not wanted"));
    far.resume();
    await once(far, "end");
    link.start(handler);
    expect(handler.events).toEqual([]);
    await handler.untilEvent("closed");
    expect(handler.error?.message).toBe("not wanted");
    far.destroy();
  });

  it("delivers nothing after destroy but the end of it, with the error given", async () => {
    const { link, far, handler } = await pair();
    const error = new Error("enough");
    handler.onData = () => link.destroy(error);
    link.start(handler);
    far.write("a");
    await handler.untilEvent("closed");
    expect(handler.events).toEqual(["data", "closed"]);
    expect(handler.error).toBe(error);
    far.destroy();
  });

  describe("after end", () => {
    it("sends what is buffered, even much", async () => {
      const { link, far, handler } = await pair();
      link.start(handler);
      link.write(Buffer.alloc(4 << 20, 7));
      link.end();
      let received = 0;
      far.on("data", (bytes: Buffer) => {
        received += bytes.length;
      });
      await once(far, "end");
      expect(received).toBe(4 << 20);
      far.end();
      await handler.untilEvent("closed");
      expect(handler.error).toBeUndefined();
    });

    it("destroys itself a second after the last byte when the peer does not close", async () => {
      const { link, far, handler } = await pair();
      link.start(handler);
      link.end();
      far.resume();
      await once(far, "end");
      await clock.advance(999);
      expect(handler.has("closed")).toBe(false);
      await clock.advance(1);
      await handler.untilEvent("closed");
      expect(handler.error).toBeUndefined();
      far.destroy();
    });

    it("gives up after 5 s with an error when the peer takes nothing", async () => {
      const { link, far, handler } = await pair();
      link.start(handler);
      link.write(Buffer.alloc(8 << 20));
      link.end();
      await clock.advance(4999);
      expect(handler.has("closed")).toBe(false);
      await clock.advance(1);
      await handler.untilEvent("closed");
      expect(handler.error?.message).toMatch(/^10\.0\.0\.7:8080 did not take the last \d+ bytes within 5000 ms$/);
      far.destroy();
    });

    it("reads and drops what a paused link still gets, so that the peer sees an end and no reset", async () => {
      const { link, far, handler } = await pair();
      link.start(handler);
      link.pause();
      await new Promise((resolve) => far.write(Buffer.alloc(1 << 16), resolve));
      link.write(Buffer.from("goodbye"));
      link.end();
      expect(String((await once(far, "data"))[0])).toBe("goodbye");
      far.end();
      await handler.untilEvent("closed");
      expect(handler.error).toBeUndefined();
      expect(handler.has("data")).toBe(false);
    });

    it("can be ended without ever having been started", async () => {
      const { link, far, handler } = await pair({ head: Buffer.from("unread") });
      far.write("unread too");
      link.end();
      far.resume();
      await once(far, "end");
      far.end();
      link.start(handler);
      await handler.untilEvent("closed");
      expect(handler.has("data")).toBe(false);
    });
  });

  describe("over a socket with onread", () => {
    it("delivers bytes that are only lent, in order", async () => {
      const { link, far, handler } = await onreadPair(16);
      link.start(handler);
      const text = "0123456789abcdef".repeat(1000);
      far.end(text);
      await handler.untilEvent("end");
      expect(handler.text).toBe(text);
      expect(Math.max(...handler.chunks.map((chunk) => chunk.length))).toBe(16);
      await finish(link, far, handler);
    });

    it("delivers nothing before start and nothing while paused", async () => {
      const { link, far, handler } = await onreadPair(64);
      await new Promise((resolve) => far.write("early", resolve));
      await arrived();
      handler.onData = () => link.pause();
      link.start(handler);
      expect(handler.events).toEqual([]);
      await handler.untilText("early");
      far.end("late");
      await once(far, "finish");
      await arrived();
      expect(handler.text).toBe("early");
      handler.onData = () => {};
      link.resume();
      await handler.untilEvent("end");
      expect(handler.text).toBe("earlylate");
      await finish(link, far, handler);
    });
  });
});

/** Over TCP, which unlike a Unix socket knows resets. */
async function tcpPair(
  options: Partial<NetLinkOptions> = {},
): Promise<{ link: NetLink; far: Socket; handler: LinkRecorder }> {
  const tcp = createServer({ allowHalfOpen: true });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const accepted = once(tcp, "connection");
  const address = tcp.address();
  const far = connect({ port: address !== null && typeof address === "object" ? address.port : 0, host: "127.0.0.1" });
  const [near]: Socket[] = await accepted;
  tcp.close();
  return { link: new NetLink(near, { clock, peer: PEER, ...options }), far, handler: new LinkRecorder() };
}
