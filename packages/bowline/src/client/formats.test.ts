import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { collect } from "../../test/client/note-service.ts";
import { failure } from "../../test/client/outcomes.ts";
import type { Codec } from "../codec/codec.ts";
import { protobufCodec } from "../codec/protobuf-codec.ts";
import { Code } from "../rpc/code.ts";
import type { Method, MethodKind, Service } from "../rpc/method.ts";
import { grpcMessage } from "../testing/raw-frames.ts";
import type { HeaderList } from "../testing/raw-hpack.ts";
import { type Client, createClient } from "./create-client.ts";

const scene = useScene();

interface Word {
  readonly value: string;
}

interface WordClient {
  say(word: Word): Promise<Word>;
  repeat(word: Word): AsyncIterable<Word>;
}

function method(name: string, kind: MethodKind): Method {
  const codec = protobufCodec(StringValueSchema) as Codec<unknown>;
  const path = `/word.v1.Words/${name}`;
  return { name, localName: name.toLowerCase(), kind, path, idempotency: "unknown", input: codec, output: codec };
}

const Words: Service<WordClient, object> = {
  typeName: "word.v1.Words",
  methods: { say: method("Say", "unary"), repeat: method("Repeat", "server-stream") },
};

/** A client of a server that answers each call with this content type and message. */
async function answered(codec: "proto" | "json", contentType: string, message: string | Uint8Array) {
  const asked: unknown[] = [];
  const raw = await scene.rawServer(async (peer) => {
    await peer.handshake();
    for (;;) {
      const { headers, streamId } = await peer.expect("HEADERS");
      const { data } = await peer.expect("DATA", ({ isEnd }) => isEnd);
      asked.push([headers?.["content-type"], data?.subarray(5).toString()]);
      const head: HeaderList = [
        [":status", "200"],
        ["content-type", contentType],
      ];
      peer.headers(streamId, head).data(streamId, grpcMessage(Buffer.from(message as string)));
      peer.headers(streamId, [["grpc-status", "0"]], { end: true });
    }
  });
  const client: Client<WordClient> = createClient(Words, raw.address, { codec, retry: false });
  scene.onClose(() => client.close());
  return { client, asked };
}

const BINARY = Uint8Array.of(10, 1, 0x61);

describe("a client with codec json", () => {
  it.each([
    "application/grpc+json",
    "application/grpc",
    // Servers that know nothing of formats say so whatever they send, such as grpc-js.
    "application/grpc+proto",
  ])("asks in JSON and reads JSON under %s", async (contentType) => {
    const { client, asked } = await answered("json", contentType, '"b"');
    expect((await client.say({ value: "a" })).value).toBe("b");
    expect((await collect(client.repeat({ value: "a" }))).map(({ value }) => value)).toEqual(["b"]);
    expect(asked).toEqual(Array(2).fill(["application/grpc+json", '"a"']));
  });

  it("names the message that is no JSON", async () => {
    const { client } = await answered("json", "application/grpc+proto", BINARY);
    for (const call of [client.say({ value: "a" }), collect(client.repeat({ value: "a" }))]) {
      const error = await failure(call);
      expect(error).toMatchObject({ code: Code.INTERNAL, origin: "local", reason: "codec", sent: true });
      expect(error.text).toMatch(/^can't decode google\.protobuf\.StringValue from 3 bytes of JSON: /);
    }
  });
});

describe("an answer in another form than the call's", () => {
  it.each([
    ["proto", "application/grpc+json", "json, the call is in proto"],
    ["proto", "application/grpc+thrift", "thrift, the call is in proto"],
    ["json", "application/grpc+thrift", "thrift, the call is in json"],
  ] as const)("is an error that names both: %s, %s", async (codec, contentType, text) => {
    const { client } = await answered(codec, contentType, '"b"');
    for (const call of [client.say({ value: "a" }), collect(client.repeat({ value: "a" }))]) {
      expect(await failure(call)).toMatchObject({
        code: Code.INTERNAL,
        reason: "protocol",
        text: `the server answers in application/grpc+${text}`,
      });
    }
  });
});
