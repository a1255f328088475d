import { copyFileSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../process.ts";
import { root } from "../../repository.ts";
import type { Check, Installed } from "../check.ts";
import { kilobytes } from "../kilobytes.ts";
import { Project } from "../project.ts";

/** A minified program that only calls, @bufbuild/protobuf included. */
const MAX_CLIENT_BYTES = 540 * 1024;
/** A minified program that serves and calls, health, reflection and their descriptors included. */
const MAX_ALL_BYTES = 660 * 1024;
/** What a program that only calls has no use for. */
const SERVERS_ONLY = /\/bowline\/dist\/(?:server\/|testing\/|gen\/grpc\/(?:health|reflection)\/)/;

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
        if (flags.length > 0) within(bytes, MAX_ALL_BYTES, "a minified server and client");
        await alone(installed, file, [certificates]);
        await alone(installed, (await bundle(installed, "workers.ts", flags)).file, []);
        sizes.push(`${kilobytes(bytes)}${flags.length > 0 ? " minified" : ""}`);
      }
      return `one file runs by itself, with workers too, ${sizes.join(", ")} (at most ${kilobytes(MAX_ALL_BYTES)})`;
    },
  },
  {
    name: "bundle: client only",
    run: async (installed) => {
      const { bytes, inputs } = await bundle(installed, "client-only.ts", ["--minify"]);
      const surplus = inputs.filter((input) => SERVERS_ONLY.test(input));
      if (surplus.length > 0)
        throw new Error(`a program that only calls has these in its bundle:\n${surplus.join("\n")}`);
      within(bytes, MAX_CLIENT_BYTES, "a minified client");
      return `nothing of servers in it, ${kilobytes(bytes)} minified (at most ${kilobytes(MAX_CLIENT_BYTES)})`;
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
