import { Code, RpcError } from "bowline";
import { badRequest, errorInfo, preconditionFailure, resourceInfo } from "bowline/grpc/error-details";

/** Who defines the reasons in the shop's errors. */
const DOMAIN = "shop.example";

/**
 * Refuses a request with fields that are wrong: INVALID_ARGUMENT, with all of them in a BadRequest.
 *
 * `fields` says of each field `true`, or what is wanted: `{ quantity: quantity > 0 || "1 to 100 pieces" }`.
 */
export function requireValid(fields: Readonly<Record<string, true | string>>): void {
  const violations = Object.entries(fields).flatMap(([field, wanted]) =>
    wanted === true ? [] : [{ field, description: wanted }],
  );
  if (violations.length === 0) return;
  const text = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  throw new RpcError(Code.INVALID_ARGUMENT, text, { details: [badRequest(violations)] });
}

/** True for what may identify a call or a thing; otherwise what is wanted. */
export function isKey(key: string): true | string {
  return (key.length > 0 && key.length <= 64) || "1 to 64 characters";
}

/** True for a number of pieces that may be bought at once; otherwise what is wanted. */
export function isQuantity(quantity: number): true | string {
  return (quantity >= 1 && quantity <= 100) || "1 to 100 pieces";
}

/** NOT_FOUND, with what was looked for. */
export function notFound(resourceType: string, resourceName: string): RpcError {
  const details = [resourceInfo({ resourceType, resourceName })];
  return new RpcError(Code.NOT_FOUND, `there is no ${resourceType} ${resourceName}`, { details });
}

/** One thing that keeps a call from succeeding: `subject` is the SKU, the card, … */
export interface Obstacle {
  readonly subject: string;
  readonly description: string;
}

/** FAILED_PRECONDITION: the request is sound, but the shop says no. `reason` is for programs, as in `OUT_OF_STOCK`. */
export function refusal(reason: string, obstacles: readonly Obstacle[]): RpcError {
  const text = obstacles.map(({ subject, description }) => `${subject}: ${description}`).join("; ");
  const violations = obstacles.map((obstacle) => ({ type: reason, ...obstacle }));
  const details = [errorInfo({ reason, domain: DOMAIN }), preconditionFailure(violations)];
  return new RpcError(Code.FAILED_PRECONDITION, text, { details });
}
