// Work and streams that outlive the call they were for.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/http2/frames.ts";
import { grpcMessage, grpcRequestFields, rawData, rawHeaders, rawReset } from "../../src/testing/raw-frames.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { callUnary, dataOf, expectEcho, WireServer } from "./wire-server.ts";

const NOTHING = Buffer.alloc(0);

describe("handlers that go on after their call was reset (row 1, CVE-2023-44487)", () => {
  it("count against maxConcurrentStreams until they end", async () => {
    const handlers: (() => void)[] = [];
    const unary = (): Promise<Buffer> => new Promise((resolve) => handlers.push(() => resolve(NOTHING)));
    await using wire = await WireServer.start({ unary }, { limits: { maxConcurrentStreams: 3 } });
    const client = await wire.connect();
    for (const id of [1, 3, 5, 7]) {
      callUnary(client, id);
      client.rst(id, ErrorCode.CANCEL);
    }
    const refused = await client.expect("RST_STREAM");
    expect(refused).toMatchObject({ streamId: 7, errorCode: ErrorCode.REFUSED_STREAM });
    expect(handlers).toHaveLength(3);
    handlers[0]();
    await settle();
    callUnary(client, 9);
    await client.roundTrip();
    expect(handlers).toHaveLength(4);
    for (const end of handlers) end();
    await client.expect("HEADERS", (frame) => frame.streamId === 9 && frame.isEnd);
  });

  it("count when they stream too", async () => {
    const ends: (() => void)[] = [];
    const serverStream = async function* (): AsyncIterable<Buffer> {
      await new Promise<void>((resolve) => ends.push(resolve));
      yield NOTHING;
    };
    await using wire = await WireServer.start({ serverStream }, { limits: { maxConcurrentStreams: 1 } });
    const client = await wire.connect();
    const open = (id: number): void => {
      client.send(
        rawHeaders(id, grpcRequestFields("/wire.v1.Wire/ServerStream")),
        rawData(id, grpcMessage(NOTHING), { end: true }),
      );
    };
    open(1);
    await client.roundTrip();
    client.send(rawReset(1, ErrorCode.CANCEL));
    open(3);
    expect(await client.expect("RST_STREAM")).toMatchObject({ streamId: 3, errorCode: ErrorCode.REFUSED_STREAM });
    for (const end of ends) end();
    await settle();
    open(5);
    await client.roundTrip();
    expect(ends).toHaveLength(2);
    for (const end of ends) end();
    await client.expect("HEADERS", (frame) => frame.streamId === 5 && frame.isEnd);
  });
});

describe("the body of a request that was answered early (row 28)", () => {
  it("has 5 s to come to its end, then its stream is reset with NO_ERROR", async () => {
    await using wire = await WireServer.start();
    const client = await wire.connect();
    const fields = grpcRequestFields("/wire.v1.Wire/Unary").map(
      ([name, value]) => [name, name === "content-type" ? "text/plain" : value] as const,
    );
    client.headers(1, fields).headers(3, fields);
    await client.expect("DATA", (frame) => frame.streamId === 3);
    client.data(3, NOTHING, { end: true });
    await client.roundTrip();
    await wire.clock.advance(4999);
    await client.roundTrip();
    expect(client.received.filter(({ type }) => type === "RST_STREAM")).toEqual([]);
    await wire.clock.advance(1);
    expect(await client.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: ErrorCode.NO_ERROR });
    await expectEcho(client, 5);
    expect(dataOf(client, 1).length).toBeGreaterThan(0);
    expect(client.received.filter(({ type }) => type === "RST_STREAM")).toHaveLength(1);
  });
});
