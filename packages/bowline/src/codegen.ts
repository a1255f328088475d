/** What generated code imports, and nothing else: see `bowline generate`. */
export type { MessageInitShape as MessageInit } from "@bufbuild/protobuf";
export type { CallOptions } from "./client/call-options.ts";
export { fileDescriptors } from "./codec/file-descriptors.ts";
export { protobufCodec } from "./codec/protobuf-codec.ts";
export type { Service } from "./rpc/method.ts";
export type { ServerContext } from "./server/server-context.ts";
