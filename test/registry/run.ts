// The command behind `npm run registries`: the contract of registries, and what is particular to each, against the real products; and
// networks of namespaces with a registry in them.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BUILDS_VARIABLE } from "./tools.ts";

/** Where suites are, below the root of the repository. */
const FOLDERS = ["test/registry", "test/networks"];
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ENDING = ".suite.test.ts";
/** Of one suite; a product may have to be built first. */
const SUITE_MS = 40 * 60_000;

/** How the tests of one suite ended. */
interface SuiteCounts {
  readonly suite: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** Why tests were skipped or the suite could not be run. */
  readonly notes: readonly string[];
}

/** What is read of vitest's report in JSON. */
interface Report {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly title: string;
      readonly fullName: string;
    }[];
  }[];
}

/** The file of each suite by its name. */
const files: ReadonlyMap<string, string> = new Map(
  FOLDERS.flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`))
    .filter((path) => path.endsWith(ENDING))
    .map((path) => [basename(path, ENDING), path]),
);
const suites = [...files.keys()].sort();

const USAGE = `usage: npm run registries [-- NAME... [--build PROGRAM,PROGRAM] [--json]]
       npm run registries -- experiments [--only NAME,NAME] [--short] [--json]
  NAME    a suite, or the beginning of some: etcd is one, etcd- stands for etcd-cluster and etcd-faults; without one, all of
          ${suites.join(", ")}
  --build the only programs that may be installed now; others are used if they are there (default: all may)
  --json  the result as one line of JSON before the last line

Products are installed by test/registry/tools/get; a suite whose product can't be had is skipped, and says why.
`;

function runSuite(suite: string): Promise<SuiteCounts> {
  const begun = performance.now();
  const file = join(tmpdir(), `bowline-registries-${process.pid}.json`);
  const args = ["run", files.get(suite) ?? "", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  // The reports belong to people: standard output is for the counts.
  const child = spawn("vitest", args, {
    cwd: ROOT,
    env: { ...process.env, BOWLINE_REGISTRIES: "1" },
    stdio: ["ignore", 2, 2],
    timeout: SUITE_MS,
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  child.on("error", () => resolve(127));
  child.on("close", (code) => resolve(code ?? 128));
  return promise.then((code) => {
    const counts = readCounts(suite, file, code, Math.round((performance.now() - begun) / 1000));
    rmSync(file, { force: true });
    return counts;
  });
}

/** A run without a report, or that failed as a whole, is one failure. */
function readCounts(suite: string, file: string, code: number, seconds: number): SuiteCounts {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, "utf8")) as Report;
  } catch {
    return {
      suite,
      passed: 0,
      failed: 1,
      skipped: 0,
      seconds,
      notes: [`vitest ended with ${code} and without a report`],
    };
  }
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const count = (...statuses: readonly string[]): number =>
    tests.filter(({ status }) => statuses.includes(status)).length;
  const failed = count("failed");
  const isBroken = code !== 0 && failed === 0;
  const broken = isBroken
    ? report.testResults.map(({ message }) => message.split("\n")[0]).filter((each) => each !== "")
    : [];
  const notes = tests.filter(({ status }) => status === "skipped").map(({ title }) => title);
  return {
    suite,
    passed: count("passed"),
    failed: isBroken ? 1 : failed,
    skipped: count("skipped", "pending", "todo"),
    seconds,
    notes: [...broken, ...notes],
  };
}

function describeCounts({ passed, failed, skipped }: Pick<SuiteCounts, "passed" | "failed" | "skipped">): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === "experiments") {
    const { runExperiments } = await import("./experiments/run.ts");
    return runExperiments(argv.slice(1));
  }
  const buildAt = argv.indexOf("--build");
  const builds = buildAt < 0 ? undefined : argv[buildAt + 1];
  if (builds !== undefined) process.env[BUILDS_VARIABLE] = builds;
  const names = argv.filter((each, at) => each !== "--json" && (buildAt < 0 || (at !== buildAt && at !== buildAt + 1)));
  const isMeant = (suite: string, name: string): boolean =>
    suites.includes(name) ? suite === name : suite.startsWith(name);
  const isKnown = (name: string): boolean => suites.some((suite) => isMeant(suite, name));
  if (names.some((name) => name.startsWith("-") || !isKnown(name))) {
    process.stderr.write(USAGE);
    return names.every((name) => name === "--help" || name === "-h") ? 0 : 2;
  }
  const chosen = names.length === 0 ? suites : suites.filter((suite) => names.some((name) => isMeant(suite, name)));
  const results: SuiteCounts[] = [];
  for (const suite of chosen) {
    const counts = await runSuite(suite);
    results.push(counts);
    const notes = counts.notes.length === 0 ? "" : ` (${counts.notes.join("; ")})`;
    process.stdout.write(`registry/${suite}: ${describeCounts(counts)}, ${counts.seconds} s${notes}\n`);
  }
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const each of results) for (const key of ["passed", "failed", "skipped"] as const) sum[key] += each[key];
  if (argv.includes("--json")) process.stdout.write(`${JSON.stringify({ registries: results })}\n`);
  process.stdout.write(`${describeCounts(sum)}\n`);
  return sum.failed > 0 ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
