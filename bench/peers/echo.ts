/** The method that every peer serves and calls: `Unary` of test/proto/peer/v1/echo.proto. */
export const ECHO_PATH = "/peer.v1.Echo/Unary";

/**
 * The 24 bytes that go both ways: an EchoRequest with a payload of 22. As an EchoResponse they mean the same, so a server that
 * returns its input serves clients that decode.
 */
export const ECHO_MESSAGE: Buffer = Buffer.concat([Buffer.from([0x0a, 22]), Buffer.alloc(22, 7)]);

/** Payload bytes that make an EchoRequest of 24 bytes. */
export const ECHO_PAYLOAD_BYTES = 22;

/** Throws unless the answer is what was sent. */
export function checkEcho(answer: Uint8Array): void {
  if (!ECHO_MESSAGE.equals(answer)) {
    throw new Error(`the server answered ${Buffer.from(answer).toString("hex")}, not what was sent`);
  }
}
