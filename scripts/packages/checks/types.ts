import type { Check, Installed } from "../check.ts";
import { importedSubpaths } from "../manifest.ts";
import type { Project } from "../project.ts";
import type { Tool } from "../tools.ts";

type CompilerOptions = Readonly<Record<string, unknown>>;

/** As strict as a user's project may be, declarations of libraries included. Nothing is said of Node's types: they must come by themselves. */
const STRICT: CompilerOptions = {
  strict: true,
  skipLibCheck: false,
  target: "es2023",
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noFallthroughCasesInSwitch: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  isolatedModules: true,
};

interface Variant {
  readonly name: string;
  readonly style: "tsStyle" | "jsStyle";
  readonly options: CompilerOptions;
}

/** The three ways of resolving modules that know `exports`, and both ways of writing imports. */
const VARIANTS: readonly Variant[] = [
  { name: "node16", style: "jsStyle", options: { module: "node16", moduleResolution: "node16", noEmit: true } },
  {
    // Without the DOM's types, and with what few projects switch on: Node's way of running TypeScript.
    name: "nodenext",
    style: "tsStyle",
    options: {
      module: "nodenext",
      moduleResolution: "nodenext",
      lib: ["es2023"],
      exactOptionalPropertyTypes: true,
      noPropertyAccessFromIndexSignature: true,
      verbatimModuleSyntax: true,
      isolatedDeclarations: true,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      rootDir: ".",
      outDir: "dist",
    },
  },
  { name: "bundler", style: "jsStyle", options: { module: "esnext", moduleResolution: "bundler", noEmit: true } },
];

/** Every subpath must be used by test/packages, not only imported. */
const subpathsAreUsed: Check = {
  name: "types: every subpath has a user",
  run: async ({ packed, tsStyle }) => {
    const program = tsStyle.read("programs/every-subpath.ts");
    const subpaths = importedSubpaths(packed[0].manifest).map((subpath) => `bowline${subpath.slice(1)}`);
    const unused = subpaths.filter((specifier) => !program.includes(` from "${specifier}";`));
    if (unused.length === 0) return subpaths.join(", ");
    throw new Error(`test/packages/every-subpath.ts does not use ${unused.join(", ")}: write down what its users do`);
  },
};

/** The checks of types, one for each version of TypeScript. */
export function typeChecks({ tools }: Installed): Check[] {
  return [subpathsAreUsed, ...tools.typescripts.map(typeCheck)];
}

function typeCheck(typescript: Tool): Check {
  return {
    name: `types: TypeScript ${typescript.version}`,
    run: async (installed) => {
      await Promise.all(VARIANTS.map((variant) => compile(typescript, variant, installed[variant.style])));
      return `${VARIANTS.map(({ name }) => name).join(", ")}, strict, declarations of libraries checked`;
    },
  };
}

async function compile(typescript: Tool, { name, options }: Variant, project: Project): Promise<void> {
  const config = { compilerOptions: { ...STRICT, ...options }, include: ["programs", "gen"] };
  const file = `tsconfig.${name.replaceAll(" ", "-")}.json`;
  project.write(file, JSON.stringify(config, undefined, 2));
  const { code, output } = await project.run(process.execPath, [typescript.path, "-p", file]);
  if (code !== 0) throw new Error(`TypeScript ${typescript.version}, ${name}\n${output.trimEnd()}`);
}

/** The programs as JavaScript in `dist` of `tsStyle`, by the newest TypeScript, if none has been here before. */
export async function buildPrograms({ tools, tsStyle }: Installed): Promise<void> {
  const newest = tools.typescripts.at(-1);
  const emitting = VARIANTS.find(({ options }) => options.noEmit !== true);
  if (newest === undefined || emitting === undefined || tsStyle.has("dist")) return;
  await compile(newest, emitting, tsStyle);
}
