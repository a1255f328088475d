/** Compressed flag and length before each message. */
const PREFIX_BYTES = 5;

/** A message as gRPC frames it. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(PREFIX_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** The message of a body that holds one. */
export function messageOf(body: Buffer): Buffer {
  return body.subarray(PREFIX_BYTES);
}
