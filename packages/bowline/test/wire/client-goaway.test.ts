import { describe, expect, it } from "vitest";
import { ErrorCode, MAX_INT31 } from "../../src/http2/frames.ts";
import { Code } from "../../src/rpc/code.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { grpcMessage, grpcResponseFields, RawSetting } from "../../src/testing/raw-frames.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { Http2Scene } from "./http2-scene.ts";
import { answer, answerStatus, nextRequest, outcome, RawServer } from "./raw-server.ts";

const HELLO = Buffer.from("hello");
const HEAD = grpcResponseFields();

/** Starts calls that all wait for their answers; gives their outcomes, and waits until the server has them. */
async function inFlight(raw: RawServer, peer: RawPeer, count: number): Promise<Promise<unknown>[]> {
  const calls = Array.from({ length: count }, (_, i) => outcome(raw.client.unary(Buffer.from(String(i)))));
  for (let i = 0; i < count; i++) await nextRequest(peer);
  return calls;
}

/** The number that each request in a list of streams carried. */
function requestsOn(peer: RawPeer): number[] {
  return peer.received
    .filter((frame) => frame.type === "DATA")
    .map((frame) => Number(frame.data?.subarray(5).toString()));
}

describe("a server's GOAWAY with 100 calls in flight", () => {
  it.each([
    ["NO_ERROR", ErrorCode.NO_ERROR],
    ["ENHANCE_YOUR_CALM", ErrorCode.ENHANCE_YOUR_CALM],
  ])(
    "(%s): calls above the last id go to another connection, each once; the others are finished here",
    async (_name, code) => {
      await using raw = await RawServer.listen();
      const first = await raw.connect();
      const calls = await inFlight(raw, first, 100);
      // Streams 1 to 119 are the first 60 calls.
      first.goaway(119, code, "rebalancing");
      const second = await raw.accept();
      for (let i = 0; i < 40; i++) answer(second, (await nextRequest(second)).streamId, "second");
      for (let id = 1; id <= 119; id += 2) answer(first, id, "first");
      const texts = (await Promise.all(calls)).map((each) => String(each));
      expect(texts).toEqual([...Array(60).fill("first"), ...Array(40).fill("second")]);
      expect(requestsOn(second).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => 60 + i));
      // The old connection is closed by the client with its last call; nothing more goes there.
      await first.expect("GOAWAY");
      expect(await first.closed).toBeUndefined();
      expect(first.received.filter((frame) => frame.type === "HEADERS")).toHaveLength(100);
      const late = outcome(raw.client.unary(HELLO));
      answer(second, (await nextRequest(second)).streamId, "late");
      expect(String(await late)).toBe("late");
    },
  );

  it("(last id 0): all calls go elsewhere, and the connection is left at once", async () => {
    await using raw = await RawServer.listen();
    const first = await raw.connect();
    const calls = await inFlight(raw, first, 100);
    first.goaway(0, ErrorCode.NO_ERROR);
    const second = await raw.accept();
    for (let i = 0; i < 100; i++) answer(second, (await nextRequest(second)).streamId);
    expect((await Promise.all(calls)).every((each) => String(each) === "answer")).toBe(true);
    expect(await first.closed).toBeUndefined();
    expect(raw.peers).toHaveLength(2);
  });

  it("(in two steps): new calls go elsewhere from the first, and the second decides which of the old ones do", async () => {
    await using raw = await RawServer.listen();
    const first = await raw.connect();
    const calls = await inFlight(raw, first, 100);
    first.goaway(MAX_INT31, ErrorCode.NO_ERROR, "soon");
    const second = await raw.accept();
    const fresh = outcome(raw.client.unary(HELLO));
    answer(second, (await nextRequest(second)).streamId, "fresh");
    expect(String(await fresh)).toBe("fresh");
    first.goaway(99, ErrorCode.NO_ERROR, "now");
    for (let i = 0; i < 50; i++) answer(second, (await nextRequest(second)).streamId, "second");
    for (let id = 1; id <= 99; id += 2) answer(first, id, "first");
    const texts = (await Promise.all(calls)).map((each) => String(each));
    expect(texts).toEqual([...Array(50).fill("first"), ...Array(50).fill("second")]);
  });

  it("and the end of the connection behind it: calls that may have run fail, and are not repeated", async () => {
    await using raw = await RawServer.listen();
    const first = await raw.connect();
    const calls = await inFlight(raw, first, 100);
    first.goaway(119, ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings");
    first.end();
    const second = await raw.accept();
    for (let i = 0; i < 40; i++) answer(second, (await nextRequest(second)).streamId);
    const results = await Promise.all(calls);
    expect(results.slice(60).every((each) => String(each) === "answer")).toBe(true);
    for (const each of results.slice(0, 60)) {
      expect(each).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: true, attempt: 1 });
    }
    expect(requestsOn(second)).toHaveLength(40);
  });

  it.each([
    ["the peer's end", (peer: RawPeer) => peer.end()],
    ["a reset of the link", (peer: RawPeer) => peer.destroy()],
  ])("and %s behind it: the calls say what the server held against us", async (_what, close) => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const [call] = await inFlight(raw, peer, 1);
    peer.goaway(1, ErrorCode.ENHANCE_YOUR_CALM, "resetBurst");
    await peer.roundTrip();
    close(peer);
    const text =
      'the connection was lost before the call ended: the peer ended the connection: "resetBurst" (ENHANCE_YOUR_CALM)';
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, text: expect.stringContaining(text) });
  });

  it("and one more that says why: the calls say it, too", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const [call] = await inFlight(raw, peer, 1);
    peer.goaway(1, ErrorCode.NO_ERROR, "draining");
    peer.goaway(1, ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings");
    await peer.roundTrip();
    peer.end();
    const text = 'the peer ended the connection: "too_many_pings" (ENHANCE_YOUR_CALM)';
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, text: expect.stringContaining(text) });
  });

  it("is told again when it lowers the bound, and once when it says why", async () => {
    const scene = await Http2Scene.ready({ role: "client" });
    scene.request();
    scene.request();
    const calm = ErrorCode.ENHANCE_YOUR_CALM;
    scene.peer.goaway(3, ErrorCode.NO_ERROR).goaway(3, ErrorCode.NO_ERROR).goaway(MAX_INT31, calm, "enough");
    scene.peer.goaway(3, calm, "again").goaway(1, ErrorCode.NO_ERROR).goaway(3, ErrorCode.PROTOCOL_ERROR);
    await scene.isAlive();
    expect(scene.owner.goaways).toEqual([
      { lastStreamId: 3, code: ErrorCode.NO_ERROR, debug: "" },
      { lastStreamId: 3, code: calm, debug: "enough" },
      { lastStreamId: 1, code: ErrorCode.NO_ERROR, debug: "" },
    ]);
    expect(scene.owner.streams.map(({ resets }) => resets)).toEqual([[], ["7 by peer"]]);
  });
});

/** More than half of what all headers of an answer may take. */
const HALF = ["x-half", "x".repeat(10_000)] as const;

/** How a server's last word on a stream can be wrong or bad, and what the call says of it. */
const badEnds: readonly (readonly [what: string, end: (peer: RawPeer, id: number) => unknown, code: number])[] = [
  ["INTERNAL_ERROR", (peer, id) => peer.rst(id, ErrorCode.INTERNAL_ERROR), Code.INTERNAL],
  ["CANCEL", (peer, id) => peer.rst(id, ErrorCode.CANCEL), Code.CANCELLED],
  ["flow control that is broken", (peer, id) => peer.frame("WINDOW_UPDATE", 0, id, Buffer.alloc(4)), Code.INTERNAL],
  [
    "headers beyond maxHeaderBlockBytes",
    (peer, id) => peer.headers(id, [...HEAD, HALF], { endHeaders: false }).continuation(id, [HALF]),
    Code.RESOURCE_EXHAUSTED,
  ],
];

describe("the last call on a connection that its server leaves", () => {
  it.each(badEnds)(
    "says so when it ends by %s, and not that it was lost with the connection",
    async (_what, end, code) => {
      await using raw = await RawServer.listen();
      const peer = await raw.connect();
      const [call] = await inFlight(raw, peer, 1);
      peer.goaway(1, ErrorCode.NO_ERROR);
      end(peer, 1);
      expect(await call).toMatchObject({ code, attempt: 1 });
      expect(((await call) as RpcError).text).not.toContain("the connection was lost");
      expect(await peer.closed).toBeUndefined();
    },
  );
});

describe("a connection that ends", () => {
  it("without a word names no code of HTTP/2", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const [call] = await inFlight(raw, peer, 1);
    peer.end();
    expect(((await call) as RpcError).text).toMatch(/before the call ended: the peer closed the connection(?! \()/);
  });
});

describe("a call that the server has not processed", () => {
  it("is sent again at once after REFUSED_STREAM, whatever its method", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const call = raw.client.unary(HELLO);
    peer.rst((await nextRequest(peer)).streamId, ErrorCode.REFUSED_STREAM);
    const again = await nextRequest(peer);
    expect(again.streamId).toBe(3);
    expect(again.headers?.["grpc-previous-rpc-attempts"]).toBeUndefined();
    answer(peer, again.streamId, "second time");
    expect(String(await call)).toBe("second time");
  });

  it("is given up when it is refused again and again, with a status that says that it was never processed", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const call = outcome(raw.client.unary(HELLO));
    let attempts = 0;
    for (; attempts < 20; attempts++) {
      const next = await Promise.race([nextRequest(peer), call]);
      if (RpcError.is(next)) break;
      peer.rst((next as { streamId: number }).streamId, ErrorCode.REFUSED_STREAM);
      await settle();
    }
    expect(attempts).toBeGreaterThan(1);
    expect(attempts).toBeLessThan(10);
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, reason: "refused", sent: false, origin: "remote" });
  });

  it("is not sent again once the user has seen something of an answer", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const seen: string[] = [];
    const reading = outcome(
      (async () => {
        for await (const each of raw.client.serverStream(HELLO)) seen.push(String(each));
      })(),
    );
    const { streamId } = await nextRequest(peer);
    peer.headers(streamId, HEAD).data(streamId, grpcMessage(HELLO)).rst(streamId, ErrorCode.REFUSED_STREAM);
    expect(await reading).toMatchObject({ code: Code.UNAVAILABLE });
    expect(peer.received.filter((frame) => frame.type === "HEADERS")).toHaveLength(1);
  });

  it("and streams its requests fails with a status that may be retried by who has them", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    async function* requests(): AsyncGenerator<Uint8Array> {
      yield HELLO;
      await new Promise(() => {});
    }
    const call = outcome(raw.client.clientStream(requests()));
    const { streamId } = await peer.expect("HEADERS");
    await peer.expect("DATA");
    peer.goaway(0, ErrorCode.NO_ERROR);
    const second = await raw.accept();
    const next = await Promise.race([call, second.expect("HEADERS")]);
    // Either its messages are kept and sent again, or the status says that nothing has happened.
    if (RpcError.is(next)) expect(next).toMatchObject({ code: Code.UNAVAILABLE, sent: false });
    else expect((await second.expect("DATA")).data).toEqual(grpcMessage(HELLO));
    expect(streamId).toBe(1);
  });
});

describe("stream ids", () => {
  it("that run out on a connection make the next one take over, with no call lost (row 25)", async () => {
    await using raw = await RawServer.listen();
    const first = await raw.connect();
    const { transport } = raw.client.channel.endpoints[0];
    if (transport === null) throw new Error("not connected");
    transport.connection.nextId = 1_610_612_731;
    const calls = Array.from({ length: 6 }, (_, i) => outcome(raw.client.unary(Buffer.from(String(i)))));
    const second = await raw.accept();
    for (let i = 0; i < 3; i++) answer(first, (await nextRequest(first)).streamId, "first");
    for (let i = 0; i < 3; i++) answer(second, (await nextRequest(second)).streamId, "second");
    expect((await Promise.all(calls)).map(String)).toEqual([...Array(3).fill("first"), ...Array(3).fill("second")]);
    expect(await first.closed).toBeUndefined();
  });
});

describe("a call that may have run", () => {
  it("is not sent again by itself when the connection is lost", async () => {
    await using raw = await RawServer.listen({ retry: false });
    const peer = await raw.connect();
    const calls = await inFlight(raw, peer, 10);
    peer.destroy();
    for (const each of await Promise.all(calls)) {
      expect(each).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: true });
      expect((each as RpcError).text).toMatch(/the connection was lost before the call ended: ./);
    }
  });

  it("is repeated when its method is idempotent and its status says UNAVAILABLE, and tells so", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const call = raw.client.read(HELLO);
    answerStatus(peer, (await nextRequest(peer)).streamId, Code.UNAVAILABLE);
    const again = nextRequest(peer);
    for (let i = 0; i < 100; i++) await raw.clock.advance(10);
    expect((await again).headers).toMatchObject({ "grpc-previous-rpc-attempts": "1" });
    answer(peer, (await again).streamId);
    expect(String(await call)).toBe("answer");
  });
});

describe("a server's bound on streams", () => {
  it("of 1, then 0, then 100 makes calls wait their turn on one connection", async () => {
    await using raw = await RawServer.listen({ maxConnectionsPerEndpoint: 1 });
    const peer = await raw.connect([[RawSetting.MAX_CONCURRENT_STREAMS, 1]]);
    const calls = Array.from({ length: 50 }, (_, i) => outcome(raw.client.unary(Buffer.from(String(i)))));
    const first = await nextRequest(peer);
    await peer.roundTrip();
    expect(requestsOn(peer)).toEqual([0]);
    peer.settings([[RawSetting.MAX_CONCURRENT_STREAMS, 0]]);
    answer(peer, first.streamId);
    await calls[0];
    await peer.roundTrip();
    expect(requestsOn(peer)).toEqual([0]);
    peer.settings([[RawSetting.MAX_CONCURRENT_STREAMS, 100]]);
    for (let i = 1; i < 50; i++) answer(peer, (await nextRequest(peer)).streamId);
    expect((await Promise.all(calls)).every((each) => String(each) === "answer")).toBe(true);
    expect(requestsOn(peer)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it("makes more connections, as many as the client may have", async () => {
    await using raw = await RawServer.listen({ maxConnectionsPerEndpoint: 3 });
    const first = await raw.connect([[RawSetting.MAX_CONCURRENT_STREAMS, 2]]);
    const calls = Array.from({ length: 7 }, (_, i) => outcome(raw.client.unary(Buffer.from(String(i)))));
    const second = await raw.accept([[RawSetting.MAX_CONCURRENT_STREAMS, 2]]);
    await Promise.all([nextRequest(first), nextRequest(second)]);
    // Calls that still wait make the client ask for one more when the next call comes.
    calls.push(outcome(raw.client.unary(Buffer.from("7"))));
    const third = await raw.accept([[RawSetting.MAX_CONCURRENT_STREAMS, 100]]);
    const serve = async (peer: RawPeer): Promise<void> => {
      for (const frame of [...peer.received]) if (frame.type === "HEADERS") answer(peer, frame.streamId);
    };
    await settle();
    for (let i = 0; i < 4; i++) await nextRequest(third);
    await Promise.all([first, second, third].map(serve));
    expect((await Promise.all(calls)).every((each) => String(each) === "answer")).toBe(true);
    expect(raw.peers).toHaveLength(3);
  });

  it("lets at most maxWaitingCalls wait", async () => {
    await using raw = await RawServer.listen({ maxConnectionsPerEndpoint: 1, maxWaitingCalls: 5 });
    const peer = await raw.connect([[RawSetting.MAX_CONCURRENT_STREAMS, 1]]);
    const calls = Array.from({ length: 7 }, () => outcome(raw.client.unary(HELLO)));
    expect(await calls[6]).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit", sent: false });
    expect(((await calls[6]) as RpcError).text).toMatch(/maxWaitingCalls/);
    for (let i = 0; i < 6; i++) answer(peer, (await nextRequest(peer)).streamId);
    expect((await Promise.all(calls.slice(0, 6))).every((each) => String(each) === "answer")).toBe(true);
  });
});
