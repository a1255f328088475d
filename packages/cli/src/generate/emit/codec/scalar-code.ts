import type { ScalarType } from "@bufbuild/protobuf";

/** Numbers of google.protobuf.FieldDescriptorProto.Type; protobuf-es is not loaded for them. */
export const SCALAR = { bool: 8, bytes: 12, double: 1, float: 2, string: 9 } as const;

/** What generated code does with values of a scalar type. */
export interface ScalarCode {
  /** The runtime's function that writes one without its tag. */
  readonly write: string;
  /** The reader's method that reads one. */
  readonly read: string;
  /** google.protobuf wire type. */
  readonly wireType: 0 | 1 | 2 | 5;
  /** The most bytes of one without its tag; 0 when that depends on the value. */
  readonly maxBytes: number;
  /** Its zero as an expression. */
  readonly zero: string;
}

const varint = (name: string, maxBytes: number, zero: string): ScalarCode => code(name, 0, maxBytes, zero);
const fixed32 = (name: string): ScalarCode => code(name, 5, 4, "0");
const fixed64 = (name: string, zero: string): ScalarCode => code(name, 1, 8, zero);

function code(name: string, wireType: 0 | 1 | 5, maxBytes: number, zero: string): ScalarCode {
  return { write: `write${name.charAt(0).toUpperCase()}${name.slice(1)}`, read: name, wireType, maxBytes, zero };
}

const SCALARS: Readonly<Record<number, ScalarCode>> = {
  1: fixed64("double", "0"),
  2: fixed32("float"),
  3: varint("int64", 10, "0n"),
  4: varint("uint64", 10, "0n"),
  5: varint("int32", 10, "0"),
  6: fixed64("fixed64", "0n"),
  7: fixed32("fixed32"),
  8: varint("bool", 1, "false"),
  9: { write: "writeText", read: "string", wireType: 2, maxBytes: 0, zero: '""' },
  12: { write: "writeBytes", read: "bytes", wireType: 2, maxBytes: 0, zero: "new Uint8Array(0)" },
  13: varint("uint32", 5, "0"),
  15: fixed32("sfixed32"),
  16: fixed64("sfixed64", "0n"),
  17: varint("sint32", 5, "0"),
  18: varint("sint64", 10, "0n"),
};

const INT32 = 5;

/** Enums travel as int32. */
export function scalarCode(type: ScalarType | undefined): ScalarCode {
  return SCALARS[type ?? INT32];
}

/** True for the types that JavaScript holds as bigint. */
export function isLong(type: ScalarType | undefined): boolean {
  return type !== undefined && SCALARS[type].zero === "0n";
}
