import assert from "node:assert/strict";
import { type CallOptions, Code } from "bowline";
import { collect } from "../../test/peers/collect.ts";
import { PayloadType } from "../gen/grpc/testing/messages_pb.ts";
import {
  failure,
  type InteropCase,
  type InteropClients,
  LARGE_REQUEST_BYTES,
  LARGE_RESPONSE_BYTES,
  zeros,
} from "./interop-cases.ts";

/** A stream's request or answer that is compressed, and one that is not. */
const COMPRESSED_BYTES = 31_415;
const PLAIN_BYTES = 92_653;
const INPUT_BYTES = [27_182, 45_904];

/** Of a message that is all zeros no more than this is left. */
const MOST_LEFT = 0.1;

/** Requests as they are, in a call whose requests may be compressed. */
const NONE_COMPRESSED: CallOptions = { compression: "gzip", compressIf: () => false };
/** Requests are compressed if they tell the server to expect that. */
const AS_EXPECTED: CallOptions = {
  compression: "gzip",
  compressIf: (message) => (message as { expectCompressed?: { value: boolean } }).expectCompressed?.value === true,
};

async function clientCompressedUnary({ test }: InteropClients): Promise<void> {
  const request = (isExpected: boolean) => ({
    expectCompressed: { value: isExpected },
    responseSize: LARGE_RESPONSE_BYTES,
    payload: zeros(LARGE_REQUEST_BYTES),
  });
  await failure(test.unaryCall(request(true), NONE_COMPRESSED), Code.INVALID_ARGUMENT);
  for (const isExpected of [true, false]) {
    const { payload } = await test.unaryCall(request(isExpected), AS_EXPECTED);
    assert.equal(payload?.body.length, LARGE_RESPONSE_BYTES);
  }
}

async function clientCompressedStreaming({ test }: InteropClients): Promise<void> {
  const [first, second] = INPUT_BYTES;
  const compressed = { expectCompressed: { value: true }, payload: zeros(first) };
  const plain = { expectCompressed: { value: false }, payload: zeros(second) };
  await failure(test.streamingInputCall([compressed], NONE_COMPRESSED), Code.INVALID_ARGUMENT);
  const { aggregatedPayloadSize } = await test.streamingInputCall([compressed, plain], AS_EXPECTED);
  assert.equal(aggregatedPayloadSize, first + second);
}

async function serverCompressedUnary({ connectCounted }: InteropClients): Promise<void> {
  const counted = await connectCounted();
  try {
    for (const isWanted of [true, false]) {
      const before = counted.receivedBytes();
      const { payload } = await counted.test.unaryCall({
        responseCompressed: { value: isWanted },
        responseType: PayloadType.COMPRESSABLE,
        responseSize: LARGE_RESPONSE_BYTES,
        payload: zeros(LARGE_REQUEST_BYTES),
      });
      assert.equal(payload?.body.length, LARGE_RESPONSE_BYTES);
      checkSize(
        counted.receivedBytes() - before,
        isWanted ? LARGE_RESPONSE_BYTES : 0,
        isWanted ? 0 : LARGE_RESPONSE_BYTES,
      );
    }
  } finally {
    counted.close();
  }
}

async function serverCompressedStreaming({ connectCounted }: InteropClients): Promise<void> {
  const counted = await connectCounted();
  try {
    const responseParameters = [
      { compressed: { value: true }, size: COMPRESSED_BYTES },
      { compressed: { value: false }, size: PLAIN_BYTES },
    ];
    const answers = await collect(
      counted.test.streamingOutputCall({ responseType: PayloadType.COMPRESSABLE, responseParameters }),
    );
    const sizes = answers.map(({ payload }) => payload?.body.length);
    assert.deepEqual(sizes, [COMPRESSED_BYTES, PLAIN_BYTES]);
    checkSize(counted.receivedBytes(), COMPRESSED_BYTES, PLAIN_BYTES);
  } finally {
    counted.close();
  }
}

/** What crossed the wire must hold all of what was not to be compressed, and little of what was. */
function checkSize(receivedBytes: number, compressedBytes: number, plainBytes: number): void {
  const text = `${receivedBytes} bytes for ${compressedBytes} compressed and ${plainBytes} plain ones`;
  assert.ok(receivedBytes >= plainBytes, text);
  assert.ok(receivedBytes < plainBytes + MOST_LEFT * (compressedBytes + plainBytes), text);
}

/** The cases of compression, which grpc-go's programs lack. */
export const COMPRESSION_CASES: Readonly<Record<string, InteropCase>> = {
  client_compressed_unary: clientCompressedUnary,
  server_compressed_unary: serverCompressedUnary,
  client_compressed_streaming: clientCompressedStreaming,
  server_compressed_streaming: serverCompressedStreaming,
};
