import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { type Code, Metadata, RpcError } from "bowline";
import type { Code as ConformanceCode } from "../../gen/connectrpc/conformance/v1/config_pb.ts";
import {
  type Error as ConformanceError,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  type ErrorSchema,
  type Header,
  type HeaderSchema,
} from "../../gen/connectrpc/conformance/v1/service_pb.ts";

/** Metadata of the runner's headers, whose values are texts: those of `-bin` keys in base64. */
export function toMetadata(headers: readonly Header[]): Metadata {
  return addTo(new Metadata(), headers);
}

/** Adds the runner's headers to metadata that are there. */
export function addTo(metadata: Metadata, headers: readonly Header[]): Metadata {
  for (const { name, value } of headers) {
    const isBinary = name.toLowerCase().endsWith("-bin");
    for (const each of value) metadata.append(name, isBinary ? Buffer.from(each, "base64") : each);
  }
  return metadata;
}

/** The runner's form of metadata: one header a key, its values in order. */
export function toHeaders(metadata: Metadata | undefined): MessageInitShape<typeof HeaderSchema>[] {
  const values = new Map<string, string[]>();
  for (const [key, value] of metadata ?? []) {
    const text = typeof value === "string" ? value : Buffer.from(value).toString("base64").replace(/=+$/, "");
    const held = values.get(key);
    if (held === undefined) values.set(key, [text]);
    else held.push(text);
  }
  return [...values].map(([name, value]) => ({ name, value }));
}

/** The error that the runner wants a server to end a call with; `requestInfo` becomes its last detail. */
export function toRpcError(error: ConformanceError, requestInfo?: ConformancePayload_RequestInfo): RpcError {
  const details = [...error.details];
  if (requestInfo !== undefined) details.push(anyPack(ConformancePayload_RequestInfoSchema, requestInfo));
  return new RpcError(error.code as number as Code, error.message ?? "", { details });
}

/** What the runner wants to know of the error that a call ended with. */
export function fromRpcError(error: RpcError): MessageInitShape<typeof ErrorSchema> {
  return {
    code: error.code as number as ConformanceCode,
    message: error.text,
    details: error.details.map(({ typeUrl, value }) => ({ typeUrl, value })),
  };
}

/** What a server has seen of a call, for the runner. */
export function requestInfoOf(
  init: MessageInitShape<typeof ConformancePayload_RequestInfoSchema>,
): ConformancePayload_RequestInfo {
  return create(ConformancePayload_RequestInfoSchema, init);
}
