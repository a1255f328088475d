import { Chance } from "../chance.ts";
import { fieldName, NameScope, ODD_COMMENTS, typeName } from "./odd-names.ts";
import type { ProtoEnum, ProtoExtend, ProtoField, ProtoFile, ProtoMessage, Syntax } from "./proto-model.ts";
import { fillMessage, type Realm, randomExtension, type Vista } from "./random-fields.ts";

/** Files that belong together: they import each other and nothing else but well-known types. */
export interface RandomSchema {
  readonly seed: number;
  readonly files: readonly ProtoFile[];
}

const SYNTAXES: readonly Syntax[] = ["proto2", "proto3", "2023", "2024"];

/**
 * A schema of one to four files with every feature of the language, the same for the same seed.
 * Names of its files and packages begin with `name`, so that several schemas can be compiled together.
 */
export function randomSchema(seed: number, name: string): RandomSchema {
  const chance = new Chance(seed);
  const scopes = new Map<string, NameScope>();
  const realm: Realm = { chance, enumValues: { count: 0 }, extensionNumbers: new Map(), order: new Map() };
  const files = chance.list(1, 4, (index) => declareFile(realm, name, index, scopes));
  files.forEach((file, index) => {
    const imported = chance.shuffle(files.slice(0, index)).slice(0, chance.int(0, index));
    file.imports.push(...imported.map(({ path }) => ({ path, isPublic: chance.odds(0.3) })));
    fillFile(realm, file, vistaOf(file, files));
  });
  return { seed, files };
}

function declareFile(realm: Realm, name: string, index: number, scopes: Map<string, NameScope>): ProtoFile {
  const { chance } = realm;
  const syntax = chance.pick(SYNTAXES);
  const packageName = chance.pick([name, `${name}.v1`, `${name}.of.many.parts`]);
  const scope = scopes.get(packageName) ?? new NameScope();
  scopes.set(packageName, scope);
  const options = fileOptions(chance, syntax);
  // Generated names are unique in a file, whatever nests in what.
  const generated = new Set<string>();
  const context: Declaring = { realm, syntax, options, generated };
  const file: ProtoFile = {
    path: `${name}/${chance.pick(["file", "deep/er/file", "odd-name.with_dots"])}${index}.proto`,
    syntax,
    package: packageName,
    imports: [],
    options,
    messages: [],
    enums: [],
    extensions: [],
  };
  file.enums.push(...chance.list(0, 3, () => declareEnum(context, scope, packageName, "")));
  file.messages.push(...chance.list(1, 5, () => declareMessage(context, scope, packageName, "", 0)));
  return file;
}

function fileOptions(chance: Chance, syntax: Syntax): string[] {
  if (syntax === "proto2" || syntax === "proto3") return [];
  const options =
    syntax === "2024"
      ? ["features.enforce_naming_style = STYLE_LEGACY", "features.default_symbol_visibility = EXPORT_ALL"]
      : [];
  if (chance.odds(0.2)) options.push("features.field_presence = IMPLICIT");
  if (chance.odds(0.2)) options.push("features.enum_type = CLOSED");
  if (chance.odds(0.2)) options.push("features.repeated_field_encoding = EXPANDED");
  if (chance.odds(0.15)) options.push("features.message_encoding = DELIMITED");
  if (chance.odds(0.15)) options.push("features.utf8_validation = NONE");
  return options;
}

/** What is needed to declare types of one file. */
interface Declaring {
  readonly realm: Realm;
  readonly syntax: Syntax;
  readonly options: readonly string[];
  readonly generated: Set<string>;
}

function declareMessage(
  context: Declaring,
  scope: NameScope,
  above: string,
  local: string,
  depth: number,
): ProtoMessage {
  const { chance, order } = context.realm;
  const name = nameIn(context, scope, local);
  const fullName = above === "" ? name : `${above}.${name}`;
  const inner = new NameScope();
  const prefix = `${local}${name}_`;
  const start = chance.pick([1000, 100_000, 40_000_000]);
  const canBeExtended = context.syntax !== "proto3" && chance.odds(0.3);
  const message: ProtoMessage = {
    name,
    fullName,
    isDeprecated: chance.odds(0.1),
    comment: chance.odds(0.4) ? chance.pick(ODD_COMMENTS) : undefined,
    fields: [],
    messages: [],
    enums: [],
    extensionRange: canBeExtended ? [start, chance.pick([start + 50, 536_870_911])] : undefined,
    extensions: [],
  };
  order.set(message, { index: order.size, names: inner });
  if (depth >= 2) return message;
  message.enums.push(...chance.list(0, depth === 0 ? 2 : 0, () => declareEnum(context, inner, fullName, prefix)));
  message.messages.push(
    ...chance.list(0, depth === 0 ? 2 : 1, () => declareMessage(context, inner, fullName, prefix, depth + 1)),
  );
  return message;
}

function declareEnum(context: Declaring, scope: NameScope, above: string, local: string): ProtoEnum {
  const { chance, enumValues } = context.realm;
  const name = nameIn(context, scope, local);
  const { isClosed, options } = openness(context);
  const first = isClosed && chance.odds(0.6) ? chance.pick([-1, 5, 2_147_483_647]) : 0;
  const numbers = [first];
  for (let count = chance.int(0, 5); count > 0; count--) {
    numbers.push(chance.pick([1, 2, 3, 0, 127, 128, 1000, -1, -2, -2_147_483_648, 2_147_483_647]));
  }
  const hasAlias = chance.odds(0.3);
  const kept = hasAlias ? numbers : [...new Set(numbers)];
  if (new Set(kept).size < kept.length) options.push("allow_alias = true");
  const prefix = chance.pick([`${name.toUpperCase()}_`, "", "V_"]);
  const values = kept.map((number) => ({
    name: `${prefix}${chance.pick(["A", "ok", "Value"])}_${enumValues.count++}`,
    number,
  }));
  return { name, fullName: above === "" ? name : `${above}.${name}`, isClosed, options, values };
}

function openness({ realm, syntax, options }: Declaring): { isClosed: boolean; options: string[] } {
  if (syntax === "proto2" || syntax === "proto3") return { isClosed: syntax === "proto2", options: [] };
  const inherited = options.includes("features.enum_type = CLOSED");
  if (realm.chance.odds(0.5)) return { isClosed: inherited, options: [] };
  const isClosed = realm.chance.odds(0.5);
  return { isClosed, options: [`features.enum_type = ${isClosed ? "CLOSED" : "OPEN"}`] };
}

function nameIn({ realm, generated }: Declaring, scope: NameScope, local: string): string {
  const name = typeName(realm.chance, scope, (each) => generated.has(local + each));
  generated.add(local + name);
  return name;
}

/** What a file may refer to: its own types and those of its imports, and what these import publicly. */
function vistaOf(file: ProtoFile, files: readonly ProtoFile[]): Vista {
  const visible = new Set([file]);
  const see = (path: string): void => {
    const found = files.find((each) => each.path === path);
    if (found === undefined || visible.has(found)) return;
    visible.add(found);
    for (const each of found.imports) if (each.isPublic) see(each.path);
  };
  for (const { path } of file.imports) see(path);
  const all = [...visible];
  const messages = all.flatMap((each) => each.messages.flatMap(withNested));
  return { file, messages, enums: [...all.flatMap((each) => each.enums), ...messages.flatMap((each) => each.enums)] };
}

function withNested(message: ProtoMessage): ProtoMessage[] {
  return [message, ...message.messages.flatMap(withNested)];
}

function fillFile(realm: Realm, file: ProtoFile, vista: Vista): void {
  const { chance } = realm;
  const own = file.messages.flatMap(withNested);
  const large = chance.odds(0.15) ? chance.pick(own) : undefined;
  for (const message of own) fillMessage(realm, vista, message, message === large ? chance.int(60, 90) : undefined);
  if (file.syntax === "proto3") return;
  const targets = vista.messages.filter((each) => each.extensionRange !== undefined);
  if (targets.length === 0) return;
  const scope = new NameScope();
  for (let count = chance.int(0, 4); count > 0; count--) {
    const target = chance.pick(targets);
    const within = chance.odds(0.3) ? chance.pick(own) : undefined;
    const extend = extendBlock(realm, vista, target, scope, within);
    (within ?? file).extensions.push(extend);
  }
}

function extendBlock(
  realm: Realm,
  vista: Vista,
  target: ProtoMessage,
  scope: NameScope,
  within: ProtoMessage | undefined,
): ProtoExtend {
  const names = within === undefined ? scope : (realm.order.get(within)?.names ?? scope);
  const unique = (): string => `${fieldName(realm.chance, names)}_ext${realm.enumValues.count++}`;
  const fields: ProtoField[] = realm.chance.list(1, 3, () => randomExtension(realm, vista, target, unique()));
  return { target: `.${target.fullName}`, fields };
}
