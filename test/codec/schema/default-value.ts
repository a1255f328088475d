import type { Chance } from "../chance.ts";
import type { ProtoEnum, ProtoType } from "./proto-model.ts";

const INT32 = ["0", "1", "-1", "2147483647", "-2147483648", "0x7f", "-042"];
const UINT32 = ["0", "1", "4294967295", "0xFFFFFFFF"];
const INT64 = ["0", "-1", "9223372036854775807", "-9223372036854775808", "9007199254740993"];
const UINT64 = ["0", "18446744073709551615", "9007199254740993"];
const FLOATS = ["0", "-0.0", "1.5", "-1e10", "inf", "-inf", "nan", "3.4028235e38", "1e-45", ".5"];

const BY_SCALAR: Readonly<Record<string, readonly string[]>> = {
  double: [...FLOATS, "1.7976931348623157e308", "5e-324"],
  float: FLOATS,
  int32: INT32,
  sint32: INT32,
  sfixed32: INT32,
  int64: INT64,
  sint64: INT64,
  sfixed64: INT64,
  uint32: UINT32,
  fixed32: UINT32,
  uint64: UINT64,
  fixed64: UINT64,
  bool: ["true", "false"],
  string: [
    `""`,
    `"plain"`,
    `"quote \\" back \\\\ tick \` dollar \${x}"`,
    `'single \\' line\\n tab\\t'`,
    `"\\u00e9 \\U0001F600 🙂 \\x41\\101"`,
    `"*/ \\r\\n \\u2028"`,
  ],
  bytes: [`""`, `"plain"`, `"\\000\\001\\377\\xfe"`, `"\\\\ \\" \\n \\xc3\\x28"`],
};

/** The option that gives a field of this type a default, or none for a message. */
export function defaultValue(chance: Chance, type: ProtoType, enums: readonly ProtoEnum[]): string[] {
  if (type.kind === "scalar") return [`default = ${chance.pick(BY_SCALAR[type.name] as readonly string[])}`];
  const found = enums.find((each) => `.${each.fullName}` === type.name);
  return found === undefined ? [] : [`default = ${chance.pick(found.values).name}`];
}
