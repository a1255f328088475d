/** The service that every peer serves and calls: test/proto/peer/v1/echo.proto. */
export const ECHO_SERVICE = "peer.v1.Echo";
export const UNARY_PATH: string = `/${ECHO_SERVICE}/Unary`;
export const SERVER_STREAM_PATH: string = `/${ECHO_SERVICE}/ServerStream`;
export const BIDI_STREAM_PATH: string = `/${ECHO_SERVICE}/BidiStream`;
export const SLOW_PATH: string = `/${ECHO_SERVICE}/Slow`;

/**
 * Bytes of payload that make an EchoRequest of `messageBytes`: tag and length take the rest.
 *
 * @throws RangeError for the few sizes that no payload makes, such as 130
 */
export function payloadBytes(messageBytes: number): number {
  for (let lengthBytes = 1; lengthBytes <= 5; lengthBytes++) {
    const payload = messageBytes - 1 - lengthBytes;
    if (payload >= 0 && varint(payload).length === lengthBytes) return payload;
  }
  throw new RangeError(`no echo message has ${messageBytes} bytes`);
}

/**
 * An EchoRequest of so many bytes, with nothing but a payload. As an EchoResponse it means the same, so a server that
 * returns its input serves clients that decode.
 */
export function echoMessage(messageBytes: number): Buffer {
  const payload = payloadBytes(messageBytes);
  return Buffer.concat([Buffer.from([0x0a, ...varint(payload)]), Buffer.alloc(payload, 7)]);
}

/** The 24 bytes that go both ways. */
export const ECHO_MESSAGE: Buffer = echoMessage(24);

/** A StreamRequest for `count` answers of about `messageBytes`: a server that numbers them adds some. */
export function streamRequest(count: number, messageBytes: number): Buffer {
  return Buffer.from([0x08, ...varint(count), 0x10, ...varint(payloadBytes(messageBytes))]);
}

/** A client says each time that so many messages of a stream have come: a divisor of the lengths of all streams. */
export const PROGRESS_MESSAGES = 16;

/** Number of answers and the one to repeat, as a request of {@link streamRequest} wants them. */
export function readStreamRequest(request: Uint8Array): { readonly count: number; readonly message: Buffer } {
  const [count, next] = readVarint(request, 1);
  const [payload] = readVarint(request, next + 1);
  const head = Buffer.from([0x0a, ...varint(payload)]);
  return { count, message: Buffer.concat([head, Buffer.alloc(payload, 7)]) };
}

/** A SlowRequest that never ends by itself within a measurement: ten minutes. */
export const SLOW_MESSAGE: Buffer = Buffer.from([0x08, ...varint(600_000)]);

/** Throws unless the answer is what was sent. */
export function checkEcho(answer: Uint8Array): void {
  if (!ECHO_MESSAGE.equals(answer)) {
    throw new Error(`the server answered ${Buffer.from(answer).toString("hex")}, not what was sent`);
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

/** The value that begins at `at`, and where the next field begins. */
function readVarint(source: Uint8Array, at: number): readonly [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = source[at++];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at];
  }
}
