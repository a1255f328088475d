import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { FRAMING_TOO_LARGE, type FramingResult } from "./message-framing.ts";

/** The error of a message whose announced or real size passes the limit of this side. */
export function tooLarge(bytes: number, maxBytes: number): RpcError {
  const text = `a message of ${bytes} bytes is above the limit of ${maxBytes} (maxReceiveBytes)`;
  return new RpcError(Code.RESOURCE_EXHAUSTED, text, { reason: "limit" });
}

/** The error of octets that are no message of the expected type; a codec's own says more and stays. */
export function undecodable(cause: unknown): RpcError {
  if (RpcError.is(cause)) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new RpcError(Code.INTERNAL, `a message can't be decoded: ${text}`, { cause, reason: "codec" });
}

/** The error of octets that break the rules of gRPC (INTERNAL, PROTOCOL-HTTP2.md). */
export function protocolError(text: string): RpcError {
  return new RpcError(Code.INTERNAL, text, { reason: "protocol" });
}

/** The error of a compressed message behind headers that name no `grpc-encoding` (INTERNAL, compression.md). */
export function unnamedEncoding(): RpcError {
  return protocolError("a message is marked compressed, but the headers before it name no grpc-encoding");
}

/** The error of what `MessageAssembler.push` could not take. */
export function framingError(result: FramingResult, announcedBytes: number, maxBytes: number): RpcError {
  if (result === FRAMING_TOO_LARGE) return tooLarge(announcedBytes, maxBytes);
  return protocolError("a message's flag is neither 0 nor 1");
}

/** The error of a request of a method that takes one message: it has none, or several (UNIMPLEMENTED, statuscodes.md). */
export function wrongCount(what: "no message" | "more than one message"): RpcError {
  const text = `the request has ${what}, the method takes one`;
  return new RpcError(Code.UNIMPLEMENTED, text, { reason: "protocol" });
}
