import { copyFileSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../process.ts";
import { root } from "../../repository.ts";
import type { Check, Installed } from "../check.ts";
import { sourcesOf } from "../join-modules.ts";
import { kilobytes } from "../kilobytes.ts";
import { Project } from "../project.ts";

/** A minified program that only calls, @bufbuild/protobuf included; without what it loads on demand, the adapters of registries. */
const MAX_CLIENT_BYTES = 400 * 1024;
/** A minified program that serves and calls, health, reflection and their descriptors included. */
const MAX_ALL_BYTES = 520 * 1024;
/** What a program that only calls has no use for. */
const SERVERS_ONLY = /^(?:server|testing|gen\/grpc\/(?:health|reflection))\//;

interface Bundle {
  /** Absolute. */
  readonly file: string;
  readonly bytes: number;
  /** Files with a share in it. */
  readonly inputs: readonly string[];
}

/** What esbuild makes of programs that use the packages. */
export const bundleChecks: readonly Check[] = [
  {
    name: "bundle: server and client",
    run: async (installed) => {
      const certificates = join(root, "packages/bowline/test/certs");
      const sizes: string[] = [];
      for (const flags of [[], ["--minify"]]) {
        const { file, bytes } = await bundle(installed, "server-and-client.ts", flags);
        await alone(installed, file, [certificates]);
        await alone(installed, (await bundle(installed, "workers.ts", flags)).file, []);
        sizes.push(`${kilobytes(bytes)}${flags.length > 0 ? " minified" : ""}`);
      }
      const atOnce = await bytesAtOnce(installed, "server-and-client.ts");
      within(atOnce, MAX_ALL_BYTES, "what a minified server and client loads at once");
      const most = `${kilobytes(atOnce)} of them at once (at most ${kilobytes(MAX_ALL_BYTES)})`;
      return `one file runs by itself, with workers too, ${sizes.join(", ")}, ${most}`;
    },
  },
  {
    name: "bundle: client only",
    run: async (installed) => {
      const { bytes, inputs } = await bundle(installed, "client-only.ts", ["--minify"]);
      const atOnce = await bytesAtOnce(installed, "client-only.ts");
      const sources = inputs.flatMap((input) => sourcesOf(readFileSync(join(installed.tsStyle.folder, input), "utf8")));
      if (!sources.includes("client/create-client.ts"))
        throw new Error("a program that calls has no client in its bundle");
      const surplus = sources.filter((source) => SERVERS_ONLY.test(source));
      if (surplus.length > 0)
        throw new Error(`a program that only calls has these in its bundle:\n${surplus.join("\n")}`);
      within(atOnce, MAX_CLIENT_BYTES, "what a minified client loads at once");
      const most = `${kilobytes(atOnce)} of them at once (at most ${kilobytes(MAX_CLIENT_BYTES)})`;
      return `nothing of servers in it, ${kilobytes(bytes)} minified, ${most}`;
    },
  },
];

async function bundle({ work, tsStyle }: Installed, program: string, flags: readonly string[]): Promise<Bundle> {
  const folder = join(work, "bundles");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${program.replace(/\.ts$/, "")}${flags.join("")}.mjs`);
  const meta = `${file}.json`;
  const fixed = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning"];
  const options = [...fixed, ...flags, `--outfile=${file}`, `--metafile=${meta}`];
  const { code, output } = await run("esbuild", [`programs/${program}`, ...options], { cwd: tsStyle.folder });
  if (code !== 0 || output !== "") throw new Error(`esbuild ${program}\n${output.trimEnd()}`);
  return { file, bytes: statSync(file).size, inputs: inputsOf(readFileSync(meta, "utf8")) };
}

/** Bytes of the minified program that are loaded when it starts, where the bundler makes chunks of what is loaded on demand. */
async function bytesAtOnce({ work, tsStyle }: Installed, program: string): Promise<number> {
  const folder = join(work, "bundles", `${program}-split`);
  const meta = join(work, "bundles", `${program}-split.json`);
  const fixed = ["--bundle", "--minify", "--splitting", "--platform=node", "--format=esm", "--log-level=warning"];
  const options = [...fixed, `--outdir=${folder}`, `--metafile=${meta}`];
  const { code, output } = await run("esbuild", [`programs/${program}`, ...options], { cwd: tsStyle.folder });
  if (code !== 0) throw new Error(`esbuild ${program}\n${output.trimEnd()}`);
  const { outputs } = JSON.parse(readFileSync(meta, "utf8")) as { readonly outputs: Readonly<Record<string, Output>> };
  const reached = new Set(Object.keys(outputs).filter((name) => outputs[name].entryPoint?.endsWith(program)));
  for (const name of reached) {
    for (const { path, kind } of outputs[name].imports) {
      if (kind === "import-statement" && path in outputs) reached.add(path);
    }
  }
  return [...reached].reduce((sum, name) => sum + outputs[name].bytes, 0);
}

/** Of esbuild's metafile. */
interface Output {
  readonly bytes: number;
  readonly entryPoint?: string;
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
}

/** Names of the files of which something is left. */
function inputsOf(metafile: string): string[] {
  interface Metafile {
    readonly outputs: Readonly<
      Record<string, { readonly inputs: Readonly<Record<string, { bytesInOutput: number }>> }>
    >;
  }
  const { outputs } = JSON.parse(metafile) as Metafile;
  return Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([name, { bytesInOutput }]) => (bytesInOutput > 0 ? [name] : [])),
  );
}

/** Runs a file in an empty folder, where nothing can be imported from. */
async function alone({ work }: Installed, file: string, args: readonly string[]): Promise<void> {
  const empty = new Project(join(work, "alone"));
  copyFileSync(file, empty.path("program.mjs"));
  await empty.succeed(process.execPath, ["program.mjs", ...args], 60_000);
}

function within(bytes: number, maxBytes: number, what: string): void {
  if (bytes <= maxBytes) return;
  throw new Error(`${what} has ${kilobytes(bytes)}, ${kilobytes(maxBytes)} are allowed: find out what grew`);
}
