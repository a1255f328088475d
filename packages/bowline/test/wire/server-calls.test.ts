import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import { Code } from "../../src/rpc/code.ts";
import { grpcMessage, grpcRequestFields, RawSetting } from "../../src/testing/raw-frames.ts";
import type { HeaderList } from "../../src/testing/raw-hpack.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { callUnary, dataOf, expectEcho, framesOf, trailersOf, WireServer } from "./wire-server.ts";

const NOTHING = Buffer.alloc(0);
const UNARY = "/wire.v1.Wire/Unary";
const SERVER_STREAM = "/wire.v1.Wire/ServerStream";
const CLIENT_STREAM = "/wire.v1.Wire/ClientStream";
const BIDI_STREAM = "/wire.v1.Wire/BidiStream";
const KIB = 1024;
const FRAME_BYTES = 16 * KIB;

let wire: WireServer;
let peer: RawPeer;
let lastId = -1;
beforeAll(async () => {
  wire = await WireServer.start({}, { maxReceiveBytes: 64 * KIB });
  peer = await wire.connect([[RawSetting.INITIAL_WINDOW_SIZE, 1_000_000]]);
  peer.windowUpdate(0, 100_000_000);
});
afterAll(() => wire[Symbol.asyncDispose]());

function takeId(): number {
  lastId += 2;
  return lastId;
}

/** Sends a request and gives the trailers of the answer. */
async function call(
  path: string,
  body: readonly Buffer[],
  more: HeaderList = [],
): Promise<Readonly<Record<string, string>>> {
  const id = takeId();
  peer.headers(id, grpcRequestFields(path, more));
  for (const chunk of body) {
    for (let at = 0; at < chunk.length; at += FRAME_BYTES) peer.data(id, chunk.subarray(at, at + FRAME_BYTES));
  }
  peer.data(id, NOTHING, { end: true });
  return trailersOf(peer, id);
}

function hasCode(code: number, text: string): Record<string, unknown> {
  return { "grpc-status": String(code), "grpc-message": expect.stringContaining(text) };
}

describe("a request's fields", () => {
  it("may have white space at the ends of their values, as clients send it that strip nothing", async () => {
    const fields: HeaderList = [
      ["tenant", "north "],
      ["grpc-timeout", " 1S"],
      ["empty", " \t"],
    ];
    expect(await call(UNARY, [grpcMessage(Buffer.from("a"))], fields)).toMatchObject({ "grpc-status": "0" });
  });
});

describe("a request's messages", () => {
  it("may be cut at any place into frames", async () => {
    const message = grpcMessage(Buffer.from("some message"));
    for (let size = 1; size <= message.length; size++) {
      const id = takeId();
      peer.headers(id, grpcRequestFields(UNARY));
      for (let at = 0; at < message.length; at += size) peer.data(id, message.subarray(at, at + size));
      peer.data(id, NOTHING, { end: true });
      expect(await trailersOf(peer, id)).toMatchObject({ "grpc-status": "0" });
      expect(dataOf(peer, id)).toEqual(message);
    }
  });

  it("may come many in a frame, padded, and with empty ones between them", async () => {
    const id = takeId();
    const messages = ["a", "", "bc", "", "d"].map((text) => grpcMessage(Buffer.from(text)));
    peer.headers(id, grpcRequestFields(BIDI_STREAM));
    peer.data(id, Buffer.concat(messages), { padding: 100, end: true });
    expect(await trailersOf(peer, id)).toMatchObject({ "grpc-status": "0" });
    expect(dataOf(peer, id)).toEqual(Buffer.concat(messages));
  });

  it("are answered one by one while the stream is open", async () => {
    const id = takeId();
    peer.headers(id, grpcRequestFields(BIDI_STREAM));
    for (const text of ["one", "two", "three"]) {
      peer.data(id, grpcMessage(Buffer.from(text)));
      const frame = await peer.expect("DATA", (each) => each.streamId === id);
      expect(frame.data).toEqual(grpcMessage(Buffer.from(text)));
    }
    peer.data(id, NOTHING, { end: true });
    expect(await trailersOf(peer, id)).toMatchObject({ "grpc-status": "0" });
  });

  it.each<[string, string, Buffer[], number, string]>([
    ["none for a unary call", UNARY, [], Code.UNIMPLEMENTED, "no message"],
    ["none for a server stream", SERVER_STREAM, [], Code.UNIMPLEMENTED, "no message"],
    [
      "two for a unary call",
      UNARY,
      [grpcMessage(Buffer.from("a")), grpcMessage(Buffer.from("b"))],
      Code.UNIMPLEMENTED,
      "more than one",
    ],
    [
      "two in one frame",
      UNARY,
      [Buffer.concat([grpcMessage(Buffer.from("a")), grpcMessage(Buffer.from("b"))])],
      Code.UNIMPLEMENTED,
      "more than one",
    ],
    [
      "two for a server stream",
      SERVER_STREAM,
      [grpcMessage(NOTHING), grpcMessage(NOTHING)],
      Code.UNIMPLEMENTED,
      "more than one",
    ],
    ["one and a half", UNARY, [grpcMessage(Buffer.from("a")), Buffer.of(0, 0)], Code.UNIMPLEMENTED, "more than one"],
    ["half a prefix", UNARY, [Buffer.of(0, 0, 0)], Code.INTERNAL, "inside a message"],
    ["half a message", UNARY, [grpcMessage(Buffer.from("cut off")).subarray(0, 8)], Code.INTERNAL, "inside a message"],
    [
      "half a message of a stream",
      CLIENT_STREAM,
      [grpcMessage(Buffer.from("cut off")).subarray(0, 8)],
      Code.INTERNAL,
      "inside a message",
    ],
    ["flag 2", UNARY, [Buffer.of(2, 0, 0, 0, 0)], Code.INTERNAL, "neither 0 nor 1"],
    ["flag 255 on a stream", BIDI_STREAM, [Buffer.of(255, 0, 0, 0, 1, 7)], Code.INTERNAL, "neither 0 nor 1"],
    ["compressed without an encoding", UNARY, [grpcMessage(Buffer.from("x"), true)], Code.INTERNAL, "grpc-encoding"],
    [
      "compressed on a stream without an encoding",
      CLIENT_STREAM,
      [grpcMessage(Buffer.from("x"), true)],
      Code.INTERNAL,
      "grpc-encoding",
    ],
  ])("are refused: %s", async (_what, path, body, code, text) => {
    expect(await call(path, body)).toMatchObject(hasCode(code, text));
    await expectEcho(peer, takeId());
  });

  it("may have data behind an answer that did not wait for it", async () => {
    const id = takeId();
    peer.headers(id, grpcRequestFields(UNARY)).data(id, Buffer.concat([grpcMessage(NOTHING), grpcMessage(NOTHING)]));
    expect(await trailersOf(peer, id)).toMatchObject(hasCode(Code.UNIMPLEMENTED, "more than one"));
    // The server asks to stop and takes no offence at what was on its way.
    expect(await peer.expect("RST_STREAM", (frame) => frame.streamId === id)).toMatchObject({
      errorCode: ErrorCode.NO_ERROR,
    });
    peer.data(id, Buffer.alloc(1000)).data(id, Buffer.alloc(1000), { end: true });
    await expectEcho(peer, takeId());
  });
});

describe("the size of a message (64 KiB here)", () => {
  const atLimit = Buffer.alloc(64 * KIB, "m");
  const overLimit = Buffer.alloc(64 * KIB + 1, "m");
  it.each([
    ["unary", UNARY],
    ["server stream", SERVER_STREAM],
    ["client stream", CLIENT_STREAM],
    ["bidirectional", BIDI_STREAM],
  ])("may be the limit and not one more: %s", async (_kind, path) => {
    expect(await call(path, [grpcMessage(atLimit)])).toMatchObject({ "grpc-status": "0" });
    expect(await call(path, [grpcMessage(overLimit)])).toMatchObject(
      hasCode(Code.RESOURCE_EXHAUSTED, "65537 bytes is above the limit of 65536"),
    );
    await expectEcho(peer, takeId());
  });

  it.each([
    ["unary", UNARY],
    ["client stream", CLIENT_STREAM],
  ])("is refused at the prefix, before anything of it has come: %s", async (_kind, path) => {
    const id = takeId();
    peer.headers(id, grpcRequestFields(path)).data(id, Buffer.of(0, 0xff, 0xff, 0xff, 0xff));
    expect(await trailersOf(peer, id)).toMatchObject(hasCode(Code.RESOURCE_EXHAUSTED, "4294967295 bytes"));
    await expectEcho(peer, takeId());
  });

  it("counts after inflation", async () => {
    const encoding = [["grpc-encoding", "gzip"]] as const;
    const bomb = (bytes: number) => [grpcMessage(gzipSync(Buffer.alloc(bytes)), true)];
    for (const path of [UNARY, CLIENT_STREAM]) {
      expect(await call(path, bomb(64 * KIB), encoding)).toMatchObject({ "grpc-status": "0" });
      expect(await call(path, bomb(64 * KIB + 1), encoding)).toMatchObject(hasCode(Code.RESOURCE_EXHAUSTED, "65536"));
      expect(await call(path, bomb(5000 * KIB), encoding)).toMatchObject(hasCode(Code.RESOURCE_EXHAUSTED, "65536"));
    }
    await expectEcho(peer, takeId());
  });

  it("of broken compressed data ends the call only", async () => {
    const broken = [grpcMessage(Buffer.from("no gzip at all"), true)];
    expect(await call(UNARY, broken, [["grpc-encoding", "gzip"]])).toMatchObject({
      "grpc-status": String(Code.INTERNAL),
    });
    expect(await call(CLIENT_STREAM, broken, [["grpc-encoding", "gzip"]])).toMatchObject({
      "grpc-status": String(Code.INTERNAL),
    });
    await expectEcho(peer, takeId());
  });
});

describe("a request's headers", () => {
  it.each<[string, HeaderList, number, string]>([
    ["of an unknown encoding", [["grpc-encoding", "lzma"]], Code.UNIMPLEMENTED, "lzma"],
    ["of a timeout without unit", [["grpc-timeout", "100"]], Code.INTERNAL, "grpc-timeout"],
    ["of a timeout of nine digits", [["grpc-timeout", "123456789S"]], Code.INTERNAL, "grpc-timeout"],
    ["of a negative timeout", [["grpc-timeout", "-1S"]], Code.INTERNAL, "grpc-timeout"],
    ["of a timeout that is over", [["grpc-timeout", "0n"]], Code.DEADLINE_EXCEEDED, "deadline"],
    ["of metadata that are no base64", [["x-bin", "a*"]], Code.INTERNAL, "x-bin"],
  ])("end the call with a status: %s", async (_what, more, code, text) => {
    const before = wire.handled;
    expect(await call(UNARY, [grpcMessage(NOTHING)], more)).toMatchObject(hasCode(code, text));
    expect(wire.handled).toBe(before);
    await expectEcho(peer, takeId());
  });

  it("of a timeout are kept, in virtual time", async () => {
    const id = takeId();
    peer.headers(id, grpcRequestFields(BIDI_STREAM, [["grpc-timeout", "250m"]]));
    await peer.roundTrip();
    await wire.clock.advance(249);
    await peer.roundTrip();
    expect(framesOf(peer, id).some((frame) => frame.isEnd)).toBe(false);
    await wire.clock.advance(10);
    expect(await trailersOf(peer, id)).toMatchObject(hasCode(Code.DEADLINE_EXCEEDED, "deadline"));
  });

  it.each<[string, string, string]>([
    ["/wire.v1.Wire/Nothing", "unknown method", "Nothing"],
    ["/other.Service/Unary", "unknown service", "other.Service"],
    ["/", "malformed method name", ""],
    ["//", "", ""],
    ["/wire.v1.Wire", "malformed method name", ""],
    ["/wire.v1.Wire/Unary/", "unknown", ""],
    ["/wire.v1.Wire/unary", "unknown method", ""],
    ["/wire.v1.Wire%2FUnary", "malformed method name", ""],
    ["/wire.v1.Wire/Unary?x=1", "unknown method", ""],
    ["/__proto__/constructor", "unknown service", ""],
  ])("of the path %s end the call with UNIMPLEMENTED", async (path, text, name) => {
    const trailers = await call(path, [grpcMessage(NOTHING)]);
    expect(trailers).toMatchObject(hasCode(Code.UNIMPLEMENTED, text));
    expect(trailers["grpc-message"]).toContain(name);
  });

  it.each<[string, HeaderList, string, string]>([
    ["another content type", [["content-type", "application/json"]], "415", "content-type must be application/grpc"],
    ["grpc-web", [["content-type", "application/grpc-web+proto"]], "415", "grpc-web"],
    ["no content type", [], "415", "content-type"],
  ])("of %s get an answer that a person can read", async (_what, type, status, text) => {
    const id = takeId();
    peer.headers(id, [...grpcRequestFields(UNARY).slice(0, 5), ...type], { end: true });
    const head = await peer.expect("HEADERS", (frame) => frame.streamId === id);
    expect(head.headers?.[":status"]).toBe(status);
    await peer.expect("DATA", (frame) => frame.streamId === id && frame.isEnd);
    expect(dataOf(peer, id).toString()).toContain(text);
    expect(Number(head.headers?.["content-length"])).toBe(dataOf(peer, id).length);
  });

  it("of another method than POST are answered with 405", async () => {
    const id = takeId();
    peer.headers(id, [[":method", "GET"], ...grpcRequestFields(UNARY).slice(1)], { end: true });
    const head = await peer.expect("HEADERS", (frame) => frame.streamId === id);
    expect(head.headers).toMatchObject({ ":status": "405", allow: "POST" });
  });
});

describe("a client that breaks HTTP/2 on a stream", () => {
  it.each<[string, (peer: RawPeer) => unknown, number]>([
    ["so that we reset it", (client) => client.windowUpdate(1, 0), Code.INTERNAL],
    ["so that the connection ends", (client) => client.windowUpdate(0, 0), Code.CANCELLED],
  ])("cancels its call, %s (row 2)", async (_what, commit, code) => {
    const asked = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<unknown>();
    await using own = await WireServer.start({
      unary: (_request, context) => {
        context.signal.addEventListener("abort", () => aborted.resolve(context.signal.reason));
        asked.resolve();
        return new Promise(() => {});
      },
    });
    const client = await own.connect();
    callUnary(client, 1);
    await asked.promise;
    commit(client);
    expect(await aborted.promise).toMatchObject({ code });
  });
});

describe("a client that leaves", () => {
  it("cancels its call: the handler hears of it, and may answer to nobody", async () => {
    let reason: unknown;
    let answer = (): void => {};
    const asked = Promise.withResolvers<void>();
    await using own = await WireServer.start({
      unary: (request, context) => {
        context.signal.addEventListener("abort", () => (reason = context.signal.reason));
        asked.resolve();
        return new Promise((resolve) => (answer = () => resolve(request)));
      },
    });
    const client = await own.connect();
    callUnary(client, 1);
    await asked.promise;
    client.rst(1, ErrorCode.CANCEL);
    await client.roundTrip();
    expect(reason).toMatchObject({ code: Code.CANCELLED });
    answer();
    await client.roundTrip();
    expect(framesOf(client, 1)).toEqual([]);
    expect(own.server.misbehaved.size).toBe(0);
  });
});
