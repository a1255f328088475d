import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { EchoRequestSchema, StreamRequestSchema } from "../../test/gen/peer/v1/echo_pb.ts";
import { echoMessage, payloadBytes, readStreamRequest, streamRequest } from "./echo.ts";

describe("echo messages", () => {
  it.each([2, 24, 100, 129, 131, 16_384, 1 << 20])("has %i bytes and is an EchoRequest", (bytes) => {
    const message = echoMessage(bytes);
    expect(message).toHaveLength(bytes);
    expect(fromBinary(EchoRequestSchema, message).payload).toHaveLength(payloadBytes(bytes));
  });

  it("refuses a size that no payload makes", () => {
    expect(() => echoMessage(130)).toThrow("no echo message has 130 bytes");
  });

  it("asks for a stream as the schema does, and reads it back", () => {
    const request = streamRequest(10_000, 100);
    expect(request).toEqual(Buffer.from(toBinary(StreamRequestSchema, fromBinary(StreamRequestSchema, request))));
    expect(fromBinary(StreamRequestSchema, request)).toMatchObject({ count: 10_000, payloadBytes: 98 });
    expect(readStreamRequest(request)).toEqual({ count: 10_000, message: echoMessage(100) });
  });
});
