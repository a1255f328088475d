import { damagedMessagesAreRefusedOrRead, randomBytesAreRefusedOrRead, truncatedMessagesAreRefused } from "./damage.ts";
import { encodingsMerge, messagesDecodeAsProtobufEs, unusualWireDecodesAsProtobufEs } from "./decoding.ts";
import { decodedMessagesAreOfTheEcosystem } from "./ecosystem.ts";
import { changedMessagesEncodeAnew, initsEncodeAsProtobufEs, messagesEncodeAsProtobufEs } from "./encoding.ts";
import { extensionsAreKept } from "./extensions.ts";
import { invalidValuesAreNamed } from "./invalid-values.ts";
import { jsonIsThatOfProtobufEs } from "./json.ts";
import type { Property } from "./property.ts";

/** All properties by the sentence that each of them is. */
export const PROPERTIES: Readonly<Record<string, Property>> = {
  "encodes messages to the bytes of protobuf-es": messagesEncodeAsProtobufEs,
  "encodes init objects to what protobuf-es makes of them": initsEncodeAsProtobufEs,
  "encodes messages as they are by then": changedMessagesEncodeAnew,
  "decodes to the objects of protobuf-es": messagesDecodeAsProtobufEs,
  "decodes unusual wire as protobuf-es does": unusualWireDecodesAsProtobufEs,
  "merges encodings that follow each other": encodingsMerge,
  "keeps extensions": extensionsAreKept,
  "makes messages that protobuf-es works on": decodedMessagesAreOfTheEcosystem,
  "speaks JSON as the codec without generated code does": jsonIsThatOfProtobufEs,
  "names the path of a value that a field can't have": invalidValuesAreNamed,
  "refuses truncated messages": truncatedMessagesAreRefused,
  "refuses damaged messages, or reads them consistently": damagedMessagesAreRefusedOrRead,
  "refuses random bytes, or reads them consistently": randomBytesAreRefusedOrRead,
};
