import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { CodeNames } from "../code-names.ts";
import { type CodecNames, type CodecScope, runtime } from "./codec-scope.ts";
import {
  hasPrototype,
  isImplicit,
  isRequired,
  memberValue,
  shownDefault,
  tagBytes,
  tagOf,
  zeroOf,
} from "./field-code.ts";
import { isLong, SCALAR, scalarCode } from "./scalar-code.ts";
import { writeSized, writeTag, writeValue } from "./value-code.ts";

/** Lines of the function that writes a message; `init` is the type of its parameter. */
export function encodeFunction(scope: CodecScope, message: DescMessage, names: CodecNames, init: string): string[] {
  const locals = new CodeNames(scope.source.names);
  for (const name of ["message", "out", "at", "to", "end", "item", "key", "reserved"]) locals.take(name);
  const printer = new EncodePrinter(scope, message, locals);
  return [
    `/** Writes a ${message.typeName} into \`out\` from \`at\` on and returns the position behind it. */`,
    `export function ${names.encode}(message: ${init}, out: Buffer, at: number): number {`,
    // The load stands here, not in a function of all types: V8 knows the shapes of this one's messages.
    `  if (message.$typeName !== ${JSON.stringify(message.typeName)}) ${runtime(scope, "refuseOther")}(message, message.$typeName);`,
    ...printer.body().map((line) => `  ${line}`),
    "}",
  ];
}

/** Twelve numbers with their tags, 15 bytes each at most, fit into the margin beside a tag and a length. */
const MARGIN_FIELDS = 12;

/** Fields in order of their numbers; members of a oneof that follow each other make one switch. */
type Step = DescField | readonly DescField[];

class EncodePrinter {
  readonly #scope: CodecScope;
  readonly #message: DescMessage;
  readonly #locals: CodeNames;
  readonly #oneofs = new Map<DescOneof, string>();

  constructor(scope: CodecScope, message: DescMessage, locals: CodeNames) {
    this.#scope = scope;
    this.#message = message;
    this.#locals = locals;
  }

  body(): string[] {
    const unknown = `${runtime(this.#scope, "writeUnknown")}(message.$unknown, out, `;
    const steps = this.#steps();
    if (steps.length === 0) return [`return message.$unknown === undefined ? at : ${unknown}at);`];
    const room = `${runtime(this.#scope, "room")}(out, `;
    const lines = steps.flatMap((step, i) => {
      const printed = Array.isArray(step) ? this.#chosen(step) : this.#field(step as DescField);
      return i > 0 && i % MARGIN_FIELDS === 0 ? [`${room}to, 0);`, ...printed] : printed;
    });
    return [`${room}at, 0);`, "let to = at;", ...lines, `return message.$unknown === undefined ? to : ${unknown}to);`];
  }

  #steps(): Step[] {
    const steps: Step[] = [];
    for (const field of this.#message.fields.toSorted((a, b) => a.number - b.number)) {
      const last = steps.at(-1);
      if (field.oneof === undefined) steps.push(field);
      else if (Array.isArray(last) && last[0].oneof === field.oneof) last.push(field);
      else steps.push([field]);
    }
    return steps;
  }

  #chosen(fields: readonly DescField[]): string[] {
    const oneof = fields[0].oneof as DescOneof;
    const lines: string[] = [];
    let local = this.#oneofs.get(oneof);
    if (local === undefined) {
      local = this.#locals.take(oneof.localName);
      this.#oneofs.set(oneof, local);
      lines.push(`const ${local} = ${memberValue(oneof.localName)};`);
    }
    const write = (field: DescField): string[] => writeValue(this.#scope, field, `${local}.value`);
    const others = this.#writtenBefore(fields, oneof);
    const refuse = others === undefined ? [] : [`${runtime(this.#scope, "refuseCase")}(${local}?.case);`];
    if (fields.length === 1 && (others ?? []).length === 0) {
      const body = indented(write(fields[0]));
      const end = refuse.length === 0 ? "}" : `} else ${refuse[0]}`;
      return [...lines, `if (${local}?.case === ${JSON.stringify(fields[0].localName)}) {`, ...body, end];
    }
    const label = (field: DescField): string => `  case ${JSON.stringify(field.localName)}:`;
    const cases = fields.flatMap((field) => [label(field), ...indented(indented([...write(field), "break;"]))]);
    const written = others === undefined || others.length === 0 ? [] : [...others.map(label), "    break;"];
    const rest = refuse.length === 0 ? [] : ["  default:", `    ${refuse[0]}`];
    return [...lines, `switch (${local}?.case) {`, ...cases, ...written, ...rest, "}"];
  }

  /** The members of a oneof ahead of its last ones; undefined while `fields` are not the last. */
  #writtenBefore(fields: readonly DescField[], oneof: DescOneof): readonly DescField[] | undefined {
    const last = fields[fields.length - 1].number;
    if (oneof.fields.some((field) => field.number > last)) return undefined;
    return oneof.fields.filter((field) => !fields.includes(field));
  }

  #field(field: DescField): string[] {
    const local = this.#locals.take(field.localName);
    const declared = `const ${local} = ${memberValue(field.localName)};`;
    if (field.fieldKind === "list") return [declared, ...this.#list(field, local)];
    if (field.fieldKind === "map") return [declared, ...this.#map(field, local)];
    const body = writeValue(this.#scope, field, local);
    if (isRequired(field)) {
      const refuse = `if (!(${this.#isSet(field, local)})) throw ${runtime(this.#scope, "unset")}();`;
      return [declared, refuse, ...body];
    }
    return [declared, `if (${this.#isSet(field, local)}) {`, ...indented(body), "}"];
  }

  #isSet(field: DescField, local: string): string {
    const given = `${local} != null`;
    if (field.message !== undefined) return given;
    if (isImplicit(field)) return `${given} && ${differsFromZero(field, local)}`;
    if (!hasPrototype(this.#message)) return given;
    const own = `Object.hasOwn(message, ${JSON.stringify(field.localName)})`;
    const shown = shownDefault(field);
    return shown === undefined ? `${given} && ${own}` : `${given} && (${local} !== ${shown} || ${own})`;
  }

  #list(field: DescField & { fieldKind: "list" }, local: string): string[] {
    const list = `${runtime(this.#scope, "listOf")}(${local})`;
    if (field.listKind === "message" || !field.packed) {
      const body = writeValue(this.#scope, field, "item");
      const ahead = field.listKind === "message" ? [] : this.#roomFor(field, local);
      const loop = [`for (const item of ${list}) {`, ...indented(body), "}"];
      return [`if (${local} != null) {`, ...indented([...ahead, ...loop]), "}"];
    }
    const { write, maxBytes, wireType } = scalarCode(field.scalar);
    const length = wireType === 0 || maxBytes === 1 ? `${local}.length` : `${maxBytes} * ${local}.length`;
    return [
      `if (${local} != null && ${list}.length > 0) {`,
      ...indented([
        ...this.#roomFor(field, local),
        ...writeTag(this.#scope, tagOf(field, 2)),
        `const reserved = ${runtime(this.#scope, "varintBytes")}(${length});`,
        "let end = to + reserved;",
        `for (const item of ${local}) end = ${runtime(this.#scope, write)}(out, end, item);`,
        `to = ${runtime(this.#scope, "endPacked")}(out, to, reserved, end);`,
      ]),
      "}",
    ];
  }

  /** The check for a list's elements, as large as their part of the bound; text and bytes check each by itself. */
  #roomFor(field: DescField & { fieldKind: "list" }, local: string): string[] {
    const { maxBytes, wireType } = scalarCode(field.scalar);
    if (maxBytes === 0) return [];
    const room = runtime(this.#scope, "room");
    if (field.packed && wireType === 0 && maxBytes > 1) {
      return [`${room}(out, to, ${runtime(this.#scope, "boundVarints")}(${local}, ${maxBytes}));`];
    }
    const bytes = field.packed ? maxBytes : tagBytes(tagOf(field, wireType)) + maxBytes;
    return [`${room}(out, to, ${bytes === 1 ? "" : `${bytes} * `}${local}.length);`];
  }

  #map(field: DescField & { fieldKind: "map" }, local: string): string[] {
    const key = scalarCode(field.mapKey);
    const value = `${runtime(this.#scope, "entryOf")}(${local}, key)`;
    const scalar = scalarCode(field.scalar);
    const written =
      field.message === undefined
        ? `${runtime(this.#scope, scalar.write)}(out, end, ${value})`
        : writeSized(this.#scope, field, value, "end");
    return [
      `if (${local} != null) {`,
      `  for (const key of ${runtime(this.#scope, "keysOf")}(${local})) {`,
      ...indented(
        indented([
          ...writeTag(this.#scope, tagOf(field, 2)),
          `out[to + 1] = ${8 + key.wireType};`,
          `let end = ${runtime(this.#scope, key.write)}(out, to + 2, ${this.#keyValue(field)});`,
          `out[end++] = ${16 + (field.message === undefined ? scalar.wireType : 2)};`,
          `end = ${written};`,
          `to = ${runtime(this.#scope, "endMessage")}(out, to, end);`,
        ]),
      ),
      "  }",
      "}",
    ];
  }

  #keyValue(field: DescField & { fieldKind: "map" }): string {
    if (field.mapKey === SCALAR.string || isLong(field.mapKey)) return "key";
    return field.mapKey === SCALAR.bool
      ? `${runtime(this.#scope, "booleanKey")}(key)`
      : `${runtime(this.#scope, "wholeKey")}(key)`;
  }
}

/** A condition that is true for what a field without presence writes. */
function differsFromZero(field: DescField, local: string): string {
  switch (field.scalar) {
    case SCALAR.bytes:
      // Whatever has another length, or none, is left for the writer to refuse.
      return `${local}.byteLength !== 0`;
    case SCALAR.float:
    case SCALAR.double:
      // -0 is written.
      return `!Object.is(${local}, 0)`;
    default:
      return `${local} !== ${zeroOf(field)}`;
  }
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
