import type { DescMessage } from "@bufbuild/protobuf";
import { ListValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, describe, expect, it } from "vitest";
import { failure } from "../../test/server/server-scene.ts";
import { collect } from "../../test/server/text-service.ts";
import type { ClientOptions } from "../client/client-options.ts";
import { type Client, createClient } from "../client/create-client.ts";
import type { Codec } from "../codec/codec.ts";
import { protobufCodec } from "../codec/protobuf-codec.ts";
import { dial } from "../net/dial.ts";
import { silentLogger } from "../observe/logger.ts";
import { systemClock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import type { Method, MethodKind, Service } from "../rpc/method.ts";
import { grpcMessage, grpcRequestFields } from "../testing/raw-frames.ts";
import { RawPeer } from "../testing/raw-peer.ts";
import { createServer } from "./create-server.ts";

interface Text {
  readonly value: string;
}
type Texts = AsyncIterable<Text> | Iterable<Text>;

interface WordClient {
  say(text: Text): Promise<Text>;
  repeat(text: Text): AsyncIterable<Text>;
  join(texts: Texts): Promise<Text>;
  chat(texts: Texts): AsyncIterable<Text>;
}

function service(typeName: string, input: Codec<never>, output: Codec<never> = input): Service<WordClient, object> {
  const method = (name: string, kind: MethodKind): Method => ({
    name,
    localName: name.toLowerCase(),
    kind,
    path: `/${typeName}/${name}`,
    idempotency: "unknown",
    input: input as Codec<unknown>,
    output: output as Codec<unknown>,
  });
  const all = [
    method("Say", "unary"),
    method("Repeat", "server-stream"),
    method("Join", "client-stream"),
    method("Chat", "bidi-stream"),
  ];
  return { typeName, methods: Object.fromEntries(all.map((each) => [each.localName, each])) };
}

const codecOf = (schema: DescMessage): Codec<never> => protobufCodec(schema) as unknown as Codec<never>;

/** Messages of google.protobuf.StringValue. */
const Words = service("word.v1.Words", codecOf(StringValueSchema));

/** A format of a user's own: the text reversed. */
const reversed: Codec<Text> = {
  name: "reversed",
  measure: ({ value }) => Buffer.byteLength(value),
  write: ({ value }, target, at) => at + target.write([...value].reverse().join(""), at),
  read: (source, start, end) => ({ value: [...source.toString("utf8", start, end)].reverse().join("") }),
};
const OwnWords = service("own.v1.Words", reversed as unknown as Codec<never>);

const handlers = {
  say: (text: Text): object => ({ value: text.value }),
  async *repeat(text: Text): AsyncIterable<object> {
    for (let i = 0; i < 3; i++) yield { value: text.value };
  },
  async join(texts: AsyncIterable<Text>): Promise<object> {
    return { value: (await collect(texts)).map(({ value }) => value).join(" ") };
  },
  async *chat(texts: AsyncIterable<Text>): AsyncIterable<object> {
    for await (const { value } of texts) yield { value };
  },
};

let closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

async function served(): Promise<string> {
  const server = createServer({ listen: "127.0.0.1:0", handleSignals: false, drainAcceptMs: 0, logger: silentLogger });
  server.add(Words, handlers).add(OwnWords, handlers);
  await server.start();
  closers.push(() => server.close());
  return server.address;
}

function client(of: Service<WordClient, object>, address: string, options: ClientOptions = {}): Client<WordClient> {
  const made = createClient(of, address, { retry: false, ...options });
  closers.push(() => made.close());
  return made;
}

/** What all four kinds of calls give, as texts. */
async function allKinds(words: WordClient): Promise<string[][]> {
  const texts = ["a", "ü", ""].map((value) => ({ value }));
  const values = (answers: readonly Text[]): string[] => answers.map(({ value }) => value);
  return [
    values([await words.say({ value: "äöü" })]),
    values(await collect(words.repeat({ value: "r" }))),
    values([await words.join(texts)]),
    values(await collect(words.chat(texts))),
  ];
}

const ALL_KINDS = [["äöü"], ["r", "r", "r"], ["a ü "], ["a", "ü", ""]];

/** One call by hand, with a content type of its own. */
async function byHand(address: string, path: string, contentType: string, body: Buffer) {
  const peer = new RawPeer(await dial(address, { clock: systemClock }), { role: "client", acknowledges: true });
  closers.push(() => peer.destroy());
  await peer.handshake();
  const fields = grpcRequestFields(path).map(([name, value]): [string, string] => [
    name,
    name === "content-type" ? contentType : value,
  ]);
  peer.headers(1, fields).data(1, body, { end: true });
  const { headers } = await peer.expect("HEADERS", ({ isEnd }) => isEnd || contentType.endsWith("/json"));
  const first = peer.received.find(({ type }) => type === "HEADERS")?.headers ?? {};
  const data = Buffer.concat(peer.received.flatMap((frame) => (frame.type === "DATA" ? (frame.data ?? []) : [])));
  return { contentType: first["content-type"], status: headers?.["grpc-status"], head: first, trailers: headers, data };
}

const SAY = "/word.v1.Words/Say";
const BINARY = grpcMessage(Buffer.of(10, 1, 0x61));
const JSON_TEXT = grpcMessage(Buffer.from('"a"'));

describe("JSON", () => {
  it("works in all kinds of calls", async () => {
    expect(await allKinds(client(Words, await served(), { codec: "json" }))).toEqual(ALL_KINDS);
  });

  it("and the binary form share a connection, by turns", async () => {
    const address = await served();
    const [json, binary] = [client(Words, address, { codec: "json" }), client(Words, address)];
    expect(json.channel).toBe(binary.channel);
    for (let i = 0; i < 3; i++) {
      expect(await json.say({ value: `${i}` })).toEqual(await binary.say({ value: `${i}` }));
      expect(await Promise.all([allKinds(binary), allKinds(json)])).toEqual([ALL_KINDS, ALL_KINDS]);
    }
    expect(json.channel.stats.map(({ method, started }) => [method, started])).toEqual([
      [SAY, 12],
      ["/word.v1.Words/Repeat", 6],
      ["/word.v1.Words/Join", 6],
      ["/word.v1.Words/Chat", 6],
    ]);
  });

  it("goes together with compression", async () => {
    const words = client(Words, await served(), { codec: "json", compression: "gzip", compressFromBytes: 0 });
    expect(await allKinds(words)).toEqual(ALL_KINDS);
  });

  it("is refused by createClient where messages have none", () => {
    expect(() => createClient(OwnWords, "127.0.0.1:1", { codec: "json" })).toThrow(
      new TypeError(
        'createClient options.codec is "json", but the codecs of /own.v1.Words/Say offer reversed only: leave the option out, or give its codecs as("json")',
      ),
    );
  });

  it("is the only other choice", () => {
    expect(() => createClient(Words, "127.0.0.1:1", { codec: "xml" as never })).toThrow(
      new TypeError('createClient options.codec is "xml": give one of "proto", "json"'),
    );
  });

  it.each<[string, Buffer, RegExp]>([
    ["no JSON", grpcMessage(Buffer.from("{")), /can't decode google\.protobuf\.StringValue from 1 bytes of JSON/],
    ["the binary form", BINARY, /can't decode google\.protobuf\.StringValue from 3 bytes of JSON/],
    ["nothing", grpcMessage(Buffer.alloc(0)), /can't decode google\.protobuf\.StringValue from 0 bytes of JSON/],
  ])("that is %s ends the call with INTERNAL and names the message", async (_what, body, text) => {
    const answer = await byHand(await served(), SAY, "application/grpc+json", body);
    expect(answer.status).toBe(String(Code.INTERNAL));
    expect(decodeURIComponent(answer.trailers?.["grpc-message"] ?? "")).toMatch(text);
  });

  it("from a handler that gives no message is its error", async () => {
    const server = createServer({
      listen: "127.0.0.1:0",
      handleSignals: false,
      drainAcceptMs: 0,
      logger: silentLogger,
    });
    const values = service("word.v1.Words", codecOf(StringValueSchema), codecOf(ListValueSchema));
    server.add(values, {
      ...handlers,
      say: () => ({ values: [{ kind: { case: "numberValue", value: Number.NaN } }] }),
    });
    await server.start();
    closers.push(() => server.close());
    const error = await failure(client(values, server.address, { codec: "json" }).say({ value: "x" }));
    expect(error).toMatchObject({ code: Code.INTERNAL, origin: "remote" });
    expect(error.text).toMatch(/can't encode google\.protobuf\.ListValue as JSON/);
  });
});

describe("the content type of a request", () => {
  it.each([
    ["application/grpc", BINARY, "application/grpc"],
    ["application/grpc+proto", BINARY, "application/grpc+proto"],
    ["application/grpc+json", JSON_TEXT, "application/grpc+json"],
    ["Application/GRPC+JSON; charset=utf-8", JSON_TEXT, "application/grpc+json"],
  ])("decides on the form of both messages and comes back: %s", async (asked, body, answered) => {
    const { contentType, status, data } = await byHand(await served(), SAY, asked, body);
    expect({ contentType, status, data }).toEqual({ contentType: answered, status: "0", data: body });
  });

  it("comes back with a status alone, too", async () => {
    const address = await served();
    for (const contentType of ["application/grpc", "application/grpc+proto", "application/grpc+json"]) {
      const answer = await byHand(address, "/word.v1.Words/Nothing", contentType, JSON_TEXT);
      expect([answer.status, answer.contentType]).toEqual([String(Code.UNIMPLEMENTED), contentType]);
    }
  });

  it.each([
    "application/grpc+xml",
    "application/grpc+tostring",
    "application/grpc+__proto__",
    "application/grpc+reversed",
  ])("that names a form which the method has not is an error that says what it has: %s", async (contentType) => {
    const answer = await byHand(await served(), SAY, contentType, BINARY);
    expect(answer.trailers).toMatchObject({
      "grpc-status": String(Code.INTERNAL),
      "grpc-message": `content-type ${contentType} is not served by ${SAY}, but proto and json`,
    });
  });

  it("that is JSON without gRPC is answered with HTTP's 415", async () => {
    const { head } = await byHand(await served(), SAY, "application/json", Buffer.from('"a"'));
    expect(head[":status"]).toBe("415");
  });
});

describe("a user's own form of messages", () => {
  it("works in all kinds of calls and is named in the content type", async () => {
    const address = await served();
    expect(await allKinds(client(OwnWords, address))).toEqual(ALL_KINDS);
    for (const contentType of ["application/grpc+reversed", "application/grpc"]) {
      const answer = await byHand(address, "/own.v1.Words/Say", contentType, grpcMessage(Buffer.from("abc")));
      expect(answer).toMatchObject({ status: "0", contentType, data: grpcMessage(Buffer.from("abc")) });
    }
  });

  it("has no JSON unless it offers that", async () => {
    const answer = await byHand(await served(), "/own.v1.Words/Say", "application/grpc+json", JSON_TEXT);
    expect(answer.trailers?.["grpc-message"]).toBe(
      "content-type application/grpc+json is not served by /own.v1.Words/Say, but reversed",
    );
  });
});

describe("a message", () => {
  it.each([
    ["small", 10, {}],
    ["large", 10_000, {}],
    ["sent by reference", 100_000, {}],
    ["compressed", 10_000, { compression: "gzip" }],
    ["compressed in the thread pool", 100_000, { compression: "gzip" }],
  ])("is measured and written once on its way: %s", async (_what, length, options) => {
    const steps: string[] = [];
    const counting: Codec<Text> = {
      name: "counting",
      measure: ({ value }) => {
        steps.push("measure");
        return value.length;
      },
      write: ({ value }, target, at) => {
        steps.push("write");
        return at + target.write(value, at, "latin1");
      },
      read: (source, start, end) => ({ value: source.toString("latin1", start, end) }),
    };
    const counted = service("counted.v1.Words", counting as unknown as Codec<never>);
    const server = createServer({
      listen: "127.0.0.1:0",
      handleSignals: false,
      drainAcceptMs: 0,
      logger: silentLogger,
      ...options,
    });
    server.add(counted, handlers);
    await server.start();
    closers.push(() => server.close());
    const text = { value: "x".repeat(length) };
    expect(await client(counted, server.address, options).say(text)).toEqual(text);
    expect(steps).toEqual(["measure", "write", "measure", "write"]);
  });
});
