import { fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "@grpc/grpc-js";
import type { ErrorDetail } from "bowline";

/** Tag of `repeated google.protobuf.Any details = 3` in google.rpc.Status. */
const DETAILS_TAG = (3 << 3) | 2;

/** The details in `grpc-status-details-bin`, read by hand so that no code under test is its own judge. */
export function detailsOf(trailers: Metadata): ErrorDetail[] {
  const [bytes] = trailers.get("grpc-status-details-bin") as Buffer[];
  const details: ErrorDetail[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      value |= (bytes[at] & 0x7f) << shift;
      if (bytes[at++] < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const length = varint();
    if ((tag & 7) === 0) continue;
    if (tag === DETAILS_TAG) {
      const { typeUrl, value } = fromBinary(AnySchema, bytes.subarray(at, at + length));
      details.push({ typeUrl, value });
    }
    at += length;
  }
  return details;
}
