import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type BadRequest_FieldViolationSchema,
  BadRequestSchema,
  DebugInfoSchema,
  ErrorInfoSchema,
  type Help_LinkSchema,
  HelpSchema,
  LocalizedMessageSchema,
  type PreconditionFailure_ViolationSchema,
  PreconditionFailureSchema,
  type QuotaFailure_ViolationSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";
import { type ErrorDetail, RpcError } from "../rpc/rpc-error.ts";

export {
  type BadRequest,
  BadRequestSchema,
  type DebugInfo,
  DebugInfoSchema,
  type ErrorInfo,
  ErrorInfoSchema,
  type Help,
  HelpSchema,
  type LocalizedMessage,
  LocalizedMessageSchema,
  type PreconditionFailure,
  PreconditionFailureSchema,
  type QuotaFailure,
  QuotaFailureSchema,
  type RequestInfo,
  RequestInfoSchema,
  type ResourceInfo,
  ResourceInfoSchema,
  type RetryInfo,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";

/** A reader looks only at what follows the last `/`. Source: google/protobuf/any.proto. */
const TYPE_URL_PREFIX = "type.googleapis.com/";

/**
 * A message of any type as a detail of an error:
 * `throw new RpcError(Code.INVALID_ARGUMENT, "bad order", { details: [errorDetail(OrderFaultSchema, { line: 3 })] })`.
 *
 * The functions below do it for the types of google/rpc/error_details.proto, which every gRPC library knows.
 */
export function errorDetail<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): ErrorDetail {
  return { typeUrl: TYPE_URL_PREFIX + schema.typeName, value: toBinary(schema, create(schema, init)) };
}

/**
 * The first detail of that type in an error that a call ended with; undefined when `error` is no RpcError or has none.
 *
 * A detail whose bytes can't be decoded is passed over like one of an unknown type: details only explain an error, so a bad
 * one must not put another error in its place. Its bytes are still in `error.details`.
 */
export function findDetail<Desc extends DescMessage>(error: unknown, schema: Desc): MessageShape<Desc> | undefined {
  if (!RpcError.is(error)) return undefined;
  for (const detail of error.details) {
    if (detail.typeUrl.slice(detail.typeUrl.lastIndexOf("/") + 1) !== schema.typeName) continue;
    try {
      return fromBinary(schema, detail.value);
    } catch {
      // Passed over, see above.
    }
  }
  return undefined;
}

/** Which fields of the request are wrong, and why: for INVALID_ARGUMENT. `field` is a path such as `items[2].sku`. */
export function badRequest(
  fieldViolations: readonly MessageInitShape<typeof BadRequest_FieldViolationSchema>[],
): ErrorDetail {
  return errorDetail(BadRequestSchema, { fieldViolations: [...fieldViolations] });
}

/** When the caller may try again: for UNAVAILABLE and RESOURCE_EXHAUSTED. Fractions of a millisecond are rounded up. */
export function retryInfo({ delayMs }: { readonly delayMs: number }): ErrorDetail {
  if (!(delayMs >= 0 && delayMs <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`retryInfo: delayMs is ${delayMs}; it must be 0 or more milliseconds`);
  }
  return errorDetail(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(delayMs)) });
}

/** How many milliseconds to wait before trying again, as the server said with {@link retryInfo}; undefined if it said nothing. */
export function retryDelayMs(error: unknown): number | undefined {
  const delay = findDetail(error, RetryInfoSchema)?.retryDelay;
  return delay === undefined ? undefined : Math.max(0, Number(delay.seconds) * 1000 + delay.nanos / 1_000_000);
}

/** What went wrong in a form for programs: `reason` as in `OUT_OF_STOCK`, `domain` is who defined it, as in `shop.example`. */
export function errorInfo(info: MessageInitShape<typeof ErrorInfoSchema>): ErrorDetail {
  return errorDetail(ErrorInfoSchema, info);
}

/** What must be different before the call can succeed: for FAILED_PRECONDITION. */
export function preconditionFailure(
  violations: readonly MessageInitShape<typeof PreconditionFailure_ViolationSchema>[],
): ErrorDetail {
  return errorDetail(PreconditionFailureSchema, { violations: [...violations] });
}

/** Which limits are used up: for RESOURCE_EXHAUSTED. */
export function quotaFailure(
  violations: readonly MessageInitShape<typeof QuotaFailure_ViolationSchema>[],
): ErrorDetail {
  return errorDetail(QuotaFailureSchema, { violations: [...violations] });
}

/** Which thing the error is about: for NOT_FOUND, ALREADY_EXISTS and PERMISSION_DENIED. */
export function resourceInfo(info: MessageInitShape<typeof ResourceInfoSchema>): ErrorDetail {
  return errorDetail(ResourceInfoSchema, info);
}

/** By what the request is found in the server's logs. */
export function requestInfo(info: MessageInitShape<typeof RequestInfoSchema>): ErrorDetail {
  return errorDetail(RequestInfoSchema, info);
}

/** Where to read on. */
export function help(links: readonly MessageInitShape<typeof Help_LinkSchema>[]): ErrorDetail {
  return errorDetail(HelpSchema, { links: [...links] });
}

/** A text that may be shown to the end user; `locale` as in `de-AT` (BCP 47). */
export function localizedMessage(message: MessageInitShape<typeof LocalizedMessageSchema>): ErrorDetail {
  return errorDetail(LocalizedMessageSchema, message);
}

/** What a developer needs to find the fault. Not for callers outside: it tells how the server is built. */
export function debugInfo(info: MessageInitShape<typeof DebugInfoSchema>): ErrorDetail {
  return errorDetail(DebugInfoSchema, info);
}
