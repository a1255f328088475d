import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode, errorCodeName } from "../../src/http2/frames.ts";
import { grpcMessage, grpcRequestFields } from "../../src/testing/raw-frames.ts";
import type { HeaderList } from "../../src/testing/raw-hpack.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { dataOf, expectEcho, framesOf, trailersOf, WireServer } from "./wire-server.ts";

const METHOD = [":method", "POST"] as const;
const SCHEME = [":scheme", "http"] as const;
const PATH = [":path", "/wire.v1.Wire/Unary"] as const;
const AUTHORITY = [":authority", "raw-peer"] as const;
const TYPE = ["content-type", "application/grpc"] as const;
const TE = ["te", "trailers"] as const;

/** RFC 9113 sections 8.1.1, 8.2 and 8.3: requests that are malformed. */
const malformed: readonly (readonly [what: string, fields: HeaderList])[] = [
  ["without :method", [SCHEME, PATH, AUTHORITY, TE, TYPE]],
  ["without :scheme", [METHOD, PATH, AUTHORITY, TE, TYPE]],
  ["without :path", [METHOD, SCHEME, AUTHORITY, TE, TYPE]],
  ["with an empty :path", [METHOD, SCHEME, [":path", ""], AUTHORITY, TE, TYPE]],
  [
    "with a :path without slash (CVE-2026-33186)",
    [METHOD, SCHEME, [":path", "wire.v1.Wire/Unary"], AUTHORITY, TE, TYPE],
  ],
  ["with :method twice", [METHOD, METHOD, SCHEME, PATH, AUTHORITY, TE, TYPE]],
  ["with :path twice", [METHOD, SCHEME, PATH, PATH, AUTHORITY, TE, TYPE]],
  ["with :authority twice", [METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY, TE, TYPE]],
  ["with a pseudo-header behind a field", [METHOD, SCHEME, PATH, TE, AUTHORITY, TYPE]],
  ["with an unknown pseudo-header", [METHOD, SCHEME, PATH, AUTHORITY, [":protocol", "x"], TE, TYPE]],
  ["with a pseudo-header of answers", [METHOD, SCHEME, PATH, AUTHORITY, [":status", "200"], TE, TYPE]],
  ["with :authority that differs from host", [METHOD, SCHEME, PATH, AUTHORITY, ["host", "other"], TE, TYPE]],
  ["with upper case in a name", grpcRequestFields(PATH[1], [["X-Upper", "1"]])],
  ["with a space in a name", grpcRequestFields(PATH[1], [["x y", "1"]])],
  ["with a colon in a name", grpcRequestFields(PATH[1], [["x:y", "1"]])],
  ["with an empty name", grpcRequestFields(PATH[1], [["", "1"]])],
  ["with a name of latin1", grpcRequestFields(PATH[1], [["ü", "1"]])],
  ["with CR in a value", grpcRequestFields(PATH[1], [["x", "a\rb"]])],
  ["with LF in a value", grpcRequestFields(PATH[1], [["x", "a\nb"]])],
  ["with NUL in a value", grpcRequestFields(PATH[1], [["x", "a\0b"]])],
  ["with a space at the end of :path", [METHOD, SCHEME, [":path", "/wire.v1.Wire/Unary "], AUTHORITY, TE, TYPE]],
  ["with LF in :path", [METHOD, SCHEME, [":path", "/wire.v1.Wire/Unary\n"], AUTHORITY, TE, TYPE]],
  ["with LF in traceparent", grpcRequestFields(PATH[1], [["traceparent", "00-\n"]])],
  ["with LF in grpc-timeout", grpcRequestFields(PATH[1], [["grpc-timeout", "1\nS"]])],
  ["with connection", grpcRequestFields(PATH[1], [["connection", "close"]])],
  ["with keep-alive", grpcRequestFields(PATH[1], [["keep-alive", "5"]])],
  ["with proxy-connection", grpcRequestFields(PATH[1], [["proxy-connection", "close"]])],
  ["with transfer-encoding", grpcRequestFields(PATH[1], [["transfer-encoding", "chunked"]])],
  ["with upgrade", grpcRequestFields(PATH[1], [["upgrade", "h2c"]])],
  ["with te other than trailers", [METHOD, SCHEME, PATH, AUTHORITY, ["te", "gzip"], TYPE]],
  ["with content-length that is no number", grpcRequestFields(PATH[1], [["content-length", "1x"]])],
  ["with a negative content-length", grpcRequestFields(PATH[1], [["content-length", "-1"]])],
  [
    "with two content-lengths",
    grpcRequestFields(PATH[1], [
      ["content-length", "10"],
      ["content-length", "11"],
    ]),
  ],
];

let wire: WireServer;
let peer: RawPeer;
let nextId = 1;
beforeAll(async () => {
  wire = await WireServer.start();
  peer = await wire.connect();
});
afterAll(() => wire[Symbol.asyncDispose]());

function takeId(): number {
  nextId += 2;
  return nextId;
}

async function expectReset(id: number, code: number): Promise<void> {
  const reset = await peer.expect("RST_STREAM", (frame) => frame.streamId === id);
  expect(errorCodeName(reset.errorCode ?? -1)).toBe(errorCodeName(code));
  expect(framesOf(peer, id).filter((frame) => frame.type !== "RST_STREAM" && frame.type !== "WINDOW_UPDATE")).toEqual(
    [],
  );
}

describe("a malformed request is reset with PROTOCOL_ERROR, reaches no handler and leaves its connection alone:", () => {
  it.each(malformed)("%s", async (_what, fields) => {
    const before = wire.handled;
    const id = takeId();
    peer.headers(id, fields).data(id, grpcMessage(Buffer.from("x")), { end: true });
    await expectReset(id, ErrorCode.PROTOCOL_ERROR);
    await expectEcho(peer, takeId());
    expect(wire.handled).toBe(before + 1);
  });

  it.each([
    ["a body shorter than content-length", "7", grpcMessage(Buffer.from("x")), true],
    ["a body longer than content-length", "5", grpcMessage(Buffer.from("x")), true],
    ["a body longer than content-length that goes on", "5", grpcMessage(Buffer.from("x")), false],
    ["no body for a content-length", "5", Buffer.alloc(0), true],
  ])("%s", async (_what, contentLength, body, end) => {
    const before = wire.handled;
    const id = takeId();
    peer.headers(id, grpcRequestFields(PATH[1], [["content-length", contentLength]])).data(id, body, { end });
    await expectReset(id, ErrorCode.PROTOCOL_ERROR);
    expect(wire.handled).toBe(before);
  });

  it.each([
    [
      "in HEADERS that end the stream",
      (id: number) => peer.headers(id, grpcRequestFields(PATH[1], [["content-length", "6"]]), { end: true }),
    ],
    [
      "in front of trailers",
      (id: number) =>
        peer
          .headers(id, grpcRequestFields(PATH[1], [["content-length", "6"]]))
          .headers(id, [["a", "b"]], { end: true }),
    ],
    [
      "of a request that is not gRPC",
      (id: number) => peer.headers(id, [METHOD, SCHEME, PATH, AUTHORITY, ["content-length", "6"]], { end: true }),
    ],
  ])("a content-length without a body, %s", async (_what, send) => {
    const id = takeId();
    send(id);
    const reset = await peer.expect("RST_STREAM", (frame) => frame.streamId === id);
    expect(reset.errorCode).toBe(ErrorCode.PROTOCOL_ERROR);
  });

  it.each<[string, HeaderList, boolean]>([
    ["that do not end the stream", [["a", "b"]], false],
    ["with a pseudo-header", [[":path", "/other"]], true],
    ["with upper case", [["A", "b"]], true],
    ["with LF in a value", [["a", "b\n"]], true],
    ["with transfer-encoding", [["transfer-encoding", "chunked"]], true],
  ])("trailers %s", async (_what, trailers, end) => {
    const id = takeId();
    peer
      .headers(id, grpcRequestFields("/wire.v1.Wire/ClientStream"))
      .data(id, grpcMessage(Buffer.from("x")))
      .headers(id, trailers, { end });
    const reset = await peer.expect("RST_STREAM", (frame) => frame.streamId === id);
    expect(reset.errorCode).toBe(ErrorCode.PROTOCOL_ERROR);
    await expectEcho(peer, takeId());
  });
});

describe("a request that is unusual, but well formed, is served:", () => {
  it.each<[string, HeaderList]>([
    ["without :authority, with host", [METHOD, SCHEME, PATH, ["host", "raw-peer"], TE, TYPE]],
    ["with host equal to :authority", grpcRequestFields(PATH[1], [["host", "raw-peer"]])],
    ["without te", [METHOD, SCHEME, PATH, AUTHORITY, TYPE]],
    ["with :scheme in another order", [PATH, AUTHORITY, SCHEME, METHOD, TYPE, TE]],
    [
      "with cookies in crumbs",
      grpcRequestFields(PATH[1], [
        ["cookie", "a=b"],
        ["cookie", "c=d"],
      ]),
    ],
    ["with an empty value", grpcRequestFields(PATH[1], [["x", ""]])],
    ["with octets above 0x7f in a value", grpcRequestFields(PATH[1], [["x", "\xff\x80"]])],
    ["with content-length of its body", grpcRequestFields(PATH[1], [["content-length", "6"]])],
    [
      "with content-length twice, the same",
      grpcRequestFields(PATH[1], [
        ["content-length", "6"],
        ["content-length", "6"],
      ]),
    ],
    ["with a codec named", [METHOD, SCHEME, PATH, AUTHORITY, TE, ["content-type", "application/grpc+proto"]]],
    [
      "with parameters of its content type",
      [METHOD, SCHEME, PATH, AUTHORITY, TE, ["content-type", "application/grpc; charset=utf-8"]],
    ],
    ["with a trace that can't be read", grpcRequestFields(PATH[1], [["traceparent", "00-zz"]])],
  ])("%s", async (_what, fields) => {
    const id = takeId();
    peer.headers(id, fields).data(id, grpcMessage(Buffer.from("x")), { end: true });
    expect(await trailersOf(peer, id)).toMatchObject({ "grpc-status": "0" });
    expect(dataOf(peer, id)).toEqual(grpcMessage(Buffer.from("x")));
  });

  it("with trailers of its own", async () => {
    const id = takeId();
    peer
      .headers(id, grpcRequestFields(PATH[1]))
      .data(id, grpcMessage(Buffer.from("x")))
      .headers(id, [["checksum", "1"]], { end: true });
    expect(await trailersOf(peer, id)).toMatchObject({ "grpc-status": "0" });
  });
});
