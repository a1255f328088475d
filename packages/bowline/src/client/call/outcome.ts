import type { AttemptResult } from "../../balancer/balancer.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";

/** The end of a call by its caller's signal: an error of its own for each call, for many may share the signal and its reason. */
export function abortError(signal: AbortSignal): RpcError {
  const reason: unknown = signal.reason;
  if (RpcError.is(reason) && reason.code !== Code.OK)
    return new RpcError(reason.code, reason.text, { cause: reason, reason: reason.reason });
  const isTold = reason instanceof Error && reason.name !== "AbortError";
  const text = isTold ? `cancelled: ${reason.message}` : "cancelled by the caller";
  return new RpcError(Code.CANCELLED, text, { cause: reason, reason: "cancelled" });
}

/** The end of a call that begins when the one that it serves is over already. */
export function parentError(reason: RpcError): RpcError {
  const isLate = reason.code === Code.DEADLINE_EXCEEDED;
  const text = `the call that this one serves has ended: ${reason.text}`;
  return new RpcError(isLate ? Code.DEADLINE_EXCEEDED : Code.CANCELLED, text, {
    cause: reason,
    reason: isLate ? "deadline" : "cancelled",
  });
}

/** The same error for another call. */
export function copyOf(error: RpcError): RpcError {
  const { details, origin, reason, metadataIfAny: metadata } = error;
  return new RpcError(error.code, error.text, { details, origin, reason, metadata, cause: error });
}

/** How the balancer should take an end: an answer of the application is a sign of health whatever it says. */
export function resultOf(error: RpcError | null): AttemptResult {
  if (error === null) return "ok";
  switch (error.code) {
    case Code.CANCELLED:
      return "cancelled";
    case Code.DEADLINE_EXCEEDED:
      return "timeout";
    case Code.RESOURCE_EXHAUSTED:
      return error.reason === "limit" ? "cancelled" : "overload";
    case Code.UNAVAILABLE:
    case Code.INTERNAL:
    case Code.UNKNOWN:
    case Code.DATA_LOSS:
      return "failed";
    default:
      return "ok";
  }
}
