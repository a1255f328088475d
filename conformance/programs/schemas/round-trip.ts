// Encodes and decodes random messages of each type below a folder of generated code, by its generated codec and by protobuf-es, and tells
// of each type on a line of JSON whether the results are the same.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Codec } from "bowline";
import { type Random, seededRandom } from "bowline/testing";
import { randomMessage } from "./random-message.ts";

const MESSAGES_A_TYPE = 4;

type Module = Readonly<Record<string, unknown>>;

/** Field 536,870,911, the highest there is, with the varint 1. */
const UNKNOWN_FIELD: readonly number[] = [0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01];

const [seed, folder] = process.argv.slice(2);
const random: Random = seededRandom(Number(seed));

for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
  if (!path.endsWith("_pb.ts")) continue;
  const messages: Module = await load(path);
  const schemas = Object.entries(messages).filter((entry): entry is [string, DescMessage] => isSchema(entry[1]));
  if (schemas.length === 0) continue;
  const codecs: Module | string = await load(path.replace(/_pb\.ts$/, "_rpc.ts")).catch(
    (error: Error) => error.message,
  );
  for (const [name, schema] of schemas) {
    const codec = typeof codecs === "string" ? codecs : codecOf(name, codecs);
    const fault = typeof codec === "string" ? codec : firstFault(schema, codec);
    process.stdout.write(`${JSON.stringify({ type: schema.typeName, fault })}\n`);
  }
}

function load(path: string): Promise<Module> {
  return import(pathToFileURL(join(folder, path)).href);
}

function isSchema(value: unknown): value is DescMessage {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "message";
}

/** `MCodec` for `MSchema`; a `$` stands where a name would be taken. */
function codecOf(name: string, codecs: Module): Codec<Message> | string {
  const [, message, dollar] = /^(.*)Schema(\$?)$/.exec(name) ?? [];
  const names =
    dollar === ""
      ? [`${message}Codec`, `${message}$Codec`, `${message}Codec$`]
      : [`${message}$Codec`, `${message}Codec`];
  // `boundACodec` is the function of a message ACodec, if there is one.
  const codec = names.map((each) => codecs[each]).find((each) => typeof each === "object");
  return codec === undefined ? `no ${names[0]} is exported` : (codec as Codec<Message>);
}

function firstFault(schema: DescMessage, codec: Codec<Message>): string | undefined {
  for (let i = 0; i < MESSAGES_A_TYPE; i++) {
    const fault = faultOf(schema, codec);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** What the codec does otherwise than protobuf-es with one message, or undefined. */
function faultOf(schema: DescMessage, codec: Codec<Message>): string | undefined {
  try {
    const message = randomMessage(schema, random);
    const bytes = toBinary(schema, message);
    const again = encode(codec, message);
    if (!again.equals(bytes)) return `encoded ${show(again)}, not ${show(bytes)}`;
    const withUnknown = Uint8Array.from([...bytes, ...UNKNOWN_FIELD]);
    return decodeFault(schema, codec, bytes) ?? decodeFault(schema, codec, withUnknown);
  } catch (error) {
    return (error as Error).stack;
  }
}

function decodeFault(schema: DescMessage, codec: Codec<Message>, bytes: Uint8Array): string | undefined {
  const wanted = fromBinary(schema, bytes);
  const source = Buffer.from(bytes);
  const seen = codec.read(source, 0, source.length);
  if (!isDeepStrictEqual(seen, wanted)) return `decoded differently by read: ${show(bytes)}`;
  if (codec.own !== undefined && !isDeepStrictEqual(codec.own(Buffer.from(bytes)), wanted)) {
    return `decoded differently by own: ${show(bytes)}`;
  }
  const again = encode(codec, seen);
  return again.equals(bytes) ? undefined : `encoded again ${show(again)}, not ${show(bytes)}`;
}

function encode(codec: Codec<Message>, message: Message): Buffer {
  const target = Buffer.alloc(codec.measure(message));
  return target.subarray(0, codec.write(message, target, 0));
}

function show(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
