import type { CaseResult } from "../../conformance/harness/suite.ts";
import type { PeerLine } from "../peers/child.ts";
import type { Drift, LatencyWindow } from "./drift.ts";
import type { Sample, Slope } from "./samples.ts";
import type { ClientCounts } from "./soaked-process.ts";

/** What a soak has seen. */
export interface Findings {
  readonly processes: readonly {
    readonly name: string;
    readonly samples: readonly Sample[];
    readonly slopes: readonly Slope[];
  }[];
  readonly windows: readonly LatencyWindow[];
  readonly latencies: readonly Drift[];
  /** Of Bowline's client. */
  readonly counts: ClientCounts;
  /** The last lines of grpc-go's clients. */
  readonly loaded: readonly PeerLine[];
  readonly rpcSoak: readonly CaseResult[];
}

/** Nothing grew, no call became slower, none failed. */
export function hasPassed(findings: Findings): boolean {
  const { processes, latencies, rpcSoak } = findings;
  return (
    processes.every(({ slopes }) => slopes.every(({ isTooSteep }) => !isTooSteep)) &&
    latencies.every(({ isTooMuch }) => !isTooMuch) &&
    rpcSoak.every(({ outcome }) => outcome === "passed") &&
    errorsOf(findings) === 0
  );
}

/** For programs; samples and windows are in it when asked for. */
export function summaryOf(findings: Findings, isWhole: boolean): object {
  const { processes, windows, latencies, counts, loaded, rpcSoak } = findings;
  const judged = latencies.filter(({ isJudged }) => isJudged).map((each) => each.p99DriftPercent);
  return {
    errors: errorsOf(findings),
    p99DriftPercent: judged.length > 0 ? Math.max(...judged) : null,
    rpcSoak,
    counts,
    loaded,
    latencies,
    processes: processes.map(({ name, slopes, samples }) => ({ name, slopes, samples: isWhole ? samples : undefined })),
    windows: isWhole ? windows : undefined,
  };
}

/** Prints all of it for people. */
export function printFindings({ processes, latencies, counts, loaded, rpcSoak }: Findings): void {
  for (const { name, samples, slopes } of processes) printSlopes(name, samples, slopes);
  printDrift(latencies);
  console.log(`client: ${JSON.stringify(counts)}`);
  for (const load of loaded) console.log(`grpc-go's client: ${JSON.stringify(load)}`);
  for (const { id, outcome, detail } of rpcSoak) console.log(`${id}: ${outcome} ${detail ?? ""}`.trimEnd());
}

function errorsOf({ counts, loaded }: Findings): number {
  return counts.wrong + loaded.reduce((sum, load) => sum + Number(load.errors), 0);
}

function printSlopes(name: string, samples: readonly Sample[], found: readonly Slope[]): void {
  console.log(`${name}: ${samples.length} samples, at last ${JSON.stringify(samples[samples.length - 1])}`);
  if (found.length === 0) console.log("  too few samples for a slope: give more --minutes or fewer --sample-seconds");
  for (const { figure, perHour, maxPerHour, growth, maxGrowth, isTooSteep } of found) {
    const most = maxPerHour === undefined ? "" : ` of ${maxPerHour} allowed`;
    const share = `${(growth * 100).toFixed(1)} % behind the warm-up, ${maxGrowth * 100} % are allowed`;
    const verdict = isTooSteep ? "  TOO STEEP" : "";
    console.log(
      `  ${figure.padEnd(14)}${Math.round(perHour).toString().padStart(12)} an hour${most}  ${share}${verdict}`,
    );
  }
}

function printDrift(found: readonly Drift[]): void {
  for (const { kind, calls, firstP99Ms, lastP99Ms, p99DriftPercent, deviations, isJudged, isTooMuch } of found) {
    const change = `${p99DriftPercent.toFixed(1)} %, ${deviations.toFixed(1)} deviations`;
    const verdict = isTooMuch ? "  TOO SLOW" : isJudged ? "" : "  (too short to judge)";
    const p99 = `p99 ${firstP99Ms.toFixed(2)} ms, then ${lastP99Ms.toFixed(2)} ms`;
    console.log(`  ${kind.padEnd(24)}${String(calls).padStart(9)} calls  ${p99}: ${change}${verdict}`);
  }
}
