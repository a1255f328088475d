import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { CodeNames } from "../code-names.ts";
import { MAX_WIDTH } from "../source-text.ts";
import { type CodecNames, type CodecScope, runtime } from "./codec-scope.ts";
import { isDelimited, memberValue, tagBytes, tagOf, wireTypeOf } from "./field-code.ts";
import { scalarCode } from "./scalar-code.ts";
import { boundMessage } from "./value-code.ts";

/** What a field adds to the bound. */
interface Share {
  /** Whatever the message holds. */
  readonly bytes: number;
  /** Expressions to add. */
  readonly terms: readonly string[];
  /** Statements that add to `bytes`. */
  readonly lines: readonly string[];
}

const MAX_LENGTH_BYTES = 5;

/** Lines of the function that says how many bytes a message takes at most; `init` is the type of its parameter. */
export function boundFunction(scope: CodecScope, message: DescMessage, names: CodecNames, init: string): string[] {
  const scopeNames = new CodeNames(scope.source.names);
  for (const name of ["message", "bytes", "item", "key"]) scopeNames.take(name);
  const shares = message.members.map((member) => {
    return member.kind === "oneof" ? oneofShare(scope, member, scopeNames) : fieldShare(scope, member, scopeNames);
  });
  const bytes = shares.reduce((sum, share) => sum + share.bytes, 0);
  const terms = [
    ...shares.flatMap((share) => share.terms),
    `(message.$unknown === undefined ? 0 : ${runtime(scope, "boundUnknown")}(message.$unknown))`,
  ];
  const lines = shares.flatMap((share) => share.lines);
  const first = bytes === 0 ? terms : [String(bytes), ...terms];
  const body = lines.length === 0 ? sum("return ", first) : [...sum("let bytes = ", first), ...lines, "return bytes;"];
  return [
    `/** The most bytes that \`${names.encode}\` writes. */`,
    `export function ${names.bound}(message: ${init}): number {`,
    ...body.map((line) => `  ${line}`),
    "}",
  ];
}

/** A sum in one line, or one term a line when it is too long. */
function sum(head: string, terms: readonly string[]): string[] {
  const line = `${head}${terms.join(" + ")};`;
  if (line.length + 2 <= MAX_WIDTH) return [line];
  const [open, close] = head === "return " ? ["return (", ");"] : [head.trimEnd(), ""];
  const last = terms.length - 1;
  const rows = terms.map((term, i) => `  ${term}${i < last ? " +" : close === "" ? ";" : ""}`);
  return close === "" ? [open, ...rows] : [open, ...rows, close];
}

function fieldShare(scope: CodecScope, field: DescField, names: CodeNames): Share {
  if (field.fieldKind === "list") return listShare(scope, field, names);
  if (field.fieldKind === "map") return mapShare(scope, field, names);
  const property = memberValue(field.localName);
  if (field.message === undefined) return scalarShare(scope, field, property);
  const local = names.take(field.localName);
  const value = boundMessage(scope, field, local);
  const line = `if (${local} != null) bytes += ${frameBytes(field)} + ${value};`;
  return { bytes: 0, terms: [], lines: [`const ${local} = ${property};`, line] };
}

function scalarShare(scope: CodecScope, field: DescField, value: string): Share {
  const { maxBytes, write } = scalarCode(field.scalar);
  const bytes = tagBytes(tagOf(field, wireTypeOf(field))) + maxBytes;
  const bound = write === "writeText" ? "boundText" : "boundBytes";
  return { bytes, terms: maxBytes > 0 ? [] : [`${runtime(scope, bound)}(${value})`], lines: [] };
}

/** Tag and length of a message, or the tags around a group. */
function frameBytes(field: DescField): number {
  return isDelimited(field) ? 2 * tagBytes(tagOf(field, 4)) : tagBytes(tagOf(field, 2)) + MAX_LENGTH_BYTES;
}

function listShare(scope: CodecScope, field: DescField & { fieldKind: "list" }, names: CodeNames): Share {
  const property = memberValue(field.localName);
  const { maxBytes, write, wireType } = scalarCode(field.scalar);
  const tag = tagBytes(tagOf(field, wireTypeOf(field)));
  if (field.listKind !== "message" && maxBytes === 0) {
    const bound = runtime(scope, write === "writeText" ? "boundTexts" : "boundBytesList");
    return { bytes: 0, terms: [`${bound}(${property}, ${tag})`], lines: [] };
  }
  const local = names.take(field.localName);
  const list = `${runtime(scope, "listOf")}(${local})`;
  const lines = [`const ${local} = ${property};`];
  if (field.listKind === "message") {
    const value = boundMessage(scope, field, "item");
    lines.push(`if (${local} != null) for (const item of ${list}) bytes += ${frameBytes(field)} + ${value};`);
  } else if (field.packed && wireType === 0 && maxBytes > 1) {
    const bound = runtime(scope, "boundVarints");
    lines.push(`if (${local} != null) bytes += ${tag + MAX_LENGTH_BYTES} + ${bound}(${list}, ${maxBytes});`);
  } else if (field.packed) {
    lines.push(`if (${local} != null) bytes += ${tag + MAX_LENGTH_BYTES} + ${times(maxBytes)}${list}.length;`);
  } else {
    lines.push(`if (${local} != null) bytes += ${times(tag + maxBytes)}${list}.length;`);
  }
  return { bytes: 0, terms: [], lines };
}

function times(factor: number): string {
  return factor === 1 ? "" : `${factor} * `;
}

function mapShare(scope: CodecScope, field: DescField & { fieldKind: "map" }, names: CodeNames): Share {
  const local = names.take(field.localName);
  const keyBytes = scalarCode(field.mapKey).maxBytes;
  const terms = keyBytes > 0 ? [] : [`${runtime(scope, "boundText")}(key)`];
  // Tags and lengths of the entry, then those of key and value.
  let bytes = tagBytes(tagOf(field, 2)) + MAX_LENGTH_BYTES + 2 + keyBytes;
  const value = `${runtime(scope, "entryOf")}(${local}, key)`;
  if (field.message !== undefined) {
    bytes += MAX_LENGTH_BYTES;
    terms.push(boundMessage(scope, field, value));
  } else {
    const { maxBytes, write } = scalarCode(field.scalar);
    bytes += maxBytes;
    if (maxBytes === 0) terms.push(`${runtime(scope, write === "writeText" ? "boundText" : "boundBytes")}(${value})`);
  }
  const keys = `${runtime(scope, "keysOf")}(${local})`;
  const lines = [`const ${local} = ${memberValue(field.localName)};`];
  if (terms.length === 0) {
    lines.push(`if (${local} != null) bytes += ${bytes} * ${keys}.length;`);
  } else {
    const sum = [bytes, ...terms].join(" + ");
    lines.push(`if (${local} != null) for (const key of ${keys}) bytes += ${sum};`);
  }
  return { bytes: 0, terms: [], lines };
}

/** The largest of the members whose size is known, and what the others add when they are chosen. */
function oneofShare(scope: CodecScope, oneof: DescOneof, names: CodeNames): Share {
  const local = names.take(oneof.localName);
  let largest = 0;
  const cases: string[] = [];
  for (const field of oneof.fields) {
    const [bytes, term] =
      field.message !== undefined
        ? [frameBytes(field), boundMessage(scope, field, `${local}.value`)]
        : oneofScalar(scope, field, `${local}.value`);
    if (term === undefined) largest = Math.max(largest, bytes);
    else cases.push(`if (${local}?.case === ${JSON.stringify(field.localName)}) bytes += ${bytes} + ${term};`);
  }
  const lines = cases.length === 0 ? [] : [`const ${local} = ${memberValue(oneof.localName)};`, ...cases];
  return { bytes: largest, terms: [], lines };
}

function oneofScalar(scope: CodecScope, field: DescField, value: string): [number, string | undefined] {
  const { bytes, terms } = scalarShare(scope, field, value);
  return [bytes, terms[0]];
}
