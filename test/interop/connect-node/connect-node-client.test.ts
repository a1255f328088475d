import {
  type CallOptions,
  type Client,
  Code,
  ConnectError,
  createClient,
  decodeBinaryHeader,
  encodeBinaryHeader,
} from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  createGrpcTransport,
  type GrpcTransportOptions,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { createServer, type Server } from "bowline";
import { BadRequestSchema, RetryInfoSchema } from "bowline/grpc/error-details";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Echo } from "../../gen/peer/v1/echo_pb.ts";
import { Echo as EchoContract } from "../../gen/peer/v1/echo_rpc.ts";
import { collect } from "../../peers/collect.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";
import { Outbox } from "../../peers/outbox.ts";

const handlers = echoHandlers("bowline");
const sessions: Http2SessionManager[] = [];
let slowSignal = Promise.withResolvers<AbortSignal>();
let server: Server;
let client: Client<typeof Echo>;

function connect(address: string, options: Partial<GrpcTransportOptions> = {}): Client<typeof Echo> {
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  sessions.push(sessionManager);
  return createClient(Echo, createGrpcTransport({ baseUrl, sessionManager, ...options }));
}

async function serve(compression?: string): Promise<Server> {
  const started = createServer({
    name: "interop",
    listen: "127.0.0.1:0",
    handleSignals: false,
    drainAcceptMs: 0,
    compression,
    compressFromBytes: 0,
  });
  started.add(EchoContract, {
    ...handlers,
    slow: (request, context) => {
      slowSignal.resolve(context.signal);
      return handlers.slow(request, context);
    },
  });
  await started.start();
  return started;
}

beforeAll(async () => {
  server = await serve();
  client = connect(server.address as string);
});

afterAll(async () => {
  for (const session of sessions) session.abort();
  await server?.close();
});

function bytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => i * 31);
}

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectError);
  return error as ConnectError;
}

function valuesOf(...all: readonly (string | number[])[]): { values: Uint8Array[] } {
  return { values: all.map((each) => Buffer.from(each as string)) };
}

/** Several values of one name are one text in a Headers object. */
function binaryValues(headers: Headers | undefined, key: string): number[][] {
  return (headers?.get(key) ?? "").split(", ").map((each) => [...decodeBinaryHeader(each)]);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

describe("connect-node as client of a Bowline server", () => {
  it.each([0, 1, 16_383, 16_384, 70_000, 1_048_576])("gets the payload of %i bytes back", async (count) => {
    const { payload, serverId } = await client.unary({ payload: bytes(count) });
    expect(Buffer.from(payload).equals(bytes(count))).toBe(true);
    expect(serverId).toBe("bowline");
  });

  it("reads a stream of messages in order, to its end", async () => {
    const answers = await collect(client.serverStream({ count: 300, payloadBytes: 1000 }));
    expect(answers.map((each) => each.sequence)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(answers.every((each) => each.payload[999] === each.sequence % 256)).toBe(true);
  });

  it("reads large messages of a stream beyond all windows", async () => {
    const answers = await collect(client.serverStream({ count: 12, payloadBytes: 1_000_000 }));
    expect(answers.map((each) => each.payload.length)).toEqual(Array(12).fill(1_000_000));
  });

  it("gets the messages before a stream's error, then the error", async () => {
    const seen: number[] = [];
    const error = await failure(
      (async () => {
        const answers = client.serverStream({ count: 3, endWith: { code: Code.DataLoss, message: "cut" } });
        for await (const { sequence } of answers) seen.push(sequence);
      })(),
    );
    expect(seen).toEqual([0, 1, 2]);
    expect([error.code, error.rawMessage]).toEqual([Code.DataLoss, "cut"]);
  });

  it("sends a stream and gets one answer", async () => {
    const parts = Array.from({ length: 50 }, (_, i) => ({ payload: bytes(i * 1000) }));
    const requests = new Outbox<(typeof parts)[number]>();
    for (const part of parts) requests.push(part);
    requests.end();
    const { payload, sequence } = await client.clientStream(requests);
    expect(sequence).toBe(50);
    expect(Buffer.from(payload).equals(Buffer.concat(parts.map((part) => part.payload)))).toBe(true);
  });

  it("gets each answer of a dialogue before it sends the next message", async () => {
    const requests = new Outbox<{ payload: Uint8Array }>();
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
    let header: Headers | undefined;
    let trailer: Headers | undefined;
    const headers = new Headers();
    headers.append("x-word", "one");
    headers.append("x-word", "two words");
    headers.append("x-bytes-bin", encodeBinaryHeader(Uint8Array.of(0, 255, 10)));
    headers.append("x-bytes-bin", encodeBinaryHeader(Uint8Array.of(9)));
    const options: CallOptions = {
      headers,
      onHeader: (received) => {
        header = received;
      },
      onTrailer: (received) => {
        trailer = received;
      },
    };
    const { call } = await client.headers(
      {
        responseHeaders: { "x-head": valuesOf("first", "second"), "x-head-bin": valuesOf([0, 255], [7]) },
        responseTrailers: { "x-tail": valuesOf("last"), "x-tail-bin": valuesOf([128]) },
      },
      options,
    );
    const seen = call?.metadata ?? {};
    // A Headers object has joined the values of a name before they are sent; of bytes gRPC takes them apart again.
    expect(seen["x-word"].values.map((each) => Buffer.from(each).toString())).toEqual(["one, two words"]);
    expect(seen["x-bytes-bin"].values.map((each) => [...each])).toEqual([[0, 255, 10], [9]]);
    expect(header?.get("x-head")).toBe("first, second");
    expect(binaryValues(header, "x-head-bin")).toEqual([[0, 255], [7]]);
    expect(trailer?.get("x-tail")).toBe("last");
    expect(binaryValues(trailer, "x-tail-bin")).toEqual([[128]]);
  });

  it("gets every status code with its message", async () => {
    for (let code = 1; code <= 16; code++) {
      const error = await failure(client.fail({ code, message: `asked for ${code}` }));
      expect([error.code, error.rawMessage]).toEqual([code, `asked for ${code}`]);
    }
  });

  it.each(["", "100% %41 plain", "späte Ablehnung — 稍后再试 ⚓", "two\r\nlines\ttab"])(
    "gets the message %j",
    async (message) => {
      const error = await failure(client.fail({ code: Code.Aborted, message }));
      expect([error.code, error.rawMessage]).toEqual([Code.Aborted, message]);
    },
  );

  it("gets status details", async () => {
    const violations = [{ field: "mast.height", description: "größer als erlaubt" }];
    const request = { code: Code.InvalidArgument, message: "wrong", violations, retryDelayMs: 1250n };
    const error = await failure(client.fail(request));
    expect(error.findDetails(BadRequestSchema)[0].fieldViolations).toMatchObject(violations);
    const [retry] = error.findDetails(RetryInfoSchema);
    expect(retry.retryDelay).toMatchObject({ seconds: 1n, nanos: 250_000_000 });
  });

  it("tells the server its deadline", async () => {
    const { call } = await client.unary({ describe: true }, { timeoutMs: 5000 });
    const left = Number(call?.remainingDeadlineMs);
    expect(left).toBeGreaterThan(3000);
    expect(left).toBeLessThanOrEqual(5000);
  });

  it("gets DEADLINE_EXCEEDED, and the handler hears of it", async () => {
    slowSignal = Promise.withResolvers();
    const call = failure(client.slow({ sleepMs: 60_000 }, { timeoutMs: 100 }));
    const signal = await slowSignal.promise;
    expect((await call).code).toBe(Code.DeadlineExceeded);
    await aborted(signal);
  });

  it("cancels a call, and the handler hears of it", async () => {
    slowSignal = Promise.withResolvers();
    const abort = new AbortController();
    const call = failure(client.slow({ sleepMs: 60_000 }, { signal: abort.signal }));
    const signal = await slowSignal.promise;
    abort.abort();
    expect((await call).code).toBe(Code.Canceled);
    await aborted(signal);
  });

  it("ends a stream that it has read enough of", async () => {
    let seen = 0;
    for await (const _answer of client.serverStream({ count: 1_000_000, payloadBytes: 100 })) {
      if (++seen === 3) break;
    }
    expect(seen).toBe(3);
    expect((await client.unary({ payload: bytes(1) })).payload.length).toBe(1);
  });

  it("gets RESOURCE_EXHAUSTED for a request above the server's limit, and goes on", async () => {
    const error = await failure(client.unary({ payload: new Uint8Array(5_000_000) }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect((await client.unary({})).serverId).toBe("bowline");
  });

  it.each([
    ["gzip", compressionGzip],
    ["br", compressionBrotli],
  ])("sends requests and reads answers compressed with %s", async (name, compression) => {
    const compressing = await serve(name);
    const compressed = connect(compressing.address as string, {
      sendCompression: compression,
      acceptCompression: [compression],
      compressMinBytes: 0,
    });
    try {
      const payload = new Uint8Array(100_000).fill(7);
      expect(Buffer.from((await compressed.unary({ payload })).payload).equals(payload)).toBe(true);
      const answers = await collect(compressed.serverStream({ count: 5, payloadBytes: 50_000 }));
      expect(answers.map((each) => each.payload.length)).toEqual(Array(5).fill(50_000));
    } finally {
      sessions.pop()?.abort();
      await compressing.close();
    }
  });

  it("speaks JSON", async () => {
    const json = connect(server.address as string, { useBinaryFormat: false });
    expect(Buffer.from((await json.unary({ payload: bytes(300) })).payload).equals(bytes(300))).toBe(true);
    const error = await failure(json.fail({ code: Code.NotFound, message: "no" }));
    expect([error.code, error.rawMessage]).toEqual([Code.NotFound, "no"]);
  });

  it("makes a few hundred calls at once", async () => {
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => client.unary({ payload: bytes(i) })));
    expect(answers.map(({ payload }) => payload.length)).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });
});
