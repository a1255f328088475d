import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { CodeNames, OBJECT_MEMBERS } from "../code-names.ts";
import { MAX_WIDTH } from "../source-text.ts";
import { type CodecNames, type CodecScope, RUNTIME, runtime, schemaOf } from "./codec-scope.ts";
import {
  ELEMENT_BYTES,
  EMPTY_BYTES,
  hasPrototype,
  isImplicit,
  propertyOf,
  tagOf,
  wireTypeOf,
  zeroOf,
} from "./field-code.ts";
import { SCALAR, scalarCode } from "./scalar-code.ts";
import { readEmpty, readKey, readMessage, readScalar } from "./value-code.ts";

/** Lines of the function that reads a message of the type `shape`, and of what it needs beside it. */
export function decodeFunction(scope: CodecScope, message: DescMessage, names: CodecNames, shape: string): string[] {
  const locals = new CodeNames(scope.source.names);
  for (const name of [
    "reader",
    "start",
    "end",
    "at",
    "into",
    "message",
    "unknown",
    "value",
    "last",
    "key",
    "part",
    "filled",
  ])
    locals.take(name);
  const reader = scope.source.type({ name: "Reader", from: RUNTIME });
  const printer = new DecodePrinter(scope, message, locals, shape);
  const parameters = [`reader: ${reader}`, "start: number", "end: number", `into?: ${shape}`];
  return [
    ...printer.beside(),
    `/** Reads a ${message.typeName} from \`start\` to \`end\`; one that comes again goes on with \`into\`. */`,
    ...wrapped(`export function ${names.decode}(`, parameters, `): ${shape} {`, 0),
    ...printer.body().map((line) => `  ${line}`),
    "}",
  ];
}

/** Bytes of an element of a packed field by its wire type; 0: a varint. */
const WIDTHS = { 0: 0, 1: 8, 5: 4 } as const;

/** A case of the switch over tags: its statements without `break`. */
interface Case {
  readonly tag: number;
  readonly lines: readonly string[];
}

class DecodePrinter {
  readonly #scope: CodecScope;
  readonly #message: DescMessage;
  readonly #shape: string;
  /** Where a member's value is while the message is read: a local variable, or a property of the message itself. */
  readonly #places = new Map<DescField | DescOneof, string>();
  /** The local variable with the greatest index among the keys of a map, for those whose keys can be indices of an array. */
  readonly #tops = new Map<DescField, string>();
  /** The function that makes an empty message, for messages with defaults on a prototype. */
  readonly #blank: string | undefined;

  constructor(scope: CodecScope, message: DescMessage, locals: CodeNames, shape: string) {
    this.#scope = scope;
    this.#message = message;
    this.#shape = shape;
    this.#blank = hasPrototype(message) ? scope.source.names.take(`blank${shape}`) : undefined;
    for (const member of message.members) {
      const { localName } = member;
      this.#places.set(member, this.#blank === undefined ? locals.take(localName) : propertyOf(localName));
    }
    for (const field of message.fields) {
      if (field.fieldKind !== "map" || field.mapKey === SCALAR.bool) continue;
      this.#tops.set(field, locals.take(`${field.localName}Top`));
    }
  }

  beside(): string[] {
    if (this.#blank === undefined) return [];
    const blank = runtime(this.#scope, "blankMessage");
    return [`const ${this.#blank} = /*@__PURE__*/ ${blank}(${schemaOf(this.#scope, this.#message)});`, ""];
  }

  body(): string[] {
    return [...this.#declarations(), ...this.#loop(), ...this.#result()];
  }

  #place(member: DescField | DescOneof): string {
    return this.#places.get(member) as string;
  }

  /** The member's type, however it is held. */
  #type(member: { readonly localName: string }): string {
    return `${this.#shape}[${JSON.stringify(member.localName)}]`;
  }

  #declarations(): string[] {
    const unknown = `${this.#scope.source.type({ name: "UnknownField", from: "@bufbuild/protobuf" })}[] | undefined`;
    const { members } = this.#message;
    const tops = [...this.#tops.values()].map((top) => `let ${top} = -1;`);
    if (this.#blank !== undefined) {
      return [...this.#blankDeclarations(), ...tops, `let unknown: ${unknown} = message.$unknown;`];
    }
    const locals = [...members.map((member) => this.#local(member)), ...tops];
    const again = members.map((member) => {
      const place = this.#place(member);
      return place === member.localName ? place : `${member.localName}: ${place}`;
    });
    const taken = wrapped("if (into !== undefined) ({ ", [...again, "$unknown: unknown"], " } = into);");
    return [...locals, `let unknown: ${unknown};`, ...taken, ...this.#inherited()];
  }

  /** Of members whose names every object has (`hasOwnProperty`), what `into` does not have itself was taken from its prototype. */
  #inherited(): string[] {
    const odd = this.#message.members.filter((member) => {
      return OBJECT_MEMBERS.has(member.localName) && this.#startOf(member) === undefined;
    });
    return odd.map((member) => {
      const isForeign = `into !== undefined && !Object.hasOwn(into, ${JSON.stringify(member.localName)})`;
      return `if (${isForeign}) ${this.#place(member)} = undefined;`;
    });
  }

  #blankDeclarations(): string[] {
    const starts = this.#message.members.flatMap((member) => {
      const value = this.#startOf(member);
      return value === undefined ? [] : [`  ${this.#place(member)} = ${value};`];
    });
    const blank = `const message = into ?? ${this.#blank}();`;
    return starts.length === 0 ? [blank] : [blank, "if (into === undefined) {", ...starts, "}"];
  }

  /** The declaration of the local variable that holds a member while the message is read. */
  #local(member: DescField | DescOneof): string {
    const place = this.#place(member);
    const type = this.#type(member);
    const value = this.#startOf(member);
    const isLate = member.kind === "oneof" || member.scalar === SCALAR.bytes;
    const isList = member.kind === "field" && (member.fieldKind === "list" || member.fieldKind === "map");
    if (value === undefined || (isLate && !isList)) return `let ${place}: ${type} | undefined;`;
    if (isList) return `let ${place}: ${type} = ${value};`;
    return member.kind === "field" && member.enum !== undefined
      ? `let ${place}: ${type} = ${zeroOf(member)};`
      : `let ${place} = ${value};`;
  }

  /** What an empty message has as this member; undefined when it has none. */
  #startOf(member: DescField | DescOneof): string | undefined {
    if (member.kind === "oneof") return "{ case: undefined }";
    if (member.fieldKind === "list") return "[]";
    if (member.fieldKind === "map") return "{}";
    if (member.fieldKind === "message" || !isImplicit(member)) return undefined;
    return member.enum === undefined ? zeroOf(member) : `${zeroOf(member)} as ${this.#type(member)}`;
  }

  #loop(): string[] {
    const head = ["let at = start;", "while (at < end || reader.goesOn(at, end)) {", "  at = reader.tag(at);"];
    const unknown = ["unknown = reader.unknown(at, unknown);", "at = reader.position;"];
    const cases = this.#message.fields.flatMap((field) => this.#cases(field));
    if (cases.length === 0) return [...head, ...indented(unknown), "}"];
    const printed = cases.flatMap(({ tag, lines }) => {
      const isBlock = lines.some((line) => /^(const|let) /.test(line));
      return [
        `  case ${tag}:${isBlock ? " {" : ""}`,
        ...indented(indented([...lines, "break;"])),
        ...(isBlock ? ["  }"] : []),
      ];
    });
    const choice = ["switch (reader.tagRead) {", ...printed, "  default:", ...indented(indented(unknown)), "}"];
    return [...head, ...indented(choice), "}"];
  }

  /** A property that every object has already (`hasOwnProperty`) is not missing in a literal, but of another type. */
  #literal(properties: readonly string[]): string[] {
    const isOdd = this.#message.members.some((member) => OBJECT_MEMBERS.has(member.localName));
    if (isOdd) return wrapped("const message = { ", properties, ` } as unknown as ${this.#shape};`);
    return wrapped(`const message: ${this.#shape} = { `, properties, " };");
  }

  #cases(field: DescField): Case[] {
    const tag = tagOf(field, wireTypeOf(field));
    if (field.fieldKind === "map") return [{ tag, lines: this.#entry(field) }];
    if (field.fieldKind === "list") return this.#listCases(field, tag);
    const place = this.#place(field.oneof ?? field);
    if (field.oneof !== undefined) return [{ tag, lines: this.#member(field, field.oneof, tag) }];
    if (field.message !== undefined) {
      return [{ tag, lines: readMessage(this.#scope, field, (value) => `${place} = ${value};`, place) }];
    }
    const type = this.#type(field);
    if (field.enum !== undefined && !field.enum.open) {
      return [{ tag, lines: closedEnum(field, tag, `${place} = value as ${type};`) }];
    }
    return [{ tag, lines: readScalar(field, type, (value) => `${place} = ${value};`) }];
  }

  #listCases(field: DescField & { fieldKind: "list" }, tag: number): Case[] {
    const place = this.#place(field);
    const push = (value: string): string => `if (${place}.push(${value}) === 1) reader.openList();`;
    if (field.listKind === "message") return [{ tag, lines: readMessage(this.#scope, field, push) }];
    const type = `${this.#type(field)}[number]`;
    const single = readScalar(field, type, push);
    const { wireType } = scalarCode(field.scalar);
    if (wireType === 2) return [{ tag, lines: single }];
    const packed = [
      "const last = reader.len(at);",
      "at = reader.openPacked();",
      `let filled = ${place}.length;`,
      `${place} = reader.widened(${place}, at, last, ${WIDTHS[wireType]});`,
      "while (reader.hasMore(at, last)) {",
      ...indented(readScalar(field, type, (value) => `${place}[filled++] = ${value};`)),
      "}",
    ];
    return [
      { tag: tagOf(field, 2), lines: packed },
      { tag, lines: [...single, `reader.spend(${ELEMENT_BYTES});`] },
    ];
  }

  #member(field: DescField, oneof: DescOneof, tag: number): string[] {
    const place = this.#place(oneof);
    const name = JSON.stringify(field.localName);
    const set = (value: string): string => `${place} = { case: ${name}, value: ${value} };`;
    if (field.enum !== undefined && !field.enum.open)
      return closedEnum(field, tag, set(`value as ${memberType(this.#type(oneof), name)}`));
    if (field.message === undefined) return readScalar(field, memberType(this.#type(oneof), name), set);
    const type = memberType(this.#type(oneof), name);
    const before = `const value: ${type} | undefined = ${place}?.case === ${name} ? ${place}.value : undefined;`;
    return [before, ...readMessage(this.#scope, field, set, "value")];
  }

  #entry(field: DescField & { fieldKind: "map" }): string[] {
    const place = this.#place(field);
    const key = keyCode(field);
    const type = `${this.#type(field)}[${key.zero === "0" ? "number" : "string"}]`;
    const isMessage = field.message !== undefined;
    const set = (value: string): string => `value = ${value};`;
    const value = isMessage ? readMessage(this.#scope, field, set, "value") : readScalar(field, type, set);
    const isLate = isMessage || field.scalar === SCALAR.bytes;
    return [
      "const last = reader.len(at);",
      "at = reader.openEntry();",
      `let key = ${key.zero};`,
      isLate
        ? `let value: ${type} | undefined;`
        : `let value${field.enum === undefined ? "" : `: ${type}`} = ${mapZero(field)};`,
      "while (reader.hasMore(at, last)) {",
      "  at = reader.tag(at);",
      // The type spares TypeScript the belief that it is still the entry's tag.
      "  const part: number = reader.tagRead;",
      `  if (part === ${8 + scalarCode(field.mapKey).wireType}) {`,
      ...indented(indented(key.read)),
      `  } else if (part === ${16 + (isMessage ? 2 : scalarCode(field.scalar).wireType)}) {`,
      ...indented(indented(value)),
      "  } else at = reader.skip(at);",
      "}",
      ...(isLate ? this.#missing(field) : []),
      ...this.#put(field, place),
    ];
  }

  /** An entry without a value has an empty one. */
  #missing(field: DescField & { fieldKind: "map" }): string[] {
    if (field.message !== undefined) return [`value ??= ${readEmpty(this.#scope, field)};`];
    return ["if (value === undefined) {", `  reader.spend(${EMPTY_BYTES});`, `  value = ${mapZero(field)};`, "}"];
  }

  /** The assignment stands here, not in a function of all maps: V8 knows the shapes of this one's objects. */
  #put(field: DescField & { fieldKind: "map" }, place: string): string[] {
    const plain = `${place}[key] = value;`;
    const top = this.#tops.get(field);
    if (top === undefined) return [plain];
    if (scalarCode(field.mapKey).zero === "0") {
      const raise = runtime(this.#scope, "raiseTop");
      return [`if (key > ${top}) ${top} = ${raise}(reader, ${place}, key, ${top});`, plain];
    }
    const [isPlain, put] = [runtime(this.#scope, "isPlainKey"), runtime(this.#scope, "putEntry")];
    return [`if (${isPlain}(key)) ${plain}`, `else ${top} = ${put}(reader, ${place}, key, value, ${top});`];
  }

  #result(): string[] {
    if (this.#blank !== undefined) return ["if (unknown !== undefined) message.$unknown = unknown;", "return message;"];
    const always: string[] = [`$typeName: ${JSON.stringify(this.#message.typeName)}`];
    const sometimes: string[] = [];
    for (const member of this.#message.members) {
      const place = this.#place(member);
      const { localName } = member;
      if (member.kind === "oneof") always.push(`${localName}: ${place} ?? { case: undefined }`);
      else if (member.fieldKind === "message" || (isSingular(member) && !isImplicit(member))) {
        sometimes.push(`if (${place} !== undefined) ${propertyOf(localName)} = ${place};`);
      } else if (isSingular(member) && member.scalar === SCALAR.bytes) {
        always.push(`${localName}: ${place} ?? new Uint8Array(0)`);
      } else always.push(place === localName ? place : `${localName}: ${place}`);
    }
    return [
      ...this.#literal(always),
      ...sometimes,
      "if (unknown !== undefined) message.$unknown = unknown;",
      "return message;",
    ];
  }
}

function isSingular(field: DescField): boolean {
  return field.fieldKind === "scalar" || field.fieldKind === "enum";
}

function memberType(oneof: string, name: string): string {
  return `Extract<${oneof}, { case: ${name} }>["value"]`;
}

/** A value that the enum does not declare is an unknown field. */
function closedEnum(field: DescField, tag: number, set: string): string[] {
  return [
    "at = reader.varint(at);",
    "const value = reader.int32();",
    `if (${isDeclared(field.enum?.values.map((value) => value.number) ?? [])}) ${set}`,
    `else unknown = reader.unknownEnum(${tag}, value, unknown);`,
  ];
}

/** A condition that is true for the numbers of an enum, as few ranges as there are. */
function isDeclared(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const number of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  const tests = ranges.map(([from, to]) =>
    from === to ? `value === ${from}` : `(value >= ${from} && value <= ${to})`,
  );
  return tests.length === 1 ? tests[0].replace(/^\((.*)\)$/, "$1") : tests.join(" || ");
}

/** Keys are property names: numbers as they are, everything else as text. */
function keyCode(field: DescField & { fieldKind: "map" }): { readonly zero: string; readonly read: readonly string[] } {
  const { zero } = scalarCode(field.mapKey);
  const isText = field.mapKey === SCALAR.string || zero === "0";
  const read = readKey(field, (value) => `key = ${isText ? value : `String(${value})`};`);
  if (isText) return { zero, read };
  return { zero: zero === "false" ? '"false"' : '"0"', read };
}

function mapZero(field: DescField & { fieldKind: "map" }): string {
  return field.enum === undefined ? scalarCode(field.scalar).zero : String(field.enum.values[0].number);
}

/** A list in one line, or one item a line when it is too long. The lines stand so many columns in. */
function wrapped(head: string, items: readonly string[], tail: string, columns = 2): string[] {
  const line = `${head}${items.join(", ")}${tail}`;
  if (line.length + columns <= MAX_WIDTH) return [line];
  return [head.trimEnd(), ...items.map((each) => `  ${each},`), tail.trimStart()];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
