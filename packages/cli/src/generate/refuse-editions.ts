import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { type Diagnostic, DiagnosticError } from "./compile/diagnostic.ts";
import { type GenerationRequest, shownFile } from "./emit/generate-files.ts";
import type { PluginRuntime } from "./emit/plugin-runtime.ts";

/** Field number of `edition` in google.protobuf.FileDescriptorProto. */
const EDITION_FIELD = 14;

/** Throws a DiagnosticError for files of an edition that code can't be generated for: a compiler may know more of them. */
export function refuseUnknownEditions(
  request: Pick<GenerationRequest, "descriptorSet" | "targets" | "imports">,
  { protobuf, wellKnownTypes }: PluginRuntime,
): void {
  const { minimumEdition, maximumEdition } = protobuf;
  const { Edition } = wellKnownTypes;
  const { file: files } = protobuf.fromBinary(wellKnownTypes.FileDescriptorSetSchema, request.descriptorSet);
  const unknown = files.filter(({ syntax, edition }) => {
    if (syntax !== "editions" || edition === Edition.EDITION_UNSTABLE) return false;
    return edition < minimumEdition || edition > maximumEdition;
  });
  if (unknown.length === 0) return;
  const nameOf = (edition: number): string => (Edition[edition] ?? `${edition}`).replace("EDITION_", "");
  const message = (edition: number): string =>
    `no code can be generated for edition ${nameOf(edition)}, the newest that is known is ${nameOf(maximumEdition)}`;
  const faulty = unknown.map((file) => ({ file, ...shownFile(file.name, request) }));
  const diagnostics = faulty.map(({ file, shown }) => diagnosticAt(file, message(file.edition), shown));
  throw new DiagnosticError(diagnostics, new Map(faulty.map(({ shown, text }) => [shown, text])));
}

function diagnosticAt({ sourceCodeInfo }: FileDescriptorProto, message: string, file: string): Diagnostic {
  const place = sourceCodeInfo?.location.find(({ path }) => path.length === 1 && path[0] === EDITION_FIELD);
  // Line and column from 0, then the end: on the same line if that has a column only.
  const [line = 0, column = 0, end] = place?.span ?? [];
  const endColumn = place?.span.length === 3 && end !== undefined ? end + 1 : undefined;
  return { file, line: line + 1, column: column + 1, endColumn, message };
}
