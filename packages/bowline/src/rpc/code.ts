/**
 * The canonical status codes of gRPC.
 *
 * Source: grpc/grpc `doc/statuscodes.md`, google/rpc/code.proto.
 */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** One of the numbers in {@link Code}, 0 to 16. */
export type Code = (typeof Code)[keyof typeof Code];

/** The name of a status code in capitals, as in `DEADLINE_EXCEEDED`. */
export type CodeName = keyof typeof Code;

const NAMES = Object.keys(Code) as CodeName[];

/** The name of a code, `"NOT_FOUND"` for 5; a number that is no code gives `"UNKNOWN"`. */
export function codeName(code: number): CodeName {
  return NAMES[code] ?? "UNKNOWN";
}

/** A number from the wire as a code: anything outside 0 to 16 is UNKNOWN, as the gRPC specification asks. */
export function toCode(value: number): Code {
  return Number.isInteger(value) && value >= 0 && value <= 16 ? (value as Code) : Code.UNKNOWN;
}
