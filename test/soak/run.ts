import { setTimeout as delay } from "node:timers/promises";
import type { CaseResult } from "../../conformance/harness/suite.ts";
import { soak as rpcSoak } from "../../conformance/suites/soak.ts";
import { Child } from "../peers/child.ts";
import { buildGoPrograms, GO_PROGRAMS_MISSING } from "../peers/go-programs.ts";
import { programOptions } from "../peers/program-options.ts";
import { drifts } from "./drift.ts";
import { startGoLoads } from "./go-load.ts";
import { type Findings, hasPassed, printFindings, summaryOf } from "./report.ts";
import { slopes } from "./samples.ts";
import { SoakedProcess } from "./soaked-process.ts";

const USAGE = `usage: npm run soak [-- OPTION...]
  --minutes N          how long (60)
  --peer PEER          grpc-go or bowline (grpc-go where Go is there)
  --sample-seconds N   between two looks at the processes of Bowline (30)
  --seed S             what is left to chance is done again as with this seed
  --json               all samples in the last line, which is JSON`;

/**
 * Calls both ways for as long as asked, and what grows meanwhile.
 *
 * Where Go is there, grpc-go calls a server of Bowline and a client of Bowline calls grpc-go, at the same time, and grpc-go's `rpc_soak`
 * runs at the end; else, or with `--peer bowline`, Bowline calls Bowline. The processes of Bowline are sampled after they collected their
 * garbage. Exit code 1 when memory or descriptors grow, calls become slower, or a call came to anything but what it should.
 */
const { values } = programOptions(USAGE, {
  options: {
    minutes: { type: "string", default: "60" },
    "sample-seconds": { type: "string", default: "30" },
    peer: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    json: { type: "boolean", default: false },
  },
});

const minutes = Number(values.minutes);
const sampleSeconds = Number(values["sample-seconds"]);
for (const [name, value] of Object.entries({ minutes, "sample-seconds": sampleSeconds })) {
  if (!(value > 0)) throw new RangeError(`--${name} is ${value}: give a number above 0`);
}
const go = values.peer === "bowline" ? undefined : buildGoPrograms("grpcgo-server", "grpcgo-client");
if (go === undefined && values.peer !== "bowline") {
  if (values.peer === "grpc-go") throw new Error(GO_PROGRAMS_MISSING);
  console.log(`${GO_PROGRAMS_MISSING}: Bowline is its own peer`);
}
const rpcSoakPrograms = go === undefined ? undefined : await rpcSoak.prepare().catch(notToBeHad);
const peer = go === undefined ? "Bowline" : "grpc-go";
const startedAtMs = performance.now();
const now = (): number => performance.now() - startedAtMs;
const all: Child[] = [];
try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  await Promise.all(all.map((child) => child.stop()));
}

async function soak(): Promise<boolean> {
  console.log(`seed ${values.seed}, ${minutes} minutes, peer ${peer}`);
  const server = await started(new SoakedProcess("server", "../peers/echo-server.ts", ["--compression", "gzip"]));
  const target = go === undefined ? server.address : await goServer(go);
  const client = await started(
    new SoakedProcess("client", "./client.ts", ["--target", target, "--seed", String(values.seed)]),
  );
  const loads = go === undefined ? [] : startGoLoads(go, server.address, Math.ceil(minutes * 60), sampleSeconds);
  all.push(...loads.map(({ child }) => child));
  await sampleAll([server, client]);
  const loaded = await Promise.all(loads.map(({ done }) => done));
  await Promise.all(all.map((child) => child.stop()));
  const windows = [...client.windows, ...loads.flatMap((load) => load.windows)];
  return report({
    processes: [server, client].map(({ name, samples }) => ({ name, samples, slopes: slopes(samples) })),
    windows,
    latencies: drifts(windows),
    counts: client.counts,
    loaded,
    rpcSoak: await rpcSoakCases(),
  });
}

function report(findings: Findings): boolean {
  const passed = hasPassed(findings);
  printFindings(findings);
  const soak = { passed, seed: values.seed, minutes, peer, ...summaryOf(findings, values.json) };
  console.log(JSON.stringify({ soak }));
  return passed;
}

async function started(soaked: SoakedProcess): Promise<SoakedProcess> {
  all.push(soaked.child);
  await soaked.ready();
  return soaked;
}

async function goServer(folder: string): Promise<string> {
  const child = new Child({ command: `${folder}/grpcgo-server`, args: ["-listen", "127.0.0.1:0"] });
  all.push(child);
  return String((await child.next("ready")).addr);
}

async function sampleAll(processes: readonly SoakedProcess[]): Promise<void> {
  while (now() < minutes * 60_000) {
    await delay(sampleSeconds * 1000);
    for (const each of processes) await each.sample(now);
  }
}

async function rpcSoakCases(): Promise<readonly CaseResult[]> {
  return rpcSoakPrograms === undefined ? [] : rpcSoak.run(rpcSoakPrograms);
}

function notToBeHad(error: unknown): undefined {
  console.log(`rpc_soak is SKIPPED: ${error}`);
}
