// Codec<T> as a user may write one, and bytesCodec. The protobuf codec: src/codec/protobuf-codec.test.ts; compression.test.ts there.
import { describe, expect, it } from "vitest";
import { type Client, createClient } from "../../src/client/create-client.ts";
import { bytesCodec, type Codec } from "../../src/codec/codec.ts";
import { Code } from "../../src/rpc/code.ts";
import type { Service } from "../../src/rpc/method.ts";
import { createServer } from "../../src/server/create-server.ts";
import { useScene } from "../client/client-scene.ts";
import { failure } from "../client/outcomes.ts";
import { RecordingLogger } from "../server/server-scene.ts";
import { wrong } from "./refusals.ts";

const scene = useScene();

interface EchoClient {
  echo(message: unknown): Promise<unknown>;
}

interface EchoHandlers {
  echo(message: unknown): unknown;
}

/** A service of one method whose messages are turned into bytes by these codecs. */
function echoService(input: Codec<unknown>, output: Codec<unknown> = input): Service<EchoClient, EchoHandlers> {
  const echo = {
    name: "Echo",
    localName: "echo",
    path: "/echo.v1.Echo/Echo",
    kind: "unary",
    idempotency: "unknown",
  } as const;
  return { typeName: "echo.v1.Echo", methods: { echo: { ...echo, input, output } } };
}

/** A client of a server with the same codec, and the server's log. */
async function echo(
  codec: Partial<Codec<unknown>>,
  atServer: Partial<Codec<unknown>> = codec,
  handler: (message: unknown) => unknown = (message) => message,
): Promise<{ client: Client<EchoClient>; log: RecordingLogger }> {
  const bytes = bytesCodec as Codec<unknown>;
  const log = new RecordingLogger();
  const server = createServer({ listen: "127.0.0.1:0", handleSignals: false, drainAcceptMs: 0, logger: log });
  server.add(echoService({ ...bytes, ...atServer }), { echo: handler });
  await server.start();
  scene.onClose(() => server.close());
  const client = createClient(echoService({ ...bytes, ...codec }), server.address);
  scene.onClose(() => client.close());
  return { client, log };
}

const throws = (): never => {
  throw new Error("no such field");
};

describe("bytesCodec", () => {
  it.each([0, 1, 5000, 20_000, 300_000])("hands %d bytes on as they are, and gives a copy", async (length) => {
    const { client } = await echo({});
    const bytes = Uint8Array.from({ length }, (_, i) => i % 251);
    const answer = await client.echo(bytes);
    expect(Buffer.compare(answer as Uint8Array, bytes)).toBe(0);
    const source = Buffer.from([1, 2, 3, 4]);
    const read = bytesCodec.read(source, 1, 3);
    source.fill(9);
    expect([...read]).toEqual([2, 3]);
    expect(read.byteLength).toBe(read.buffer.byteLength);
  });

  it.each([
    ["a text, whose letters would go out as zeros", "abc", "string"],
    ["a list of numbers", [1, 2], "object"],
    ["something with a length", { length: 3 }, "object"],
    ["nothing", undefined, "undefined"],
    ["null", null, "null"],
    ["a number", 7, "number"],
  ])("refuses %s with INTERNAL", async (_what, message, given) => {
    const { client, log } = await echo({}, {}, () => wrong(message));
    const text = `the message can't be encoded: a message of this method is a Uint8Array, not ${given}`;
    const mine = await failure(client.echo(message));
    expect(mine).toMatchObject({ code: Code.INTERNAL, reason: "codec", origin: "local", sent: false, text });
    const theirs = await failure(client.echo(new Uint8Array(1)));
    expect(theirs).toMatchObject({ code: Code.INTERNAL, origin: "remote" });
    expect(log.lines.map((line) => line.text)).toEqual(["a handler gave what can't be sent"]);
  });
});

describe("a codec of one's own", () => {
  it.each(["measure", "write"] as const)(
    "that throws in %s ends the call with INTERNAL, whichever side it is on",
    async (method) => {
      const here = await echo({ [method]: throws }, {});
      const text = "the message can't be encoded: no such field";
      expect(await failure(here.client.echo(new Uint8Array(3)))).toMatchObject({
        code: Code.INTERNAL,
        reason: "codec",
        origin: "local",
        text,
      });
      const there = await echo({}, { [method]: throws });
      expect(await failure(there.client.echo(new Uint8Array(3)))).toMatchObject({
        code: Code.INTERNAL,
        origin: "remote",
        text,
      });
    },
  );

  it("that throws in read ends the call with INTERNAL, whichever side it is on; the connection goes on", async () => {
    let isBroken = true;
    const read: Codec<unknown>["read"] = (source, start, end) =>
      isBroken ? throws() : bytesCodec.read(source, start, end);
    for (const [mine, theirs, origin] of [
      [{ read }, {}, "local"],
      [{}, { read }, "remote"],
    ] as const) {
      isBroken = true;
      const { client } = await echo(mine, theirs);
      const error = await failure(client.echo(new Uint8Array(3)));
      expect(error).toMatchObject({ code: Code.INTERNAL, origin });
      expect(error.text).toContain("no such field");
      isBroken = false;
      expect(await client.echo(Uint8Array.of(7))).toEqual(Uint8Array.of(7));
    }
  });

  it("may measure more than it writes", async () => {
    const { client } = await echo({ measure: (message) => bytesCodec.measure(message as Uint8Array) + 40 });
    for (const length of [0, 3, 9000, 40_000]) {
      expect(((await client.echo(new Uint8Array(length))) as Uint8Array).length).toBe(length);
    }
  });

  it("is asked for the whole message only from 16 KiB on, and may have none", async () => {
    const asked: number[] = [];
    const whole = (message: unknown): Uint8Array => {
      asked.push((message as Uint8Array).length);
      return message as Uint8Array;
    };
    const { client } = await echo({ whole }, { whole: undefined });
    for (const length of [100, 16_383, 16_384, 70_000]) {
      expect(((await client.echo(new Uint8Array(length))) as Uint8Array).length).toBe(length);
    }
    expect(asked).toEqual([16_384, 70_000]);
  });

  it("says in content-type what it is named", async () => {
    const seen: (string | undefined)[] = [];
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      seen.push((await peer.expect("HEADERS")).headers?.["content-type"]);
      peer.headers(
        1,
        [
          [":status", "200"],
          ["content-type", "application/grpc"],
          ["grpc-status", "5"],
        ],
        { end: true },
      );
    });
    const client = createClient(echoService({ ...(bytesCodec as Codec<unknown>), name: "thrift" }), raw.address);
    scene.onClose(() => client.close());
    await failure(client.echo(new Uint8Array(1)));
    expect(seen).toEqual(["application/grpc+thrift"]);
  });
});
