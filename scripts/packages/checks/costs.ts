import { bytesOf } from "../../repository.ts";
import { allowedImportMs, importRounds, maxInstalledBytes } from "../../rules/package-budget.ts";
import type { Check, Installed } from "../check.ts";
import { kilobytes } from "../kilobytes.ts";
import { importedSubpaths } from "../manifest.ts";
import type { Project } from "../project.ts";

/** What the runtime costs its users before it does anything. */
export const costChecks: readonly Check[] = [
  {
    name: "cost: bytes installed",
    run: async ({ core }) => {
      const parts = ["bowline", "@bufbuild/protobuf"].map((name) => bytesOf(core.path("node_modules", name)));
      const all = bytesOf(core.path("node_modules"));
      const summary = `${kilobytes(all)} (bowline ${kilobytes(parts[0])}, @bufbuild/protobuf ${kilobytes(parts[1])})`;
      if (all <= maxInstalledBytes) return `${summary}, at most ${kilobytes(maxInstalledBytes)}`;
      throw new Error(`${summary}: ${kilobytes(maxInstalledBytes)} are allowed`);
    },
  },
  { name: "cost: import", run: importCost },
];

async function importCost({ core, packed }: Installed): Promise<string> {
  const own = importedSubpaths(packed[0].manifest).map((subpath) => `bowline${subpath.slice(1)}`);
  const best = new Map(["", "@bufbuild/protobuf", ...own].map((specifier) => [specifier, Number.POSITIVE_INFINITY]));
  for (let round = 1; ; round += 1) {
    await importOnce(core, best);
    if (round < importRounds.least) continue;
    const empty = best.get("") ?? 0;
    const added = Array.from(best, ([specifier, ms]): [string, number] => [specifier, ms - empty]).slice(1);
    const addedBy = new Map(added);
    const allowedMs = allowedImportMs(addedBy.get("@bufbuild/protobuf") ?? 0);
    const list = added.map(([specifier, ms]) => `${specifier} ${ms.toFixed(0)} ms`).join(", ");
    const summary = `${list}, beside ${empty.toFixed(0)} ms of an empty process; at most ${allowedMs.toFixed(0)} ms for bowline`;
    if ((addedBy.get("bowline") ?? 0) <= allowedMs) return summary;
    if (round === importRounds.most) throw new Error(summary);
  }
}

/** Starts a process for each specifier that imports it, `""` nothing, and keeps its time, in ms, if it was the quickest so far. */
async function importOnce(project: Project, best: Map<string, number>): Promise<void> {
  for (const [specifier, ms] of best) {
    project.write("import.mjs", specifier === "" ? "" : `import ${JSON.stringify(specifier)};\n`);
    const begun = performance.now();
    await project.succeed(process.execPath, ["import.mjs"], 20_000);
    best.set(specifier, Math.min(ms, performance.now() - begun));
  }
}
