// Messages of generated codecs on their way through the arenas of a connection: written without being measured, whatever their size.
import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CallOptions } from "../../src/client/call-options.ts";
import type { Codec } from "../../src/codec/codec.ts";
import { AnyCodec } from "../../src/gen/google/protobuf/any_rpc.ts";
import { Code } from "../../src/rpc/code.ts";
import type { Method, MethodKind, Service } from "../../src/rpc/method.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { type InMemory, type InMemoryOptions, inMemory } from "../../src/testing/in-memory.ts";

type Init = { readonly typeUrl?: string; readonly value?: Uint8Array };

interface AnyClient {
  echo(message: Init, options?: CallOptions): Promise<Any>;
  repeat(message: Init): AsyncIterable<Any>;
  chat(messages: Iterable<Init>): AsyncIterable<Any>;
}

interface AnyHandlers {
  echo(message: Any): Init;
  repeat(message: Any): AsyncIterable<Init>;
  chat(messages: AsyncIterable<Any>): AsyncIterable<Init>;
}

function method(name: string, kind: MethodKind): Method {
  const codec = AnyCodec as Codec<unknown>;
  const localName = name.toLowerCase();
  return { name, localName, kind, idempotency: "unknown", path: `/any.v1.Anys/${name}`, input: codec, output: codec };
}

const Anys: Service<AnyClient, AnyHandlers> = {
  typeName: "any.v1.Anys",
  methods: {
    echo: method("Echo", "unary"),
    repeat: method("Repeat", "server-stream"),
    chat: method("Chat", "bidi-stream"),
  },
};

/** From nothing to above an arena; around what is expected, what goes into the arena and what goes by reference. */
const SIZES = [0, 1, 100, 1000, 1020, 1030, 5000, 8180, 8186, 8192, 8200, 16_370, 16_384, 16_400, 65_536, 100_000];

const message = (size: number): Any =>
  create(AnySchema, { typeUrl: `of ${size}`, value: new Uint8Array(size).fill(7) });

async function anys(options: InMemoryOptions = {}, handlers: Partial<AnyHandlers> = {}): Promise<InMemory<AnyClient>> {
  const echoing: AnyHandlers = {
    echo: ({ typeUrl, value }) => ({ typeUrl, value }),
    async *repeat(each) {
      for (let i = 0; i < 3; i++) yield each;
    },
    async *chat(messages) {
      yield* messages;
    },
  };
  const joined = await inMemory(Anys, { ...echoing, ...handlers }, options);
  onTestFinished(() => joined.close());
  return joined;
}

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const each of messages) list.push(each);
  return list;
}

async function errorOf(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(RpcError.is(error)).toBe(true);
  return error;
}

describe.each([undefined, "gzip"] as const)("messages of any size, compression %s", (compression) => {
  const options = compression === undefined ? {} : { client: { compression }, server: { compression } };

  it("arrive whole, one at a time and many at once, in any order of sizes", async () => {
    const { client } = await anys(options);
    const order = [...SIZES, ...SIZES.toReversed(), ...SIZES.flatMap((size) => [size, 10])];
    for (const size of order) expect(await client.echo(message(size))).toEqual(message(size));
    const answers = await Promise.all(order.map((size) => client.echo(message(size))));
    expect(answers).toEqual(order.map(message));
  });

  it("arrive whole in streams", async () => {
    const { client } = await anys(options);
    for (const size of SIZES) {
      expect(await all(client.repeat(message(size)))).toEqual([message(size), message(size), message(size)]);
    }
    expect(await all(client.chat(SIZES.map(message)))).toEqual(SIZES.map(message));
  });
});

describe("many small messages", () => {
  it("fill the arenas to their ends", async () => {
    const { client } = await anys();
    const sizes = Array.from({ length: 2000 }, (_, i) => (i * 37) % 700);
    expect(await Promise.all(sizes.map((size) => client.echo(message(size))))).toEqual(sizes.map(message));
  });
});

describe("a message that can't be encoded", () => {
  const faulty = { typeUrl: "x", value: "no bytes" as never };

  it("fails its call alone, on the client's side", async () => {
    let handled = 0;
    const { client } = await anys({}, { echo: ({ typeUrl }) => ({ typeUrl: `${typeUrl} ${++handled}` }) });
    expect((await client.echo(message(1))).typeUrl).toBe("of 1 1");
    const beside = client.echo(message(2));
    for (const options of [{}, { compression: "gzip" }]) {
      const error = await errorOf(client.echo(faulty, options));
      expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", origin: "local" });
      expect(error.text).toBe(`can't encode google.protobuf.Any: value: "no bytes" is no bytes (a Uint8Array)`);
    }
    await beside;
    expect((await client.echo(message(3))).typeUrl).toBe("of 3 3");
    expect(handled).toBe(3);
  });

  it("fails its call alone, on the server's side", async () => {
    const { client } = await anys({}, { echo: ({ typeUrl }) => (typeUrl === "of 0" ? faulty : { typeUrl }) });
    for (const options of [{}, { compression: "gzip" }]) {
      expect(await errorOf(client.echo(message(0), options))).toMatchObject({ code: Code.INTERNAL, origin: "remote" });
      expect((await client.echo(message(1), options)).typeUrl).toBe("of 1");
    }
  });
});
