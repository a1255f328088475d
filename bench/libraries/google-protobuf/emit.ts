// Google's generator for JavaScript is a native program that no npm package brings. This writes what it writes (version 4.0, as seen in
// google-protobuf's own google/protobuf/*_pb.js), without what only tools use: toObject, displayName, clear and has.
import type { DescField, DescFile, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { type GoogleType, googleKey, googleType } from "./google-field.ts";

/** Says of each message whether its 64-bit numbers are texts, as with the option jstype = JS_STRING; else they are numbers. */
export type AreTexts = (message: DescMessage) => boolean;

/** Source text of a function body that takes `require` and returns the classes by the messages' full names. */
export function emitGoogleProtobuf(files: readonly DescFile[], areTexts: AreTexts): string {
  const messages = files.flatMap((file) => file.messages);
  const imports = files.flatMap((file) => file.dependencies).filter(isGoogles);
  return [
    "var jspb = require('google-protobuf');",
    "var classes = {};",
    ...new Set(imports.map((file) => `var ${moduleOf(file)} = require('google-protobuf/${file.name}_pb.js');`)),
    ...messages.map((message) => `var ${classOf(message)} = ${constructorOf(message)};`),
    ...messages.map((message) => emitMessage(message, areTexts(message))),
    "return classes;",
  ].join("\n");
}

function constructorOf(message: DescMessage): string {
  const name = classOf(message);
  const lists = message.fields.filter((field) => field.fieldKind === "list").map((field) => field.number);
  const oneofs = message.oneofs.map((oneof) => `[${oneof.fields.map((field) => field.number)}]`);
  const repeatedFields = lists.length > 0 ? `${name}.repeatedFields_` : "null";
  const oneofGroups = oneofs.length > 0 ? `${name}.oneofGroups_` : "null";
  return `function(opt_data) {
  jspb.Message.initialize(this, opt_data, 0, -1, ${repeatedFields}, ${oneofGroups});
};
jspb.inherits(${name}, jspb.Message);
${name}.repeatedFields_ = [${lists}];
${name}.oneofGroups_ = [${oneofs}];
classes[${JSON.stringify(message.typeName)}] = ${name}`;
}

function emitMessage(message: DescMessage, areTexts: boolean): string {
  const name = classOf(message);
  return `${name}.deserializeBinary = function(bytes) {
  var reader = new jspb.BinaryReader(bytes);
  var msg = new ${name};
  return ${name}.deserializeBinaryFromReader(msg, reader);
};
${name}.deserializeBinaryFromReader = function(msg, reader) {
  while (reader.nextField()) {
    if (reader.isEndGroup()) {
      break;
    }
    var field = reader.getFieldNumber();
    switch (field) {
${message.fields.map((field) => emitRead(field, areTexts)).join("\n")}
    default:
      reader.skipField();
      break;
    }
  }
  return msg;
};
${name}.prototype.serializeBinary = function() {
  var writer = new jspb.BinaryWriter();
  ${name}.serializeBinaryToWriter(this, writer);
  return writer.getResultBuffer();
};
${name}.serializeBinaryToWriter = function(message, writer) {
  var f = undefined;
${message.fields.map((field) => emitWrite(field, areTexts)).join("\n")}
};
${message.fields.map((field) => emitAccess(name, field, areTexts)).join("\n")}`;
}

function emitRead(field: DescField, areTexts: boolean): string {
  const type = googleType(field, areTexts);
  const property = propertyOf(field);
  const lines = [`    case ${field.number}:`];
  if (field.fieldKind === "map") {
    lines.push(
      `      var value = msg.get${property}();`,
      `      reader.readMessage(value, ${mapReader(field, type, areTexts)});`,
    );
  } else if (field.fieldKind === "list" && isPackable(type)) {
    lines.push(`      reader.readPackable${type.wire}Into(msg.get${property}());`);
  } else {
    lines.push(
      ...readValue(type),
      `      msg.${field.fieldKind === "list" ? "add" : "set"}${plainName(field)}(value);`,
    );
  }
  return [...lines, "      break;"].join("\n");
}

function mapReader(field: DescField & { fieldKind: "map" }, type: GoogleType, areTexts: boolean): string {
  const key = googleKey(field, areTexts);
  const nested = type.message === undefined ? "null" : `${classOf(type.message)}.deserializeBinaryFromReader`;
  const zero = type.message === undefined ? type.zero : `new ${classOf(type.message)}()`;
  return `function(message, reader) {
        jspb.Map.deserializeBinary(message, reader, ${readerOf(key)}, ${readerOf(type)}, ${nested}, ${key.zero}, ${zero});
      }`;
}

function readValue(type: GoogleType): string[] {
  if (type.message === undefined) return [`      var value = reader.${readName(type)}();`];
  const name = classOf(type.message);
  return [`      var value = new ${name};`, `      reader.readMessage(value,${name}.deserializeBinaryFromReader);`];
}

function emitWrite(field: DescField, areTexts: boolean): string {
  const type = googleType(field, areTexts);
  const nested = type.message === undefined ? "" : `, ${classOf(type.message)}.serializeBinaryToWriter`;
  if (field.fieldKind === "map") {
    const get = `message.get${propertyOf(field)}(true)`;
    const key = `jspb.BinaryWriter.prototype.write${googleKey(field, areTexts).wire}`;
    const value = `jspb.BinaryWriter.prototype.write${type.wire}`;
    return `  f = ${get};
  if (f && f.getLength() > 0) {
    jspb.internal.public_for_gencode.serializeMapToBinary(${get}, ${field.number}, writer, ${key}, ${value}${nested});
  }`;
  }
  const [get, isSet] = presence(field, type);
  const many = field.fieldKind === "list" ? (isPackable(type) && field.packed ? "Packed" : "Repeated") : "";
  return `  f = ${get};
  if (${isSet}) {
    writer.write${many}${type.wire}(${field.number}, f${nested});
  }`;
}

/** How the value is had, and when it is written. */
function presence(field: DescField, type: GoogleType): readonly [get: string, isSet: string] {
  const get = `message.get${propertyOf(field)}${type.wire === "Bytes" ? "_asU8" : ""}()`;
  if (field.fieldKind === "list") return [get, "f.length > 0"];
  if (type.message !== undefined) return [get, "f != null"];
  if (field.presence !== IMPLICIT) return [`jspb.Message.getField(message, ${field.number})`, "f != null"];
  const isSet: Readonly<Record<string, string>> = {
    Boolean: "f",
    String: "f.length > 0",
    Bytes: "f.length > 0",
    Float: "f !== 0.0",
    Enum: "f !== 0.0",
    StringInt: "parseInt(f, 10) !== 0",
  };
  return [get, isSet[type.setter] ?? "f !== 0"];
}

/** `google.protobuf.FeatureSet.FieldPresence.IMPLICIT`. */
const IMPLICIT = 2;

function emitAccess(name: string, field: DescField, areTexts: boolean): string {
  const type = googleType(field, areTexts);
  const property = propertyOf(field);
  const at = `${name}.prototype`;
  const n = field.number;
  const nested = type.message === undefined ? "null" : classOf(type.message);
  const lines: string[] = [];
  const define = (method: string, parameters: string, body: string): void => {
    lines.push(`${at}.${method} = function(${parameters}) {\n  return ${body};\n};`);
  };
  if (field.fieldKind === "map") {
    define(`get${property}`, "opt_noLazyCreate", `jspb.Message.getMapField(this, ${n}, opt_noLazyCreate, ${nested})`);
    return lines.join("\n");
  }
  define(`get${property}`, "", getterOf(field, type));
  if (type.wire === "Bytes") {
    const convert = field.fieldKind === "list" ? "bytesListAsU8" : "bytesAsU8";
    define(`get${property}_asU8`, "", `jspb.Message.${convert}(this.get${property}())`);
  }
  if (field.fieldKind === "list") {
    const add =
      type.message === undefined
        ? `addToRepeatedField(this, ${n}, value, opt_index)`
        : `addToRepeatedWrapperField(this, ${n}, value, ${nested}, opt_index)`;
    define(`add${plainName(field)}`, "value, opt_index", `jspb.Message.${add}`);
  } else {
    define(`set${property}`, "value", setterOf(name, field, type));
  }
  return lines.join("\n");
}

function getterOf(field: DescField, type: GoogleType): string {
  const n = field.number;
  if (field.fieldKind === "list") {
    if (type.message !== undefined) {
      return `jspb.Message.getRepeatedWrapperField(this, ${classOf(type.message)}, ${n})`;
    }
    const special: Readonly<Record<string, string>> = { Float: "FloatingPoint", Boolean: "Boolean" };
    return `jspb.Message.getRepeated${special[type.setter] ?? ""}Field(this, ${n})`;
  }
  if (type.message !== undefined) return `jspb.Message.getWrapperField(this, ${classOf(type.message)}, ${n})`;
  const special: Readonly<Record<string, string>> = {
    Float: "FloatingPointFieldWithDefault",
    Boolean: "BooleanFieldWithDefault",
  };
  return `jspb.Message.get${special[type.setter] ?? "FieldWithDefault"}(this, ${n}, ${type.zero})`;
}

function setterOf(name: string, field: DescField, type: GoogleType): string {
  const n = field.number;
  const wrapper = type.message === undefined ? "" : "Wrapper";
  if (field.oneof !== undefined) {
    const group = `${name}.oneofGroups_[${field.parent.oneofs.indexOf(field.oneof as DescOneof)}]`;
    return `jspb.Message.setOneof${wrapper}Field(this, ${n}, ${group}, value)`;
  }
  if (type.message !== undefined) return `jspb.Message.setWrapperField(this, ${n}, value)`;
  return `jspb.Message.set${field.presence === IMPLICIT ? `Proto3${type.setter}` : ""}Field(this, ${n}, value)`;
}

const isPackable = ({ wire }: GoogleType): boolean => !["String", "Bytes", "Message"].includes(wire);

const readName = ({ wire }: GoogleType): string => (wire === "String" ? "readStringRequireUtf8" : `read${wire}`);

const readerOf = (type: GoogleType): string => `jspb.BinaryReader.prototype.${readName(type)}`;

/** `ShipTo` of ship_to. */
const plainName = ({ localName }: DescField): string => localName.charAt(0).toUpperCase() + localName.slice(1);

const suffixes = { list: "List", map: "Map" } as const;

function propertyOf(field: DescField): string {
  const suffix = field.fieldKind === "list" || field.fieldKind === "map" ? suffixes[field.fieldKind] : "";
  return plainName(field) + suffix;
}

const isGoogles = (file: DescFile): boolean => file.name.startsWith("google/protobuf/");

const moduleOf = (file: DescFile): string => `${file.name.replaceAll("/", "_")}_pb`;

function classOf(message: DescMessage): string {
  return isGoogles(message.file)
    ? `${moduleOf(message.file)}.${message.name}`
    : `proto_${message.typeName.replaceAll(".", "_")}`;
}
