import { run } from "./process.ts";
import { exists, workspaceFolders } from "./repository.ts";

/** One run of the generator: folders of .proto files, where their import paths begin, and where the code goes. */
interface Generated {
  readonly from: readonly string[];
  readonly include: string;
  readonly out: string;
}

/** `proto/` to `src/gen/`, as a user's project has it. */
const ofProject = (folder: string): Generated => ({
  from: [`${folder}/proto`],
  include: `${folder}/proto`,
  out: `${folder}/src/gen`,
});

/** `proto/` to `gen/`, for the folders that have no `src/`. */
const ofFolder = (folder: string): Generated => ({
  from: [`${folder}/proto`],
  include: `${folder}/proto`,
  out: `${folder}/gen`,
});

const table: readonly Generated[] = [
  {
    // google/api is there for users' .proto files to import; the runtime needs none of it.
    from: ["packages/bowline/proto/google/rpc", "packages/bowline/proto/grpc"],
    include: "packages/bowline/proto",
    out: "packages/bowline/src/gen",
  },
  ...workspaceFolders()
    .filter((folder) => folder !== "packages/bowline")
    .map(ofProject),
  ...["bench", "conformance", "sim", "test"].map(ofFolder),
];

/** Regenerates all committed code that comes from .proto files; `--check` only compares. */
const wanted = table.filter(({ include }) => exists(include));
const flags = process.argv.includes("--check") ? ["--check"] : ["--clean"];

for (const { from, include, out } of wanted) {
  const args = ["packages/cli/src/bin.ts", "generate", ...from, "--include", include, "--out", out, ...flags];
  const { code, output } = await run(process.execPath, args, { timeoutMs: 120_000 });
  console.log(`${include} → ${out}: ${code === 0 ? "up to date" : "failed"}`);
  if (code === 0) continue;
  console.log(`${output.trimEnd()}\n  fix: npm run generate`);
  process.exitCode = 1;
}
if (wanted.length === 0) console.log("no folder has .proto files");
