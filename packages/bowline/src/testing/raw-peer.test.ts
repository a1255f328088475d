import { once } from "node:events";
import * as http2 from "node:http2";
import { type AddressInfo, connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { type MemoryLink, memoryLinkPair } from "./memory-link.ts";
import {
  grpcMessage,
  grpcRequestFields,
  grpcResponseFields,
  RawFlag,
  RawSetting,
  rawData,
  rawFrame,
  rawHeaders,
} from "./raw-frames.ts";
import { RawPeer, type RawPeerOptions } from "./raw-peer.ts";
import { settle, VirtualClock } from "./virtual-clock.ts";

interface Pair {
  readonly client: RawPeer;
  readonly server: RawPeer;
  readonly link: MemoryLink;
}

function pair(clientOptions: Partial<RawPeerOptions> = {}, serverOptions: Partial<RawPeerOptions> = {}): Pair {
  const [near, far] = memoryLinkPair({ chunkBytes: 7 });
  return {
    client: new RawPeer(near, { role: "client", ...clientOptions }),
    server: new RawPeer(far, { role: "server", ...serverOptions }),
    link: near,
  };
}

describe("RawPeer", () => {
  it("shakes hands in both roles and says what the other's settings are", async () => {
    const { client, server } = pair();
    const [atClient, atServer] = await Promise.all([
      client.handshake([[RawSetting.ENABLE_PUSH, 0]]),
      server.handshake([
        [RawSetting.MAX_CONCURRENT_STREAMS, 3],
        [RawSetting.INITIAL_WINDOW_SIZE, 0x7fffffff],
      ]),
    ]);
    expect(atClient.settings).toEqual([
      [3, 3],
      [4, 0x7fffffff],
    ]);
    expect(atServer.settings).toEqual([[2, 0]]);
  });

  it("sends and reads every kind of frame", async () => {
    const { client, server } = pair();
    client
      .preface()
      .headers(
        1,
        [
          ["a", "1"],
          ["b", "é"],
          ["a", "2"],
        ],
        { end: true, padding: 3, priority: { dependsOn: 5, exclusive: true, weight: 256 } },
      )
      .headers(3, [["first", "half"]], { endHeaders: false })
      .continuation(3, [["second", "half"]])
      .data(3, Buffer.from("body"), { padding: 4 })
      .data(3, Buffer.alloc(0), { end: true })
      .rst(3, 8)
      .ping(Buffer.from("01234567"))
      .windowUpdate(0, 0x7fffffff)
      .frame("PRIORITY", 0, 7, Buffer.alloc(5))
      .frame(0x42, 0xff, 9, Buffer.from("?"))
      .goaway(5, 2, "why");
    await server.expect("GOAWAY");
    const [headers, opening, continuation, data, end, reset, ping, update, priority, unknown, goaway] = server.received;
    expect(headers).toMatchObject({ type: "HEADERS", streamId: 1, isEnd: true, headers: { a: "1", b: "é" } });
    expect(headers.fields).toHaveLength(3);
    expect(headers.payload.subarray(1, 6)).toEqual(Buffer.of(0x80, 0, 0, 5, 255));
    expect(opening).toMatchObject({ type: "HEADERS", streamId: 3, isEnd: false });
    expect(opening.fields).toBeUndefined();
    expect(continuation).toMatchObject({ type: "CONTINUATION", headers: { first: "half", second: "half" } });
    expect(data).toMatchObject({ type: "DATA", streamId: 3, isEnd: false });
    expect(data.data?.toString()).toBe("body");
    expect(data.payload).toHaveLength(9);
    expect(end).toMatchObject({ type: "DATA", isEnd: true });
    expect(reset).toMatchObject({ type: "RST_STREAM", streamId: 3, errorCode: 8 });
    expect(ping.payload.toString()).toBe("01234567");
    expect(ping.isAck).toBe(false);
    expect(update).toMatchObject({ type: "WINDOW_UPDATE", streamId: 0, increment: 0x7fffffff });
    expect(priority).toMatchObject({ type: "PRIORITY", streamId: 7 });
    expect(unknown).toMatchObject({ type: "UNKNOWN", typeCode: 0x42, flags: 0xff, streamId: 9 });
    expect(goaway).toMatchObject({ type: "GOAWAY", lastStreamId: 5, errorCode: 2, debug: "why" });
  });

  it("hands frames out once, by type and condition, from the past or the future, and leaves the others", async () => {
    const { client, server } = pair();
    const ahead = server.expect("DATA", (frame) => frame.streamId === 3);
    client.preface().data(1, Buffer.from("one")).data(3, Buffer.from("three")).data(1, Buffer.from("two")).ping();
    expect(String((await ahead).data)).toBe("three");
    await server.expect("PING");
    expect(String((await server.expect("DATA")).data)).toBe("one");
    expect(String((await server.expect("DATA", (frame) => frame.streamId === 1)).data)).toBe("two");
    expect(server.received).toHaveLength(4);
  });

  it("gives up waiting after its time and lists what came instead", async () => {
    const clock = new VirtualClock();
    const { client, server } = pair({}, { clock, timeoutMs: 500 });
    client.preface().windowUpdate(3, 1);
    const waiting = server.expect("HEADERS");
    await clock.advance(500);
    await expect(waiting).rejects.toThrow("expected HEADERS: nothing within 500 ms; received so far: WINDOW_UPDATE(3)");
    expect(clock.pending).toBe(0);
  });

  it("stops waiting when the other end ends or resets, and settles closed", async () => {
    const ended = pair();
    const waiting = ended.server.expect("HEADERS");
    ended.client.end();
    await expect(waiting).rejects.toThrow(/the other end has ended/);
    expect(await ended.server.closed).toBeUndefined();
    expect(await ended.client.closed).toBeUndefined();

    const broken = pair();
    const alsoWaiting = broken.client.expect("SETTINGS");
    broken.link.reset();
    await expect(alsoWaiting).rejects.toThrow(/ECONNRESET/);
    expect(await broken.server.closed).toMatchObject({ code: "ECONNRESET" });
    await expect(broken.server.expect("PING")).rejects.toThrow(/received so far: nothing/);
  });

  it("keeps its side open when told to", async () => {
    const { client, server } = pair({}, { endsWithOther: false });
    client.preface().end();
    await expect(server.expect("PING")).rejects.toThrow(/has ended/);
    expect(server.hasOtherEnded).toBe(true);
    server.ping();
    await client.expect("PING");
    server.end();
    expect(await client.closed).toBeUndefined();
  });

  it("acknowledges by itself when asked to, and knows when the other has seen everything", async () => {
    const { client, server } = pair({}, { acknowledges: true });
    server.settings();
    await client.preface().settings().roundTrip();
    expect(server.received.map((frame) => frame.type)).toEqual(["SETTINGS", "PING"]);
    expect(client.received.map((frame) => [frame.type, frame.isAck])).toEqual([
      ["SETTINGS", false],
      ["SETTINGS", true],
      ["PING", true],
    ]);
  });

  it("acknowledges nothing before its own first frame, however late its script comes to that", async () => {
    const { client, server } = pair({ acknowledges: true }, { acknowledges: true });
    server.settings().ping();
    await settle();
    client.preface();
    await settle();
    expect(server.received).toEqual([]);
    client.settings();
    await server.expect("PING", ({ isAck }) => isAck);
    expect(server.received.map((frame) => [frame.type, frame.isAck])).toEqual([
      ["SETTINGS", false],
      ["SETTINGS", true],
      ["PING", true],
    ]);
  });

  it.each(["client", "server"] as const)("of a %s shakes hands late too", async (late) => {
    const both = pair({ acknowledges: true }, { acknowledges: true });
    const [first, second] = late === "client" ? [both.server, both.client] : [both.client, both.server];
    const shaken = first.handshake();
    await settle();
    expect(first.received).toEqual([]);
    await Promise.all([shaken, second.handshake()]);
    expect(first.received.map(({ isAck }) => isAck)).toEqual([false, true]);
  });

  it("fails the expectation whose condition throws, of what has come and what comes, and loses no frame by it", async () => {
    const { client, server } = pair();
    const isWrong = (): boolean => {
      throw new Error("no such field");
    };
    const ahead = server.expect("PING", isWrong);
    client.preface().ping();
    await expect(ahead).rejects.toThrow("expected PING: no such field; received so far: PING(0)");
    await expect(server.expect("PING", isWrong)).rejects.toThrow("expected PING: no such field");
    expect((await server.expect("PING")).isAck).toBe(false);
  });

  it("says what began in place of the preface", async () => {
    const [near, far] = memoryLinkPair();
    const server = new RawPeer(far, { role: "server" });
    near.write(Buffer.from("GET / HTTP/1.1\r\nhost: somewhere\r\n\r\n"));
    await expect(server.expect("SETTINGS")).rejects.toThrow(/began with "GET \/ HTTP\/1\.1/);
    near.destroy();
  });

  it("says that a frame can't be read", async () => {
    const { client, server } = pair();
    client.preface().headers(1, Buffer.of(0xff)).ping();
    await expect(server.expect("PING")).rejects.toThrow(/can't be read/);
  });

  it("sends frames that lie about their length and several in one write", async () => {
    const { client, server } = pair();
    client
      .preface()
      .send(rawFrame("PING", 0, 0, Buffer.alloc(3), 8), Buffer.alloc(5, 1), rawData(0, Buffer.of(9), { end: true }));
    expect((await server.expect("PING")).payload).toEqual(Buffer.of(0, 0, 0, 1, 1, 1, 1, 1));
    expect((await server.expect("DATA")).isEnd).toBe(true);
  });

  it("refuses an option that it does not know", () => {
    const misspelt = { acknowledge: true } as Partial<RawPeerOptions>;
    expect(() => pair(misspelt)).toThrow("RawPeer options.acknowledge is not an option; did you mean acknowledges?");
  });

  it("makes a gRPC call to a server of another make, over a socket", async () => {
    const server = http2.createServer();
    server.on("stream", (stream, headers) => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "x-path": headers[":path"] },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.on("data", (bytes: Buffer) => stream.end(bytes));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const peer = new RawPeer(connect((server.address() as AddressInfo).port, "127.0.0.1"), { role: "client" });
    await peer.handshake();
    const message = grpcMessage(Buffer.from("hello"));
    for (const streamId of [1, 3]) {
      peer
        .headers(streamId, grpcRequestFields("/echo.Echo/Say", [["x-more", "yes"]]))
        .data(streamId, message, { end: true });
      const isMine = (frame: { streamId: number }): boolean => frame.streamId === streamId;
      expect((await peer.expect("HEADERS", isMine)).headers).toMatchObject({
        ":status": "200",
        "x-path": "/echo.Echo/Say",
      });
      expect((await peer.expect("DATA", isMine)).data).toEqual(message);
      expect((await peer.expect("HEADERS", isMine)).headers).toEqual({ "grpc-status": "0" });
    }
    peer.destroy();
    await peer.closed;
    const closed = once(server, "close");
    server.close();
    await closed;
  });

  it("answers a client of another make, over a socket", async () => {
    const listener = createServer();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const accepted = once(listener, "connection");
    const client = http2.connect(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
    const [socket] = await accepted;
    const peer = new RawPeer(socket, { role: "server", acknowledges: true });
    await peer.handshake();
    const request = client.request({
      ":method": "POST",
      ":path": "/echo.Echo/Say",
      te: "trailers",
      "x-long": "x".repeat(30_000),
    });
    const trailers = once(request, "trailers");
    request.end(grpcMessage(Buffer.from("hello")));
    const { streamId } = await peer.expect("HEADERS");
    const { headers } = await peer.expect("CONTINUATION", (frame) => frame.headers !== undefined);
    expect(headers).toMatchObject({ ":path": "/echo.Echo/Say", "x-long": "x".repeat(30_000) });
    const { data = Buffer.alloc(0) } = await peer.expect("DATA");
    peer.send(
      rawHeaders(streamId, grpcResponseFields()),
      rawData(streamId, data),
      rawHeaders(streamId, [["grpc-status", "0"]], { end: true }),
    );
    const body: Buffer[] = [];
    for await (const chunk of request) body.push(chunk);
    expect(Buffer.concat(body)).toEqual(grpcMessage(Buffer.from("hello")));
    expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
    client.close();
    await peer.closed;
    listener.close();
    await once(listener, "close");
  });

  it("knows the bits that frames are marked with", () => {
    expect(rawFrame("SETTINGS", RawFlag.ACK, 0)).toEqual(Buffer.of(0, 0, 0, 4, 1, 0, 0, 0, 0));
    expect(grpcMessage(Buffer.of(1, 2), true)).toEqual(Buffer.of(1, 0, 0, 0, 2, 1, 2));
  });
});
