import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Child } from "../peers/child.ts";
import { buildGoPrograms, GO_PROGRAMS_MISSING } from "../peers/go-programs.ts";
import { type Sample, type Slope, slopes } from "./samples.ts";

/**
 * Calls both ways for as long as asked, and what grows meanwhile:
 * `sh scripts/run.sh test/soak/run.ts --minutes 120 [--peer grpc-go|bowline] [--seed S] [--json]`.
 *
 * Where Go is there, grpc-go calls a server of Bowline and a client of Bowline calls grpc-go, at the same time; else, or with `--peer
 * bowline`, Bowline calls Bowline. The processes of Bowline are sampled each 10 s (`--sample-seconds`) after they collected their garbage.
 * Slopes are those of the later half of the samples. Exit code 1 when one is above its bound, or a call came to anything but
 * what it should.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    "sample-seconds": { type: "string", default: "10" },
    peer: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    json: { type: "boolean", default: false },
  },
});

/** A process of Bowline under test. */
interface Soaked {
  readonly name: string;
  readonly child: Child;
  readonly pid: number;
  readonly samples: Sample[];
}

const CALLS_A_SECOND = 300;
const NODE_OPTIONS = ["--expose-gc", "--no-warnings"];
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError(`--minutes is ${values.minutes}: give a number above 0`);
const go = values.peer === "bowline" ? undefined : buildGoPrograms("grpcgo-server", "grpcgo-client");
if (go === undefined && values.peer !== "bowline") {
  if (values.peer === "grpc-go") throw new Error(GO_PROGRAMS_MISSING);
  console.log(`${GO_PROGRAMS_MISSING}: Bowline is its own peer`);
}
const started = performance.now();
const all: Child[] = [];
try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  await Promise.all(all.map((child) => child.stop()));
}

async function soak(): Promise<boolean> {
  console.log(`seed ${values.seed}, ${minutes} minutes, peer ${go === undefined ? "Bowline" : "grpc-go"}`);
  const server = await bowline("server", "../peers/echo-server.ts", []);
  const target = go === undefined ? server.address : (await goServer(go)).address;
  const client = await bowline("client", "./client.ts", ["--target", target, "--seed", values.seed]);
  const load = go === undefined ? undefined : goClient(go, server.address);
  await sampleAll([server.soaked, client.soaked]);
  const report = [server.soaked, client.soaked].map(({ name, samples }) => ({
    name,
    samples,
    slopes: slopes(samples),
  }));
  const counts = await countsOf(client.soaked);
  const loaded = await load;
  for (const { name, slopes: found, samples } of report) printSlopes(name, samples, found);
  console.log(`client: ${JSON.stringify(counts)}`);
  if (loaded !== undefined) console.log(`grpc-go's client: ${JSON.stringify(loaded)}`);
  if (values.json) console.log(JSON.stringify({ soak: { seed: values.seed, minutes, report, counts, loaded } }));
  const isSteep = report.some(({ slopes: found }) => found.some(({ isTooSteep }) => isTooSteep));
  return !isSteep && counts.wrong === 0 && Number(loaded?.errors ?? 0) === 0;
}

async function bowline(
  name: string,
  file: string,
  args: readonly string[],
): Promise<{ soaked: Soaked; address: string }> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = new Child({ command: process.execPath, args: [...NODE_OPTIONS, path, ...args] });
  all.push(child);
  const { addr, pid } = await child.next("ready");
  return { soaked: { name, child, pid: Number(pid), samples: [] }, address: String(addr ?? "") };
}

async function goServer(folder: string): Promise<{ address: string }> {
  const child = new Child({ command: `${folder}/grpcgo-server`, args: ["-listen", "127.0.0.1:0"] });
  all.push(child);
  return { address: String((await child.next("ready")).addr) };
}

/** Its last line, once the time is over. */
function goClient(folder: string, address: string): ReturnType<Child["next"]> {
  const seconds = Math.ceil(minutes * 60);
  const args = ["-target", address, "-load", "-c", "8", "-rate", String(CALLS_A_SECOND), "-d", `${seconds}s`];
  const child = new Child({ command: `${folder}/grpcgo-client`, args });
  all.push(child);
  return child.next("load", minutes * 60_000);
}

async function sampleAll(processes: readonly Soaked[]): Promise<void> {
  const endsAtMs = started + minutes * 60_000;
  while (performance.now() < endsAtMs) {
    await delay(Number(values["sample-seconds"]) * 1000);
    for (const each of processes) each.samples.push(await sampleOf(each));
  }
}

async function sampleOf({ name, child, pid }: Soaked): Promise<Sample> {
  const { rssBytes, heapBytes } = await child.memory();
  const handles = name === "client" ? Number((await countsOf({ child, pid })).handles) : Number.NaN;
  return {
    atMs: performance.now() - started,
    residentBytes: rssBytes,
    heapBytes,
    descriptors: descriptors(pid),
    handles,
  };
}

/** What the client has done so far. */
function countsOf({ child, pid }: Pick<Soaked, "child" | "pid">): ReturnType<Child["next"]> {
  const line = child.next("calls");
  process.kill(pid, "SIGUSR2");
  return line;
}

function descriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return Number.NaN;
  }
}

function printSlopes(name: string, samples: readonly Sample[], found: readonly Slope[]): void {
  const last = samples[samples.length - 1];
  console.log(`${name}: ${samples.length} samples, at last ${JSON.stringify(last)}`);
  if (found.length === 0) console.log("  too few samples for a slope: give more --minutes or fewer --sample-seconds");
  for (const { figure, perHour, growth, maxGrowth, isTooSteep } of found) {
    const share = `${(growth * 100).toFixed(1)} % over the later half, ${maxGrowth * 100} % are allowed`;
    console.log(
      `  ${figure.padEnd(14)}${Math.round(perHour).toString().padStart(14)} an hour  ${share}${isTooSteep ? "  TOO STEEP" : ""}`,
    );
  }
}
