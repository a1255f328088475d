import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import { fileError } from "../../file-error.ts";
import { type Diagnostic, DiagnosticError } from "../compile/diagnostic.ts";
import { CONFIG_FILE, CONFIG_KEYS, type GenConfig, type OutputConfig, type ValueKind } from "./gen-config.ts";

/** Where the configuration is: the file that was named, else bowline.gen.yaml in `cwd` if there is one. Absolute. */
export function findConfig(cwd: string, named: string | undefined): string | undefined {
  if (named !== undefined) return resolve(cwd, named);
  const file = join(cwd, CONFIG_FILE);
  return existsSync(file) ? file : undefined;
}

/** Reads a bowline.gen.yaml. Throws a DiagnosticError with each fault's place, relative to `cwd`; a CommandError if it can't be read. */
export async function readConfig(cwd: string, file: string): Promise<GenConfig> {
  const text = await readFile(file, "utf8").catch((error) => {
    throw fileError("read", relative(cwd, file), error);
  });
  const reader = new ConfigReader(relative(cwd, file), text);
  const outputs = reader.outputs();
  if (reader.faults.length > 0) throw new DiagnosticError(reader.faults, new Map([[relative(cwd, file), text]]));
  return { file, outputs };
}

/** Walks the nodes of the file, so that each fault has the place of what is at fault. */
class ConfigReader {
  readonly faults: Diagnostic[] = [];
  readonly #shown: string;
  readonly #lines: readonly string[];
  readonly #lineCounter = new LineCounter();
  readonly #document: Document;

  constructor(shown: string, text: string) {
    this.#shown = shown;
    this.#lines = text.split(/\r?\n/);
    this.#document = parseDocument(text, { lineCounter: this.#lineCounter, prettyErrors: false });
  }

  outputs(): OutputConfig[] {
    for (const { message, pos } of [...this.#document.errors, ...this.#document.warnings]) this.#fault(pos, message);
    if (this.faults.length > 0) return [];
    const content = this.#document.contents;
    if (content === null || (isScalar(content) && content.value === null)) return [{}];
    const shared = this.#output(content, "the file", true);
    if (shared === undefined || !isMap(content)) return [];
    const list = content.get("outputs", true);
    return list === undefined ? [shared] : this.#list(list).map((each) => ({ ...shared, ...each }));
  }

  #list(node: unknown): OutputConfig[] {
    const list = this.#resolved(node);
    if (!isSeq(list) || list.items.length === 0) {
      this.#faultAt(list, "outputs is no list", "Give a list of mappings, each with an out of its own.");
      return [];
    }
    return list.items.map((item) => this.#output(item, "an item of outputs", false) ?? {});
  }

  #output(node: unknown, name: string, isTop: boolean): OutputConfig | undefined {
    const mapping = this.#resolved(node);
    if (!isMap(mapping)) {
      this.#faultAt(mapping, `${name} is no mapping`, "Write keys and values, such as: out: src/gen");
      return undefined;
    }
    const output: Record<string, unknown> = {};
    for (const pair of mapping.items) this.#pair(pair, isTop, output);
    return output;
  }

  #pair({ key, value }: Pair, isTop: boolean, output: Record<string, unknown>): void {
    const name = isScalar(key) ? String(key.value) : "";
    if (isTop && name === "outputs") return;
    const known = Object.hasOwn(CONFIG_KEYS, name) ? CONFIG_KEYS[name] : undefined;
    if (known === undefined) {
      const names = [...Object.keys(CONFIG_KEYS), ...(isTop ? ["outputs"] : [])];
      this.#faultAt(key, `there is no key \`${name}\``, `Known are ${names.join(", ")}.`);
      return;
    }
    const read = this.#value(name, known.kind, this.#resolved(value), key);
    if (read !== undefined) output[known.field] = read;
  }

  #value(name: string, kind: ValueKind, node: unknown, key: unknown): unknown {
    const place = node ?? key;
    if (kind === "texts") {
      const items = isSeq(node) ? node.items.map((item) => this.#resolved(item)) : [node];
      const odd = items.find((item) => textOf(item) === undefined);
      if (items.length > 0 && odd === undefined) return items.map(textOf);
      return this.#faultAt(odd ?? place, `${name} is ${shown(odd ?? node)}`, "Give a path, or a list of paths.");
    }
    const value = isScalar(node) ? node.value : undefined;
    if (kind === "flag") {
      if (typeof value === "boolean") return value;
      return this.#faultAt(place, `${name} is ${shown(node)}`, "Give true or false.");
    }
    if (kind === "text") {
      return textOf(node) ?? this.#faultAt(place, `${name} is ${shown(node)}`, "Give a path, relative to this file.");
    }
    if (kind.includes(String(value))) return value;
    return this.#faultAt(place, `${name} is ${shown(node)}`, `Give one of ${kind.join(", ")}.`);
  }

  #resolved(node: unknown): unknown {
    if (!isAlias(node)) return node;
    const anchored = node.resolve(this.#document);
    if (anchored === undefined)
      this.#faultAt(node, `there is no anchor \`${node.source}\` above`, "Name one that is there.");
    return anchored ?? node;
  }

  #faultAt(node: unknown, message: string, hint: string): undefined {
    const range = (node as Node | null | undefined)?.range ?? [0, 1, 1];
    this.#fault([range[0], range[1]], message, hint);
    return undefined;
  }

  #fault([from, to]: readonly [number, number], message: string, hint?: string): void {
    const begin = this.#lineCounter.linePos(from);
    const end = this.#lineCounter.linePos(to);
    const text = this.#lines[begin.line - 1] ?? "";
    const column = characters(text.slice(0, begin.col - 1)) + 1;
    const sameLine = end.line === begin.line ? characters(text.slice(0, end.col - 1)) + 1 : undefined;
    const place = { file: this.#shown, line: begin.line, column, endColumn: sameLine };
    this.faults.push({ ...place, message, ...(hint !== undefined && { hint }) });
  }
}

function characters(text: string): number {
  return Array.from(text).length;
}

function textOf(node: unknown): string | undefined {
  return isScalar(node) && typeof node.value === "string" && node.value !== "" ? node.value : undefined;
}

function shown(node: unknown): string {
  if (isMap(node)) return "a mapping";
  if (isSeq(node)) return node.items.length === 0 ? "an empty list" : "a list";
  if (!isScalar(node) || node.value === null) return "empty";
  return JSON.stringify(node.value) ?? String(node.value);
}
