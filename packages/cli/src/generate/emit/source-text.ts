import { posix } from "node:path";
import { CodeNames } from "./code-names.ts";

/** What stands behind a relative import's name: the extension of the file, as the compiler of the generated code wants it. */
export type ImportExtension = "ts" | "js" | "none";

/** Something that another module exports. */
export interface ImportedName {
  readonly name: string;
  /** A package, or a path from the output folder that begins with `./` and ends with `.js`. */
  readonly from: string;
}

/** What is imported of one module. */
interface ModuleImports {
  /** Local names by exported name, also of what was only reserved. */
  readonly locals: Map<string, string>;
  readonly used: Set<string>;
  readonly usedAsValue: Set<string>;
}

/** Width that lines are broken at. */
export const MAX_WIDTH = 120;

/** A TypeScript file in the making: lines of code, and imports that are collected while they are used. */
export class SourceText {
  /** Names of this file. Exports take theirs before the first import does, so that they keep the name they should have. */
  readonly names: CodeNames = new CodeNames();
  readonly #path: string;
  readonly #extension: ImportExtension;
  readonly #modules = new Map<string, ModuleImports>();
  readonly #lines: string[] = [];

  /** `path` is the file's own path from the output folder. */
  constructor(path: string, extension: ImportExtension) {
    this.#path = path;
    this.#extension = extension;
  }

  /** Gives what may be imported of a module its local names before others ask for them; unused ones are not imported. */
  reserve(from: string, names: readonly string[]): void {
    const module = this.#module(from);
    for (const name of names) {
      if (!module.locals.has(name)) module.locals.set(name, this.names.take(name));
    }
  }

  /** The local name of something that is used in types only. */
  type(imported: ImportedName): string {
    const module = this.#module(imported.from);
    module.used.add(imported.name);
    let local = module.locals.get(imported.name);
    if (local === undefined) {
      local = this.names.take(imported.name);
      module.locals.set(imported.name, local);
    }
    return local;
  }

  /** The local name of something that is there at run time. */
  value(imported: ImportedName): string {
    this.#module(imported.from).usedAsValue.add(imported.name);
    return this.type(imported);
  }

  print(...lines: readonly string[]): void {
    this.#lines.push(...lines);
  }

  /** The whole file, imports in front. */
  finish(head: string): string {
    const imports = Array.from(this.#modules, ([from, module]) => ({ from, module }))
      .sort((a, b) => compareSources(a.from, b.from))
      .flatMap(({ from, module }) => importStatement(from, module));
    return `${[head, "", ...imports, "", ...this.#lines].join("\n")}\n`;
  }

  #module(from: string): ModuleImports {
    const specifier = this.#specifier(from);
    let module = this.#modules.get(specifier);
    if (module === undefined) {
      module = { locals: new Map(), used: new Set(), usedAsValue: new Set() };
      this.#modules.set(specifier, module);
    }
    return module;
  }

  #specifier(from: string): string {
    if (!from.startsWith("./")) return from;
    const relative = posix.relative(posix.dirname(this.#path), from.slice(2));
    const path = relative.startsWith(".") ? relative : `./${relative}`;
    return path.replace(/\.js$/, this.#extension === "none" ? "" : `.${this.#extension}`);
  }
}

function importStatement(from: string, module: ModuleImports): string[] {
  if (module.used.size === 0) return [];
  const allTypes = module.usedAsValue.size === 0;
  const names = Array.from(module.used, (name) => ({ name, local: module.locals.get(name) ?? name }))
    .sort((a, b) => compareNames(a.local, b.local))
    .map(({ name, local }) => {
      const type = allTypes || module.usedAsValue.has(name) ? "" : "type ";
      return type + (local === name ? name : `${name} as ${local}`);
    });
  const keyword = allTypes ? "import type" : "import";
  const line = `${keyword} { ${names.join(", ")} } from ${JSON.stringify(from)};`;
  if (line.length <= MAX_WIDTH) return [line];
  return [`${keyword} {`, ...names.map((name) => `  ${name},`), `} from ${JSON.stringify(from)};`];
}

/** Packages before files, files further up before nearer ones. */
function compareSources(a: string, b: string): number {
  return distance(b) - distance(a) || compareNames(a, b);
}

function distance(source: string): number {
  if (!source.startsWith(".")) return Number.MAX_SAFE_INTEGER;
  return source.split("/").filter((part) => part === "..").length;
}

/** The order of Biome's organizeImports: `_`, `$`, numbers by their size, `A`, `a`, `B`, `b`…; the same on every machine. */
function compareNames(a: string, b: string): number {
  const [keyA, keyB] = [sortKey(a), sortKey(b)];
  return keyA < keyB ? -1 : keyA > keyB ? 1 : 0;
}

/** Longer numbers in names are compared as text. */
const MAX_DIGITS = 20;

/** Each letter in lower case, followed by what tells it from the other case. */
function sortKey(name: string): string {
  const letters = name.replace(/[A-Za-z]/g, (letter) => letter.toLowerCase() + (letter < "a" ? "\u0000" : "\u0001"));
  const numbers = letters.replace(/\d+/g, (digits) => digits.padStart(MAX_DIGITS, "0"));
  return numbers.replaceAll("_", "\u0000").replaceAll("$", "\u0001");
}
