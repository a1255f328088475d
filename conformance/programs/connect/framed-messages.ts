import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** Octets of the length before each message, big-endian. */
const PREFIX_BYTES = 4;

/** A message as the Connect conformance runner frames it on standard input and output. */
export function framed<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Buffer {
  const bytes = toBinary(schema, message);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(bytes.length);
  return Buffer.concat([prefix, bytes]);
}

/** The messages that the runner writes, to the end of `input`. Rejects when that comes inside a message. */
export async function* readFramed<Desc extends DescMessage>(
  schema: Desc,
  input: AsyncIterable<Buffer>,
): AsyncGenerator<MessageShape<Desc>> {
  let held = Buffer.alloc(0);
  for await (const chunk of input) {
    held = Buffer.concat([held, chunk]);
    for (;;) {
      if (held.length < PREFIX_BYTES) break;
      const end = PREFIX_BYTES + held.readUInt32BE();
      if (held.length < end) break;
      yield fromBinary(schema, held.subarray(PREFIX_BYTES, end));
      held = held.subarray(end);
    }
  }
  if (held.length > 0) throw new Error(`standard input ended inside a message, with ${held.length} bytes of it`);
}
