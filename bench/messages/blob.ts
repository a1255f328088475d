import type { MessageInit } from "bowline/codegen";
import type { BlobSchema } from "../gen/bench/v1/blob_pb.ts";
import { Values } from "./values.ts";

const DATA_BYTES = 10_000;

/** The n-th of the blobs: 10 kB of bytes with a name. */
export function blobInit(index: number): MessageInit<typeof BlobSchema> {
  const values = new Values(2000 + index);
  const data = values.bytes(DATA_BYTES + values.integer(64));
  return { name: `pictures/2026/harbour-${index}.jpg`, contentType: "image/jpeg", data };
}
