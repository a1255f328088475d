import { describe, expect, it } from "vitest";
import { Code } from "../../rpc/code.ts";
import { httpStatusError, httpStatusToCode, parseContentType } from "./http-status.ts";

describe("an HTTP status without grpc-status", () => {
  it.each([
    [400, Code.INTERNAL],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.UNIMPLEMENTED],
    [429, Code.UNAVAILABLE],
    [502, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
    [504, Code.UNAVAILABLE],
  ])("%d is code %d", (status, code) => {
    expect(httpStatusToCode(status)).toBe(code);
  });

  it.each([0, 100, 200, 204, 301, 402, 405, 408, 409, 412, 413, 415, 431, 499, 500, 501, 505, 599, 600, 999, -1, NaN])(
    "%d is UNKNOWN",
    (status) => {
      expect(httpStatusToCode(status)).toBe(Code.UNKNOWN);
    },
  );

  it("makes an error that says what came instead of gRPC", () => {
    const error = httpStatusError(503, "text/html");
    expect([error.code, error.origin, error.reason, error.sent]).toEqual([
      Code.UNAVAILABLE,
      "remote",
      "protocol",
      true,
    ]);
    expect(error.text).toBe(
      'the answer is not gRPC: HTTP status 503, content-type "text/html"; a proxy could not reach the server',
    );
    expect(httpStatusError(200, "").text).toContain("no content-type; is this the address of a gRPC server?");
    expect(httpStatusError(404, "text/plain").code).toBe(Code.UNIMPLEMENTED);
    expect(httpStatusError(418, "x").text).toBe('the answer is not gRPC: HTTP status 418, content-type "x"');
  });

  it("shows no more of a peer's header than is useful, and nothing unprintable", () => {
    const { text } = httpStatusError(500, `\u001b[31m${"x".repeat(10_000)}`);
    expect(text.length).toBeLessThan(200);
    expect(text).toContain("\\u001b");
  });
});

describe("content-type", () => {
  it.each([
    ["application/grpc", ""],
    ["application/grpc+proto", "proto"],
    ["application/grpc+json", "json"],
    ["application/grpc+vnd.acme-v2", "vnd.acme-v2"],
    ["APPLICATION/gRPC+Proto", "proto"],
    ["application/grpc;charset=utf-8", ""],
    ["application/grpc+proto; charset=utf-8", "proto"],
    ["application/grpc ; a=b", ""],
    ["application/grpc;", ""],
  ])("%j is gRPC with the codec %j", (value, subtype) => {
    expect(parseContentType(value)).toBe(subtype);
  });

  it.each([
    "",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpcx",
    "application/grpc+",
    "application/grpc+pro to",
    "application/grpc+proto,application/grpc",
    "application/grpc/proto",
    "application/json",
    "text/html; application/grpc",
    "xapplication/grpc",
    "application/proto",
  ])("%j is not gRPC", (value) => {
    expect(parseContentType(value)).toBeNull();
  });
});
