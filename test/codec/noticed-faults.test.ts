import { rm } from "node:fs/promises";
import { create, type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { Code, type Codec, RpcError } from "bowline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledSchemas, codecFolder, compileSchemas } from "./harness/compiled-schemas.ts";
import { tryProperty } from "./harness/run-properties.ts";

/** A codec with one thing wrong with it, and the properties that must notice. */
interface Flaw {
  readonly noticedBy: readonly string[];
  spoil(codec: Codec<Message>, desc: DescMessage): Partial<Codec<Message>>;
}

const FLAWS: Readonly<Record<string, Flaw>> = {
  "its last byte is another": {
    noticedBy: [
      "encodes messages to the bytes of protobuf-es",
      "encodes init objects to what protobuf-es makes of them",
    ],
    spoil: (codec) => ({
      write: (message, target, at) => {
        const end = codec.write(message, target, at);
        if (end > at) target[end - 1] = (target[end - 1] as number) ^ 1;
        return end;
      },
    }),
  },
  "it measures a byte too little": {
    noticedBy: ["encodes messages to the bytes of protobuf-es"],
    spoil: (codec) => ({ measure: (message) => Math.max(0, exactBytes(codec, message) - 1) }),
  },
  "it remembers what it has measured": {
    noticedBy: ["encodes messages as they are by then"],
    spoil: (codec) => {
      const measured = new WeakMap<Message, Buffer>();
      return {
        measure: (message) => {
          const bytes = Buffer.alloc(codec.measure(message));
          const known = measured.get(message) ?? bytes.subarray(0, codec.write(message, bytes, 0));
          measured.set(message, known);
          return Math.max(bytes.length, known.length);
        },
        write: (message, target, at) => at + (measured.get(message)?.copy(target, at) ?? 0),
      };
    },
  },
  "it needs create()": {
    noticedBy: ["encodes init objects to what protobuf-es makes of them"],
    spoil: (codec) => ({
      measure: (message) => {
        if (!("$typeName" in message)) throw new TypeError("no message");
        return codec.measure(message);
      },
    }),
  },
  "it forgets unknown fields": {
    noticedBy: [
      "decodes to the objects of protobuf-es",
      "decodes unusual wire as protobuf-es does",
      "keeps extensions",
    ],
    spoil: (codec) => ({
      read: (source, start, end) => {
        const message = codec.read(source, start, end);
        Reflect.deleteProperty(message, "$unknown");
        return message;
      },
      own: undefined,
    }),
  },
  "it shows the connection's bytes": {
    noticedBy: ["decodes to the objects of protobuf-es"],
    spoil: (codec) => ({ read: (source, start, end) => codec.own?.(source.subarray(start, end)) as Message }),
  },
  "its messages have no defaults behind them": {
    noticedBy: ["decodes to the objects of protobuf-es"],
    spoil: (codec) => ({
      read: (source, start, end) => ({ ...codec.read(source, start, end) }),
      own: undefined,
    }),
  },
  "the last message wins instead of being merged": {
    noticedBy: ["merges encodings that follow each other", "decodes unusual wire as protobuf-es does"],
    spoil: (codec, desc) => ({
      read: (source, start, end) => {
        const message = codec.read(source, start, end) as Message & Record<string, unknown>;
        const nested = desc.fields.find((field) => field.fieldKind === "message" && field.oneof === undefined);
        if (nested !== undefined && !nested.message?.typeName.startsWith("google.")) {
          if (message[nested.localName] !== undefined)
            message[nested.localName] = create(nested.message as DescMessage);
        }
        return message as Message;
      },
      own: undefined,
    }),
  },
  "it reads as lazily as protobuf-es": {
    noticedBy: ["refuses damaged messages, or reads them consistently"],
    spoil: (codec, desc) => ({
      read: (source, start, end) => {
        const bytes = new Uint8Array(source.subarray(start, end));
        try {
          return codec.read(source, start, end);
        } catch (error) {
          try {
            return fromBinary(desc, bytes);
          } catch {
            throw error;
          }
        }
      },
      own: undefined,
    }),
  },
  "it fails with other errors": {
    noticedBy: ["refuses truncated messages", "refuses random bytes, or reads them consistently"],
    spoil: (codec) => ({
      read: (source, start, end) => {
        try {
          return codec.read(source, start, end);
        } catch {
          throw new RangeError("out of bounds");
        }
      },
      own: undefined,
    }),
  },
  "it takes what is cut short": {
    noticedBy: ["refuses truncated messages"],
    spoil: (codec, desc) => ({
      read: (source, start, end) => {
        try {
          return codec.read(source, start, end);
        } catch {
          return create(desc);
        }
      },
      own: undefined,
    }),
  },
  "it does not say where a value is wrong": {
    noticedBy: ["names the path of a value that a field can't have"],
    spoil: (codec, desc) => ({
      measure: (message) => {
        try {
          return codec.measure(message);
        } catch {
          throw new RpcError(Code.INTERNAL, `can't encode ${desc.typeName}`, { reason: "codec" });
        }
      },
    }),
  },
};

function exactBytes(codec: Codec<Message>, message: Message): number {
  return codec.write(message, Buffer.alloc(codec.measure(message)), 0);
}

/** All that a codec is, with some of it replaced. */
function spoiled(codec: Codec<Message>, flaw: Partial<Codec<Message>>): Codec<Message> {
  return {
    name: codec.name,
    measure: (message) => codec.measure(message),
    write: (message, target, at) => codec.write(message, target, at),
    read: (source, start, end) => codec.read(source, start, end),
    own: codec.own === undefined ? undefined : (bytes) => codec.own?.(bytes) as Message,
    ...flaw,
  };
}

describe("the properties notice a codec that", () => {
  let folder = "";
  let schemas: CompiledSchemas | undefined;

  beforeAll(async () => {
    folder = await codecFolder();
    schemas = await compileSchemas(folder, [1, 2, 3, 4]);
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(Object.entries(FLAWS))("%s", { timeout: 60_000 }, (_, { noticedBy, spoil }) => {
    const sound = schemas as CompiledSchemas;
    const types = sound.types.map((type) => ({ ...type, codec: spoiled(type.codec, spoil(type.codec, type.desc)) }));
    for (const property of noticedBy) {
      expect(tryProperty({ ...sound, types }, { property, rounds: 2, showsAtMost: 1 }), property).not.toEqual([]);
    }
  });
});
