import { fromBinary } from "@bufbuild/protobuf";
import { Metadata, status } from "@grpc/grpc-js";
import { createServer, type Server } from "bowline";
import { BadRequestSchema, RetryInfoSchema } from "bowline/grpc/error-details";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";
import { GrpcJsEchoClient } from "./grpc-js-echo-client.ts";
import { detailsOf } from "./status-details.ts";

const handlers = echoHandlers("bowline");
let slowSignal = Promise.withResolvers<AbortSignal>();
let server: Server;
let client: GrpcJsEchoClient;

beforeAll(async () => {
  server = createServer({ name: "interop", listen: "127.0.0.1:0", handleSignals: false, drainAcceptMs: 0 });
  server.add(Echo, {
    ...handlers,
    slow: (request, context) => {
      slowSignal.resolve(context.signal);
      return handlers.slow(request, context);
    },
  });
  await server.start();
  client = new GrpcJsEchoClient(server.address);
});

afterAll(async () => {
  client?.close();
  await server?.close();
});

function bytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => i * 31);
}

describe("grpc-js as client of a Bowline server", () => {
  it.each([0, 1, 16_383, 16_384, 70_000, 1_048_576])("gets the payload of %i bytes back", async (count) => {
    const { answers, status: end } = await client.unary("unary", { payload: bytes(count) }).outcome;
    expect(end.code).toBe(status.OK);
    expect(Buffer.from(answers[0].payload).equals(bytes(count))).toBe(true);
    expect(answers[0].serverId).toBe("bowline");
  });

  it("reads a stream of messages in order, to its end", async () => {
    const { answers, status: end } = await client.serverStream({ count: 1000, payloadBytes: 1000 }).outcome;
    expect(end.code).toBe(status.OK);
    expect(answers.map((each) => each.sequence)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(answers.every((each) => each.payload.length === 1000 && each.payload[999] === each.sequence % 256)).toBe(
      true,
    );
  });

  it("reads large messages of a stream beyond all windows", async () => {
    const { answers, status: end } = await client.serverStream({ count: 12, payloadBytes: 1_000_000 }).outcome;
    expect(end.code).toBe(status.OK);
    expect(answers.map((each) => each.payload.length)).toEqual(Array(12).fill(1_000_000));
  });

  it("gets the messages before a stream's error, then the error", async () => {
    const end = { code: status.DATA_LOSS, message: "cut" };
    const { answers, status: seen } = await client.serverStream({ count: 3, endWith: end }).outcome;
    expect(answers).toHaveLength(3);
    expect([seen.code, seen.details]).toEqual([status.DATA_LOSS, "cut"]);
  });

  it("sends a stream and gets one answer", async () => {
    const { call, outcome } = client.clientStream();
    const parts = Array.from({ length: 50 }, (_, i) => bytes(i * 100));
    for (const payload of parts) call.write({ payload });
    call.end();
    const { answers } = await outcome;
    expect(answers[0].sequence).toBe(50);
    expect(Buffer.from(answers[0].payload).equals(Buffer.concat(parts))).toBe(true);
  });

  it("gets each answer of a dialogue before it sends the next message", async () => {
    const { call, outcome } = client.bidiStream();
    let next = 0;
    call.on("data", (answer) => {
      expect(answer.sequence).toBe(next++);
      if (next === 20) call.end();
      else call.write({ payload: bytes(next) });
    });
    call.write({ payload: bytes(0) });
    const { answers, status: end } = await outcome;
    expect(end.code).toBe(status.OK);
    expect(answers.map((answer) => answer.payload.length)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it("sends and gets metadata with several values and bytes", async () => {
    const metadata = new Metadata();
    metadata.add("x-word", "one");
    metadata.add("x-word", "two words");
    metadata.add("x-bytes-bin", Buffer.from([0, 255, 10]));
    metadata.add("x-bytes-bin", Buffer.from([]));
    const values = (...all: readonly (string | number[])[]): { values: Uint8Array[] } => ({
      values: all.map((each) => (typeof each === "string" ? Buffer.from(each) : Buffer.from(each))),
    });
    const {
      answers,
      header,
      status: end,
    } = await client.unary(
      "headers",
      {
        responseHeaders: { "x-head": values("first", "second, with comma"), "x-head-bin": values([0, 255], []) },
        responseTrailers: { "x-tail": values("last"), "x-tail-bin": values([128]) },
      },
      { metadata },
    ).outcome;
    const seen = answers[0].call?.metadata ?? {};
    expect(seen["x-word"].values.map((each) => Buffer.from(each).toString())).toEqual(["one", "two words"]);
    expect(seen["x-bytes-bin"].values.map((each) => [...each])).toEqual([[0, 255, 10], []]);
    // node:http2, on which grpc-js stands, joins several values of one name that is not -bin.
    expect(header?.get("x-head").join(", ")).toBe("first, second, with comma");
    expect(header?.get("x-head-bin")).toEqual([Buffer.from([0, 255]), Buffer.from([])]);
    expect(end.metadata.get("x-tail")).toEqual(["last"]);
    expect(end.metadata.get("x-tail-bin")).toEqual([Buffer.from([128])]);
  });

  it("gets every status code with its message", async () => {
    for (let code = 1; code <= 16; code++) {
      const { status: end } = await client.unary("fail", { code, message: `asked for ${code}` }).outcome;
      expect([end.code, end.details]).toEqual([code, `asked for ${code}`]);
    }
  });

  it.each(["", "100% %41 plain", "späte Ablehnung — 稍后再试 ⚓", "two\r\nlines\ttab"])(
    "gets the message %j",
    async (message) => {
      const { status: end } = await client.unary("fail", { code: status.ABORTED, message }).outcome;
      expect([end.code, end.details]).toEqual([status.ABORTED, message]);
    },
  );

  it("gets status details", async () => {
    const violations = [{ field: "mast.height", description: "größer als erlaubt" }];
    const request = { code: status.INVALID_ARGUMENT, message: "wrong", violations, retryDelayMs: 1250n };
    const { status: end } = await client.unary("fail", request).outcome;
    const [bad, retry] = detailsOf(end.metadata);
    expect(bad.typeUrl).toBe("type.googleapis.com/google.rpc.BadRequest");
    expect(fromBinary(BadRequestSchema, bad.value).fieldViolations).toMatchObject(violations);
    expect(fromBinary(RetryInfoSchema, retry.value).retryDelay).toMatchObject({ seconds: 1n, nanos: 250_000_000 });
  });

  it("tells the server its deadline", async () => {
    const { answers } = await client.unary("unary", { describe: true }, { deadline: Date.now() + 5000 }).outcome;
    const left = Number(answers[0].call?.remainingDeadlineMs);
    expect(left).toBeGreaterThan(3000);
    expect(left).toBeLessThanOrEqual(5000);
  });

  it("gets DEADLINE_EXCEEDED in time, and the handler hears of it", async () => {
    slowSignal = Promise.withResolvers();
    const { outcome } = client.unary("slow", { sleepMs: 60_000 }, { deadline: Date.now() + 100 });
    const signal = await slowSignal.promise;
    expect((await outcome).status.code).toBe(status.DEADLINE_EXCEEDED);
    await aborted(signal);
  });

  it("cancels a call, and the handler hears of it", async () => {
    slowSignal = Promise.withResolvers();
    const { call, outcome } = client.unary("slow", { sleepMs: 60_000 });
    const signal = await slowSignal.promise;
    call.cancel();
    expect((await outcome).status.code).toBe(status.CANCELLED);
    await aborted(signal);
  });

  it("cancels a stream that it has read enough of", async () => {
    const { call, outcome } = client.serverStream({ count: 1_000_000, payloadBytes: 100 });
    call.once("data", () => call.cancel());
    expect((await outcome).status.code).toBe(status.CANCELLED);
  });

  it("gets UNIMPLEMENTED for a method that is not there", async () => {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    const asIs = (message: Buffer): Buffer => message;
    client.client.makeUnaryRequest("/peer.v1.Echo/NoSuchMethod", asIs, asIs, Buffer.alloc(0), (error) =>
      resolve(error?.code),
    );
    expect(await promise).toBe(status.UNIMPLEMENTED);
  });

  it("gets RESOURCE_EXHAUSTED for a request above the server's limit, and goes on", async () => {
    const { status: end } = await client.unary("unary", { payload: new Uint8Array(5_000_000) }).outcome;
    expect(end.code).toBe(status.RESOURCE_EXHAUSTED);
    expect((await client.unary("unary", {}).outcome).status.code).toBe(status.OK);
  });

  it.each([
    ["deflate", 1],
    ["gzip", 2],
  ])("sends requests compressed with %s", async (_name, algorithm) => {
    const compressing = new GrpcJsEchoClient(server.address, {
      "grpc.default_compression_algorithm": algorithm,
    });
    try {
      const payload = new Uint8Array(100_000).fill(7);
      const { answers, status: end } = await compressing.unary("unary", { payload }).outcome;
      expect([end.code, end.details]).toEqual([status.OK, expect.anything()]);
      expect(Buffer.from(answers[0].payload).equals(payload)).toBe(true);
    } finally {
      compressing.close();
    }
  });

  it("makes a thousand calls at once on one connection", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => client.unary("unary", { payload: bytes(i) }).outcome),
    );
    expect(outcomes.map(({ answers }) => answers[0]?.payload.length)).toEqual(
      Array.from({ length: 1000 }, (_, i) => i),
    );
  });
});

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
