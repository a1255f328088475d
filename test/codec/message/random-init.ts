import { create, type DescEnum, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import type { Chance } from "../chance.ts";
import { mapKey, scalarValue, text } from "./scalar-value.ts";
import { addUnknownFields } from "./unknown-fields.ts";

/** An object with some of a message's fields, as a handler returns it. */
export type Init = Record<string, unknown>;

/** How messages are made. */
export interface InitOptions {
  /** Levels of messages below this one; required ones come on top. */
  readonly depth: number;
  /** Share of nested messages that are made by `create`, with unknown fields here and there. */
  readonly created: number;
  /** Share of fields that are set. */
  readonly filled: number;
}

/** LEGACY_REQUIRED of google.protobuf.FeatureSet.FieldPresence. */
const LEGACY_REQUIRED = 3;

/** A random init object of the message, with all required fields; some of the others are undefined or null. */
export function randomInit(chance: Chance, desc: DescMessage, options: InitOptions): Init {
  // A field may have the name of something that every object inherits, which protobuf-es would take for its value.
  const hasInherited = desc.members.some((member) => member.localName in Object.prototype);
  const init: Init = hasInherited || chance.odds(0.05) ? Object.create(null) : {};
  for (const member of desc.members) {
    const isRequired = member.kind === "field" && member.presence === LEGACY_REQUIRED;
    if (!isRequired && !chance.odds(options.filled)) {
      if (chance.odds(0.1)) init[member.localName] = undefined;
      else if (chance.odds(0.05)) init[member.localName] = null;
    } else if (member.kind === "oneof") {
      init[member.localName] = oneofValue(chance, member.fields, options);
    } else {
      init[member.localName] = fieldValue(chance, member, options);
    }
  }
  return init;
}

/** A message made by `create`, some with unknown fields. */
export function randomMessage(chance: Chance, desc: DescMessage, options: InitOptions): Message {
  const message = create(desc, randomInit(chance, desc, options));
  if (chance.odds(0.15)) addUnknownFields(chance, desc, message);
  return message;
}

function oneofValue(chance: Chance, fields: readonly DescField[], options: InitOptions): unknown {
  if (chance.odds(0.08)) return { case: undefined };
  const usable = fields.filter((field) => options.depth > 0 || field.fieldKind !== "message");
  if (usable.length === 0) return undefined;
  const field = chance.pick(usable);
  return { case: field.localName, value: fieldValue(chance, field, options) };
}

function fieldValue(chance: Chance, field: DescField, options: InitOptions): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return scalarValue(chance, field.scalar, field.longAsString);
    case "enum":
      return enumValue(chance, field.enum);
    case "message":
      return singularMessage(chance, field, options);
    case "list":
      return chance.list(0, listLength(chance, field, options), () => {
        if (field.listKind === "scalar") return scalarValue(chance, field.scalar, field.longAsString);
        return field.listKind === "enum"
          ? enumValue(chance, field.enum)
          : messageValue(chance, field, field.message, options);
      });
    case "map":
      return mapValue(chance, field, options);
  }
}

function listLength(chance: Chance, field: DescField & { fieldKind: "list" }, { depth }: InitOptions): number {
  if (field.listKind === "message") return depth > 0 ? 3 : 0;
  return chance.odds(0.05) ? 200 : 5;
}

function mapValue(chance: Chance, field: DescField & { fieldKind: "map" }, options: InitOptions): unknown {
  const map: Init = {};
  for (let count = field.mapKind === "message" && options.depth <= 0 ? 0 : chance.int(0, 4); count > 0; count--) {
    const value =
      field.mapKind === "scalar"
        ? scalarValue(chance, field.scalar)
        : field.mapKind === "enum"
          ? enumValue(chance, field.enum)
          : messageValue(chance, field, field.message, options);
    const property = { value, enumerable: true, configurable: true, writable: true };
    Object.defineProperty(map, mapKey(chance, field.mapKey), property);
  }
  return map;
}

/** Any number for an open enum; of a closed one mostly its own. */
export function enumValue(chance: Chance, desc: DescEnum): number {
  if (chance.odds(desc.open ? 0.2 : 0.03)) return chance.pick([7777, -7777, 2_147_483_647, -2_147_483_648]);
  return chance.pick(desc.values).number;
}

/** Outside of oneofs protobuf-es holds the value of a wrapper instead of the wrapper. */
function singularMessage(chance: Chance, field: DescField & { fieldKind: "message" }, options: InitOptions): unknown {
  if (field.oneof === undefined && isWrapper(field.message)) {
    return scalarValue(chance, (field.message.fields[0] as DescField & { scalar: ScalarType }).scalar);
  }
  const isRequired = field.presence === LEGACY_REQUIRED;
  if (options.depth <= 0 && !isRequired) return undefined;
  return messageValue(chance, field, field.message, options);
}

function messageValue(chance: Chance, field: DescField, desc: DescMessage, options: InitOptions): unknown {
  if (desc.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value") {
    return jsonObject(chance, 2);
  }
  const inner = { ...options, depth: options.depth - 1, filled: Math.min(options.filled, 0.6) };
  const init = randomInit(chance, desc, inner);
  if (!chance.odds(options.created)) return init;
  const message = create(desc, init);
  if (chance.odds(0.1)) addUnknownFields(chance, desc, message);
  return message;
}

/** Whether it is of google/protobuf/wrappers.proto. */
export function isWrapper(desc: DescMessage): boolean {
  return desc.file.proto.name === "google/protobuf/wrappers.proto";
}

function jsonObject(chance: Chance, depth: number): Init {
  const entries = chance.list(0, 3, () => [mapKey(chance, ScalarType.STRING), jsonValue(chance, depth)] as const);
  return Object.fromEntries(entries);
}

function jsonValue(chance: Chance, depth: number): unknown {
  return chance.oneOf<unknown>(
    () => null,
    () => chance.odds(0.5),
    () => chance.pick([0, -0, 1.5, -1e300, 2 ** 53]),
    () => text(chance),
    () => (depth > 0 ? jsonObject(chance, depth - 1) : {}),
    () => (depth > 0 ? chance.list(0, 3, () => jsonValue(chance, depth - 1)) : []),
  );
}
