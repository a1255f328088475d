import { join } from "node:path";
import { root } from "../../repository.ts";
import { type Check, type Installed, Skipped } from "../check.ts";
import { nodeTypesVersion, typescriptVersions } from "../pins.ts";
import { Project } from "../project.ts";
import type { Tool } from "../tools.ts";
import { buildPrograms } from "./types.ts";

/** Certificates of the repository's tests: good for nothing else. */
const CERTIFICATES = join(root, "packages/bowline/test/certs");

/** Why no Node may be without them unnoticed. */
const SHARED_READS = "docs/decisions/0022-reads-into-one-buffer.md";

/** What pnpm does by default: a package finds what it depends on itself, and nothing else. */
const strictLayout: Check = {
  name: "runs: strict node_modules",
  run: async ({ work, packed, tsStyle }) => {
    const project = new Project(join(work, "strict"));
    const own = packed.map(({ tarball }) => tarball);
    const generated = [
      "@bufbuild/protobuf",
      `typescript@${typescriptVersions.at(-1)}`,
      `@types/node@${nodeTypesVersion}`,
    ];
    await project.install("--install-strategy=linked", ...own, ...generated);
    for (const name of ["programs", "proto", "tsconfig.json"]) project.copy(tsStyle.path(name), name);
    await project.succeed(project.path("node_modules/.bin/bowline"), ["generate"]);
    await project.succeed(project.path("node_modules/.bin/tsc"), ["--noEmit"]);
    const said = await project.succeed(process.execPath, ["programs/server-and-client.ts", CERTIFICATES], 60_000);
    return `bowline generate, types, ${lastLine(said)}`;
  },
};

/** Programs on every line of Node: what TypeScript compiled, what Node strips by itself, and the command line. */
export function runChecksOf({ tools }: Installed): Check[] {
  if (tools.nodes.length > 0) return [...tools.nodes.map(runCheck), strictLayout];
  const reason = `npm has no Node for ${process.platform} ${process.arch}; only ${process.version} was tried`;
  const here = { version: process.versions.node, path: process.execPath };
  return [runCheck(here), strictLayout, { name: "runs: other versions of Node", run: async () => new Skipped(reason) }];
}

function runCheck(node: Tool): Check {
  return {
    name: `runs: Node ${node.version}`,
    run: async (installed) => {
      const { tsStyle, consumer } = installed;
      await buildPrograms(installed);
      const compiled = await tsStyle.succeed(node.path, ["dist/programs/server-and-client.js", CERTIFICATES], 60_000);
      if (!compiled.includes("shared reads")) throw new Error(`servers have reads of their own: see ${SHARED_READS}`);
      await tsStyle.succeed(node.path, ["dist/programs/every-subpath.js"], 60_000);
      const workers = await tsStyle.succeed(node.path, ["dist/programs/workers.js"], 60_000);
      await tsStyle.succeed(node.path, ["programs/server-and-client.ts", CERTIFICATES], 60_000);
      await tsStyle.succeed(node.path, [consumer.path("node_modules/bowline-cli/dist/bin.js"), "generate", "--check"]);
      return `${lastLine(compiled)}; ${lastLine(workers)}; .ts as it is; bowline generate`;
    },
  };
}

function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}
