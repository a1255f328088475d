import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import { ErrorCode } from "../../http2/frames.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { type ErrorDetail, RpcError } from "../../rpc/rpc-error.ts";
import { encodeBase64 } from "./metadata-headers.ts";
import { decodeStatus, encodeStatus, resetError, resetToCode, statusError, statusFields } from "./status.ts";

const detail = (typeUrl: string, text: string): ErrorDetail => ({ typeUrl, value: Uint8Array.from(Buffer.from(text)) });

/** The error that a client makes of what a server sends for `error`. */
function overTheWire(error: RpcError | null, maxBytes?: number): RpcError | null {
  const fields = new Map(statusFields(error, maxBytes));
  return statusError(fields.get("grpc-status"), fields.get("grpc-message"), fields.get("grpc-status-details-bin"));
}

function received(...values: Parameters<typeof statusError>): RpcError {
  const error = statusError(...values);
  expect(error).not.toBeNull();
  return error as RpcError;
}

/** As HPACK and SETTINGS_MAX_HEADER_LIST_SIZE count them. */
function size(fields: readonly (readonly [string, string])[]): number {
  return fields.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
}

describe("trailers that arrive", () => {
  it("are OK with status 0, whatever else they say", () => {
    expect(statusError("0", undefined, undefined)).toBeNull();
    expect(statusError("0", "strange", "AAAA")).toBeNull();
  });

  it("make an error of the peer's with its text and metadata", () => {
    const metadata = new Metadata({ a: "1" });
    const error = received("5", "no%20user %E2%98%83", undefined, () => metadata);
    expect([error.code, error.text, error.origin, error.sent, error.reason]).toEqual([
      Code.NOT_FOUND,
      "no user ☃",
      "remote",
      true,
      undefined,
    ]);
    expect(error.metadata).toBe(metadata);
    expect(received("5", undefined, undefined).text).toBe("");
  });

  it.each(Object.values(Code).filter((code) => code !== Code.OK))("know code %d", (code) => {
    expect(received(String(code), "x", undefined).code).toBe(code);
  });

  it("are UNKNOWN without a status, and say so", () => {
    const error = received(undefined, undefined, undefined);
    expect([error.code, error.reason, error.origin]).toEqual([Code.UNKNOWN, "protocol", "remote"]);
    expect(error.text).toBe("the peer ended the call with no grpc-status");
    expect(received(undefined, "half a word", undefined).text).toBe(
      "the peer ended the call with no grpc-status: half a word",
    );
  });

  it.each(["", "abc", "-1", "+5", " 5", "5 ", "5.0", "0x5", "05", "00", "5,5", "1e1", "NaN", "\u0665"])(
    "are UNKNOWN with the status %j, which is no number",
    (status) => {
      const error = received(status, "text", undefined);
      expect([error.code, error.reason]).toEqual([Code.UNKNOWN, "protocol"]);
      expect(error.text).toBe(`the peer ended the call with the grpc-status ${JSON.stringify(status)}: text`);
    },
  );

  it.each(["17", "99", "4294967296", "1".repeat(400)])(
    "are UNKNOWN with the undefined code %s, text kept",
    (status) => {
      const error = received(status, "text", undefined);
      expect([error.code, error.reason]).toEqual([Code.UNKNOWN, undefined]);
      expect(error.text).toBe(`text (grpc-status ${status.slice(0, 40)} is not defined)`);
    },
  );

  it("show little of a long bad status", () => {
    expect(received("x".repeat(100_000), undefined, undefined).text.length).toBeLessThan(120);
  });
});

describe("details", () => {
  const details = [detail("type.googleapis.com/google.rpc.ErrorInfo", "one"), detail("type.googleapis.com/x.Y", "")];

  it("arrive in order, also padded", () => {
    const bytes = toBinary(
      StatusSchema,
      create(StatusSchema, { code: 9, message: "no", details: details.map((each) => ({ ...each })) }),
    );
    for (const text of [encodeBase64(bytes), Buffer.from(bytes).toString("base64")]) {
      const error = received("9", "no", text);
      expect([error.code, error.text, error.details]).toEqual([Code.FAILED_PRECONDITION, "no", details]);
    }
  });

  it("carry the text where it was cut off elsewhere", () => {
    const bytes = encodeStatus({ code: 9, message: "the whole text", details: [] });
    expect(received("9", "the wh", encodeBase64(bytes)).text).toBe("the whole text");
    const silent = encodeStatus({ code: 9, message: "", details });
    expect(received("9", "text", encodeBase64(silent)).text).toBe("text");
    expect(received("9", "text", encodeBase64(silent)).details).toEqual(details);
  });

  it("of another code are dropped, the error kept", () => {
    const error = received("5", "text", encodeBase64(encodeStatus({ code: 9, message: "other", details })));
    expect([error.code, error.text, error.details]).toEqual([Code.NOT_FOUND, "text", []]);
  });

  it.each([
    ["no base64", "!!!"],
    ["joined values", "CAU,CAU"],
    ["a cut field", encodeBase64(Uint8Array.of(0x08, 0x05, 0x12, 0x09, 0x41))],
    ["a cut varint", encodeBase64(Uint8Array.of(0x08, 0x85))],
    ["an endless varint", encodeBase64(new Uint8Array(20).fill(0xff))],
    ["field number 0", encodeBase64(Uint8Array.of(0x08, 0x05, 0x02, 0x00))],
    ["wire type 6", encodeBase64(Uint8Array.of(0x08, 0x05, 0x0e))],
    ["wire type 7", encodeBase64(Uint8Array.of(0x08, 0x05, 0x0f))],
    ["a group without end", encodeBase64(Uint8Array.of(0x08, 0x05, 0x23))],
    ["an end without group", encodeBase64(Uint8Array.of(0x08, 0x05, 0x24))],
    ["a cut fixed64", encodeBase64(Uint8Array.of(0x08, 0x05, 0x21, 1, 2, 3))],
    ["a cut fixed32", encodeBase64(Uint8Array.of(0x08, 0x05, 0x25, 1, 2, 3))],
    ["a detail that is malformed itself", encodeBase64(Uint8Array.of(0x08, 0x05, 0x1a, 0x02, 0x0a, 0x09))],
    ["a length of 4 GiB", encodeBase64(Uint8Array.of(0x08, 0x05, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f))],
  ])("that are %s are dropped, the error kept", (_what, value) => {
    const error = received("5", "text", value);
    expect([error.code, error.text, error.details]).toEqual([Code.NOT_FOUND, "text", []]);
  });

  it("skip fields that nobody knows", () => {
    const known = encodeStatus({ code: 5, message: "text", details: [detail("t", "v")] });
    const unknown = [
      [0x20, 0x96, 0x01],
      [0x29, 1, 2, 3, 4, 5, 6, 7, 8],
      [0x32, 0x02, 0x61, 0x62],
      [0x3d, 1, 2, 3, 4],
      // A group with a group, a varint and bytes inside; its field 1 is not the code.
      [0x43, 0x08, 0x07, 0x4b, 0x12, 0x01, 0x61, 0x4c, 0x44],
      // Known numbers with other wire types.
      [0x0a, 0x01, 0x61],
      [0x15, 1, 2, 3, 4],
    ];
    const bytes = Uint8Array.from([...unknown.flat(), ...known, ...unknown.flat()]);
    expect(decodeStatus(bytes)).toEqual({ code: 5, message: "text", details: [detail("t", "v")] });
    expect(received("5", "", encodeBase64(bytes)).details).toEqual([detail("t", "v")]);
  });

  it("are values of their own", () => {
    const bytes = encodeStatus({ code: 5, message: "", details: [detail("t", "value")] });
    const status = decodeStatus(bytes);
    bytes.fill(0);
    expect(status?.details).toEqual([detail("t", "value")]);
  });

  it("are the same as protobuf-es makes them, both ways", () => {
    const any = fc.record({ typeUrl: fc.string({ unit: "grapheme" }), value: fc.uint8Array({ maxLength: 200 }) });
    const status = fc.record({
      code: fc.integer({ min: 0, max: 0x7fffffff }),
      message: fc.string({ unit: "grapheme" }),
      details: fc.array(any, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(status, (value) => {
        const expected = toBinary(StatusSchema, create(StatusSchema, value));
        expect(Buffer.from(encodeStatus(value)).equals(expected)).toBe(true);
        expect(decodeStatus(expected)).toEqual(value);
      }),
    );
  });

  it("are read as protobuf-es reads them, fields in any order and number, unknown ones between", () => {
    const field = fc.constantFrom(
      [0x08, 0x05],
      [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x88, 0x00, 0x07],
      [0x12, 0x01, 0x61],
      [0x12, 0x00],
      [0x1a, 0x00],
      [0x1a, 0x03, 0x0a, 0x01, 0x62],
      [0x1a, 0x05, 0x12, 0x01, 0x63, 0x20, 0x07],
      [0x20, 0x80, 0x01],
      [0x2b, 0x08, 0x01, 0x2c],
    );
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
        const bytes = Uint8Array.from(fields.flat());
        const { code, message, details: read } = fromBinary(StatusSchema, bytes);
        const expected = { code, message, details: read.map(({ typeUrl, value }) => ({ typeUrl, value })) };
        expect(decodeStatus(bytes)).toEqual(expected);
      }),
    );
  });

  it("are read without failing, whatever the bytes, into something that can be sent on", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        const status = decodeStatus(bytes);
        if (status !== null && status.code >= 0) expect(decodeStatus(encodeStatus(status))).toEqual(status);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a status that is sent", () => {
  it("is one field when all went well", () => {
    expect(statusFields(null)).toEqual([["grpc-status", "0"]]);
  });

  it("has text and details only where there are any", () => {
    expect(statusFields(new RpcError(Code.ABORTED, ""))).toEqual([["grpc-status", "10"]]);
    expect(statusFields(new RpcError(Code.ABORTED, "50% ü"))).toEqual([
      ["grpc-status", "10"],
      ["grpc-message", "50%25 %C3%BC"],
    ]);
    expect(statusFields(new RpcError(Code.NOT_FOUND, "x", { details: [detail("t", "v")] }))).toEqual([
      ["grpc-status", "5"],
      ["grpc-message", "x"],
      ["grpc-status-details-bin", "CAUSAXgaBgoBdBIBdg"],
    ]);
  });

  it("arrives as it was sent", () => {
    const any = fc.record({ typeUrl: fc.string(), value: fc.uint8Array({ maxLength: 100 }) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }) as fc.Arbitrary<Code>,
        fc.string({ unit: "grapheme" }),
        fc.array(any, { maxLength: 3 }),
        (code, text, details) => {
          const error = overTheWire(new RpcError(code, text, { details })) as RpcError;
          expect([error.code, error.text, error.details]).toEqual([code, text, details]);
        },
      ),
    );
  });

  it("keeps code and text when the details are too large, and fills the limit exactly", () => {
    const error = (bytes: number): RpcError =>
      new RpcError(Code.INTERNAL, "text", { details: [detail("t", "v".repeat(bytes))] });
    expect(overTheWire(error(10_000))?.details).toEqual([]);
    expect(overTheWire(error(10_000))?.text).toBe("text");
    expect(overTheWire(error(10_000), 20_000)?.details.length).toBe(1);
    const limit = size(statusFields(error(300), 20_000));
    expect(statusFields(error(300), limit).length).toBe(3);
    expect(statusFields(error(300), limit - 1).length).toBe(2);
  });

  it.each(["a", "ü", "☃", "😀", "%", " ", "a b"])("cuts a text of many %j between characters", (unit) => {
    for (const maxBytes of [8192, 1000, 200]) {
      const fields = statusFields(new RpcError(Code.INTERNAL, unit.repeat(20_000)), maxBytes);
      expect(size(fields)).toBeLessThanOrEqual(maxBytes);
      const { text } = statusError(fields[0][1], fields[1][1], undefined) as RpcError;
      expect(text).not.toContain("\ufffd");
      expect(text.endsWith("...")).toBe(true);
      expect(unit.repeat(20_000).startsWith(text.slice(0, -3))).toBe(true);
      expect(text.length).toBeGreaterThan(2);
    }
  });

  it("stays within any limit that leaves room for the code", () => {
    const arbitrary = fc.string({ unit: "grapheme", minLength: 20, maxLength: 400 });
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: 90, max: 700 }), (text, maxBytes) => {
        const fields = statusFields(new RpcError(Code.INTERNAL, text, { details: [detail("t", text)] }), maxBytes);
        expect(size(fields)).toBeLessThanOrEqual(maxBytes);
        expect(fields[0]).toEqual(["grpc-status", "13"]);
      }),
    );
  });
});

describe("streams that were reset", () => {
  it.each([
    [ErrorCode.NO_ERROR, Code.INTERNAL],
    [ErrorCode.PROTOCOL_ERROR, Code.INTERNAL],
    [ErrorCode.INTERNAL_ERROR, Code.INTERNAL],
    [ErrorCode.FLOW_CONTROL_ERROR, Code.INTERNAL],
    [ErrorCode.SETTINGS_TIMEOUT, Code.INTERNAL],
    [ErrorCode.STREAM_CLOSED, Code.INTERNAL],
    [ErrorCode.FRAME_SIZE_ERROR, Code.INTERNAL],
    [ErrorCode.REFUSED_STREAM, Code.UNAVAILABLE],
    [ErrorCode.CANCEL, Code.CANCELLED],
    [ErrorCode.COMPRESSION_ERROR, Code.INTERNAL],
    [ErrorCode.CONNECT_ERROR, Code.INTERNAL],
    [ErrorCode.ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED],
    [ErrorCode.INADEQUATE_SECURITY, Code.PERMISSION_DENIED],
    [ErrorCode.HTTP_1_1_REQUIRED, Code.INTERNAL],
    [14, Code.INTERNAL],
    [0xffffffff, Code.INTERNAL],
  ])("by the peer with %d have code %d", (code, expected) => {
    expect(resetToCode(code)).toBe(expected);
    const error = resetError(code, true, false);
    expect([error.code, error.origin]).toEqual([expected, "remote"]);
    expect(error.text).toContain("the peer reset the stream with ");
  });

  it("and refused were not processed, all others perhaps", () => {
    const refused = resetError(ErrorCode.REFUSED_STREAM, true, false);
    expect([refused.sent, refused.reason]).toEqual([false, "refused"]);
    const cancelled = resetError(ErrorCode.CANCEL, true, false);
    expect([cancelled.sent, cancelled.reason]).toEqual([true, undefined]);
  });

  it("by this side tell what the peer did wrong", () => {
    const broken = resetError(ErrorCode.FLOW_CONTROL_ERROR, false, false);
    expect([broken.code, broken.reason, broken.origin, broken.sent]).toEqual([
      Code.INTERNAL,
      "protocol",
      "local",
      true,
    ]);
    expect(broken.text).toContain("FLOW_CONTROL_ERROR");
    const stalled = resetError(ErrorCode.ENHANCE_YOUR_CALM, false, false);
    expect([stalled.code, stalled.reason]).toEqual([Code.RESOURCE_EXHAUSTED, "limit"]);
  });

  it("because their connection was lost are UNAVAILABLE, whatever the code", () => {
    for (const byPeer of [true, false]) {
      const error = resetError(ErrorCode.NO_ERROR, byPeer, true);
      expect([error.code, error.reason, error.sent]).toEqual([Code.UNAVAILABLE, "connection", true]);
    }
  });
});
