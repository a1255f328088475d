import type { Chance } from "../chance.ts";
import { defaultValue } from "./default-value.ts";
import { fieldName, type NameScope, notInherited, ODD_COMMENTS } from "./odd-names.ts";
import type { Label, ProtoEnum, ProtoField, ProtoFile, ProtoMessage, ProtoType, Syntax } from "./proto-model.ts";

/** What all files of a schema share while it is made. */
export interface Realm {
  readonly chance: Chance;
  /** Makes names of enum values unique: they share the scope around their enum. */
  readonly enumValues: { count: number };
  readonly extensionNumbers: Map<string, Set<number>>;
  /** When a message was declared, and the names within it. */
  readonly order: Map<ProtoMessage, { readonly index: number; readonly names: NameScope }>;
}

/** What a file may refer to. */
export interface Vista {
  readonly file: ProtoFile;
  readonly messages: readonly ProtoMessage[];
  readonly enums: readonly ProtoEnum[];
}

const SCALARS: readonly string[] =
  "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes".split(" ");
const LONGS = new Set(["int64", "uint64", "sint64", "fixed64", "sfixed64"]);
const KEYS = SCALARS.filter((name) => !["double", "float", "bytes"].includes(name));

/** Well-known types, with their files. */
const WELL_KNOWN: readonly (readonly [file: string, ...names: string[]])[] = [
  ["any", "Any"],
  ["duration", "Duration"],
  ["empty", "Empty"],
  ["field_mask", "FieldMask"],
  ["struct", "Struct", "Value", "ListValue"],
  ["timestamp", "Timestamp"],
  [
    "wrappers",
    ..."DoubleValue FloatValue Int64Value UInt64Value Int32Value UInt32Value BoolValue StringValue BytesValue".split(
      " ",
    ),
  ],
];
const RARE: typeof WELL_KNOWN = [
  ["descriptor", "FileDescriptorProto", "FieldOptions"],
  ["api", "Api"],
  ["type", "Field"],
  ["source_context", "SourceContext"],
];

/** Gives a declared message its fields: up to 14, or `count`. */
export function fillMessage(realm: Realm, vista: Vista, message: ProtoMessage, count?: number): void {
  const { chance } = realm;
  const numbers = new Set<number>();
  const names = realm.order.get(message)?.names as NameScope;
  const oneofs = chance.list(0, 2, () => fieldName(chance, names));
  const total = count ?? chance.int(0, 14);
  for (let index = 0; index < total; index++) {
    const number = fieldNumber(chance, numbers, message.extensionRange);
    const oneof = oneofs.length > 0 && chance.odds(0.3) ? chance.pick(oneofs) : undefined;
    message.fields.push(randomField({ realm, vista, message, number, oneof }));
  }
}

/** An extension of `target`. */
export function randomExtension(realm: Realm, vista: Vista, target: ProtoMessage, name: string): ProtoField {
  const { chance } = realm;
  const numbers = realm.extensionNumbers.get(target.fullName) ?? new Set();
  realm.extensionNumbers.set(target.fullName, numbers);
  const [first, last] = target.extensionRange as readonly [number, number];
  let number = first;
  while (numbers.has(number)) number = chance.int(first, last);
  numbers.add(number);
  const type = randomType(chance, vista, true);
  const label = chance.odds(0.3) ? "repeated" : vista.file.syntax === "proto2" ? "optional" : "singular";
  const options = label === "repeated" ? packing(chance, vista.file.syntax, type) : [];
  return { name, number, label, type, options };
}

/** Where a field is to be made. */
interface Place {
  readonly realm: Realm;
  readonly vista: Vista;
  readonly message: ProtoMessage;
  readonly number: number;
  readonly oneof: string | undefined;
}

function randomField(place: Place): ProtoField {
  const { chance, order } = place.realm;
  const { syntax } = place.vista.file;
  const name = fieldName(chance, order.get(place.message)?.names as NameScope);
  const comment = chance.odds(0.15) ? chance.pick(ODD_COMMENTS) : undefined;
  const base = { name, number: place.number, comment };
  if (place.oneof === undefined && chance.odds(0.15)) return { ...base, ...mapParts(place) };
  if (syntax === "proto2" && chance.odds(0.1)) return { ...base, ...groupParts(place, name) };
  const type = randomType(chance, place.vista, false);
  const label = place.oneof === undefined ? labelFor(chance, syntax) : "singular";
  // Where nothing stands before the inherited member, neither a oneof nor a default in the message's prototype.
  const isBare =
    place.oneof === undefined && (type.kind === "message" || (syntax === "proto3" && label === "optional"));
  const shownName = isBare ? notInherited(name) : name;
  const plain = { ...base, name: shownName, label, type, oneof: place.oneof };
  if (label === "repeated")
    return { ...plain, options: withCommon(chance, type, packing(chance, syntax, type), place) };
  return singular(place, plain);
}

function labelFor(chance: Chance, syntax: Syntax): Label {
  if (chance.odds(0.3)) return "repeated";
  if (syntax === "proto2") return chance.odds(0.12) ? "required" : "optional";
  return syntax === "proto3" && chance.odds(0.3) ? "optional" : "singular";
}

/** Gives a field without `repeated` its presence and, where it may have one, its default. */
function singular(place: Place, field: Omit<ProtoField, "options">): ProtoField {
  const { chance, order } = place.realm;
  const { file, messages, enums } = place.vista;
  const target = messages.find((each) => `.${each.fullName}` === field.type.name);
  const position = (message: ProtoMessage | undefined): number =>
    message === undefined ? -1 : (order.get(message)?.index as number);
  // A message that requires itself could never be made.
  const canBeRequired = field.type.kind !== "message" || position(target) < position(place.message);
  if (file.syntax === "proto2") {
    const label = field.label === "required" && !canBeRequired ? "optional" : field.label;
    const options = chance.odds(0.4) ? defaultValue(chance, field.type, enums) : [];
    return {
      ...field,
      label: field.oneof === undefined ? label : "singular",
      options: withCommon(chance, field.type, options, place),
    };
  }
  if (file.syntax === "proto3") return { ...field, options: withCommon(chance, field.type, [], place) };
  return { ...field, options: withCommon(chance, field.type, presence(place, field, canBeRequired), place) };
}

function presence(place: Place, { type, oneof }: Omit<ProtoField, "options">, canBeRequired: boolean): string[] {
  const { chance } = place.realm;
  const { file, enums } = place.vista;
  const isImplicitByFile = file.options.includes("features.field_presence = IMPLICIT");
  if (oneof !== undefined) return chance.odds(0.3) ? defaultValue(chance, type, enums) : [];
  if (type.kind === "message") {
    return canBeRequired && chance.odds(0.06) ? ["features.field_presence = LEGACY_REQUIRED"] : [];
  }
  const isClosed = enums.some((each) => `.${each.fullName}` === type.name && each.isClosed);
  const choices = ["EXPLICIT", "LEGACY_REQUIRED", ...(isClosed ? [] : ["IMPLICIT", "IMPLICIT"])];
  const isInherited = chance.odds(0.6) && !(isImplicitByFile && isClosed);
  const chosen = isInherited ? (isImplicitByFile ? "IMPLICIT" : "EXPLICIT") : chance.pick(choices);
  const options = isInherited ? [] : [`features.field_presence = ${chosen}`];
  if (chosen !== "IMPLICIT" && chance.odds(0.4)) options.push(...defaultValue(chance, type, enums));
  return options;
}

/** Options that any field may have. */
function withCommon(chance: Chance, type: ProtoType, options: readonly string[], { vista, oneof }: Place): string[] {
  const isEdition = !vista.file.syntax.startsWith("proto");
  const result = [...options];
  if (chance.odds(0.08)) result.push("deprecated = true");
  if (LONGS.has(type.name) && chance.odds(0.3))
    result.push(`jstype = ${chance.pick(["JS_STRING", "JS_STRING", "JS_NUMBER"])}`);
  if (isEdition && type.name === "string" && chance.odds(0.25)) {
    result.push(`features.utf8_validation = ${chance.pick(["NONE", "VERIFY"])}`);
  }
  const isMessage = type.kind === "message";
  if (isEdition && isMessage && chance.odds(oneof === undefined ? 0.3 : 0.2)) {
    result.push(`features.message_encoding = ${chance.pick(["DELIMITED", "DELIMITED", "LENGTH_PREFIXED"])}`);
  }
  return result;
}

function packing(chance: Chance, syntax: Syntax, type: ProtoType): string[] {
  if (type.kind === "message" || type.name === "string" || type.name === "bytes" || chance.odds(0.4)) return [];
  const isPacked = chance.odds(0.5);
  if (syntax.startsWith("proto")) return [`packed = ${isPacked}`];
  return [`features.repeated_field_encoding = ${isPacked ? "PACKED" : "EXPANDED"}`];
}

function mapParts({ realm, vista }: Place): Pick<ProtoField, "label" | "key" | "type" | "options"> {
  const { chance } = realm;
  let type = randomType(chance, vista, false);
  const found = vista.enums.find((each) => `.${each.fullName}` === type.name);
  // The value of an entry without one is the first of its enum, which must be zero.
  if (found !== undefined && found.values[0]?.number !== 0) type = { kind: "scalar", name: "int32" };
  return { label: "map", key: chance.pick(KEYS), type, options: chance.odds(0.05) ? ["deprecated = true"] : [] };
}

function groupParts(place: Place, name: string): Omit<ProtoField, "number" | "comment"> {
  const { chance, order, enumValues } = place.realm;
  const groupName = `G${enumValues.count++}`;
  const group: ProtoMessage = {
    name: groupName,
    fullName: `${place.message.fullName}.${groupName}`,
    isDeprecated: false,
    fields: [],
    messages: [],
    enums: [],
    extensionRange: undefined,
    extensions: [],
  };
  const parent = order.get(place.message) as { readonly index: number; readonly names: NameScope };
  // Required fields within must not lead back to the message around.
  order.set(group, { index: parent.index, names: new (parent.names.constructor as new () => NameScope)() });
  fillMessage(place.realm, place.vista, group, chance.int(0, 5));
  const label = place.oneof !== undefined ? "singular" : chance.pick<Label>(["optional", "repeated", "optional"]);
  const type: ProtoType = { kind: "message", name };
  return { name: groupName.toLowerCase(), label, type, options: [], group, oneof: place.oneof };
}

function randomType(chance: Chance, vista: Vista, isExtension: boolean): ProtoType {
  const { file, messages, enums } = vista;
  const fits = enums.filter((each) => !each.isClosed || (file.syntax !== "proto3" && !isExtension));
  const draw = chance.int(0, 99);
  if (draw < 10 && fits.length > 0) return { kind: "enum", name: `.${chance.pick(fits).fullName}` };
  if (draw < 32) return { kind: "message", name: `.${chance.pick(messages).fullName}` };
  if (draw < 44) return wellKnownType(chance, file, chance.odds(0.04) ? RARE : WELL_KNOWN);
  return { kind: "scalar", name: chance.pick(SCALARS) };
}

function wellKnownType(chance: Chance, file: ProtoFile, table: typeof WELL_KNOWN): ProtoType {
  const [base, ...names] = chance.pick(table);
  const path = `google/protobuf/${base}.proto`;
  if (!file.imports.some((each) => each.path === path)) file.imports.push({ path, isPublic: false });
  if (base === "struct" && chance.odds(0.1)) return { kind: "enum", name: ".google.protobuf.NullValue" };
  return { kind: "message", name: `.google.protobuf.${chance.pick(names)}` };
}

/** Numbers around those where a tag grows by a byte. */
const EDGES: readonly number[] = [
  1, 2, 15, 16, 17, 127, 128, 2047, 2048, 18_999, 20_000, 262_143, 262_144, 33_554_431, 33_554_432, 536_870_911,
];

function fieldNumber(chance: Chance, taken: Set<number>, range: readonly [number, number] | undefined): number {
  for (;;) {
    const number = chance.odds(0.3) ? chance.pick(EDGES) : chance.int(1, chance.pick([30, 200, 5000, 1_000_000]));
    const isReserved = number >= 19_000 && number <= 19_999;
    const isExtension = range !== undefined && number >= range[0] && number <= range[1];
    if (isReserved || isExtension || taken.has(number)) continue;
    taken.add(number);
    return number;
  }
}
