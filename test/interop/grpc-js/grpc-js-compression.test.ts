import { compressionAlgorithms } from "@grpc/grpc-js";
import { createClient, createServer, silentLogger } from "bowline";
import { afterEach, describe, expect, it } from "vitest";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";
import { GrpcJsEchoClient } from "./grpc-js-echo-client.ts";
import { startGrpcJsEchoServer } from "./grpc-js-echo-server.ts";

const LARGE = new Uint8Array(100_000).fill(7);

let closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

describe("compression with grpc-js", () => {
  it.each(["gzip", "deflate"] as const)("as client: %s goes both ways, as the handler says", async (name) => {
    const handlers = echoHandlers("bowline");
    const seen: [boolean, string][] = [];
    const server = createServer({
      listen: "127.0.0.1:0",
      handleSignals: false,
      drainAcceptMs: 0,
      logger: silentLogger,
    });
    server.add(Echo, {
      ...handlers,
      unary: (request, context) => {
        context.compression = name;
        seen.push([context.isCompressed, context.compression]);
        return handlers.unary(request, context);
      },
      async *bidiStream(requests, context) {
        context.compression = name;
        let count = 0;
        context.compressIf = () => count++ % 2 === 0;
        yield* handlers.bidiStream(requests, context) as AsyncIterable<object>;
      },
    });
    await server.start();
    closers.push(() => server.close());
    const options = { "grpc.default_compression_algorithm": compressionAlgorithms[name] };
    const client = new GrpcJsEchoClient(server.address, options);
    closers.push(() => client.close());
    const { answers } = await client.unary("unary", { payload: LARGE }).outcome;
    expect(Buffer.from(answers[0].payload).equals(LARGE)).toBe(true);
    expect(seen).toEqual([[true, name]]);
    const { call, outcome } = client.bidiStream();
    for (let i = 0; i < 6; i++) call.write({ payload: LARGE.subarray(0, i * 10_000) });
    call.end();
    expect((await outcome).answers.map(({ payload }) => payload.length)).toEqual(
      [0, 1, 2, 3, 4, 5].map((i) => i * 10_000),
    );
  });

  it.each(["gzip", "deflate"])(
    "as server: %s requests of single calls and messages are understood",
    async (compression) => {
      const server = await startGrpcJsEchoServer();
      closers.push(() => server.close());
      const client = createClient(Echo, server.address);
      closers.push(() => client.close());
      for (const options of [{ compression }, { compression, compressIf: () => false }, {}]) {
        expect((await client.unary({ payload: LARGE }, options)).payload.length).toBe(LARGE.length);
      }
      let count = 0;
      const compressIf = (): boolean => count++ % 2 === 0;
      const requests = [0, 1, 2, 3, 4, 5].map((i) => ({ payload: LARGE.subarray(0, i * 10_000) }));
      const sizes: number[] = [];
      for await (const { payload } of client.bidiStream(requests, { compression, compressIf }))
        sizes.push(payload.length);
      expect(sizes).toEqual([0, 1, 2, 3, 4, 5].map((i) => i * 10_000));
    },
  );
});
