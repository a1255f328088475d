import { deepStrictEqual } from "node:assert";
import { fromBinary } from "@bufbuild/protobuf";
import type { MessageSet } from "../messages/message-kind.ts";
import type { Passes } from "./library.ts";

/**
 * Makes sure that a library writes and reads what the messages of a set hold, as protobuf-es understands it.
 *
 * @throws AssertionError that names the message
 */
export function checkPasses({ kind, schema, bytes }: MessageSet, { encoded, decoded }: Passes): void {
  // A copy: fields of type bytes are views of what they were decoded from, and those of a Buffer are Buffers.
  const content = (of: Uint8Array): unknown => fromBinary(schema, new Uint8Array(of));
  for (const [index, original] of bytes.entries()) {
    const expected = content(original);
    const what = `${kind} ${index} has other content after`;
    if (encoded !== undefined) deepStrictEqual(content(encoded(index)), expected, `${what} encoding`);
    if (decoded !== undefined) deepStrictEqual(content(decoded(index)), expected, `${what} decoding`);
  }
}
