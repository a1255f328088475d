import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type { ImportExtension } from "./emit/source-text.ts";

/**
 * The extension that imports between generated files should have: `ts` if the nearest tsconfig.json above `folder` allows it
 * (allowImportingTsExtensions or rewriteRelativeImportExtensions, its own or of what it extends), else `js`. `ts` where there is no
 * tsconfig.json: nothing is compiled there, and Node itself runs .ts files only under their real names.
 */
export function importExtensionFor(folder: string): ImportExtension {
  const config = nearestConfig(folder);
  if (config === undefined) return "ts";
  const allows = (option: string): boolean => compilerOption(config, option, new Set()) === true;
  return allows("allowImportingTsExtensions") || allows("rewriteRelativeImportExtensions") ? "ts" : "js";
}

function nearestConfig(folder: string): string | undefined {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const config = join(at, "tsconfig.json");
    if (existsSync(config)) return config;
    if (at === dirname(at)) return undefined;
  }
}

/** The parts of a tsconfig.json that are looked at; nobody has checked them. */
interface TsConfig {
  readonly extends?: unknown;
  readonly compilerOptions?: Readonly<Record<string, unknown>> | null;
}

/** The option's value in this file, or in the last of the files it extends that sets it. */
function compilerOption(file: string, option: string, seen: Set<string>): unknown {
  if (seen.has(file)) return undefined;
  seen.add(file);
  const config = readConfig(file);
  const own = config.compilerOptions?.[option];
  if (own !== undefined) return own;
  const bases: readonly unknown[] = Array.isArray(config.extends) ? config.extends : [config.extends];
  return bases
    .map((base) => (typeof base === "string" ? configPath(base, file) : undefined))
    .map((base) => (base === undefined ? undefined : compilerOption(base, option, seen)))
    .findLast((value) => value !== undefined);
}

function configPath(specifier: string, from: string): string | undefined {
  if (specifier.startsWith(".") || specifier.startsWith("/")) {
    const path = resolve(dirname(from), specifier);
    return [path, `${path}.json`].find((each) => existsSync(each) && !each.endsWith("/"));
  }
  const require = createRequire(from);
  for (const candidate of [specifier, `${specifier}.json`, `${specifier}/tsconfig.json`]) {
    try {
      return require.resolve(candidate);
    } catch {
      // The next form of the name may be the one that exists.
    }
  }
  return undefined;
}

/** A file that can't be read as JSON says nothing: it is TypeScript's to complain about. */
function readConfig(file: string): TsConfig {
  try {
    const text = readFileSync(file, "utf8").replace(/^\uFEFF/, "");
    return JSON.parse(withoutComments(text)) ?? {};
  } catch {
    return {};
  }
}

/** tsconfig.json may have comments and commas before a closing bracket. */
function withoutComments(text: string): string {
  const strings = /("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  const plain = text.replace(strings, (_, string: string | undefined) => string ?? " ");
  return plain.replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? "");
}
