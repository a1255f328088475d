import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram, tail } from "../../harness/run-program.ts";
import type { CaseResult, Suite } from "../../harness/suite.ts";
import { installTools } from "../../harness/tools.ts";
import { complete } from "../h2spec.ts";
import { ownProgram } from "../program-path.ts";
import { PROJECTS, type ProtoSelection, type SchemaProject } from "./schema-projects.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const TIMEOUT_MS = 900_000;

/** The repository's own settings are as strict as they get; bowline's source is part of what generated code imports. */
const TSCONFIG = { extends: "../../tsconfig.json", include: ["gen"], exclude: [] };

/** Schemas of large public projects: each is generated from as a whole, type-checked, and each of its messages goes there and back. */
export const schemas: readonly Suite[] = PROJECTS.map((project) => ({
  name: `schemas-${project.name}`,
  about: project.about,
  isOptional: project.isOptional,
  prepare: () => installTools(project.protos),
  run: ({ [project.protos]: protos }) => runProject(project, protos),
}));

async function runProject(project: SchemaProject, protos: string): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  for (const part of project.select(protos)) results.push(...(await runPart(part)));
  return complete(results, project.cases, "");
}

async function runPart(part: ProtoSelection): Promise<readonly CaseResult[]> {
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  // Inside the repository, so that the code finds the packages that it imports.
  const folder = mkdtempSync(join(ROOT, ".cache", "schemas-"));
  const id = (step: string): string => (part.name === undefined ? step : `${part.name}: ${step}`);
  try {
    const generated = await timed(id("generate"), () => generate(part, folder));
    if (generated.outcome === "failed") return [generated];
    process.stderr.write(`  ${sizeOf(folder)}\n`);
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(TSCONFIG));
    const checked = await timed(id("type-check"), () => typeCheck(folder));
    const trips = await roundTrips(folder);
    return [generated, checked, ...trips.map((each) => ({ ...each, id: id(each.id) }))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a step, says how long it took, and makes a case of it: `step` gives what went wrong, if something did. */
async function timed(id: string, step: () => Promise<string | undefined>): Promise<CaseResult> {
  const begun = performance.now();
  const detail = await step();
  process.stderr.write(`  ${id}: ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  return detail === undefined ? { id, outcome: "passed" } : { id, outcome: "failed", detail };
}

async function generate({ paths, include }: ProtoSelection, folder: string): Promise<string | undefined> {
  const bowline = join(ROOT, "packages/cli/src/bin.ts");
  const flags = ["--import-extension", "ts", "--out", join(folder, "gen"), ...include.flatMap((each) => ["-I", each])];
  const end = await runProgram(process.execPath, [bowline, "generate", ...paths, ...flags], TIMEOUT_MS);
  return end.code === 0 ? undefined : tail(end.stderr, 20);
}

async function typeCheck(folder: string): Promise<string | undefined> {
  const compiler = join(ROOT, "node_modules/.bin/tsc");
  const { code, stdout } = await runProgram(compiler, ["-p", folder], TIMEOUT_MS);
  return code === 0 ? undefined : stdout.split("\n").slice(0, 20).join("\n");
}

/** A case for each type of message. The seed is printed, and makes the same messages again as the first argument of round-trip.ts. */
async function roundTrips(folder: string): Promise<readonly CaseResult[]> {
  const seed = String(Date.now() % 2 ** 32);
  process.stderr.write(`  round trips: seed ${seed}\n`);
  const { command, args } = ownProgram("schemas/round-trip", [seed, join(folder, "gen")]);
  const { code, stdout, stderr } = await runProgram(command, args, TIMEOUT_MS);
  const results = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map(readLine);
  if (code === 0 && results.length > 0) return results;
  return [...results, { id: "all round trips", outcome: "failed", detail: tail(stderr) }];
}

function readLine(line: string): CaseResult {
  const { type, fault } = JSON.parse(line) as { readonly type: string; readonly fault?: string };
  return fault === undefined ? { id: type, outcome: "passed" } : { id: type, outcome: "failed", detail: fault };
}

function sizeOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  const kib = (ending: string): string => {
    const bytes = files.filter((path) => path.endsWith(ending)).map((path) => statSync(join(folder, path)).size);
    return `${bytes.length} *${ending} (${Math.round(bytes.reduce((all, each) => all + each, 0) / 1024)} KiB)`;
  };
  return `${kib("_pb.ts")}, ${kib("_rpc.ts")}`;
}
