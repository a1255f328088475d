import type {
  DescEnum,
  DescExtension,
  DescField,
  DescFile,
  DescMessage,
  DescMethod,
  DescOneof,
  DescService,
} from "@bufbuild/protobuf";
import { type Diagnostic, DiagnosticError } from "../compile/diagnostic.ts";
import { methodName } from "./code-names.ts";
import type { ShownFile } from "./generate-files.ts";

/** What has a name of its own within a message or a service. */
type Inner = DescMethod | DescField | DescOneof;
/** What a file exports under its name. */
type Exported = DescMessage | DescEnum | DescService | DescExtension;

/**
 * Throws a DiagnosticError for names that would be one in TypeScript: methods of a service that differ in the case of their first letter
 * only, and such fields of a message as `foo_bar` and `fooBar`, for which protobuf-es has one property. Also for names of which
 * protobuf-es would make what TypeScript can't read. Services' methods count where services are generated, `withServices`.
 */
export function refuseNames(file: DescFile, shown: ShownFile, withServices: boolean): void {
  const messages = file.messages.flatMap(withNested);
  const faults = [
    ...(withServices ? file.services : []).flatMap(({ methods }) => clashes(methods, "method", methodOf)),
    ...messages.flatMap(({ members, oneofs }) => [
      ...clashes(members, "property", localNameOf),
      ...oneofs.flatMap(({ fields }) => clashes(fields, "case", localNameOf)),
    ]),
    ...exportsOf(file).filter(isUnreadable).map(unreadable),
    ...messages.flatMap(({ members }) => members.filter(({ localName }) => !isProperty(localName)).map(noProperty)),
  ];
  if (faults.length === 0) return;
  const diagnostics = faults.map((fault) => diagnosticAt(fault, shown));
  throw new DiagnosticError(diagnostics, new Map(shown.text === "" ? [] : [[shown.shown, shown.text]]));
}

/** A declaration, and what is wrong with its name. */
interface Fault {
  readonly desc: Inner | Exported;
  readonly message: string;
  readonly hint: string;
}

const methodOf = ({ name }: DescMethod): string => methodName(name);
const localNameOf = ({ localName }: DescField | DescOneof): string => localName;

function clashes<T extends Inner>(all: readonly T[], kind: string, nameOf: (each: T) => string): Fault[] {
  const byName = new Map<string, T>();
  return all.flatMap((desc) => {
    const name = nameOf(desc);
    const first = byName.get(name);
    if (first !== undefined) {
      const message = `${first.name} and ${desc.name} would both be the ${kind} \`${name}\` in TypeScript`;
      return [{ desc, message, hint: "Rename one of them." }];
    }
    byName.set(name, desc);
    return [];
  });
}

/** A property is a word, or a number as JavaScript writes it: `_1` becomes `1`, while `_01`, `_2x` and `_` become neither. */
function isProperty(localName: string): boolean {
  return /^[A-Za-z]/.test(localName) || String(Number(localName)) === localName;
}

function noProperty(desc: DescField | DescOneof): Fault {
  const message = `${desc.name} would be the property \`${desc.localName}\`, which can't be written in TypeScript`;
  return { desc, message, hint: "Rename it." };
}

/** Names that protobuf-es leaves as they are, though no type, or no constant of a module, may have them. */
const NO_TYPES: ReadonlySet<string> = new Set(
  "any as await infer keyof never readonly symbol undefined unique unknown".split(" "),
);
const NO_CONSTANTS: ReadonlySet<string> = new Set("arguments await eval".split(" "));

/** Messages are types, services and extensions are constants, enums are both. */
function isUnreadable({ kind, name }: Exported): boolean {
  const isType = kind === "message" || kind === "enum";
  return (isType && NO_TYPES.has(name)) || (kind !== "message" && NO_CONSTANTS.has(name));
}

function unreadable(desc: Exported): Fault {
  return { desc, message: `no ${desc.kind} can be named \`${desc.name}\` in TypeScript`, hint: "Rename it." };
}

/** Nested ones have the name of the message around them in front. */
function exportsOf({ messages, enums, services, extensions }: DescFile): Exported[] {
  return [...messages, ...enums, ...services, ...extensions];
}

function withNested(message: DescMessage): DescMessage[] {
  return [message, ...message.nestedMessages.flatMap(withNested)];
}

function diagnosticAt({ desc, message, hint }: Fault, { shown, text }: ShownFile): Diagnostic {
  const line = lineOf(desc);
  // What follows tells the name from a type of the same name before it.
  const at = (text.split(/\r?\n/)[line - 1] ?? "").search(new RegExp(`\\b${desc.name}\\b(?=\\s*(?:[=({]|$))`));
  const column = Math.max(at, 0) + 1;
  return { file: shown, line, column, endColumn: column + desc.name.length, message, hint };
}

/** The line with the name of what is declared: field 1 of each of them. */
function lineOf(desc: Inner | Exported): number {
  const path = [...pathOf(desc), 1];
  const { file } = "file" in desc ? desc : desc.parent;
  const locations = file.proto.sourceCodeInfo?.location ?? [];
  const location = locations.find(
    (each) => each.path.length === path.length && each.path.every((part, i) => part === path[i]),
  );
  return (location?.span[0] ?? 0) + 1;
}

/** Where something is declared, by the field numbers of descriptor.proto and the indices in their lists. */
function pathOf(desc: Inner | Exported): number[] {
  switch (desc.kind) {
    case "message":
      return desc.parent === undefined
        ? [4, desc.file.proto.messageType.indexOf(desc.proto)]
        : [...pathOf(desc.parent), 3, desc.parent.proto.nestedType.indexOf(desc.proto)];
    case "enum":
      return [5, desc.file.proto.enumType.indexOf(desc.proto)];
    case "service":
      return [6, desc.file.proto.service.indexOf(desc.proto)];
    case "extension":
      return [7, desc.file.proto.extension.indexOf(desc.proto)];
    case "field":
      return [...pathOf(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)];
    case "oneof":
      return [...pathOf(desc.parent), 8, desc.parent.proto.oneofDecl.indexOf(desc.proto)];
    case "rpc":
      return [...pathOf(desc.parent), 2, desc.parent.proto.method.indexOf(desc.proto)];
  }
}
