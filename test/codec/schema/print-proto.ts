import type { ProtoEnum, ProtoExtend, ProtoField, ProtoFile, ProtoMessage, Syntax } from "./proto-model.ts";

/** The text of a .proto file. */
export function printProto(file: ProtoFile): string {
  const lines = [head(file.syntax), ""];
  if (file.package !== "") lines.push(`package ${file.package};`, "");
  for (const { path, isPublic } of file.imports) lines.push(`import ${isPublic ? "public " : ""}"${path}";`);
  for (const option of file.options) lines.push(`option ${option};`);
  for (const each of file.enums) lines.push("", ...printEnum(each));
  for (const each of file.messages) lines.push("", ...printMessage(each, file.syntax));
  for (const each of file.extensions) lines.push("", ...printExtend(each, file.syntax));
  return `${lines.join("\n")}\n`;
}

function head(syntax: Syntax): string {
  return syntax.startsWith("proto") ? `syntax = "${syntax}";` : `edition = "${syntax}";`;
}

function printMessage(message: ProtoMessage, syntax: Syntax): string[] {
  return [...printComment(message.comment), `message ${message.name} {`, ...body(message, syntax), "}"];
}

function body(message: ProtoMessage, syntax: Syntax): string[] {
  const lines: string[] = [];
  if (message.isDeprecated) lines.push("option deprecated = true;");
  for (const each of message.enums) lines.push(...printEnum(each));
  for (const each of message.messages) lines.push(...printMessage(each, syntax));
  const printed = new Set<string>();
  for (const field of message.fields) {
    if (field.oneof === undefined) {
      lines.push(...printField(field, syntax));
    } else if (!printed.has(field.oneof)) {
      printed.add(field.oneof);
      const members = message.fields.filter((each) => each.oneof === field.oneof);
      lines.push(`oneof ${field.oneof} {`, ...indent(members.flatMap((each) => printField(each, syntax))), "}");
    }
  }
  if (message.extensionRange !== undefined) lines.push(`extensions ${message.extensionRange.join(" to ")};`);
  for (const each of message.extensions) lines.push(...printExtend(each, syntax));
  return indent(lines);
}

function printExtend(extend: ProtoExtend, syntax: Syntax): string[] {
  return [`extend ${extend.target} {`, ...indent(extend.fields.flatMap((field) => printField(field, syntax))), "}"];
}

function printField(field: ProtoField, syntax: Syntax): string[] {
  const options = field.options.length === 0 ? "" : ` [${field.options.join(", ")}]`;
  const comment = printComment(field.comment);
  const label = field.label === "singular" || field.label === "map" ? "" : `${field.label} `;
  if (field.group !== undefined) {
    return [
      ...comment,
      `${label}group ${field.group.name} = ${field.number}${options} {`,
      ...body(field.group, syntax),
      "}",
    ];
  }
  const type = field.label === "map" ? `map<${field.key}, ${field.type.name}>` : field.type.name;
  return [...comment, `${label}${type} ${field.name} = ${field.number}${options};`];
}

function printEnum(each: ProtoEnum): string[] {
  return [
    `enum ${each.name} {`,
    ...indent([
      ...each.options.map((option) => `option ${option};`),
      ...each.values.map(({ name, number }) => `${name} = ${number};`),
    ]),
    "}",
  ];
}

function printComment(comment: string | undefined): string[] {
  return comment === undefined ? [] : comment.split("\n").map((line) => `//${line}`);
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
