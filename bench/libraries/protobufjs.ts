import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import protobufjs from "protobufjs";
import { attempt } from "../../test/peers/attempt.ts";
import { freshCopy, type Library } from "./library.ts";

/** What both forms of protobufjs have for a message type. */
export interface ProtobufjsType {
  fromObject(object: object): object;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

const PROTO = fileURLToPath(new URL("../proto", import.meta.url));
const FILES = ["bench", "blob", "tree", "all_types"].map((name) => `bench/v1/${name}.proto`);
/** Git ignores it, and what lies there finds the installed protobufjs. */
const FOLDER = fileURLToPath(new URL("../../.cache/bench", import.meta.url));
const MODULE = `${FOLDER}/protobufjs-static.cjs`;
const STATIC = "-t static-module -w commonjs --no-comments --no-verify --no-delimited --no-typeurl --no-service".split(
  " ",
);

/** Code that protobufjs-cli generates. The fastest that protobufjs has; 64-bit numbers are Long objects. */
export const protobufjsStatic: Library = library((typeName) => staticTypes().lookup(typeName));

/** Code that protobufjs makes at run time from the .proto files. */
export const protobufjsReflection: Library = library((typeName) => reflection().lookupType(typeName));

/**
 * Generates the code of {@link staticTypes} from today's .proto files: once, before processes that want it are started.
 *
 * @throws Error when pbjs fails
 */
export function generateProtobufjs(): void {
  mkdirSync(FOLDER, { recursive: true });
  const { resolve } = createRequire(import.meta.url);
  const pbjs = resolve("protobufjs-cli/bin/pbjs");
  const done = attempt(process.execPath, [pbjs, ...STATIC, "-p", PROTO, "-o", MODULE, ...FILES]);
  if (done === undefined) throw new Error(`pbjs could not generate ${MODULE} from ${PROTO}`);
}

/** The generated types by their full name. */
export function staticTypes(): { lookup(typeName: string): ProtobufjsType } {
  const root = createRequire(import.meta.url)(MODULE) as Record<string, unknown>;
  const step = (at: unknown, name: string): unknown => (at as Record<string, unknown>)[name];
  return { lookup: (typeName) => typeName.split(".").reduce(step, root as unknown) as ProtobufjsType };
}

function reflection(): protobufjs.Root {
  const root = new protobufjs.Root();
  root.resolvePath = (_origin, target) => (target.startsWith("bench/") ? `${PROTO}/${target}` : target);
  return root.loadSync(FILES);
}

function library(typeOf: (typeName: string) => ProtobufjsType): Library {
  return {
    prepare: ({ schema, messages, bytes }) => {
      const type = typeOf(schema.typeName);
      const buffers = bytes.map((each) => Buffer.from(each));
      // Of bytes, so that it has the library's own numbers, enums and maps.
      const own = messages.map((_, index) => type.decode(buffers[index]));
      return {
        encode: freshCopy(encodeLoop)(type, own),
        encoded: (index) => type.encode(own[index]).finish(),
        decode: freshCopy(decodeLoop)(type, buffers),
        decoded: (index) => type.encode(type.decode(buffers[index])).finish(),
      };
    },
  };
}

function encodeLoop(type: ProtobufjsType, messages: readonly object[]): () => number {
  return () => {
    let sum = 0;
    for (let i = 0; i < messages.length; i++) sum += type.encode(messages[i]).finish().length;
    return sum;
  };
}

function decodeLoop(type: ProtobufjsType, bytes: readonly Buffer[]): () => unknown {
  return () => {
    let last: unknown;
    for (let i = 0; i < bytes.length; i++) last = type.decode(bytes[i]);
    return last;
  };
}
