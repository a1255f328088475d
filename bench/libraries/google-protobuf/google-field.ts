import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

/** Of what a field, an element of a list or a value of a map is: all that the emitted code asks. */
export interface GoogleType {
  /** In the names of the reader's and writer's methods: `Int64` in readInt64. */
  readonly wire: string;
  /** In the names of setters of proto3: `Int` in setProto3IntField. */
  readonly setter: string;
  /** Source text of the value that an absent field has. */
  readonly zero: string;
  /** For messages. */
  readonly message: DescMessage | undefined;
}

const scalars: Readonly<Record<ScalarType, readonly [wire: string, setter: string, zero: string]>> = {
  [ScalarType.DOUBLE]: ["Double", "Float", "0.0"],
  [ScalarType.FLOAT]: ["Float", "Float", "0.0"],
  [ScalarType.INT32]: ["Int32", "Int", "0"],
  [ScalarType.INT64]: ["Int64", "Int", "0"],
  [ScalarType.UINT32]: ["Uint32", "Int", "0"],
  [ScalarType.UINT64]: ["Uint64", "Int", "0"],
  [ScalarType.SINT32]: ["Sint32", "Int", "0"],
  [ScalarType.SINT64]: ["Sint64", "Int", "0"],
  [ScalarType.FIXED32]: ["Fixed32", "Int", "0"],
  [ScalarType.FIXED64]: ["Fixed64", "Int", "0"],
  [ScalarType.SFIXED32]: ["Sfixed32", "Int", "0"],
  [ScalarType.SFIXED64]: ["Sfixed64", "Int", "0"],
  [ScalarType.BOOL]: ["Bool", "Boolean", "false"],
  [ScalarType.STRING]: ["String", "String", '""'],
  [ScalarType.BYTES]: ["Bytes", "Bytes", '""'],
};

/** The type of a field, of the elements of a list, of the values of a map. `areTexts`: 64-bit numbers, as with jstype = JS_STRING. */
export function googleType(field: DescField, areTexts: boolean): GoogleType {
  const message = field.message;
  if (message !== undefined) return { wire: "Message", setter: "", zero: "", message };
  return scalarType(field.scalar, field.enum, areTexts);
}

/** The type of the keys of a map. */
export function googleKey(field: DescField & { fieldKind: "map" }, areTexts: boolean): GoogleType {
  return scalarType(field.mapKey, undefined, areTexts);
}

function scalarType(scalar: ScalarType | undefined, of: DescEnum | undefined, areTexts: boolean): GoogleType {
  if (scalar === undefined) {
    if (of === undefined) throw new TypeError("a field is a message, a scalar or an enum");
    return { wire: "Enum", setter: "Enum", zero: "0", message: undefined };
  }
  const [wire, setter, zero] = scalars[scalar];
  if (!areTexts || !wire.endsWith("64")) return { wire, setter, zero, message: undefined };
  return { wire: `${wire}String`, setter: "StringInt", zero: '"0"', message: undefined };
}
