/** What generated code imports, and nothing else: see `bowline generate`. */
export type { MessageInitShape as MessageInit } from "@bufbuild/protobuf";
export type { CallOptions } from "./client/call-options.ts";
export { blankMessage } from "./codec/blank-message.ts";
export type { Codec } from "./codec/codec.ts";
export { fileDescriptors } from "./codec/file-descriptors.ts";
export { type Encodable, messageCodec } from "./codec/generated-codec.ts";
export { protobufCodec } from "./codec/protobuf-codec.ts";
export { boundJsonObject, decodeJsonObject, encodeJsonObject } from "./codec/wire/json-object.ts";
export { booleanKey, entryOf, isPlainKey, keysOf, putEntry, raiseTop, wholeKey } from "./codec/wire/map-entries.ts";
export type { Reader } from "./codec/wire/reader.ts";
export { room } from "./codec/wire/room.ts";
export {
  boundBytes,
  boundBytesList,
  boundText,
  boundTexts,
  boundUnknown,
  boundVarints,
  listOf,
  refuseCase,
  refuseOther,
  unset,
  writeUnknown,
} from "./codec/wire/write-message.ts";
export {
  writeBool,
  writeDouble,
  writeFixed32,
  writeFixed64,
  writeFloat,
  writeInt32,
  writeInt64,
  writeSfixed32,
  writeSfixed64,
  writeSint32,
  writeSint64,
  writeUint32,
  writeUint64,
  writeVarint,
} from "./codec/wire/write-scalar.ts";
export { endMessage, endPacked, varintBytes, writeBytes, writeText } from "./codec/wire/write-text.ts";
export type { Service } from "./rpc/method.ts";
export type { ServerContext } from "./server/server-context.ts";
