import type { Chance } from "../chance.ts";

/** Names of fields that are words of JavaScript, members of objects, or likely names in generated code. */
const ODD_FIELDS: readonly string[] = (
  "constructor to_string toString to_json value_of has_own_property is_prototype_of to_locale_string prototype __proto__ __define_getter__ case value out " +
  "at end reader message buffer length key tag index i n result writer codec bound start position undefined arguments " +
  "await yield let static this new delete class default function return switch type_name null true false NaN Infinity " +
  "object Object Array Uint8Array Buffer Number BigInt String RpcError encode decode measure write read own as self " +
  "option repeated optional required oneof group map reserved extend package import syntax rpc service stream enum " +
  "foo_bar foobar Foo_Bar FooBar_ foo__baz x1_y2 a b unknown fields list entry kind_ url _lead trail_ dollar oneof_1 " +
  "get set async of from var const export interface any never number string boolean bigint symbol void in instanceof"
).split(" ");

/** Names of messages that JavaScript or generated code has another meaning for. */
const ODD_MESSAGES: readonly string[] = (
  "Object Array Map Set Promise Error Buffer Reader Writer Codec Message Number Boolean BigInt Symbol Date Function " +
  "RangeError TypeError RpcError Float64Array DataView Math JSON Reflect Proxy Partial Record Readonly Any Timestamp " +
  "Struct Empty Value Service CallOptions WireReader Alpha AlphaCodec encodeAlpha boundAlpha decodeAlpha Alpha_ Beta " +
  "BetaCodec Case case Default lower_case UPPER X x Utf8 Wire Long Text Bytes Tag Node Tree Leaf Order Line Event"
).split(" ");

/** Comments that could end where they should not. */
export const ODD_COMMENTS: readonly string[] = [
  " plain",
  " ends */ a comment /* begins one",
  " `code` $\u007btemplate} \\u0041 \\ backslash",
  " @deprecated not really, {@link nothing} <b>html</b> & more",
  " müßig 日本語 🙂 \u2028 separators \u2029 \u0085",
  " first line\n second line\n\n  - list",
  " ends with a backslash \\",
  "",
];

/** The name that protobuf-es gives to a field: lower camel case as in ProtoJSON. */
function localNameOf(name: string): string {
  return name.replace(/_+([^_]?)/g, (_, next: string) => next.toUpperCase());
}

/** A name that objects do not inherit: protobuf-es takes the inherited function for the value of a field that is not set. */
export function notInherited(name: string): string {
  return localNameOf(name) in Object.prototype ? `${name}_field` : name;
}

/** Names that are taken in one scope, and under which others would clash in ProtoJSON or in TypeScript. */
export class NameScope {
  readonly #taken = new Set<string>();

  /** Whether nobody had the name yet; now it is taken. */
  take(...names: readonly string[]): boolean {
    if (names.some((name) => this.#taken.has(name))) return false;
    for (const name of names) this.#taken.add(name);
    return true;
  }
}

/** A new name for a field or a oneof of the message whose names `scope` holds. */
export function fieldName(chance: Chance, scope: NameScope): string {
  for (let attempt = 0; ; attempt++) {
    const odd = attempt < 5 && chance.odds(0.35);
    const name = odd
      ? chance.pick(ODD_FIELDS)
      : `${chance.pick(["field", "a", "long_name_of_field", "f"])}_${chance.int(1, 9999)}`;
    const local = localNameOf(name);
    // In ProtoJSON names must differ even when their case does not count.
    if (scope.take(name, `json:${local.toLowerCase()}`, `entry:${entryName(name)}`)) return name;
  }
}

/** A new name for a message or an enum; `taken` holds what others in the same scope have. */
export function typeName(chance: Chance, scope: NameScope, isTaken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const odd = attempt < 5 && chance.odds(0.5);
    const name = odd
      ? chance.pick(ODD_MESSAGES)
      : `${chance.pick(["Msg", "Thing", "Inner", "Deep"])}${chance.int(1, 9999)}`;
    if (!isTaken(name) && scope.take(name, `entry:${name}`)) return name;
  }
}

/** The name of the message that a map field brings with it. */
function entryName(name: string): string {
  const camel = localNameOf(name);
  return `${camel.slice(0, 1).toUpperCase()}${camel.slice(1)}Entry`;
}
