import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./process.ts";
import { exists, readText, root, workspaceFolders } from "./repository.ts";
import { generateWellKnownTypes, WELL_KNOWN_TYPES } from "./well-known-types.ts";

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
    from: [
      "packages/bowline/proto/google/rpc",
      "packages/bowline/proto/grpc",
      "packages/bowline/proto/etcd",
      "packages/bowline/proto/nacos",
    ],
    include: "packages/bowline/proto",
    out: "packages/bowline/src/gen",
  },
  ...workspaceFolders()
    .filter((folder) => folder !== "packages/bowline")
    .map(ofProject),
  ...["bench", "conformance", "sim", "test"].map(ofFolder),
];

/** Regenerates all committed code that comes from .proto files, and the page that comes from the limits; `--check` only compares. */
const wanted = table.filter(({ include }) => exists(include));
const isCheck = process.argv.includes("--check");

for (const { from, include, out } of wanted) {
  // The codecs of the well-known types lie beside those of the runtime's own .proto files.
  const flags = isCheck ? ["--check"] : out === WELL_KNOWN_TYPES ? [] : ["--clean"];
  const args = ["packages/cli/src/bin.ts", "generate", ...from, "--include", include, "--out", out, ...flags];
  const { code, output } = await run(process.execPath, args, { timeoutMs: 120_000 });
  console.log(`${include} → ${out}: ${code === 0 ? "up to date" : "failed"}`);
  if (code === 0) continue;
  console.log(`${output.trimEnd()}\n  fix: npm run generate`);
  process.exitCode = 1;
}
if (wanted.length === 0) console.log("no folder has .proto files");

const stale = await generateWellKnownTypes(isCheck);
const isStale = isCheck && stale.length > 0;
console.log(`google/protobuf → ${WELL_KNOWN_TYPES}: ${isStale ? `${stale.join(", ")} not up to date` : "up to date"}`);
if (isStale) {
  console.log("  fix: npm run generate");
  process.exitCode = 1;
}

// After the code: it imports the runtime, which imports what was just made.
const { LIMITS_PAGE, limitsPage } = await import("./pages/limits-page.ts");
const page = limitsPage();
const isCurrent = exists(LIMITS_PAGE) && readText(LIMITS_PAGE) === page;
const isWritten = !isCurrent && !process.argv.includes("--check");
if (isWritten) writeFileSync(join(root, LIMITS_PAGE), page);
console.log(
  `limits and options → ${LIMITS_PAGE}: ${isCurrent || isWritten ? "up to date" : "failed\n  fix: npm run generate"}`,
);
if (!isCurrent && !isWritten) process.exitCode = 1;
