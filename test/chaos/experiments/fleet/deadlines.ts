import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Code } from "bowline";
import { Child } from "../../../peers/child.ts";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import type { RunEvent } from "../../ledger/run-log.ts";
import type { CancelledCall, CancellingOptions } from "../../processes/cancelling-client.ts";

const HOPS = 3;
/** Within this time after the caller has left, no hop works any more. */
const STOPPED_MS = 50;
/** So many callers that leave would be taken for the attack that they look like. */
const LIMITS = { resetBurst: 100_000 };
/** Deadlines fire in slots. */
const SLOT_MS = 10;
const PROGRAM = fileURLToPath(new URL("../../processes/cancelling-client.ts", import.meta.url));

/** A caller leaves, or its deadline passes, while a chain of servers works for it. */
export const deadlines: Experiment = {
  number: 11,
  name: "deadlines and cancellation through three hops",
  promise:
    "work ends on every hop within 50 ms of the caller's end, never before a deadline, and no handler is left after 1 s",
  fullMinutes: 1,
  needsRoot: false,
  run,
};

function run(scale: Scale): Promise<Outcome> {
  return deadlinesOfChain(scale, []);
}

/** The experiment with more arguments for the node of each process. */
export async function deadlinesOfChain({ isShort, seed }: Scale, nodeOptions: readonly string[]): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  const chain: ChaosServer[] = [];
  // The last one first: each knows the one behind it.
  for (let hop = 0; hop < HOPS; hop++) {
    const next = chain[0]?.address;
    chain.unshift(await fleet.startServer({ next, nodeOptions, options: { limits: LIMITS } }));
  }
  const told: CancellingOptions = {
    seed: fleet.chance.seed(),
    target: (chain[0] as ChaosServer).address,
    calls: isShort ? 200 : 5000,
    everyMs: isShort ? 8 : 4,
    shortestMs: 100,
    longestMs: 300,
  };
  const { calls, blockMs } = await callAndLeave(told, nodeOptions);
  await delay(1000);
  const reports = await Promise.all(chain.map((server) => server.report()));
  const alive = reports.reduce((sum, { running }) => sum + running, 0);
  // The end of a call passes through all processes, one behind the other.
  const stallMs = reports.reduce((sum, { longestBlockMs }) => sum + longestBlockMs, blockMs);
  const faults = calls
    .filter((call) => !hasRightCode(call))
    .map((call) => `call ${call.sequence} (${call.kind}): code ${call.code}`);
  if (alive > 0) faults.push(`${alive} handlers still run a second after the last call`);
  const hops = chain.map((server) => judgeHop(calls, fleet.runsOf(server), SLOT_MS + blockMs));
  for (const hop of hops) faults.push(...hop.faults);
  const lateMs = Math.max(...hops.map((hop) => hop.lateMs));
  const reached = Math.min(...hops.map((hop) => hop.handled));
  if (lateMs > STOPPED_MS + stallMs) {
    faults.push(
      `a handler worked ${lateMs} ms longer than its caller waited; ${STOPPED_MS} and the machine's ${stallMs} are allowed`,
    );
  }
  if (reached < calls.length / 2) faults.push(`only ${reached} of ${calls.length} calls came to the last hop`);
  return { figures: { calls: calls.length, reached, alive, lateMs, stallMs }, faults: faults.slice(0, 10) };
}

async function callAndLeave(
  told: CancellingOptions,
  nodeOptions: readonly string[],
): Promise<{ readonly calls: readonly CancelledCall[]; readonly blockMs: number }> {
  const args = ["--no-warnings", ...nodeOptions, PROGRAM, "--options", JSON.stringify(told)];
  const child = new Child({ command: process.execPath, args });
  try {
    const { cancelled, longestBlockMs } = await child.next("cancelled", 60_000);
    return { calls: cancelled as CancelledCall[], blockMs: Number(longestBlockMs) };
  } finally {
    child.kill();
    await child.stop();
  }
}

function hasRightCode({ kind, code }: CancelledCall): boolean {
  return code === (kind === "cancel" ? Code.CANCELLED : Code.DEADLINE_EXCEEDED);
}

interface Hop {
  readonly handled: number;
  /** The longest time that a handler ended behind its caller's end. */
  readonly lateMs: number;
  readonly faults: readonly string[];
}

/**
 * What one server did for these calls. A call's time counts from the beginning of the caller's turn: it may be over by `mostEarlyMs`
 * sooner than the caller thinks.
 */
function judgeHop(calls: readonly CancelledCall[], events: Iterable<RunEvent>, mostEarlyMs: number): Hop {
  const began = new Map<number, number>();
  const ended = new Map<number, number>();
  for (const { sequence, phase, atMs } of events) {
    if (phase === "began") began.set(sequence, (began.get(sequence) ?? 0) + 1);
    if (phase === "ended") ended.set(sequence, atMs);
  }
  const faults: string[] = [];
  let lateMs = 0;
  for (const { sequence, kind, dueAtMs } of calls) {
    const times = began.get(sequence) ?? 0;
    if (times > 1) faults.push(`call ${sequence} was handled ${times} times by one hop`);
    if (times === 0) continue;
    const endedAtMs = ended.get(sequence) ?? Number.POSITIVE_INFINITY;
    lateMs = Math.max(lateMs, endedAtMs - dueAtMs);
    const earlyMs = dueAtMs - endedAtMs;
    if (earlyMs > mostEarlyMs) faults.push(`call ${sequence} (${kind}) was given up ${earlyMs} ms too early`);
  }
  return { handled: began.size, lateMs, faults };
}
