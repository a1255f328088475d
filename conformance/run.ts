// The command behind `npm run conformance`: runs the suites that others wrote against Bowline and writes results.json.
import { writeFileSync } from "node:fs";
import { judge, readKnownFailing } from "./harness/known-failing.ts";
import { render, type SuiteSummary, skippedSuite, summarize, wasRun } from "./harness/results.ts";
import type { CaseResult, Programs, Suite } from "./harness/suite.ts";
import { grpcurl, healthProbe } from "./suites/command-line.ts";
import { connectClient, connectSelf, connectServer } from "./suites/connect.ts";
import { goZeroChecks, grpcGoChecks } from "./suites/go-peers.ts";
import { grpcGoClient, grpcGoServer, interopSelf } from "./suites/grpc-interop.ts";
import { h2spec } from "./suites/h2spec.ts";
import { h2specd } from "./suites/h2specd.ts";
import { hpack } from "./suites/hpack.ts";
import { protobufDynamic, protobufGenerated } from "./suites/protobuf.ts";
import { schemas } from "./suites/schemas/schemas.ts";
import { soak, soakChannels, soakLarge } from "./suites/soak.ts";

const SUITES: readonly Suite[] = [
  hpack,
  protobufGenerated,
  protobufDynamic,
  ...schemas,
  h2spec(false),
  h2spec(true),
  h2specd(false),
  h2specd(true),
  grpcGoClient(false),
  grpcGoClient(true),
  grpcGoServer(false),
  grpcGoServer(true),
  interopSelf(false),
  interopSelf(true),
  grpcGoChecks,
  goZeroChecks,
  connectServer,
  connectClient,
  connectSelf,
  grpcurl,
  healthProbe,
  soak,
  soakChannels,
  soakLarge,
];

const USAGE = `usage: npm run conformance [-- [--require-all] SUITE...]
  SUITE          a name below, or its beginning: h2spec stands for h2spec and h2spec-tls; without one, all but those marked *,
                 which have to be named in full
  --require-all  a suite that can't be run here is a failure

${SUITES.map((suite) => `  ${`${suite.name}${suite.isOptional === true ? " *" : ""}`.padEnd(20)} ${suite.about}`).join("\n")}
`;

function choose(wanted: readonly string[]): readonly Suite[] | undefined {
  const isNamed = (suite: Suite, name: string): boolean =>
    suite.name === name || (suite.isOptional !== true && suite.name.startsWith(`${name}-`));
  if (wanted.some((name) => !SUITES.some((suite) => isNamed(suite, name)))) return undefined;
  if (wanted.length === 0) return SUITES.filter((suite) => suite.isOptional !== true);
  return SUITES.filter((suite) => wanted.some((name) => isNamed(suite, name)));
}

/** One suite: its programs, its cases, its list. */
async function runSuite(suite: Suite): Promise<SuiteSummary> {
  let programs: Programs;
  try {
    programs = await suite.prepare();
  } catch (error) {
    const reason = (error as Error).message;
    process.stderr.write(`${suite.name}: NOT RUN: ${reason}\n`);
    return skippedSuite(reason);
  }
  let results: readonly CaseResult[];
  try {
    results = await suite.run(programs);
  } catch (error) {
    results = [{ id: "the suite itself", outcome: "failed", detail: (error as Error).message }];
  }
  const known = readKnownFailing(new URL(`./known-failing/${suite.name}.txt`, import.meta.url));
  const judgement = judge(results, known);
  for (const failure of judgement.failures) {
    process.stderr.write(`${suite.name}: FAILED ${failure.id}: ${(failure.detail ?? "").replaceAll("\n", "\n    ")}\n`);
  }
  return summarize(judgement);
}

async function main(argv: readonly string[]): Promise<number> {
  const isStrict = argv.includes("--require-all");
  const suites = choose(argv.filter((each) => each !== "--require-all"));
  if (suites === undefined) {
    process.stderr.write(USAGE);
    return argv.includes("--help") || argv.includes("-h") ? 0 : 2;
  }
  const summaries: Record<string, SuiteSummary> = {};
  for (const suite of suites) {
    process.stderr.write(`${suite.name}: ${suite.about}\n`);
    summaries[suite.name] = await runSuite(suite);
  }
  writeFileSync(new URL("./results.json", import.meta.url), `${JSON.stringify(summaries, null, 2)}\n`);
  process.stdout.write(`\n${render(summaries)}\n`);
  const isBad = Object.values(summaries).some((each) => each.failed > 0 || (isStrict && !wasRun(each)));
  return isBad ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
