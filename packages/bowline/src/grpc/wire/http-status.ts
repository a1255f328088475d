import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/**
 * The status of a call whose answer has no `grpc-status`, made of its HTTP status: some proxy spoke, or the peer is no
 * gRPC server.
 *
 * 200 is UNKNOWN too: an answer that is all right has a `grpc-status`. 431 is UNKNOWN as the conformance suite wants
 * it, while newer versions of the document say INTERNAL. Source: grpc/grpc `doc/http-grpc-status-mapping.md`.
 */
export function httpStatusToCode(httpStatus: number): Code {
  switch (httpStatus) {
    case 400:
      return Code.INTERNAL;
    case 401:
      return Code.UNAUTHENTICATED;
    case 403:
      return Code.PERMISSION_DENIED;
    case 404:
      return Code.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code.UNAVAILABLE;
    default:
      return Code.UNKNOWN;
  }
}

/** The error of an answer that is not gRPC: it says what came instead and what that often means. */
export function httpStatusError(httpStatus: number, contentType: string): RpcError {
  const what =
    contentType === "" ? "no content-type" : `content-type ${JSON.stringify(contentType.slice(0, MAX_SHOWN))}`;
  const text = `the answer is not gRPC: HTTP status ${httpStatus}, ${what}${hint(httpStatus)}`;
  return new RpcError(httpStatusToCode(httpStatus), text, { origin: "remote", reason: "protocol" });
}

function hint(httpStatus: number): string {
  if (httpStatus === 200) return "; is this the address of a gRPC server?";
  if (httpStatus === 404 || httpStatus === 415) return "; the peer serves HTTP but not this gRPC method";
  if (httpStatus >= 502 && httpStatus <= 504) return "; a proxy could not reach the server";
  return "";
}

/** Characters of a peer's value that an error shows. */
const MAX_SHOWN = 80;
const GRPC = "application/grpc";
/** A token of RFC 9110 §5.6.2, in lower case. */
const SUBTYPE = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/**
 * The codec that a `content-type` names: `proto` for `application/grpc+proto`, empty for `application/grpc` alone
 * (which means proto), null when it is not gRPC. Letter case does not count and parameters are ignored;
 * `application/grpc-web` is not gRPC.
 */
export function parseContentType(value: string): string | null {
  const parametersAt = value.indexOf(";");
  const type = (parametersAt < 0 ? value : value.slice(0, parametersAt)).trim().toLowerCase();
  if (!type.startsWith(GRPC)) return null;
  if (type.length === GRPC.length) return "";
  if (type === `${GRPC}+proto`) return "proto";
  const subtype = type.slice(GRPC.length + 1);
  return type[GRPC.length] === "+" && SUBTYPE.test(subtype) ? subtype : null;
}
