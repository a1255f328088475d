import { dirname, join } from "node:path/posix";
import type { Finding } from "../findings.ts";
import type { SourceFile } from "../repository.ts";
import { type ModuleImport, moduleImports } from "../source/imports.ts";
import { consumers, type InsideView, insideViews, type Layer, layers } from "./dependency-table.ts";

const SOURCES = "packages/bowline/src";
const NAME = "bowline";

/** What the checks are made on; the tables have defaults. */
export interface DependencyInput {
  /** Every TypeScript file that a rule looks at. */
  readonly files: readonly SourceFile[];
  /** `exports` of packages/bowline/package.json: subpath to file, both with `./` in front. */
  readonly exports: Readonly<Record<string, string>>;
  readonly layers?: readonly Layer[];
  readonly insideViews?: readonly InsideView[];
}

/** One import of one file, with the file that it leads to when that lies in the repository. */
interface Edge {
  readonly file: string;
  readonly line: number;
  readonly specifier: string;
  readonly target: string | undefined;
}

/** Finds every import that runs against the direction of dependencies, and every cycle. */
export function checkDependencies(input: DependencyInput): Finding[] {
  const findings: Finding[] = [];
  const edges: Edge[] = [];
  for (const file of input.files) {
    if (file.path.endsWith(".test.ts")) continue;
    for (const each of moduleImports(file.text)) {
      if (!each.isRuntime && !isConsumer(file.path)) continue;
      findings.push(...checkImport(file.path, each, input));
      // What is loaded on demand takes no part in the order of loading.
      if (!each.isRuntime || each.isDynamic === true || each.specifier === undefined) continue;
      edges.push(edge(file.path, each.line, each.specifier, input));
    }
  }
  const inside = edges.filter(({ file, target }) => file.startsWith("packages/") && target?.startsWith("packages/"));
  return [...findings, ...fileCycles(inside), ...mutualFolders(inside)];
}

function edge(file: string, line: number, specifier: string, input: DependencyInput): Edge {
  return { file, line, specifier, target: resolveTarget(file, specifier, input.exports) };
}

/** The file of the repository that a specifier leads to; undefined for packages and modules of Node. */
function resolveTarget(file: string, specifier: string, exports: DependencyInput["exports"]): string | undefined {
  if (specifier.startsWith(".")) return join(dirname(file), specifier);
  if (specifier !== NAME && !specifier.startsWith(`${NAME}/`)) return undefined;
  const target = publishedTarget(`.${specifier.slice(NAME.length)}`, exports);
  return target === undefined ? undefined : join("packages/bowline", target);
}

/** Looks a subpath up in an exports map with at most one `*` a key. */
function publishedTarget(subpath: string, exports: DependencyInput["exports"]): string | undefined {
  const exact = exports[subpath];
  if (exact !== undefined) return exact;
  for (const [key, target] of Object.entries(exports)) {
    const [before, after] = key.split("*");
    if (after === undefined || !subpath.startsWith(before) || !subpath.endsWith(after)) continue;
    return target.replace("*", subpath.slice(before.length, subpath.length - after.length));
  }
  return undefined;
}

function checkImport(file: string, { specifier, line, isRuntime }: ModuleImport, input: DependencyInput): Finding[] {
  if (!file.startsWith(`${SOURCES}/`)) {
    if (specifier === undefined || !isConsumer(file)) return [];
    return checkConsumer(edge(file, line, specifier, input), input);
  }
  if (!isRuntime) return [];
  if (specifier === undefined) {
    return [
      {
        file,
        line,
        problem: "import() of something computed",
        rule: "no check can say where it leads",
        fix: "import a literal, or take the module as an argument",
      },
    ];
  }
  return checkLayer(edge(file, line, specifier, input), input.layers ?? layers);
}

function checkLayer(from: Edge, table: readonly Layer[]): Finding[] {
  const layer = layerOf(from.file, table);
  if (layer === undefined) {
    return [
      {
        file: from.file,
        problem: "no layer holds this file",
        rule: "every folder of packages/bowline/src has a row in scripts/rules/dependency-table.ts",
        fix: "move it into a folder that has one, or add a row with its reason",
      },
    ];
  }
  if (from.specifier.startsWith("node:")) return checkNodeModule(from, layer, table);
  if (!from.specifier.startsWith(".") && (from.target === undefined || layer.path !== "gen")) {
    return checkPackage(from, layer, table);
  }
  if (from.target === undefined) return [];
  if (!from.target.startsWith(`${SOURCES}/`)) {
    return [finding(from, "the runtime is published alone", "move what it needs into packages/bowline/src")];
  }
  const target = layerOf(from.target, table);
  if (target === undefined || target === layer || layer.layers.includes(target.path)) return [];
  const allowed = layer.layers.length === 0 ? "nothing else" : layer.layers.join(", ");
  return [
    finding(
      from,
      `${layer.path} may import ${allowed}, because ${layer.why}`,
      `import the type only, take it as an argument, or move what both need down to ${layer.layers[0] ?? layer.path}`,
    ),
  ];
}

function checkNodeModule(from: Edge, layer: Layer, table: readonly Layer[]): Finding[] {
  const name = from.specifier.slice("node:".length);
  const path = from.file.slice(SOURCES.length + 1);
  if (layer.node.includes(name) || layer.nodeOf?.[path]?.includes(name)) return [];
  const owners = table.flatMap((each) => [
    ...(each.node.includes(name) ? [each.path] : []),
    ...Object.keys(each.nodeOf ?? {}).filter((file) => each.nodeOf?.[file].includes(name)),
  ]);
  const rule =
    owners.length === 0
      ? `no part of the runtime may import node:${name}`
      : `only ${owners.join(", ")} may import node:${name}; ${layer.path} may not, because ${layer.why}`;
  return [finding(from, rule, "take what you need of it as an argument")];
}

function checkPackage(from: Edge, layer: Layer, table: readonly Layer[]): Finding[] {
  const name = packageName(from.specifier);
  if (name === NAME) {
    return [finding(from, "only generated code names its own package", "use a relative path")];
  }
  if (layer.packages?.includes(name)) return [];
  const owners = table.filter((each) => each.packages?.includes(name)).map((each) => each.path);
  const rule =
    owners.length === 0
      ? "the runtime depends on @bufbuild/protobuf only; everything else is an optional peer behind its own subpath"
      : `only ${owners.join(", ")} may import ${name}; ${layer.path} may not, because ${layer.why}`;
  return [finding(from, rule, "do without it, or take what you need of it as an argument")];
}

function checkConsumer(from: Edge, input: DependencyInput): Finding[] {
  const { file, specifier, target } = from;
  if (packageName(specifier) === NAME) {
    if (target !== undefined || specifier === `${NAME}/package.json`) return [];
    return [
      finding(
        from,
        "packages/bowline/package.json does not publish this subpath",
        "use one of its exports, or add it there",
      ),
    ];
  }
  if (target === undefined || !target.startsWith("packages/bowline/") || file.startsWith("packages/bowline/"))
    return [];
  const views = input.insideViews ?? insideViews;
  const below = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
  const isOpen = ({ from: viewer, to }: InsideView): boolean =>
    below(file, viewer) && to.some((each) => below(target, `${SOURCES}/${each}`));
  if (views.some(isOpen)) return [];
  return [
    finding(
      from,
      "whoever uses Bowline imports what it publishes, so that we notice what our users miss",
      `import from "${NAME}" or one of its subpaths, or list an exception with its reason in scripts/rules/dependency-table.ts`,
    ),
  ];
}

function finding({ file, line, specifier }: Edge, rule: string, fix: string): Finding {
  return { file, line, problem: `imports "${specifier}"`, rule, fix };
}

/** The row with the longest path that holds the file. */
function layerOf(file: string, table: readonly Layer[]): Layer | undefined {
  const path = file.slice(SOURCES.length + 1);
  return table
    .filter((layer) => path === layer.path || path.startsWith(`${layer.path}/`))
    .sort((a, b) => b.path.length - a.path.length)[0];
}

function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function isConsumer(file: string): boolean {
  return consumers.some((folder) => file.startsWith(`${folder}/`));
}

/** One finding for each group of files that import each other in a circle, with the shortest circle through its first. */
function fileCycles(edges: readonly Edge[]): Finding[] {
  const next = new Map<string, Edge[]>();
  for (const each of edges) next.set(each.file, [...(next.get(each.file) ?? []), each]);
  const findings: Finding[] = [];
  const reported = new Set<string>();
  for (const start of [...next.keys()].sort()) {
    if (reported.has(start)) continue;
    const circle = shortestCircle(start, next);
    if (circle === undefined) continue;
    for (const each of circle) reported.add(each.file);
    findings.push({
      file: start,
      line: circle[0].line,
      problem: `runtime cycle: ${[...circle.map((each) => each.file), start].join(" → ")}`,
      rule: "in a cycle no file can be understood, tested or loaded first",
      fix: "move what both need into a file of its own, or make one of these an `import type`",
    });
  }
  return findings;
}

function shortestCircle(start: string, next: ReadonlyMap<string, readonly Edge[]>): Edge[] | undefined {
  const cameBy = new Map<string, Edge>();
  const queue = [start];
  for (let at = 0; at < queue.length; at += 1) {
    for (const each of next.get(queue[at]) ?? []) {
      const target = each.target ?? "";
      if (target === start) return pathTo(each, start, cameBy);
      if (cameBy.has(target)) continue;
      cameBy.set(target, each);
      queue.push(target);
    }
  }
  return undefined;
}

function pathTo(last: Edge, start: string, cameBy: ReadonlyMap<string, Edge>): Edge[] {
  const path = [last];
  for (let from = last.file; from !== start; from = path[0].file) path.unshift(cameBy.get(from) as Edge);
  return path;
}

/** Two folders whose files import each other, even if no file is in a cycle. A folder inside another is a part of it. */
function mutualFolders(edges: readonly Edge[]): Finding[] {
  const first = new Map<string, Edge>();
  for (const each of edges) {
    const key = `${dirname(each.file)} ${dirname(each.target ?? "")}`;
    if (!first.has(key)) first.set(key, each);
  }
  const findings: Finding[] = [];
  for (const [key, there] of first) {
    const [from, to] = key.split(" ");
    const back = first.get(`${to} ${from}`);
    const isNested = to.startsWith(`${from}/`);
    if (from >= to || isNested || back === undefined) continue;
    findings.push({
      file: there.file,
      line: there.line,
      problem: `${from} and ${to} import each other (back at ${back.file}:${back.line})`,
      rule: "a folder is understood before the folders that use it",
      fix: "move what both need into one of them, or make one direction an `import type`",
    });
  }
  return findings;
}
