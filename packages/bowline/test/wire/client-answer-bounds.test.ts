import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import { silentLogger } from "../../src/observe/logger.ts";
import { Code } from "../../src/rpc/code.ts";
import { grpcMessage, grpcResponseFields } from "../../src/testing/raw-frames.ts";
import { encodeLiterals, type HeaderList } from "../../src/testing/raw-hpack.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { nextRequest, outcome, RawServer } from "./raw-server.ts";

const HELLO = Buffer.from("hello");
/** 10 octets. */
const MESSAGE = grpcMessage(HELLO);
const OK: HeaderList = [["grpc-status", "0"]];

let raw: RawServer;
let peer: RawPeer;
beforeAll(async () => {
  raw = await RawServer.listen({ logger: silentLogger });
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

function measured(length: string): HeaderList {
  return grpcResponseFields([["content-length", length]]);
}

describe("an answer that differs from its content-length is reset with PROTOCOL_ERROR, and counted:", () => {
  it.each<[string, (id: number) => unknown]>([
    ["more data", (id) => peer.headers(id, measured("3")).data(id, MESSAGE)],
    [
      "less data, then trailers",
      (id) => peer.headers(id, measured("11")).data(id, MESSAGE).headers(id, OK, { end: true }),
    ],
    ["less data", (id) => peer.headers(id, measured("11")).data(id, MESSAGE, { end: true })],
    ["data behind what it counts", (id) => peer.headers(id, measured("10")).data(id, MESSAGE).data(id, HELLO)],
    ["no body", (id) => peer.headers(id, [...measured("10"), ["grpc-status", "5"]], { end: true })],
  ])("%s", async (_what, respond) => {
    let streamId = 0;
    const { misbehaved } = raw.client.channel;
    const before = misbehaved.get("PROTOCOL_ERROR") ?? 0;
    const ended = await unary((id) => respond((streamId = id)));
    expect(ended).toMatchObject({ code: Code.INTERNAL, text: "the answer's length differs from its content-length" });
    const { errorCode } = await peer.expect("RST_STREAM", (frame) => frame.streamId === streamId);
    expect(errorCode).toBe(ErrorCode.PROTOCOL_ERROR);
    expect(misbehaved.get("PROTOCOL_ERROR")).toBe(before + 1);
  });

  it("not one that is as long as it says, in one piece or several, or has none", async () => {
    const whole = unary((id) => peer.headers(id, measured("10")).data(id, MESSAGE).headers(id, OK, { end: true }));
    expect(await whole).toEqual(HELLO);
    const pieces = unary((id) => {
      peer.headers(id, measured("10")).data(id, MESSAGE.subarray(0, 7)).data(id, Buffer.alloc(0));
      peer.data(id, MESSAGE.subarray(7)).headers(id, OK, { end: true });
    });
    expect(await pieces).toEqual(HELLO);
    const none = unary((id) => peer.headers(id, [...measured("0"), ["grpc-status", "5"]], { end: true }));
    expect(await none).toMatchObject({ code: Code.NOT_FOUND });
  });
});

describe("headers or trailers above maxHeaderBlockBytes", () => {
  const large: HeaderList = [["a", "x".repeat(40_000)]];

  it("cost that call only, up to four times as much", async () => {
    const calls = (["headers", "trailers"] as const).map(async (which) => {
      const call = outcome(raw.client.unary(HELLO));
      const { streamId } = await nextRequest(peer);
      if (which === "trailers") peer.headers(streamId, grpcResponseFields()).data(streamId, MESSAGE);
      inFrames(streamId, encodeLiterals([...(which === "headers" ? grpcResponseFields() : OK), ...large]));
      return call;
    });
    const other = outcome(raw.client.unary(HELLO));
    for (const ended of await Promise.all(calls)) {
      expect(ended).toMatchObject({
        code: Code.RESOURCE_EXHAUSTED,
        text: expect.stringContaining("maxHeaderBlockBytes"),
      });
    }
    const { streamId } = await nextRequest(peer);
    peer.headers(streamId, grpcResponseFields()).data(streamId, MESSAGE).headers(streamId, OK, { end: true });
    expect(await other).toEqual(HELLO);
  });

  /** A block as HEADERS and CONTINUATION. */
  function inFrames(id: number, block: Buffer): void {
    peer.headers(id, block.subarray(0, 16_384), { endHeaders: false });
    for (let at = 16_384; at < block.length; at += 16_384)
      peer.continuation(id, block.subarray(at, at + 16_384), at + 16_384 >= block.length);
  }
});

describe("interim answers without end", () => {
  it("end the connection", async () => {
    await using own = await RawServer.listen({ limits: { glitchBurst: 10, glitchRate: 1 }, logger: silentLogger });
    const server = await own.connect();
    const call = outcome(own.client.unary(HELLO));
    const { streamId } = await nextRequest(server);
    for (let i = 0; i < 12; i++) server.headers(streamId, [[":status", "103"]]);
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, text: expect.stringContaining("glitchBurst") });
    expect(own.client.channel.misbehaved).toEqual(new Map([["glitchBurst", 1]]));
  });
});
