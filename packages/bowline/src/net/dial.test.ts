import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AUTHORITIES, NetBench, PREFACE } from "../../test/net-bench.ts";
import { type DialOptions, dial } from "./dial.ts";
import { DialError, type DialErrorKind } from "./dial-error.ts";
import type { TlsSettings } from "./tls/tls-files.ts";

let bench: NetBench;

beforeEach(() => {
  bench = new NetBench();
});

afterEach(() => bench.close());

/** The error of a dial that must fail. */
async function failure(address: string, options: Partial<DialOptions> = {}): Promise<DialError> {
  try {
    const link = await dial(address, { clock: bench.clock, ...options });
    bench.record(link);
  } catch (error) {
    if (error instanceof DialError) return error;
    throw error;
  }
  throw new Error(`${address} answered`);
}

async function expectFailure(
  address: string,
  options: Partial<DialOptions>,
  kind: DialErrorKind,
  message: RegExp,
): Promise<void> {
  const error = await failure(address, options);
  expect(error.message).toMatch(message);
  expect(error).toMatchObject({ kind, address, name: "DialError" });
}

const clientTls = (settings: TlsSettings = { authorities: AUTHORITIES }): Partial<DialOptions> => ({
  tls: bench.tls("client", settings),
});

describe("dial", () => {
  it.each([
    ["127.0.0.1:0", /^127\.0\.0\.1:\d+$/],
    ["[::1]:0", /^\[::1\]:\d+$/],
    ["localhost:0", /^(127\.0\.0\.1|\[::1\]):\d+$/],
  ])("connects to %s and carries bytes both ways", async (target, shown) => {
    const listener = await bench.listen(target);
    const address = target.replace(/0$/, String(listener.port));
    const client = bench.record(await dial(address, { clock: bench.clock }));
    expect(client.link.peer.remoteAddress).toMatch(shown);
    expect(client.link.peer.tls).toBeUndefined();
    client.link.write(PREFACE);
    const server = await bench.links.next();
    expect(server.link.peer.remoteAddress).toBe(client.link.peer.localAddress);
    expect(server.link.peer.localAddress).toBe(client.link.peer.remoteAddress);
    await server.handler.until(() => server.handler.bytes.equals(PREFACE));
    server.link.write(Buffer.from("hello"));
    await client.handler.untilText("hello");
    expect(bench.clock.timers).toBe(0);
  });

  it("connects to a Unix socket, which has one named end", async () => {
    const path = bench.path("user.sock");
    await bench.listen(`unix:${path}`);
    const client = bench.record(await dial(`unix:${path}`, { clock: bench.clock }));
    client.link.write(PREFACE);
    const server = await bench.links.next();
    expect(client.link.peer).toEqual({ remoteAddress: `unix:${path}`, localAddress: "unix:" });
    expect(server.link.peer).toEqual({ remoteAddress: "unix:", localAddress: `unix:${path}` });
  });

  it("reads nothing before the link is started", async () => {
    const address = await bench.serve(createServer((socket) => socket.end("greeting")));
    const link = await dial(address, { clock: bench.clock });
    const { handler } = bench.record(link);
    await handler.untilEvent("end");
    expect(handler.text).toBe("greeting");
  });

  it("carries many links through its one read buffer without mixing them", async () => {
    const address = await bench.serve(createServer((socket) => socket.pipe(socket)));
    const links = await Promise.all(Array.from({ length: 8 }, () => dial(address, { clock: bench.clock })));
    await Promise.all(
      links.map(async (link, index) => {
        const { handler } = bench.record(link);
        const message = Buffer.alloc(300_000, index + 1);
        // A link that pauses in the middle has to keep what it did not deliver.
        handler.onData = () => {
          link.pause();
          setImmediate(() => link.resume());
        };
        link.write(message);
        await handler.until(() => handler.bytes.length === message.length);
        expect(handler.bytes.equals(message)).toBe(true);
      }),
    );
  });

  describe("says in one sentence what is wrong:", () => {
    it("an address that is none", async () => {
      await expectFailure(
        "localhost",
        {},
        "address",
        /^cannot connect to localhost: address "localhost": the port is missing/,
      );
    });

    it("nobody listens", async () => {
      const listener = await bench.listen("127.0.0.1:0");
      await listener.close();
      await expectFailure(
        listener.address,
        {},
        "refused",
        /^cannot connect to 127\.0\.0\.1:\d+: nothing listens on this port; start the server/,
      );
    });

    it("nobody listens at any address of a name", async () => {
      const listener = await bench.listen("127.0.0.1:0");
      await listener.close();
      await expectFailure(`localhost:${listener.port}`, {}, "refused", /nothing listens on this port/);
    });

    it("no such host", async () => {
      await expectFailure(
        "nowhere.invalid:80",
        {},
        "unknown-host",
        /host name does not exist|DNS server does not answer/,
      );
    });

    it("no such Unix socket", async () => {
      await expectFailure(
        `unix:${bench.path("none")}`,
        {},
        "refused",
        /there is no such socket file; start the server or correct the path$/,
      );
    });

    it("a file that is no socket", async () => {
      writeFileSync(bench.path("file"), "");
      await expectFailure(`unix:${bench.path("file")}`, {}, "refused", /nobody listens|no socket/);
    });

    it("no answer in time, the handshake included", async () => {
      const server = createServer();
      const address = await bench.serve(server);
      const accepted = once(server, "connection");
      const stalled = failure(address, { ...clientTls(), connectTimeoutMs: 700 });
      const [socket]: Socket[] = await accepted;
      await once(socket, "data");
      await bench.clock.advance(700);
      expect((await stalled).message).toMatch(
        /the TLS handshake was not answered; does that port speak TLS\? \(gave up after 700 ms\)$/,
      );
      expect((await stalled).kind).toBe("timeout");
    });

    it("the caller gave up, before or during", async () => {
      const server = createServer();
      const address = await bench.serve(server);
      const controller = new AbortController();
      const accepted = once(server, "connection");
      const during = failure(address, { ...clientTls(), signal: controller.signal });
      const [socket]: Socket[] = await accepted;
      const reason = new Error("no longer needed");
      controller.abort(reason);
      expect(await during).toMatchObject({ kind: "cancelled", cause: reason });
      socket.resume();
      await once(socket, "close");
      await expectFailure(address, { signal: controller.signal }, "cancelled", /the caller gave up$/);
    });
  });
});

describe("a dialled link", () => {
  it.each<[string, (socket: Socket) => void]>([
    ["ends", (socket) => void socket.end()],
    ["resets", (socket) => void socket.resetAndDestroy()],
  ])("says what it may be when the peer %s without a word, as many TLS servers do", async (_, leave) => {
    const address = await bench.serve(createServer((socket) => socket.once("data", () => leave(socket))));
    const { link, handler } = bench.record(await dial(address, { clock: bench.clock }));
    link.write(PREFACE);
    await handler.untilEvent("closed");
    expect(handler.events).toEqual(["closed"]);
    expect(handler.error).toMatchObject({
      kind: "closed",
      message: expect.stringMatching(/without a word; it may expect TLS \(turn on tls for this target\)/),
    });
  });

  it("takes an end for an end when we asked for it, or the peer has spoken before", async () => {
    const silent = await bench.serve(createServer((socket) => socket.resume()));
    const first = bench.record(await dial(silent, { clock: bench.clock }));
    first.link.end();
    await first.handler.untilEvent("closed");
    expect(first.handler.error).toBeUndefined();
    const speaking = await bench.serve(createServer((socket) => socket.end("x")));
    const second = bench.record(await dial(speaking, { clock: bench.clock }));
    await second.handler.untilEvent("end");
    second.link.end();
    await second.handler.untilEvent("closed");
    expect(second.handler.error).toBeUndefined();
  });
});
