import type { DescFile, DescMethod } from "@bufbuild/protobuf";
import { type Diagnostic, DiagnosticError } from "../compile/diagnostic.ts";
import { methodName } from "./code-names.ts";

/**
 * Throws a DiagnosticError when two methods of a service differ in the case of their first letter only: they would be one
 * method in TypeScript. `target` is the file's name in messages, and its text.
 */
export function refuseNameClashes(file: DescFile, target: { readonly shown: string; readonly text: string }): void {
  const clashes: Diagnostic[] = [];
  for (const service of file.services) {
    const byName = new Map<string, DescMethod>();
    for (const method of service.methods) {
      const name = methodName(method.name);
      const first = byName.get(name);
      if (first === undefined) byName.set(name, method);
      else clashes.push(clash(first, method, name, target));
    }
  }
  if (clashes.length > 0) throw new DiagnosticError(clashes, new Map([[target.shown, target.text]]));
}

function clash(
  first: DescMethod,
  second: DescMethod,
  name: string,
  target: { shown: string; text: string },
): Diagnostic {
  const line = lineOf(second);
  const text = target.text.split(/\r?\n/)[line - 1] ?? "";
  const column = text.search(new RegExp(`\\b${second.name}\\b`)) + 1;
  return {
    file: target.shown,
    line,
    column: Math.max(column, 1),
    endColumn: column + second.name.length,
    message: `${first.name} and ${second.name} would both be the method \`${name}\` in TypeScript`,
    hint: "Rename one of them.",
  };
}

/** Where the method is declared, by descriptor.proto's paths: field 6 of the file are services, field 2 of those methods. */
function lineOf(method: DescMethod): number {
  const service = method.parent;
  const path = [6, service.file.services.indexOf(service), 2, service.methods.indexOf(method)];
  const locations = service.file.proto.sourceCodeInfo?.location ?? [];
  const location = locations.find((each) => each.path.length === 4 && each.path.every((part, i) => part === path[i]));
  return (location?.span[0] ?? 0) + 1;
}
