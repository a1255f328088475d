import type { MessageInit } from "bowline/codegen";
import { type AllTypes, type AllTypesSchema, Color } from "../gen/bench/v1/all_types_pb.ts";
import { tinyInit } from "./tiny.ts";
import { NAMES, Values } from "./values.ts";

const COLORS = [Color.RED, Color.GREEN, Color.BLUE] as const;
const REPEATED = 5;

/** Without the message itself, so that parts can be put together. */
type Init = Exclude<MessageInit<typeof AllTypesSchema>, AllTypes>;

/** The n-th message with every kind of field set. */
export function allTypesInit(index: number): Init {
  const values = new Values(4000 + index);
  return {
    ...singular(values, index),
    ...repeated(values, index),
    ...optional(values),
    ...maps(values, index),
    choice: choice(values, index),
    ...wrappers(values),
  };
}

function singular(values: Values, index: number): Init {
  return {
    doubleValue: values.integer(1_000_000) / 1024,
    floatValue: values.integer(1000) / 8,
    int32Value: int32(values),
    int64Value: int64(values),
    uint32Value: uint32(values),
    uint64Value: values.bits(64),
    sint32Value: int32(values),
    sint64Value: int64(values),
    fixed32Value: uint32(values),
    fixed64Value: values.bits(63),
    sfixed32Value: int32(values),
    sfixed64Value: int64(values),
    boolValue: true,
    stringValue: values.of(NAMES),
    bytesValue: values.bytes(20),
    color: values.of(COLORS),
    tiny: tinyInit(index),
  };
}

function repeated(values: Values, index: number): Init {
  const many = <T>(one: () => T): T[] => Array.from({ length: REPEATED }, one);
  return {
    doubles: many(() => values.integer(1000) / 16),
    floats: many(() => values.integer(1000) / 16),
    int32s: many(() => int32(values)),
    int64s: many(() => int64(values)),
    uint32s: many(() => uint32(values)),
    uint64s: many(() => values.bits(50)),
    sint32s: many(() => int32(values)),
    sint64s: many(() => int64(values)),
    fixed32s: many(() => uint32(values)),
    fixed64s: many(() => values.bits(60)),
    sfixed32s: many(() => int32(values)),
    sfixed64s: many(() => int64(values)),
    bools: many(() => values.integer(2) === 1),
    strings: many(() => values.of(NAMES)),
    byteStrings: many(() => values.bytes(8)),
    colors: many(() => values.of(COLORS)),
    tinies: [tinyInit(index + 1), tinyInit(index + 2)],
    unpacked: many(() => int32(values)),
  };
}

function optional(values: Values): Init {
  return {
    optionalDouble: 0,
    optionalInt32: int32(values),
    optionalInt64: 0n,
    optionalBool: false,
    optionalString: values.of(["", "set"]),
    optionalBytes: values.bytes(3),
    optionalColor: Color.UNSPECIFIED,
  };
}

function maps(values: Values, index: number): Init {
  return {
    byInt32: { [-1]: int32(values), 7: int32(values) },
    byInt64: { "9007199254740993": int64(values) },
    byUint32: { 4294967295: uint32(values) },
    byUint64: { "18446744073709551615": values.bits(64) },
    bySint32: { [-7]: int32(values) },
    bySint64: { "-5": int64(values) },
    byFixed32: { 1: uint32(values), 2: uint32(values) },
    byFixed64: { "3": values.bits(63) },
    bySfixed32: { [-1]: values.integer(100) / 4 },
    bySfixed64: { "-9007199254740993": values.integer(100) / 4 },
    byBool: { true: "yes", false: "no" },
    byString: { signature: values.bytes(16), clé: values.bytes(4) },
    colorByString: { sky: Color.BLUE, rose: Color.RED },
    tinyByString: { owner: tinyInit(index + 3), editor: tinyInit(index + 4) },
  };
}

/** Each member of the oneof in turn. */
function choice(values: Values, index: number): Init["choice"] {
  const members: readonly Init["choice"][] = [
    { case: "text", value: values.of(NAMES) },
    { case: "number", value: int64(values) },
    { case: "raw", value: values.bytes(9) },
    { case: "user", value: tinyInit(index) },
    { case: "shade", value: Color.GREEN },
    { case: "flag", value: true },
  ];
  return members[index % members.length];
}

function wrappers(values: Values): Init {
  return {
    duration: { seconds: BigInt(values.integer(100)), nanos: values.integer(1_000_000_000) },
    doubleWrapper: values.integer(1000) / 4,
    floatWrapper: values.integer(1000) / 4,
    // google-protobuf's own class for it has numbers.
    int64Wrapper: values.bits(50),
    uint64Wrapper: values.bits(50),
    int32Wrapper: int32(values),
    uint32Wrapper: uint32(values),
    boolWrapper: true,
    stringWrapper: values.of(NAMES),
    bytesWrapper: values.bytes(5),
  };
}

/** Half of them small, some negative. */
function int32(values: Values): number {
  return values.integer(2) === 0 ? values.integer(200) : values.integer(0x1_0000_0000) | 0;
}

function uint32(values: Values): number {
  return values.integer(2) === 0 ? values.integer(200) : values.integer(0x1_0000_0000);
}

function int64(values: Values): bigint {
  const value = values.bits(1 + values.integer(62));
  return values.integer(3) === 0 ? -value : value;
}
