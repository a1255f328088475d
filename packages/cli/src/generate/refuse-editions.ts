import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { type Diagnostic, DiagnosticError } from "./compile/diagnostic.ts";
import type { TargetFile } from "./emit/generate-files.ts";
import type { PluginRuntime } from "./emit/plugin-runtime.ts";

/** Field number of `edition` in google.protobuf.FileDescriptorProto. */
const EDITION_FIELD = 14;

/**
 * Throws a DiagnosticError for files of an edition that code can't be generated for: a compiler may know more of them. `targets`
 * has the files' names in messages, and their texts.
 */
export function refuseUnknownEditions(
  descriptorSet: Uint8Array,
  targets: ReadonlyMap<string, TargetFile>,
  { protobuf, wellKnownTypes }: PluginRuntime,
): void {
  const { minimumEdition, maximumEdition } = protobuf;
  const { Edition } = wellKnownTypes;
  const { file: files } = protobuf.fromBinary(wellKnownTypes.FileDescriptorSetSchema, descriptorSet);
  const unknown = files.filter(({ syntax, edition }) => {
    if (syntax !== "editions" || edition === Edition.EDITION_UNSTABLE) return false;
    return edition < minimumEdition || edition > maximumEdition;
  });
  if (unknown.length === 0) return;
  const nameOf = (edition: number): string => (Edition[edition] ?? `${edition}`).replace("EDITION_", "");
  const message = (edition: number): string =>
    `no code can be generated for edition ${nameOf(edition)}, the newest that is known is ${nameOf(maximumEdition)}`;
  const diagnostics = unknown.map((each) => diagnosticAt(each, message(each.edition), targets));
  const texts = unknown.map(({ name }) => [targets.get(name)?.shown ?? name, targets.get(name)?.text ?? ""] as const);
  throw new DiagnosticError(diagnostics, new Map(texts));
}

function diagnosticAt(
  { name, sourceCodeInfo }: FileDescriptorProto,
  message: string,
  targets: ReadonlyMap<string, TargetFile>,
): Diagnostic {
  const place = sourceCodeInfo?.location.find(({ path }) => path.length === 1 && path[0] === EDITION_FIELD);
  // Line and column from 0, then the end: on the same line if that has a column only.
  const [line = 0, column = 0, end] = place?.span ?? [];
  const endColumn = place?.span.length === 3 && end !== undefined ? end + 1 : undefined;
  return { file: targets.get(name)?.shown ?? name, line: line + 1, column: column + 1, endColumn, message };
}
