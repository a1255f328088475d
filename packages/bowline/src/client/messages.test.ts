import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { collect } from "../../test/client/note-service.ts";
import { failure, gate, outcomes } from "../../test/client/outcomes.ts";
import { BadRequestSchema, badRequest, findDetail, retryDelayMs, retryInfo } from "../grpc/error-details.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { grpcMessage, grpcResponseFields, RawSetting } from "../testing/raw-frames.ts";
import type { RawPeer } from "../testing/raw-peer.ts";

const scene = useScene();
const MIB = 1_048_576;

describe("large messages", () => {
  it("of 4 MiB go both ways", async () => {
    const client = scene.client((await scene.server()).address);
    const text = "x".repeat(4 * MIB);
    expect((await client.say(text)) === text).toBe(true);
    expect((await collect(client.chat([text, text]))).map(({ length }) => length)).toEqual([4 * MIB, 4 * MIB]);
  });

  it("beyond it are refused by the server", async () => {
    const client = scene.client((await scene.server()).address);
    const text = "x".repeat(4 * MIB + 1);
    for (const call of [() => client.say(text), () => client.join([text])]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, origin: "remote" });
      expect(error.text).toBe("a message of 4194305 bytes is above the limit of 4194304 (maxReceiveBytes)");
    }
    expect(await client.say("still there")).toBe("still there");
  });

  it("beyond it are refused by the client, which may allow more", async () => {
    const server = await scene.server({
      say: (text) => text.repeat(2),
      follow: async function* (text) {
        yield text.repeat(2);
      },
    });
    const text = "x".repeat(2 * MIB + 1);
    const client = scene.client(server.address);
    for (const call of [() => client.say(text), () => collect(client.follow(text))]) {
      expect(await failure(call())).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, origin: "local", reason: "limit" });
    }
    const roomy = scene.client(server.address, { maxReceiveBytes: 8 * MIB });
    expect((await roomy.say(text)).length).toBe(4 * MIB + 2);
    expect(await client.say("still there")).toBe("still therestill there");
  });
});

describe("compression", () => {
  const text = "notes ".repeat(5000);

  it.each(["gzip", "deflate", "br"])("by %s works both ways and in all kinds of calls", async (compression) => {
    const server = await scene.server({}, { compression });
    const client = scene.client(server.address, { compression });
    expect((await client.say(text)) === text).toBe(true);
    expect(await collect(client.follow(text))).toEqual([text, text, text]);
    expect((await client.join([text, "", text])) === `${text}  ${text}`).toBe(true);
    expect(await collect(client.chat([text, "short"]))).toEqual([text, "short"]);
  });

  it("leaves small messages alone, and says which are not", async () => {
    const seen: [string, number][] = [];
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      for (const id of [1, 3]) {
        const { headers } = await peer.expect("HEADERS");
        const { data } = await peer.expect("DATA");
        seen.push([headers?.["grpc-encoding"] ?? "none", data?.[0] ?? -1]);
        peer.headers(id, grpcResponseFields()).data(id, grpcMessage(Buffer.from("ok")));
        peer.headers(id, [["grpc-status", "0"]], { end: true });
      }
    });
    const client = scene.client(raw.address, { compression: "gzip", compressFromBytes: 100 });
    await client.say("x".repeat(99));
    await client.say("x".repeat(100));
    expect(seen).toEqual([
      ["gzip", 0],
      ["gzip", 1],
    ]);
  });

  it("in the thread pool is of the attempt that it was begun for", async () => {
    const ends: number[] = [];
    const answer = (peer: RawPeer, id: number): void => {
      peer.headers(id, grpcResponseFields()).data(id, grpcMessage(Buffer.from("ok")));
      peer.headers(id, [["grpc-status", "0"]], { end: true });
    };
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake([[RawSetting.INITIAL_WINDOW_SIZE, 16 * MIB]]);
      peer.windowUpdate(0, 16 * MIB);
      await peer.expect("HEADERS");
      peer.rst(1, 7);
      await peer.expect("DATA", ({ streamId, isEnd }) => streamId === 3 && isEnd);
      begun.open();
      // A compression that was begun later is done: so are the two of the first call.
      await peer.expect("DATA", ({ streamId, isEnd }) => streamId === 5 && isEnd);
      ends.push(...peer.received.filter(({ type, isEnd }) => type === "DATA" && isEnd).map(({ streamId }) => streamId));
      for (const id of [3, 5]) answer(peer, id);
    });
    const begun = gate();
    const client = scene.client(raw.address, { compression: "gzip" });
    // Long enough that the reset is there before the first compression is done.
    const text = Array.from({ length: 400_000 }, (_, i) => (i * 7919) % 999_983).join(" ");
    const first = client.say(text);
    await begun.opened;
    expect(await outcomes([first, client.say(text)])).toEqual(["ok", "ok"]);
    expect(ends).toEqual([3, 5]);
  });

  it("can't blow a message up beyond the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(8 * MIB));
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      for (;;) {
        const { streamId } = await peer.expect("HEADERS");
        peer.headers(streamId, grpcResponseFields([["grpc-encoding", "gzip"]])).data(streamId, grpcMessage(bomb, true));
        peer.headers(streamId, [["grpc-status", "0"]], { end: true });
      }
    });
    const client = scene.client(raw.address);
    for (const call of [() => client.say("x"), () => collect(client.follow("x"))]) {
      expect(await failure(call())).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit", origin: "local" });
    }
  });

  it("that is damaged in an attempt that has failed is no matter of the next one", async () => {
    const damaged = gzipSync(Buffer.from(Array.from({ length: 20_000 }, (_, i) => i * i)));
    damaged.fill(0xff, damaged.length >> 1);
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      const first = await peer.expect("HEADERS");
      peer.headers(first.streamId, grpcResponseFields([["grpc-encoding", "gzip"]]));
      peer.data(first.streamId, grpcMessage(damaged, true));
      peer.headers(first.streamId, [["grpc-status", "14"]], { end: true });
      const second = await peer.expect("HEADERS");
      peer.headers(second.streamId, grpcResponseFields()).data(second.streamId, grpcMessage(Buffer.from("ok")));
      peer.headers(second.streamId, [["grpc-status", "0"]], { end: true });
    });
    const client = scene.client(raw.address, { retry: { baseMs: 200 } });
    expect(await client.read("x")).toBe("ok");
  });

  it("of an unknown kind, or none at all, is an error of that call", async () => {
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      for (const encoding of ["lzma", "identity"]) {
        const { streamId } = await peer.expect("HEADERS");
        peer.headers(streamId, grpcResponseFields([["grpc-encoding", encoding]]));
        peer.data(streamId, grpcMessage(Buffer.from("?"), true));
        peer.headers(streamId, [["grpc-status", "0"]], { end: true });
      }
    });
    const client = scene.client(raw.address);
    expect((await failure(client.say("x"))).text).toMatch(
      /^the server answers in the unknown grpc-encoding "lzma"; known/,
    );
    expect((await failure(client.say("x"))).text).toBe(
      "a message is marked compressed, but the headers before it name no grpc-encoding",
    );
  });
});

describe("metadata", () => {
  it("arrive in their order on both sides, duplicates and bytes too", async () => {
    const entries = (prefix: string): [string, string | Uint8Array][] => [
      [`${prefix}-a`, "1"],
      [`${prefix}-b-bin`, Uint8Array.of(0, 1, 255)],
      [`${prefix}-a`, "2, and a comma"],
      [`${prefix}-b-bin`, new Uint8Array()],
    ];
    const own = (metadata: Metadata): unknown[] => [...metadata].filter(([key]) => /^x[a-z]-/.test(key));
    let received: unknown;
    const server = await scene.server({
      say: (text, context) => {
        received = own(context.metadata);
        for (const [key, value] of entries("xh")) context.header.append(key, value);
        for (const [key, value] of entries("xt")) context.trailer.append(key, value);
        return text;
      },
    });
    const told: Record<string, unknown> = {};
    await scene.client(server.address).say("x", {
      metadata: entries("xr"),
      onHeader: (header) => (told.header = own(header)),
      onTrailer: (trailer) => (told.trailer = own(trailer)),
    });
    expect(received).toEqual(entries("xr"));
    expect(told).toEqual({ header: entries("xh"), trailer: entries("xt") });
  });

  it("that are more than the server takes are refused before they are sent", async () => {
    const server = await scene.server({}, { limits: { maxHeaderListBytes: 2048 } });
    const client = scene.client(server.address);
    const error = await failure(client.say("x", { metadata: { "x-much": "m".repeat(5000) } }));
    expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit", sent: false, origin: "local" });
    expect(await client.say("less", { metadata: { "x-much": "m".repeat(500) } })).toBe("less");
  });
});

describe("an error of a handler", () => {
  it("arrives with its details and trailers", async () => {
    const fields = [{ field: "text", description: "is too long" }];
    const server = await scene.server({
      say: () => {
        throw new RpcError(Code.INVALID_ARGUMENT, "nein, ö\n", {
          metadata: new Metadata([["x-hint-bin", Uint8Array.of(9)]]),
          details: [badRequest(fields), retryInfo({ delayMs: 1500 })],
        });
      },
    });
    const error = await failure(scene.client(server.address).say("x"));
    expect(error).toMatchObject({ code: Code.INVALID_ARGUMENT, text: "nein, ö\n", origin: "remote", sent: true });
    expect(findDetail(error, BadRequestSchema)?.fieldViolations).toMatchObject(fields);
    expect(retryDelayMs(error)).toBe(1500);
    expect(error.metadata.getBinary("x-hint-bin")).toEqual(Uint8Array.of(9));
  });
});
