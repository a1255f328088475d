import type { DescField, DescFile, DescMessage, DescMethod, DescOneof } from "@bufbuild/protobuf";
import { type Diagnostic, DiagnosticError } from "../compile/diagnostic.ts";
import { methodName } from "./code-names.ts";

/** What has a name of its own in TypeScript. */
type Named = DescMethod | DescField | DescOneof;

/**
 * Throws a DiagnosticError for names that would be one in TypeScript: methods of a service that differ in the case of their first letter
 * only, and such fields of a message as `foo_bar` and `fooBar`, for which protobuf-es has one property. `target` is the file's name in
 * messages, and its text; services count where they are generated, `withServices`.
 */
export function refuseNameClashes(
  file: DescFile,
  target: { readonly shown: string; readonly text: string },
  withServices: boolean,
): void {
  const clashes: Diagnostic[] = [];
  const look = <T extends Named>(all: readonly T[], kind: string, nameOf: (each: T) => string): void => {
    const byName = new Map<string, T>();
    for (const each of all) {
      const name = nameOf(each);
      const first = byName.get(name);
      if (first === undefined) byName.set(name, each);
      else clashes.push(clash(first, each, `${kind} \`${name}\``, target));
    }
  };
  if (withServices) for (const { methods } of file.services) look(methods, "method", ({ name }) => methodName(name));
  for (const { members, oneofs } of file.messages.flatMap(withNested)) {
    look(members, "property", ({ localName }) => localName);
    for (const { fields } of oneofs) look(fields, "case", ({ localName }) => localName);
  }
  if (clashes.length > 0) throw new DiagnosticError(clashes, new Map([[target.shown, target.text]]));
}

function withNested(message: DescMessage): DescMessage[] {
  return [message, ...message.nestedMessages.flatMap(withNested)];
}

function clash(first: Named, second: Named, what: string, target: { shown: string; text: string }): Diagnostic {
  const line = lineOf(second);
  const text = target.text.split(/\r?\n/)[line - 1] ?? "";
  // What follows tells the name from a type of the same name before it.
  const at = text.search(new RegExp(`\\b${second.name}\\b(?=\\s*(?:[=({]|$))`));
  const column = Math.max(at, 0) + 1;
  return {
    file: target.shown,
    line,
    column,
    endColumn: column + second.name.length,
    message: `${first.name} and ${second.name} would both be the ${what} in TypeScript`,
    hint: "Rename one of them.",
  };
}

/** The line with the name of what is declared: field 1 of each of them. */
function lineOf(desc: Named): number {
  const path = [...pathOf(desc), 1];
  const { file } = desc.parent;
  const locations = file.proto.sourceCodeInfo?.location ?? [];
  const location = locations.find(
    (each) => each.path.length === path.length && each.path.every((part, i) => part === path[i]),
  );
  return (location?.span[0] ?? 0) + 1;
}

/** Where something is declared, by the field numbers of descriptor.proto and the indices in their lists. */
function pathOf(desc: Named | DescMessage): number[] {
  switch (desc.kind) {
    case "message":
      return desc.parent === undefined
        ? [4, desc.file.proto.messageType.indexOf(desc.proto)]
        : [...pathOf(desc.parent), 3, desc.parent.proto.nestedType.indexOf(desc.proto)];
    case "field":
      return [...pathOf(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)];
    case "oneof":
      return [...pathOf(desc.parent), 8, desc.parent.proto.oneofDecl.indexOf(desc.proto)];
    case "rpc": {
      const service = desc.parent;
      return [6, service.file.proto.service.indexOf(service.proto), 2, service.proto.method.indexOf(desc.proto)];
    }
  }
}
