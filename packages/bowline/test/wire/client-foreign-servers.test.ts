import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import { Code } from "../../src/rpc/code.ts";
import type { RpcError } from "../../src/rpc/rpc-error.ts";
import { grpcMessage, grpcResponseFields, RawSetting } from "../../src/testing/raw-frames.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { answer, nextRequest, outcome, RawServer } from "./raw-server.ts";

const HELLO = Buffer.from("hello");

describe("a server that speaks something else", () => {
  it.each<[string, Buffer, RegExp]>([
    [
      "HTTP/1.1",
      Buffer.from("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
      /speaks HTTP\/1, not HTTP\/2 .*400 Bad Request/,
    ],
    ["TLS, by an alert of seven octets", Buffer.of(0x15, 3, 1, 0, 2, 2, 70), /speaks TLS on this port.*turn on tls/],
    ["TLS, by a handshake", Buffer.of(0x16, 3, 3, 0, 100, 2, 0, 0, 96, 3, 3), /speaks TLS on this port/],
    ["SSH", Buffer.from("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), /is an SSH server.*SSH-2\.0/],
    ["SMTP", Buffer.from("220 mail.example.org ESMTP\r\n"), /SMTP/],
    ["nothing known", Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), /does not speak HTTP\/2/],
  ])("is told from its first octets: %s", async (_what, bytes, text) => {
    for (const ends of [true, false]) {
      await using raw = await RawServer.listen({}, { acknowledges: false });
      const call = outcome(raw.client.unary(HELLO));
      const peer = await raw.open();
      peer.send(bytes);
      if (ends) peer.end();
      if (!ends && bytes.length < 9) continue;
      const error = (await call) as RpcError;
      expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false });
      expect(error.text).toMatch(text);
      expect(error.text).toMatch(/127\.0\.0\.1:/);
    }
  });

  it("is told from octets that come one by one", async () => {
    await using raw = await RawServer.listen({}, { acknowledges: false });
    const call = outcome(raw.client.unary(HELLO));
    const peer = await raw.open();
    for (const octet of Buffer.from("SSH-2.0-x\r\n")) {
      peer.send(Buffer.of(octet));
      await settle(2);
    }
    expect(((await call) as RpcError).text).toMatch(/SSH server/);
  });

  it("or says nothing and closes leaves the call with a status that says so", async () => {
    await using raw = await RawServer.listen();
    const call = outcome(raw.client.unary(HELLO));
    (await raw.open()).end();
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false });
  });

  it("or says nothing at all is given up after the time of a handshake", async () => {
    await using raw = await RawServer.listen({ limits: { handshakeTimeoutMs: 3000 } }, { acknowledges: false });
    const call = outcome(raw.client.unary(HELLO));
    const peer = await raw.open();
    await peer.expect("SETTINGS");
    await raw.clock.advance(2999);
    expect(raw.client.channel.state).toBe("connecting");
    await raw.clock.advance(1);
    const error = (await call) as RpcError;
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false });
    expect(error.text).toMatch(/has not sent its SETTINGS within 3000 ms/);
    expect(await peer.expect("GOAWAY")).toMatchObject({ errorCode: ErrorCode.SETTINGS_TIMEOUT });
  });
});

describe("a server whose SETTINGS are wrong", () => {
  it.each<[string, [number, number], RegExp]>([
    ["MAX_FRAME_SIZE 0", [RawSetting.MAX_FRAME_SIZE, 0], /MAX_FRAME_SIZE 0/],
    ["INITIAL_WINDOW_SIZE 2^31", [RawSetting.INITIAL_WINDOW_SIZE, 0x80000000], /INITIAL_WINDOW_SIZE/],
    ["ENABLE_PUSH 1", [RawSetting.ENABLE_PUSH, 1], /ENABLE_PUSH 1/],
  ])("gets no calls, and they get a status: %s", async (_what, pair, text) => {
    await using raw = await RawServer.listen();
    const call = outcome(raw.client.unary(HELLO));
    const peer = await raw.open();
    peer.settings([pair]);
    const error = (await call) as RpcError;
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, sent: false });
    expect(error.text).toMatch(text);
    await peer.expect("GOAWAY");
    expect(peer.received.some((frame) => frame.type === "HEADERS")).toBe(false);
  });
});

describe("a server that breaks the connection in the middle", () => {
  it("fails all its calls with the reason", async () => {
    await using raw = await RawServer.listen({ retry: false });
    const peer = await raw.connect();
    const calls = [1, 2, 3].map(() => outcome(raw.client.unary(HELLO)));
    for (const _ of calls) await nextRequest(peer);
    peer.frame("PING", 0, 0, Buffer.alloc(3));
    for (const error of (await Promise.all(calls)) as RpcError[]) {
      expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: true });
      expect(error.text).toMatch(/PING of 3 octets/);
    }
    // The next call gets a connection of its own.
    const next = outcome(raw.client.unary(HELLO, { waitForReady: true }));
    const second = await raw.accept();
    answer(second, (await nextRequest(second)).streamId);
    expect(String(await next)).toBe("answer");
  });

  it("lets a stream be read up to there", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const seen: string[] = [];
    const reading = outcome(
      (async () => {
        for await (const each of raw.client.serverStream(HELLO)) seen.push(String(each));
      })(),
    );
    const { streamId } = await nextRequest(peer);
    peer.headers(streamId, grpcResponseFields()).data(streamId, grpcMessage(Buffer.from("one")));
    await settle();
    peer.destroy();
    expect(await reading).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection" });
    expect(seen).toEqual(["one"]);
  });
});

describe("a call that is given up", () => {
  it("tells its server by RST_STREAM CANCEL: deadline, signal, and a loop that was left", async () => {
    await using raw = await RawServer.listen();
    const peer = await raw.connect();
    const late = outcome(raw.client.unary(HELLO, { timeoutMs: 100 }));
    const first = await nextRequest(peer);
    expect(first.headers?.["grpc-timeout"]).toBe("100m");
    await raw.clock.advance(110);
    expect(await late).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "deadline" });
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: first.streamId, errorCode: ErrorCode.CANCEL });

    const controller = new AbortController();
    const aborted = outcome(raw.client.unary(HELLO, { signal: controller.signal }));
    const second = await nextRequest(peer);
    controller.abort();
    expect(await aborted).toMatchObject({ code: Code.CANCELLED, reason: "cancelled" });
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: second.streamId, errorCode: ErrorCode.CANCEL });

    const left = (async () => {
      for await (const _ of raw.client.serverStream(HELLO)) break;
    })();
    const third = await nextRequest(peer);
    peer.headers(third.streamId, grpcResponseFields()).data(third.streamId, grpcMessage(HELLO));
    await left;
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: third.streamId, errorCode: ErrorCode.CANCEL });

    // What comes late for them disturbs nobody.
    for (const { streamId } of [first, second]) answer(peer, streamId);
    peer.data(third.streamId, grpcMessage(HELLO)).headers(third.streamId, [["grpc-status", "0"]], { end: true });
    const well = outcome(raw.client.unary(HELLO));
    answer(peer, (await nextRequest(peer)).streamId);
    expect(String(await well)).toBe("answer");
    expect(raw.client.channel.stats.map((each) => each.inFlight)).toEqual(raw.client.channel.stats.map(() => 0));
  });
});
