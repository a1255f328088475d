import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode, errorCodeName } from "../../src/http2/frames.ts";
import { silentLogger } from "../../src/observe/logger.ts";
import { Code, codeName } from "../../src/rpc/code.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { grpcMessage, grpcResponseFields, RawSetting } from "../../src/testing/raw-frames.ts";
import type { HeaderList } from "../../src/testing/raw-hpack.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { answer, answerStatus, nextRequest, outcome, RawServer } from "./raw-server.ts";

const NOTHING = Buffer.alloc(0);
const HELLO = Buffer.from("hello");
const MESSAGE = grpcMessage(HELLO);
const HEAD = grpcResponseFields();
const OK: HeaderList = [["grpc-status", "0"]];

let raw: RawServer;
let peer: RawPeer;
beforeAll(async () => {
  raw = await RawServer.listen({ maxReceiveBytes: 65_536, logger: silentLogger });
  peer = await raw.connect();
});
afterAll(() => raw[Symbol.asyncDispose]());

/** A unary call and what becomes of it when the server does something. */
async function unary(respond: (streamId: number) => unknown): Promise<unknown> {
  const call = outcome(raw.client.unary(HELLO));
  const { streamId } = await nextRequest(peer);
  respond(streamId);
  return call;
}

/** A server-streaming call: messages until the end, then the error if there was one. */
async function serverStream(respond: (streamId: number) => unknown): Promise<unknown[]> {
  const answers = raw.client.serverStream(HELLO);
  const seen: unknown[] = [];
  const reading = (async () => {
    for await (const each of answers) seen.push(Buffer.from(each).toString());
  })().catch((error) => seen.push(error));
  const { streamId } = await nextRequest(peer);
  respond(streamId);
  await reading;
  return seen;
}

/** The connection is well: a call works. */
async function expectWell(): Promise<void> {
  expect(await unary((id) => answer(peer, id, "well"))).toEqual(Buffer.from("well"));
  expect(peer.received.some((frame) => frame.type === "GOAWAY")).toBe(false);
}

function error(code: number, text: RegExp): unknown {
  return expect.toSatisfy(
    (each: unknown) => RpcError.is(each) && each.code === code && text.test(each.text),
    `RpcError ${codeName(code)} ${text.source}`,
  );
}

describe("RST_STREAM of a server means", () => {
  it.each([
    [ErrorCode.NO_ERROR, Code.INTERNAL, /NO_ERROR: it ended the call without a status/],
    [ErrorCode.PROTOCOL_ERROR, Code.INTERNAL, /PROTOCOL_ERROR/],
    [ErrorCode.INTERNAL_ERROR, Code.INTERNAL, /INTERNAL_ERROR/],
    [ErrorCode.FLOW_CONTROL_ERROR, Code.INTERNAL, /FLOW_CONTROL_ERROR/],
    [ErrorCode.SETTINGS_TIMEOUT, Code.INTERNAL, /SETTINGS_TIMEOUT/],
    [ErrorCode.STREAM_CLOSED, Code.INTERNAL, /STREAM_CLOSED/],
    [ErrorCode.FRAME_SIZE_ERROR, Code.INTERNAL, /FRAME_SIZE_ERROR/],
    [ErrorCode.CANCEL, Code.CANCELLED, /CANCEL/],
    [ErrorCode.COMPRESSION_ERROR, Code.INTERNAL, /COMPRESSION_ERROR/],
    [ErrorCode.CONNECT_ERROR, Code.INTERNAL, /CONNECT_ERROR/],
    [ErrorCode.ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED, /ENHANCE_YOUR_CALM/],
    [ErrorCode.INADEQUATE_SECURITY, Code.PERMISSION_DENIED, /INADEQUATE_SECURITY/],
    [ErrorCode.HTTP_1_1_REQUIRED, Code.INTERNAL, /HTTP_1_1_REQUIRED/],
    [0x7e57, Code.INTERNAL, /0x7e57/],
  ])("for HTTP/2 code %i the status %i", async (http2Code, code, text) => {
    expect(await unary((id) => peer.rst(id, http2Code)), errorCodeName(http2Code)).toEqual(error(code, text));
    expect(await unary((id) => peer.headers(id, HEAD).data(id, MESSAGE).rst(id, http2Code))).toEqual(error(code, text));
    const seen = await serverStream((id) => peer.headers(id, HEAD).data(id, MESSAGE).rst(id, http2Code));
    expect(seen.at(-1)).toEqual(error(code, text));
  });

  it("nothing once the answer is complete", async () => {
    const late = (id: number): void => {
      answer(peer, id);
      peer.rst(id, ErrorCode.INTERNAL_ERROR);
    };
    expect(await unary(late)).toEqual(Buffer.from("answer"));
    await expectWell();
  });
});

describe("an answer that is not gRPC", () => {
  it.each<[string, string, Code]>([
    ["400", "text/html", Code.INTERNAL],
    ["401", "text/html", Code.UNAUTHENTICATED],
    ["403", "text/html", Code.PERMISSION_DENIED],
    ["404", "text/html", Code.UNIMPLEMENTED],
    ["429", "text/html", Code.UNAVAILABLE],
    ["502", "text/html", Code.UNAVAILABLE],
    ["503", "text/html", Code.UNAVAILABLE],
    ["504", "text/html", Code.UNAVAILABLE],
    ["200", "text/html", Code.UNKNOWN],
    ["204", "application/grpc", Code.UNKNOWN],
    ["418", "application/grpc", Code.UNKNOWN],
    ["599", "", Code.UNKNOWN],
  ])("with status %s and %j becomes a status of its own", async (status, type, code) => {
    const head: HeaderList = [[":status", status], ...(type === "" ? [] : [["content-type", type] as const])];
    const text = new RegExp(`HTTP status ${status}`);
    expect(await unary((id) => peer.headers(id, head).data(id, Buffer.from("<html>"), { end: true }))).toEqual(
      error(code, text),
    );
    expect(await unary((id) => peer.headers(id, head, { end: true }))).toEqual(error(code, text));
    await expectWell();
  });

  it("but has a grpc-status is believed when it is one block", async () => {
    const head: HeaderList = [
      [":status", "503"],
      ["content-type", "text/plain"],
      ["grpc-status", "8"],
      ["grpc-message", "busy"],
    ];
    expect(await unary((id) => peer.headers(id, head, { end: true }))).toEqual(
      error(Code.RESOURCE_EXHAUSTED, /^busy$/),
    );
  });
});

describe("an answer that is not gRPC but says that all is well", () => {
  it("is not believed", async () => {
    const head: HeaderList = [[":status", "503"], ["content-type", "text/html"], ...OK];
    const seen = await serverStream((id) => peer.headers(id, head, { end: true }));
    expect(seen).toEqual([error(Code.UNAVAILABLE, /HTTP status 503/)]);
  });
});

describe("the status of an answer", () => {
  it("keeps its text when that ends with white space, as grpc-go sends it", async () => {
    const trailers: HeaderList = [
      ["grpc-status", "5"],
      ["grpc-message", "not found: "],
      ["info", " value "],
    ];
    const expected = { code: Code.NOT_FOUND, text: "not found: " };
    expect(await unary((id) => peer.headers(id, grpcResponseFields(trailers), { end: true }))).toMatchObject(expected);
    expect(await unary((id) => peer.headers(id, HEAD).headers(id, trailers, { end: true }))).toMatchObject(expected);
  });

  it("may come without anything before it", async () => {
    expect(await unary((id) => answerStatus(peer, id, 5, [["grpc-message", "no %E2%82%AC"]]))).toEqual(
      error(Code.NOT_FOUND, /^no €$/),
    );
    expect(await serverStream((id) => answerStatus(peer, id, 0))).toEqual([]);
  });

  it.each<[string, HeaderList, number, RegExp]>([
    ["missing", [["other", "x"]], Code.UNKNOWN, /no grpc-status/],
    ["no number", [["grpc-status", "five"]], Code.UNKNOWN, /"five"/],
    ["empty", [["grpc-status", ""]], Code.UNKNOWN, /""/],
    ["negative", [["grpc-status", "-1"]], Code.UNKNOWN, /"-1"/],
    ["beyond the known", [["grpc-status", "17"]], Code.UNKNOWN, /17/],
    ["beyond all measure", [["grpc-status", "99999999999999999999"]], Code.UNKNOWN, /9999/],
    [
      "an error in front of its message",
      [
        ["grpc-status", "13"],
        ["grpc-message", "%"],
      ],
      Code.INTERNAL,
      /^%$/,
    ],
  ])("that is %s is told in trailers and alone", async (_what, trailers, code, text) => {
    expect(await unary((id) => peer.headers(id, HEAD).data(id, MESSAGE).headers(id, trailers, { end: true }))).toEqual(
      error(code, text),
    );
    expect(await unary((id) => peer.headers(id, grpcResponseFields(trailers), { end: true }))).toEqual(
      error(code, text),
    );
  });

  it("that comes with the headers does not count when a body follows", async () => {
    const head = grpcResponseFields([["grpc-status", "9"]]);
    expect(await unary((id) => peer.headers(id, head).data(id, MESSAGE).headers(id, OK, { end: true }))).toEqual(HELLO);
  });

  it("is missed when the data end the stream", async () => {
    expect(await unary((id) => peer.headers(id, HEAD).data(id, MESSAGE, { end: true }))).toEqual(
      error(Code.UNKNOWN, /without a status/),
    );
    const seen = await serverStream((id) => peer.headers(id, HEAD).data(id, MESSAGE, { end: true }));
    expect(seen.at(-1)).toEqual(error(Code.UNKNOWN, /without a status/));
  });
});

describe("a malformed answer is reset with PROTOCOL_ERROR and fails its call only:", () => {
  it.each<[string, (id: number) => unknown]>([
    ["no :status", (id) => peer.headers(id, [["content-type", "application/grpc"]])],
    ["a :status that is no number", (id) => peer.headers(id, [[":status", "2xx"]])],
    [
      ":status twice",
      (id) =>
        peer.headers(id, [
          [":status", "200"],
          [":status", "200"],
        ]),
    ],
    [
      ":status behind a field",
      (id) =>
        peer.headers(id, [
          ["a", "b"],
          [":status", "200"],
        ]),
    ],
    ["a pseudo-header of requests", (id) => peer.headers(id, [...HEAD.slice(0, 1), [":path", "/"]])],
    ["an unknown pseudo-header", (id) => peer.headers(id, [...HEAD.slice(0, 1), [":x", "y"]])],
    ["upper case in a name", (id) => peer.headers(id, grpcResponseFields([["Upper", "x"]]))],
    ["CR in a value", (id) => peer.headers(id, grpcResponseFields([["x", "a\rb"]]))],
    ["connection-specific fields", (id) => peer.headers(id, grpcResponseFields([["connection", "close"]]))],
    ["DATA before the headers", (id) => peer.data(id, MESSAGE)],
    ["an end with 100", (id) => peer.headers(id, [[":status", "100"]], { end: true })],
    ["101", (id) => peer.headers(id, [[":status", "101"]])],
    ["headers twice", (id) => peer.headers(id, HEAD).headers(id, HEAD)],
    [
      "headers in the middle of data",
      (id) =>
        peer
          .headers(id, HEAD)
          .data(id, MESSAGE)
          .headers(id, [["a", "b"]]),
    ],
    [":status in trailers", (id) => peer.headers(id, HEAD).headers(id, [[":status", "200"], ...OK], { end: true })],
    [
      "LF in trailers",
      (id) =>
        peer
          .headers(id, HEAD)
          .data(id, MESSAGE)
          .headers(id, [...OK, ["grpc-message", "a\nb"]], { end: true }),
    ],
  ])("%s", async (_what, respond) => {
    let streamId = 0;
    const { misbehaved } = raw.client.channel;
    const before = misbehaved.get("PROTOCOL_ERROR") ?? 0;
    expect(await unary((id) => respond((streamId = id)))).toEqual(error(Code.INTERNAL, /./));
    expect(misbehaved.get("PROTOCOL_ERROR")).toBe(before + 1);
    const reset = await peer.expect("RST_STREAM", (frame) => frame.streamId === streamId);
    expect(errorCodeName(reset.errorCode ?? -1)).toBe("PROTOCOL_ERROR");
    await expectWell();
  });
});

describe("interim answers", () => {
  it("may come in any number before the answer, with fields that are not the answer's", async () => {
    expect(
      await unary((id) => {
        peer.headers(id, [[":status", "100"]]).headers(id, [
          [":status", "103"],
          ["link", "x"],
          ["grpc-status", "5"],
        ]);
        peer.headers(id, [
          [":status", "199"],
          ["content-type", "text/html"],
        ]);
        answer(peer, id, "at last");
      }),
    ).toEqual(Buffer.from("at last"));
  });
});

describe("the messages of an answer", () => {
  it("may be cut at any place into frames, with padding and empty ones", async () => {
    for (let size = 1; size <= MESSAGE.length; size++) {
      const result = await unary((id) => {
        peer.headers(id, HEAD).data(id, NOTHING);
        for (let at = 0; at < MESSAGE.length; at += size)
          peer.data(id, MESSAGE.subarray(at, at + size), { padding: size });
        peer.data(id, NOTHING).headers(id, OK, { end: true });
      });
      expect(result).toEqual(HELLO);
    }
  });

  it.each<[string, Buffer, number, RegExp]>([
    ["none", NOTHING, Code.UNIMPLEMENTED, /without a message/],
    ["two", Buffer.concat([MESSAGE, MESSAGE]), Code.UNIMPLEMENTED, /more than one message/],
    ["half a prefix", MESSAGE.subarray(0, 3), Code.INTERNAL, /inside a message/],
    ["half a message", MESSAGE.subarray(0, 8), Code.INTERNAL, /inside a message/],
    ["flag 3", Buffer.of(3, 0, 0, 0, 0), Code.INTERNAL, /neither 0 nor 1/],
    ["compressed without an encoding", grpcMessage(HELLO, true), Code.INTERNAL, /grpc-encoding/],
    [
      "4 GiB announced",
      Buffer.of(0, 255, 255, 255, 255),
      Code.RESOURCE_EXHAUSTED,
      /4294967295 bytes is above the limit of 65536/,
    ],
    [
      "one more than the limit",
      grpcMessage(Buffer.alloc(65_537)),
      Code.RESOURCE_EXHAUSTED,
      /65537 bytes is above the limit/,
    ],
  ])("are refused for a unary call: %s", async (_what, body, code, text) => {
    const result = await unary((id) => {
      peer.headers(id, HEAD);
      for (let at = 0; at < body.length; at += 16_000) peer.data(id, body.subarray(at, at + 16_000));
      peer.headers(id, OK, { end: true });
    });
    expect(result).toEqual(error(code, text));
    await expectWell();
  });

  it.each<[string, Buffer, number, RegExp]>([
    ["half a message", MESSAGE.subarray(0, 8), Code.INTERNAL, /inside a message/],
    ["flag 3", Buffer.of(3, 0, 0, 0, 0), Code.INTERNAL, /neither 0 nor 1/],
    ["compressed without an encoding", grpcMessage(HELLO, true), Code.INTERNAL, /grpc-encoding/],
    ["4 GiB announced", Buffer.of(0, 255, 255, 255, 255), Code.RESOURCE_EXHAUSTED, /4294967295/],
  ])("are read up to the fault by a stream: %s", async (_what, fault, code, text) => {
    const seen = await serverStream((id) =>
      peer
        .headers(id, HEAD)
        .data(id, Buffer.concat([MESSAGE, fault]))
        .headers(id, OK, { end: true }),
    );
    expect(seen).toEqual(["hello", error(code, text)]);
    await expectWell();
  });

  it("may be as large as the limit, also after inflation", async () => {
    const large = Buffer.alloc(65_536, "l");
    const respond = (id: number, body: Buffer, more: HeaderList = []) => {
      peer.headers(id, grpcResponseFields(more));
      for (let at = 0; at < body.length; at += 16_000) peer.data(id, body.subarray(at, at + 16_000));
      peer.headers(id, OK, { end: true });
    };
    const gzip: HeaderList = [["grpc-encoding", "gzip"]];
    expect(await unary((id) => respond(id, grpcMessage(large)))).toEqual(large);
    expect(await unary((id) => respond(id, grpcMessage(gzipSync(large), true), gzip))).toEqual(large);
    const bomb = grpcMessage(gzipSync(Buffer.alloc(65_537)), true);
    expect(await unary((id) => respond(id, bomb, gzip))).toEqual(error(Code.RESOURCE_EXHAUSTED, /65536/));
    expect(await unary((id) => respond(id, grpcMessage(HELLO, true), gzip))).toEqual(error(Code.INTERNAL, /./));
    expect(await unary((id) => respond(id, grpcMessage(HELLO), [["grpc-encoding", "identity"]]))).toEqual(HELLO);
    await expectWell();
  });

  it("of an unknown encoding are not waited for", async () => {
    expect(await unary((id) => peer.headers(id, grpcResponseFields([["grpc-encoding", "lzma"]])))).toEqual(
      error(Code.INTERNAL, /"lzma"/),
    );
    await expectWell();
  });

  it("behind the end of the stream are a fault of the connection", async () => {
    await using own = await RawServer.listen();
    const ownPeer = await own.connect();
    const call = own.client.unary(HELLO);
    const { streamId } = await nextRequest(ownPeer);
    answer(ownPeer, streamId);
    ownPeer.data(streamId, MESSAGE);
    expect(await call).toEqual(Buffer.from("answer"));
    expect(await ownPeer.expect("GOAWAY")).toMatchObject({
      errorCode: ErrorCode.STREAM_CLOSED,
      debug: "DATA on a closed stream",
    });
  });
});

describe("metadata of an answer", () => {
  it("that are above the limits fail their call only, and say so", async () => {
    const many: HeaderList = Array.from({ length: 120 }, (_, i) => [`x-${i}`, "v"]);
    const large: HeaderList = Array.from({ length: 90 }, (_, i) => [`x-${i}`, "v".repeat(160)]);
    for (const more of [many, large]) {
      const failed = await unary((id) => peer.headers(id, grpcResponseFields(more)));
      expect(failed).toEqual(error(Code.RESOURCE_EXHAUSTED, /maxHeader/));
      const late = await unary((id) =>
        peer
          .headers(id, HEAD)
          .data(id, MESSAGE)
          .headers(id, [...OK, ...more], { end: true }),
      );
      expect(late).toEqual(error(Code.RESOURCE_EXHAUSTED, /maxHeader/));
      await expectWell();
    }
  });

  it("of ours are not sent when the server takes less", async () => {
    await using own = await RawServer.listen();
    const ownPeer = await own.connect([[RawSetting.MAX_HEADER_LIST_SIZE, 1000]]);
    const failed = await outcome(own.client.unary(HELLO, { metadata: { big: "x".repeat(1000) } }));
    expect(failed).toEqual(error(Code.RESOURCE_EXHAUSTED, /1000 with all headers/));
    expect(failed).toMatchObject({ sent: false, reason: "limit" });
    const call = own.client.unary(HELLO, { metadata: { small: "x" } });
    answer(ownPeer, (await nextRequest(ownPeer)).streamId);
    await call;
  });
});
