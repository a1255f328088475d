import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  Code,
  type Client as ConnectClient,
  ConnectError,
  createClient as createConnectClient,
} from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  connectNodeAdapter,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { createClient, createServer, type Server, type ServerContext, silentLogger } from "bowline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EchoRequest, Echo as EchoSchema } from "../../gen/peer/v1/echo_pb.ts";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";

const SMALL = Uint8Array.from([0, 1, 255]);
const LARGE = new Uint8Array(100_000).fill(7);

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function* sent(...payloads: Uint8Array[]): AsyncIterable<{ payload: Uint8Array }> {
  for (const payload of payloads) yield { payload };
}

describe("connect-node as client of a Bowline server", () => {
  const handlers = echoHandlers("bowline");
  let context: ServerContext;
  let server: Server;
  const managers: Http2SessionManager[] = [];

  beforeAll(async () => {
    server = createServer({ listen: "127.0.0.1:0", handleSignals: false, drainAcceptMs: 0, logger: silentLogger });
    server.add(Echo, {
      ...handlers,
      unary: (request, given) => {
        context = given;
        given.compression = "br";
        return handlers.unary(request, given);
      },
    });
    await server.start();
  });
  afterAll(async () => {
    for (const manager of managers) manager.abort();
    await server?.close();
  });

  function client(
    useBinaryFormat: boolean,
    sendCompression?: typeof compressionGzip,
  ): ConnectClient<typeof EchoSchema> {
    const baseUrl = `http://${server.address}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    managers.push(sessionManager);
    return createConnectClient(
      EchoSchema,
      createGrpcTransport({ baseUrl, useBinaryFormat, sendCompression, sessionManager }),
    );
  }

  it.each([
    ["binary", true],
    ["JSON", false],
  ])("calls all kinds of methods in %s", async (_name, useBinaryFormat) => {
    const echo = client(useBinaryFormat);
    expect((await echo.unary({ payload: SMALL })).payload).toEqual(SMALL);
    const answers = await all(echo.serverStream({ count: 3, payloadBytes: 2 }));
    expect(answers.map(({ sequence, payload }) => [sequence, [...payload]])).toEqual([
      [0, [0, 0]],
      [1, [1, 1]],
      [2, [2, 2]],
    ]);
    const joined = await echo.clientStream(sent(SMALL, LARGE));
    expect([joined.sequence, joined.payload.length]).toEqual([2, SMALL.length + LARGE.length]);
    const replies = await all(echo.bidiStream(sent(SMALL, LARGE)));
    expect(replies.map(({ payload }) => payload.length)).toEqual([SMALL.length, LARGE.length]);
  });

  it.each([true, false])("gets errors with their text (binary: %s)", async (useBinaryFormat) => {
    const error = await client(useBinaryFormat)
      .fail({ code: 9, message: "nö" })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "nö" });
  });

  it.each([
    ["gzip", compressionGzip],
    ["br", compressionBrotli],
  ])("sends %s and gets br", async (_name, compression) => {
    const answer = await client(true, compression).unary({ payload: LARGE });
    expect(Buffer.from(answer.payload).equals(LARGE)).toBe(true);
    expect([context.isCompressed, context.compression]).toEqual([true, "br"]);
  });
});

describe("connect-node as server of a Bowline client", () => {
  let server: Http2Server;
  let address: string;
  let encodings: (string | null)[];
  const sessions: ServerHttp2Session[] = [];

  beforeAll(async () => {
    const adapter = connectNodeAdapter({
      routes: (router) => {
        router.service(EchoSchema, {
          unary: (request, { requestHeader }) => {
            encodings.push(requestHeader.get("content-type"), requestHeader.get("grpc-encoding"));
            return { payload: request.payload };
          },
          async *serverStream({ count }) {
            for (let sequence = 0; sequence < count; sequence++) yield { sequence, payload: LARGE };
          },
          clientStream: async (requests) => ({ sequence: (await all<EchoRequest>(requests)).length }),
          async *bidiStream(requests) {
            for await (const { payload } of requests) yield { payload };
          },
          fail: ({ message }) => {
            throw new ConnectError(message, Code.FailedPrecondition);
          },
        });
      },
    });
    server = createHttp2Server(adapter);
    server.on("session", (session) => sessions.push(session));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    for (const session of sessions) session.destroy();
    server?.close();
  });

  it.each(["proto", "json"] as const)("calls all kinds of methods in %s", async (codec) => {
    await using echo = createClient(Echo, address, { codec });
    encodings = [];
    expect((await echo.unary({ payload: SMALL })).payload).toEqual(SMALL);
    expect(encodings).toEqual([`application/grpc+${codec}`, null]);
    const answers = await all(echo.serverStream({ count: 3 }));
    expect(answers.map(({ sequence, payload }) => [sequence, payload.length])).toEqual(
      [0, 1, 2].map((i) => [i, LARGE.length]),
    );
    expect((await echo.clientStream(sent(SMALL, LARGE))).sequence).toBe(2);
    const replies = await all(echo.bidiStream(sent(SMALL, LARGE)));
    expect(replies.map(({ payload }) => payload.length)).toEqual([SMALL.length, LARGE.length]);
    await expect(echo.fail({ message: "nö" })).rejects.toMatchObject({ code: 9, text: "nö" });
  });

  it("compresses one call and not the next", async () => {
    await using echo = createClient(Echo, address, { codec: "json" });
    encodings = [];
    for (const compression of ["gzip", "br", "identity"]) {
      expect((await echo.unary({ payload: LARGE }, { compression })).payload).toEqual(LARGE);
    }
    expect(encodings.filter((_each, i) => i % 2 === 1)).toEqual(["gzip", "br", null]);
  });

  it("is told what the server takes when it knows a compression not", async () => {
    await using echo = createClient(Echo, address);
    await expect(echo.unary({ payload: SMALL }, { compression: "deflate" })).rejects.toMatchObject({ code: 12 });
  });
});
