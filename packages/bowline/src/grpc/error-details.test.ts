import { DurationSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { Code } from "../rpc/code.ts";
import { type ErrorDetail, RpcError } from "../rpc/rpc-error.ts";
import {
  BadRequestSchema,
  badRequest,
  DebugInfoSchema,
  debugInfo,
  ErrorInfoSchema,
  errorDetail,
  errorInfo,
  findDetail,
  HelpSchema,
  help,
  LocalizedMessageSchema,
  localizedMessage,
  PreconditionFailureSchema,
  preconditionFailure,
  QuotaFailureSchema,
  quotaFailure,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
  requestInfo,
  resourceInfo,
  retryDelayMs,
  retryInfo,
} from "./error-details.ts";

function errorWith(...details: ErrorDetail[]): RpcError {
  return new RpcError(Code.INVALID_ARGUMENT, "no", { details });
}

describe("details of an error", () => {
  it("are found by their type, whatever stands around them", () => {
    const error = errorWith(
      errorInfo({ reason: "OUT_OF_STOCK", domain: "shop.example", metadata: { sku: "a1" } }),
      badRequest([{ field: "items[0].sku", description: "unknown" }]),
      retryInfo({ delayMs: 1500 }),
      preconditionFailure([{ type: "TOS", subject: "shop.example", description: "not accepted" }]),
      quotaFailure([{ subject: "user:7", description: "10 orders a day", quotaValue: 10n }]),
      resourceInfo({ resourceType: "order", resourceName: "orders/7" }),
      requestInfo({ requestId: "r-1" }),
      help([{ description: "Limits", url: "https://shop.example/limits" }]),
      localizedMessage({ locale: "de-AT", message: "Ausverkauft" }),
      debugInfo({ stackEntries: ["a", "b"], detail: "x" }),
    );
    expect(findDetail(error, ErrorInfoSchema)).toMatchObject({ reason: "OUT_OF_STOCK", metadata: { sku: "a1" } });
    expect(findDetail(error, BadRequestSchema)?.fieldViolations).toMatchObject([
      { field: "items[0].sku", description: "unknown" },
    ]);
    expect(findDetail(error, RetryInfoSchema)?.retryDelay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
    expect(findDetail(error, PreconditionFailureSchema)?.violations).toMatchObject([{ type: "TOS" }]);
    expect(findDetail(error, QuotaFailureSchema)?.violations).toMatchObject([{ subject: "user:7", quotaValue: 10n }]);
    expect(findDetail(error, ResourceInfoSchema)).toMatchObject({ resourceName: "orders/7" });
    expect(findDetail(error, RequestInfoSchema)).toMatchObject({ requestId: "r-1" });
    expect(findDetail(error, HelpSchema)?.links).toMatchObject([{ url: "https://shop.example/limits" }]);
    expect(findDetail(error, LocalizedMessageSchema)).toMatchObject({ locale: "de-AT", message: "Ausverkauft" });
    expect(findDetail(error, DebugInfoSchema)).toMatchObject({ stackEntries: ["a", "b"], detail: "x" });
    expect(findDetail(error, DurationSchema)).toBeUndefined();
  });

  it("have the type URL and bytes that other implementations write", () => {
    expect(badRequest([{ field: "a", description: "b" }])).toEqual({
      typeUrl: "type.googleapis.com/google.rpc.BadRequest",
      value: Uint8Array.from([0x0a, 6, 0x0a, 1, 0x61, 0x12, 1, 0x62]),
    });
  });

  it("are read whatever host their type URL names", () => {
    const detail = errorDetail(StringValueSchema, { value: "x" });
    for (const typeUrl of [
      "google.protobuf.StringValue",
      "/google.protobuf.StringValue",
      "a.example/b/google.protobuf.StringValue",
    ]) {
      expect(findDetail(errorWith({ ...detail, typeUrl }), StringValueSchema)?.value).toBe("x");
    }
    expect(
      findDetail(errorWith({ ...detail, typeUrl: "a/xgoogle.protobuf.StringValue" }), StringValueSchema),
    ).toBeUndefined();
  });

  it("are passed over when they can't be decoded", () => {
    const broken = { typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value: Uint8Array.from([0x0a, 200]) };
    expect(findDetail(errorWith(broken), RetryInfoSchema)).toBeUndefined();
    expect(retryDelayMs(errorWith(broken, retryInfo({ delayMs: 7 })))).toBe(7);
  });

  it("are looked for only in errors of a call", () => {
    expect(findDetail(new Error("no"), BadRequestSchema)).toBeUndefined();
    expect(findDetail(undefined, BadRequestSchema)).toBeUndefined();
    expect(findDetail({ details: [badRequest([])] }, BadRequestSchema)).toBeUndefined();
  });
});

describe("retryInfo", () => {
  it("carries milliseconds, fractions rounded up", () => {
    expect(retryDelayMs(errorWith(retryInfo({ delayMs: 0 })))).toBe(0);
    expect(retryDelayMs(errorWith(retryInfo({ delayMs: 0.1 })))).toBe(1);
    expect(retryDelayMs(errorWith(retryInfo({ delayMs: 61_234.5 })))).toBe(61_235);
    expect(retryDelayMs(errorWith())).toBeUndefined();
  });

  it("refuses what is no delay", () => {
    for (const delayMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => retryInfo({ delayMs })).toThrow(/delayMs is .*must be 0 or more/);
    }
  });

  it("never says to wait a negative time", () => {
    const detail = errorDetail(RetryInfoSchema, { retryDelay: { seconds: -5n, nanos: 0 } });
    expect(retryDelayMs(errorWith(detail))).toBe(0);
  });
});
