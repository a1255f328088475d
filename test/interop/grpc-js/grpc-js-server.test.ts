import { type Client, Code, createClient, type Metadata, RpcError } from "bowline";
import type { MessageInit } from "bowline/codegen";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EchoRequestSchema } from "../../gen/peer/v1/echo_pb.ts";
import { Echo, type EchoClient } from "../../gen/peer/v1/echo_rpc.ts";
import { collect } from "../../peers/collect.ts";
import { Outbox } from "../../peers/outbox.ts";
import { type GrpcJsEchoServer, startGrpcJsEchoServer } from "./grpc-js-echo-server.ts";

type Request = MessageInit<typeof EchoRequestSchema>;

let server: GrpcJsEchoServer;
let client: Client<EchoClient>;

beforeAll(async () => {
  server = await startGrpcJsEchoServer();
  client = createClient(Echo, server.address);
});

afterAll(() => {
  client?.close();
  server?.close();
});

function bytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => i * 31);
}

async function failure(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(RpcError.is(error)).toBe(true);
  return error as RpcError;
}

describe("Bowline as client of a grpc-js server", () => {
  it.each([0, 1, 16_383, 16_384, 70_000, 1_048_576])("gets the payload of %i bytes back", async (count) => {
    const { payload, serverId } = await client.unary({ payload: bytes(count) });
    expect(Buffer.from(payload).equals(bytes(count))).toBe(true);
    expect(serverId).toBe("grpc-js");
  });

  it("reads a stream of messages in order, to its end", async () => {
    const answers = await collect(client.serverStream({ count: 1000, payloadBytes: 1000 }));
    expect(answers.map((each) => each.sequence)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(answers.every((each) => each.payload.length === 1000 && each.payload[999] === each.sequence % 256)).toBe(
      true,
    );
  });

  it("gets the messages before a stream's error, then the error", async () => {
    const seen: number[] = [];
    const error = await failure(
      (async () => {
        const answers = client.serverStream({ count: 3, endWith: { code: Code.DATA_LOSS, message: "cut" } });
        for await (const { sequence } of answers) seen.push(sequence);
      })(),
    );
    expect(seen).toEqual([0, 1, 2]);
    expect([error.code, error.text, error.origin]).toEqual([Code.DATA_LOSS, "cut", "remote"]);
  });

  it("sends a stream and gets one answer", async () => {
    const parts = Array.from({ length: 50 }, (_, i) => bytes(i * 1000));
    const { payload, sequence } = await client.clientStream(parts.map((part) => ({ payload: part })));
    expect(sequence).toBe(50);
    expect(Buffer.from(payload).equals(Buffer.concat(parts))).toBe(true);
  });

  it("gets each answer of a dialogue before it sends the next message", async () => {
    const requests = new Outbox<Request>();
    requests.push({ payload: bytes(0) });
    const sizes: number[] = [];
    for await (const { payload, sequence } of client.bidiStream(requests)) {
      sizes.push(payload.length);
      if (sequence === 19) requests.end();
      else requests.push({ payload: bytes(sequence + 1) });
    }
    expect(sizes).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it("sends and gets metadata with several values and bytes", async () => {
    let header: Metadata | undefined;
    let trailer: Metadata | undefined;
    const values = (...all: readonly (string | number[])[]): { values: Uint8Array[] } => ({
      values: all.map((each) => (typeof each === "string" ? Buffer.from(each) : Buffer.from(each))),
    });
    const { call } = await client.headers(
      {
        responseHeaders: { "x-head": values("first", "second, with comma"), "x-head-bin": values([0, 255], []) },
        responseTrailers: { "x-tail": values("last"), "x-tail-bin": values([128]) },
      },
      {
        metadata: { "x-word": ["one", "two words"], "x-bytes-bin": [Buffer.from([0, 255, 10]), Buffer.from([])] },
        onHeader: (received) => {
          header = received;
        },
        onTrailer: (received) => {
          trailer = received;
        },
      },
    );
    const seen = call?.metadata ?? {};
    // node:http2, on which grpc-js stands, joins several values of one name that is not -bin.
    expect(seen["x-word"].values.map((each) => Buffer.from(each).toString()).join(", ")).toBe("one, two words");
    expect(seen["x-bytes-bin"].values.map((each) => [...each])).toEqual([[0, 255, 10], []]);
    expect(header?.getAll("x-head").join(", ")).toBe("first, second, with comma");
    expect(header?.getAll("x-head-bin").map((each) => [...each])).toEqual([[0, 255], []]);
    expect(trailer?.getAll("x-tail")).toEqual(["last"]);
    expect(trailer?.getAll("x-tail-bin").map((each) => [...each])).toEqual([[128]]);
  });

  it("gets every status code with its message", async () => {
    for (let code = 1; code <= 16; code++) {
      const error = await failure(client.fail({ code, message: `asked for ${code}` }));
      expect([error.code, error.text]).toEqual([code, `asked for ${code}`]);
    }
  });

  it.each(["", "100% %41 plain", "späte Ablehnung — 稍后再试 ⚓", "two\r\nlines\ttab"])(
    "gets the message %j",
    async (message) => {
      const error = await failure(client.fail({ code: Code.ABORTED, message }));
      expect([error.code, error.text]).toEqual([Code.ABORTED, message]);
    },
  );

  it("tells the server its deadline", async () => {
    const { call } = await client.unary({ describe: true }, { timeoutMs: 5000 });
    const left = Number(call?.remainingDeadlineMs);
    expect(left).toBeGreaterThan(3000);
    expect(left).toBeLessThanOrEqual(5000);
  });

  it("gets DEADLINE_EXCEEDED in time, and the handler hears of it", async () => {
    const cancelled = server.nextCancellation();
    const error = await failure(client.slow({ sleepMs: 3000 }, { timeoutMs: 100 }));
    expect(error.code).toBe(Code.DEADLINE_EXCEEDED);
    await cancelled;
  });

  it("cancels a call, and the handler hears of it", async () => {
    const cancelled = server.nextCancellation();
    const abort = new AbortController();
    const call = failure(client.slow({ sleepMs: 3000 }, { signal: abort.signal }));
    await client.unary({}); // the slow call has been sent before this one
    abort.abort();
    expect((await call).code).toBe(Code.CANCELLED);
    await cancelled;
  });

  it("ends a stream that it has read enough of", async () => {
    let seen = 0;
    for await (const _answer of client.serverStream({ count: 1_000_000, payloadBytes: 100 })) {
      if (++seen === 3) break;
    }
    expect(seen).toBe(3);
    expect((await client.unary({ payload: bytes(1) })).payload.length).toBe(1);
  });

  it.each([
    ["deflate", 1],
    ["gzip", 2],
  ])("reads answers compressed with %s", async (_name, algorithm) => {
    const compressing = await startGrpcJsEchoServer({ "grpc.default_compression_algorithm": algorithm });
    const reader = createClient(Echo, compressing.address);
    try {
      const payload = new Uint8Array(100_000).fill(7);
      expect(Buffer.from((await reader.unary({ payload })).payload).equals(payload)).toBe(true);
      const answers = await collect(reader.serverStream({ count: 5, payloadBytes: 50_000 }));
      expect(answers.map((each) => each.payload.length)).toEqual(Array(5).fill(50_000));
    } finally {
      reader.close();
      compressing.close();
    }
  });

  it("makes a thousand calls at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => client.unary({ payload: bytes(i) }, { timeoutMs: 30_000 })),
    );
    expect(answers.map(({ payload }) => payload.length)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });
});
