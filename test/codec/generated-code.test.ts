import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type CompiledType,
  codecFolder,
  compileSchemas,
  generatedTexts,
  generateInto,
} from "./harness/compiled-schemas.ts";

const run = promisify(execFile);
const require = createRequire(import.meta.url);

/** Everything that a careful project switches on. */
const COMPILER_OPTIONS = {
  target: "es2023",
  lib: ["es2024", "esnext.disposable"],
  module: "nodenext",
  moduleResolution: "nodenext",
  types: ["node"],
  strict: true,
  allowImportingTsExtensions: true,
  allowUnreachableCode: false,
  allowUnusedLabels: false,
  declaration: true,
  erasableSyntaxOnly: true,
  exactOptionalPropertyTypes: true,
  isolatedDeclarations: true,
  isolatedModules: true,
  noFallthroughCasesInSwitch: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
  skipLibCheck: true,
  noEmit: true,
};

const seed = Number(process.env.CODEC_SEED ?? Math.floor(Math.random() * 1_000_000));
const SCHEMAS = Number(process.env.CODEC_SCHEMAS ?? 12);
const seeds = Array.from({ length: SCHEMAS }, (_, index) => seed + index);

describe(`code generated for ${SCHEMAS} random schemas, from seed ${seed} on`, () => {
  let folder = "";
  let loaded: readonly CompiledType[] = [];

  beforeAll(async () => {
    folder = await codecFolder();
    loaded = (await compileSchemas(folder, seeds)).types;
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ["gen"] }),
    );
    await writeFile(join(folder, "biome.json"), '{ "root": true, "formatter": { "enabled": false } }');
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("compiles under every strict setting", { timeout: 60_000 }, async () => {
    expect(await typeErrors(folder), `CODEC_SEED=${seed}`).toEqual([]);
  });

  it("is noticed by the compiler when it is wrong, so that the test above can fail", { timeout: 60_000 }, async () => {
    const [path, text] = [...(await generatedTexts(folder))].find(([each]) => each.endsWith("_rpc.ts")) as [
      string,
      string,
    ];
    await writeFile(join(folder, "gen", path), `${text}const unused: string = 1;\n`);
    try {
      expect(await typeErrors(folder)).toHaveLength(2);
    } finally {
      await writeFile(join(folder, "gen", path), text);
    }
  });

  it("has nothing that Biome's recommended rules object to", { timeout: 60_000 }, async () => {
    const files = [...(await generatedTexts(folder)).keys()].filter((path) => path.endsWith("_rpc.ts"));
    const biome = join(dirname(require.resolve("@biomejs/biome/package.json")), "bin/biome");
    const args = [
      biome,
      "check",
      "--config-path",
      folder,
      "--vcs-enabled=false",
      "--max-diagnostics=20",
      "--error-on-warnings",
    ];
    const { stdout, stderr } = await run(process.execPath, [...args, ...files.map((path) => join("gen", path))], {
      cwd: folder,
      encoding: "utf8",
    }).catch((error) => error);
    expect(String(stdout) + String(stderr), `CODEC_SEED=${seed}`).toContain(`Checked ${files.length} files`);
    expect(String(stdout) + String(stderr)).not.toMatch(/Found \d+ (error|warning)/);
  });

  it("exports a codec and its three functions for every message, named after it unless something else has the name", () => {
    for (const { desc, exported } of loaded) {
      const name = desc.typeName.slice(desc.file.proto.package.length + 1).replaceAll(".", "_");
      for (const wanted of [`bound${name}`, `encode${name}`, `decode${name}`, `${name}Codec`]) {
        const found = exported.filter((each) => each.replaceAll("$", "") === wanted);
        expect(found, `${wanted} of ${desc.typeName}`).not.toEqual([]);
      }
    }
  });

  it("is the same every time, whatever is generated along", { timeout: 60_000 }, async () => {
    const first = await generatedTexts(folder);
    await generateInto(folder, "again");
    expect(await generatedTexts(folder, "again")).toEqual(first);
    const alone = await codecFolder();
    try {
      await compileSchemas(alone, [seed], "dynamic");
      for (const [path, text] of await generatedTexts(alone)) {
        if (path.startsWith("s")) expect(text, path).toBe(first.get(path));
      }
    } finally {
      await rm(alone, { recursive: true, force: true });
    }
  });
});

/** What the compiler says of the generated files, not of what they import. */
async function typeErrors(folder: string): Promise<string[]> {
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const options = { cwd: folder, encoding: "utf8" } as const;
  const { stdout } = await run(process.execPath, [tsc, "-p", "."], options).catch((error) => error);
  return String(stdout)
    .split("\n")
    .filter((line) => line.startsWith("gen/"));
}
