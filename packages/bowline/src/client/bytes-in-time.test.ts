import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { bytesCodec, type Codec } from "../codec/codec.ts";
import { sharedBytes } from "../codec/shared-bytes.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { Method, MethodKind, Service } from "../rpc/method.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { createServer } from "../server/create-server.ts";
import type { Server } from "../server/server.ts";
import type { ServerContext } from "../server/server-context.ts";
import type { CallOptions } from "./call-options.ts";
import { type Client, createClient } from "./create-client.ts";

/** A service of bytes: what arrives is looked at when it is there, and may be written over afterwards. */
interface BytesClient {
  ask(bytes: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  gather(bytes: Iterable<Uint8Array>, options?: CallOptions): Promise<Uint8Array>;
  echo(bytes: Iterable<Uint8Array>, options?: CallOptions): AsyncIterable<Uint8Array>;
}

interface BytesHandlers {
  ask(bytes: Uint8Array, context: ServerContext): Uint8Array | Promise<Uint8Array>;
  gather(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array>;
  echo(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

function bytesService(codec: Codec<Uint8Array>): Service<BytesClient, BytesHandlers> {
  const method = (name: string, kind: MethodKind): Method => {
    const messages = codec as Codec<unknown>;
    const path = `/bytes.v1.Bytes/${name}`;
    return { name, localName: name, kind, idempotency: "idempotent", path, input: messages, output: messages };
  };
  const methods = {
    ask: method("ask", "unary"),
    gather: method("gather", "client-stream"),
    echo: method("echo", "bidi-stream"),
  };
  return { typeName: "bytes.v1.Bytes", methods };
}

const Bytes = bytesService(bytesCodec);
const SharedBytes = bytesService(sharedBytes(bytesCodec));
const SIZES = [100, 3000, 9000, 20_000, 100_000];
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(service: typeof Bytes, handlers: Partial<BytesHandlers>): Promise<Server> {
  const unused = (): never => {
    throw new Error("not called here");
  };
  const server = createServer({ listen: "127.0.0.1:0", handleSignals: false });
  server.add(service, { ask: unused, gather: unused, echo: unused, ...handlers });
  await server.start();
  closing.push(() => server.close());
  return server;
}

function connect(service: typeof Bytes, address: string): Client<BytesClient> {
  const client = createClient(service, address);
  closing.push(() => client.close());
  return client;
}

/** One buffer, filled anew for each element. */
function* refilled(bytes: number, count: number): Generator<Uint8Array> {
  const one = Buffer.alloc(bytes);
  for (let i = 1; i <= count; i++) yield one.fill(i);
}

/** What all bytes are; -1 when they are not all the same. */
function filling(bytes: Uint8Array): number {
  return bytes.every((byte) => byte === bytes[0]) ? bytes[0] : -1;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe("what is sent", () => {
  it("is what was given, though it waits for the first connection and the caller goes on with the same object", async () => {
    const got: [number, string][] = [];
    const server = await serve(Bytes, {
      ask(bytes, { metadata }) {
        got.push([filling(bytes), metadata.get("n") ?? ""]);
        return bytes;
      },
    });
    const client = connect(Bytes, server.address);
    const request = Buffer.alloc(10);
    const metadata = new Metadata();
    const calls: Promise<Uint8Array>[] = [];
    for (let i = 1; i <= 5; i++) {
      metadata.set("n", String(i));
      calls.push(client.ask(request.fill(i), { metadata }));
    }
    expect((await Promise.all(calls)).map(filling)).toEqual(upTo(5));
    expect(got).toEqual(upTo(5).map((i) => [i, String(i)]));
  });

  // What is kept for another attempt ends at 64 KiB.
  it.each([100, 3000, 9000, 13_000])(
    "again is what was given: a stream of one object of %i bytes, filled anew for each element",
    async (size) => {
      const attempts: number[][] = [];
      const server = await serve(Bytes, {
        async gather(all) {
          const seen: number[] = [];
          attempts.push(seen);
          for await (const bytes of all) {
            seen.push(filling(bytes));
            if (attempts.length === 1 && seen.length === 3) throw new RpcError(Code.UNAVAILABLE, "not yet");
          }
          return Buffer.from(seen);
        },
      });
      const answer = connect(Bytes, server.address).gather(refilled(size, 5));
      expect([...(await answer)]).toEqual(upTo(5));
      expect(attempts).toEqual([upTo(3), upTo(5)]);
    },
  );

  it.each([10, 100_000])(
    "is nothing when compressIf ends its call; others on the connection go on (%i bytes)",
    async (size) => {
      const server = await serve(Bytes, { ask: (bytes) => bytes, gather: async () => Buffer.of(1) });
      const client = connect(Bytes, server.address);
      await client.ask(Buffer.of(1));
      for (const start of [
        (options: CallOptions) => client.ask(Buffer.alloc(size), options),
        (options: CallOptions) => client.gather([Buffer.alloc(size)], options),
      ]) {
        const other = client.ask(Buffer.of(7));
        const controller = new AbortController();
        const compressIf = (): boolean => {
          controller.abort();
          return false;
        };
        await expect(start({ signal: controller.signal, compression: "gzip", compressIf })).rejects.toThrow(
          "CANCELLED",
        );
        expect(filling(await other)).toBe(7);
      }
    },
  );
});

describe("a message whose encoding begins another call on its connection", () => {
  const half = (bytes: Uint8Array): number => bytes.length >> 1;
  let within: (() => void) | null = null;
  const write = (message: Uint8Array, target: Buffer, at: number): number => {
    target.set(message.subarray(0, half(message)), at);
    const once = within;
    within = null;
    once?.();
    target.set(message.subarray(half(message)), at + half(message));
    return at + message.length;
  };
  const { name, measure, read } = bytesCodec;

  it.each([
    ["measured", { name, measure, read, write }],
    ["not measured", { name, measure, read, write, attempt: write }],
  ] as const)("is sent whole, and so is the other (%s)", async (_, codec) => {
    const service = bytesService(codec);
    const server = await serve(service, {
      ask: (bytes) => bytes,
      gather: async (all) => {
        const received: Uint8Array[] = [];
        for await (const bytes of all) received.push(bytes);
        return Buffer.concat(received);
      },
    });
    const client = connect(service, server.address);
    await client.ask(Buffer.of(0));
    for (const size of [2, 700, 5000]) {
      const bytes = (value: number): Buffer => Buffer.alloc(size, value);
      for (const start of [() => client.ask(bytes(1)), () => client.gather([bytes(1)])]) {
        let inner: Promise<Uint8Array> | undefined;
        within = () => {
          inner = client.ask(bytes(2));
        };
        const outer = start();
        // Behind it, in the same turn.
        const next = client.ask(bytes(3));
        const all = await Promise.all([outer, inner, next]);
        expect(all.map((each) => each && [each.length, filling(each)])).toEqual(upTo(3).map((i) => [size, i]));
      }
    }
  });
});

describe("messages that nobody has measured", () => {
  it("have room in the arena when the codec says how much is likely: none is encoded twice", async () => {
    const { name, measure, read, write } = bytesCodec;
    let attempts = 0;
    const attempt = (message: Uint8Array, target: Buffer, at: number): number => {
      attempts++;
      return at + message.length > target.length ? target.length + 1 : write(message, target, at);
    };
    for (const likelyBytes of [undefined, Number.NaN, 5000]) {
      const service = bytesService({ name, measure, read, write, attempt, likelyBytes });
      const server = await serve(service, { ask: (bytes) => bytes });
      const client = connect(service, server.address);
      await client.ask(Buffer.of(0));
      attempts = 0;
      for (const round of upTo(10)) {
        await Promise.all(upTo(40).map((i) => client.ask(Buffer.alloc(3000 + ((round * i * 97) % 2000), i))));
      }
      // Both ways; an arena holds 16 of them.
      if (likelyBytes === 5000) expect(attempts).toBe(800);
      else expect(attempts).toBeGreaterThan(800 + 10);
    }
  });
});

describe("bytes that are shown, not copied", () => {
  it.each(SIZES)("are there until the first await: streams of %i bytes, both ways", async (size) => {
    const server = await serve(SharedBytes, {
      async gather(all) {
        const seen: number[] = [];
        for await (const bytes of all) seen.push(filling(bytes));
        return Buffer.from(seen);
      },
      async *echo(all) {
        for await (const bytes of all) yield bytes;
      },
    });
    const client = connect(SharedBytes, server.address);
    expect([...(await client.gather(refilled(size, 60)))]).toEqual(upTo(60));
    const seen: number[] = [];
    for await (const bytes of client.echo(refilled(size, 60))) seen.push(filling(bytes));
    expect(seen).toEqual(upTo(60));
  });

  it.each(SIZES)("are there when the end of the request comes late: requests of %i bytes", async (size) => {
    const server = await serve(SharedBytes, { ask: (bytes) => Buffer.from([filling(bytes), bytes.length & 0xff]) });
    const session = http2.connect(`http://${server.address}`);
    closing.push(() => new Promise<void>((resolve) => session.close(resolve)));
    const others = connect(Bytes, server.address);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(size, 1);
    const ask = async (value: number): Promise<number[]> => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/bytes.v1.Bytes/ask",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.write(Buffer.concat([prefix, Buffer.alloc(size, value)]));
      setTimeout(async () => {
        // Read into the same memory.
        await others.ask(Buffer.alloc(60_000, 0xff));
        stream.end();
      }, 20);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      return [...Buffer.concat(chunks).subarray(5)];
    };
    expect(await Promise.all(upTo(20).map(ask))).toEqual(upTo(20).map((i) => [i, size & 0xff]));
  });

  it.each(SIZES)("are there when the trailers come late: answers of %i bytes", async (size) => {
    const server = http2.createServer();
    server.on("stream", (stream) => {
      stream.on("error", () => {});
      stream.once("data", (data: Buffer) => {
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(size, 1);
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.write(Buffer.concat([prefix, Buffer.alloc(size, data[5])]));
        // When other answers have been read.
        setTimeout(() => stream.end(), 20);
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    const client = connect(SharedBytes, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    const answers = upTo(20).map((i) => client.ask(Buffer.of(i)).then(filling));
    expect(await Promise.all(answers)).toEqual(upTo(20));
  });
});
