import { setTimeout as delay } from "node:timers/promises";
import { Code } from "bowline";
import type { CheckedClient } from "../checked/checked-client.ts";
import type { CheckedServer } from "../checked/checked-server.ts";
import { LoopWatch } from "../checked/loop-watch.ts";
import type { Resources } from "../checked/resources.ts";
import { Trial, type Verdict } from "../checked/trial.ts";
import type { Experiment, Outcome, Scale } from "../experiment.ts";
import { type Failure, wallMs } from "../ledger/call-log.ts";
import { createNetwork } from "../network/network.ts";
import type { Router } from "../network/router.ts";
import { createProxy } from "../proxy/link-proxy.ts";

const RESET_EVERY_MS = 50;
const CHANNELS = 20;
const SHORT_STORM_MS = 8000;
const FULL_STORM_MS = 600_000;
/** Calls have this time; what is open this much later is open for ever. */
const TIMEOUT_MS = 2000;
const WARM_UP_CALLS = 20;
const HANG_MS = 5000;
/** What a call may take beyond its deadline. */
const MAX_LATE_MS = 50;
/** Time for the last sockets to be closed. */
const CLOSE_MS = 15_000;

const PORT = 7000;
const FORGET_SECONDS = 2;
/** The least that a client may ask for. */
const KEEPALIVE_MS = 10_000;
const ANSWER_MS = 1000;
/** The server asks sooner: it shall let go of its half by itself. */
const SERVER_KEEPALIVE_MS = 3000;
/** The end of a silence is noticed a twentieth late at most; a timer that fires late is given 100 ms more. */
const NOTICE_MS = KEEPALIVE_MS * 1.05 + ANSWER_MS + 100;

/** It is this process that asks clients what they have noticed. */
const watch = new LoopWatch();

/** Connections that are reset all the time, and such that lead nowhere since a NAT box has forgotten them. */
export const resetStorm: Experiment = {
  number: 5,
  name: "reset storm, and half-open connections after NAT expiry",
  promise: "each call ends, none outlives its deadline by more than 50 ms, and no socket, descriptor or timer is left",
  fullMinutes: 11,
  needsRoot: true,
  run,
};

async function run(scale: Scale): Promise<Outcome> {
  const outcomes = await Promise.allSettled([storm(scale), halfOpen(scale)]);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  const all = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  return { figures: Object.assign({}, ...all.map((each) => each.figures)), faults: all.flatMap((each) => each.faults) };
}

async function storm({ isShort, seed, minutes }: Scale): Promise<Outcome> {
  const lengthMs = minutes !== undefined ? minutes * 60_000 : isShort ? SHORT_STORM_MS : FULL_STORM_MS;
  await using trial = new Trial(seed);
  const server = await trial.startServer();
  await using proxy = await createProxy({ target: server.address, seed });
  const client = await trial.startClient(proxy.address, { channels: CHANNELS });
  await client.roundTrips(CHANNELS * 2);
  client.load({ perSecond: 200, timeoutMs: TIMEOUT_MS, reconnects: true });
  await client.until((all) => all.filter(isReady).length === CHANNELS);
  const fromMs = wallMs();
  while (wallMs() < fromMs + lengthMs) {
    await delay(RESET_EVERY_MS);
    proxy.reset();
  }
  await client.until((all) => all.filter(isReady).length === CHANNELS);
  // What the last of the resets has done may not have been read yet: a call on each channel later it has.
  await client.roundTrips(CHANNELS);
  await client.until((all) => all.filter(isReady).length === CHANNELS);
  const toMs = wallMs();
  await delay(1000);
  const { reset } = proxy.counts;
  const verdict = await trial.settle(HANG_MS, (failure) => isExpected(failure, fromMs, toMs));
  const faults = [...verdict.faults, ...(await endFaults("storm", verdict, client, server))];
  if (reset < lengthMs / RESET_EVERY_MS) faults.push(`storm: only ${reset} connections were reset`);
  if (verdict.balance.ok === 0) faults.push("storm: not one call was answered");
  const { calls, ok, expectedErrors, runs } = verdict.balance;
  return {
    figures: { resets: reset, calls, ok, expectedErrors, runs, ...lateness("storm", verdict) },
    faults,
  };
}

async function halfOpen({ isShort, seed }: Scale): Promise<Outcome> {
  await using network = createNetwork();
  const [internet, home] = [network.subnet("203.0.113.0/24"), network.subnet("192.168.1.0/24")];
  const box = network.router("box", [internet, home]);
  box.masquerade(internet);
  box.forgetAfter(FORGET_SECONDS);
  const [outside, inside] = [network.host("server", internet), network.host("client", home, { gateway: box })];
  await using trial = new Trial(seed + 1);
  const server = await trial.startServer(
    { listen: `0.0.0.0:${PORT}`, keepalive: { timeMs: SERVER_KEEPALIVE_MS, timeoutMs: ANSWER_MS, minPingMs: 1000 } },
    (program) => outside.start(program),
  );
  const keepalive = { timeMs: KEEPALIVE_MS, timeoutMs: ANSWER_MS };
  const target = `${outside.address()}:${PORT}`;
  const client = await trial.startClient(target, { options: { keepalive } }, (program) => inside.start(program));
  await client.roundTrips(WARM_UP_CALLS);
  const silences: Silence[] = [];
  for (let round = 0; round < (isShort ? 1 : 5); round++) silences.push(await silence(box, target, client, server));
  await delay(500);
  const verdict = await trial.settle(HANG_MS, (failure) =>
    silences.some(({ fromMs, toMs }) => isExpected(failure, fromMs, toMs)),
  );
  const { calls, ok, expectedErrors } = verdict.balance;
  const backAfterMs = Math.max(...silences.map(({ fromMs, toMs }) => toMs - fromMs));
  const figures = { natCalls: calls, natOk: ok, natErrors: expectedErrors, natBackAfterMs: backAfterMs };
  const faults = [...verdict.faults, ...(await endFaults("NAT", verdict, client, server))];
  for (const { fromMs, toMs, stalledMs } of silences) {
    if (toMs - fromMs <= NOTICE_MS + stalledMs) continue;
    faults.push(
      `NAT: connected anew after ${toMs - fromMs} ms, ${NOTICE_MS} and ${stalledMs} of standstill are allowed`,
    );
  }
  if (expectedErrors === 0) faults.push("NAT: no call has noticed that the box had forgotten its connection");
  return { figures: { ...figures, ...lateness("nat", verdict) }, faults };
}

/** From the last byte that a client heard, to the time when it was connected anew. */
interface Silence {
  readonly fromMs: number;
  readonly toMs: number;
  /** The part of it in which the client, or who watched it, was held up. */
  readonly stalledMs: number;
}

/** Is silent until the box has forgotten the connection, then calls until there is another one. */
async function silence(box: Router, target: string, client: CheckedClient, server: CheckedServer): Promise<Silence> {
  client.load({ perSecond: 50, timeoutMs: TIMEOUT_MS });
  await client.until((all) => all.length > 0 && all.every(isReady));
  await delay(500);
  client.load({ perSecond: 0, timeoutMs: TIMEOUT_MS });
  const fromMs = wallMs();
  const address = target.slice(0, target.lastIndexOf(":"));
  while (box.remembers(address)) await delay(100);
  // The server misses the client without a call, and can't tell it.
  while ((await server.report()).connections > 0) await delay(100);
  client.load({ perSecond: 20, timeoutMs: TIMEOUT_MS });
  while ((await server.report()).connections === 0) await delay(20);
  await client.until((all) => all.every(isReady));
  const toMs = wallMs();
  return { fromMs, toMs, stalledMs: watch.stalledMs(fromMs, toMs) + (await client.stalledMs(fromMs, toMs)) };
}

function isReady({ connectionState }: { readonly connectionState: string }): boolean {
  return connectionState === "ready";
}

function isExpected({ code, startedAtMs, endedAtMs }: Failure, fromMs: number, toMs: number): boolean {
  if (code !== Code.UNAVAILABLE && code !== Code.DEADLINE_EXCEEDED) return false;
  return startedAtMs <= toMs && endedAtMs >= fromMs;
}

function lateness(name: string, { latestMs, longestStallMs }: Verdict): Readonly<Record<string, number>> {
  return { [`${name}LatestMs`]: latestMs, [`${name}LongestStallMs`]: longestStallMs };
}

/** Closes the client and compares what both sides hold with what they held at first. */
async function endFaults(
  name: string,
  { latestMs }: Verdict,
  client: CheckedClient,
  server: CheckedServer,
): Promise<string[]> {
  const faults: string[] = [];
  if (latestMs > MAX_LATE_MS) faults.push(`${name}: a call outlived its deadline by ${latestMs} ms`);
  await client.close();
  const { baseline } = await server.report();
  const sides = [
    { side: "client", before: client.baseline, now: () => client.resources() },
    { side: "server", before: baseline, now: async () => (await server.report()).now },
  ];
  for (const { side, before, now } of sides) {
    const left = await leftOver(before, now);
    if (left !== undefined)
      faults.push(`${name}: ${side} holds ${JSON.stringify(left)}, at first ${JSON.stringify(before)}`);
  }
  const { connections } = await server.report();
  if (connections > 0) faults.push(`${name}: the server still counts ${connections} connections`);
  return faults;
}

/** What is held when all had time to go; undefined when it is no more than before. */
async function leftOver(before: Resources, now: () => Promise<Resources>): Promise<Resources | undefined> {
  for (const untilMs = wallMs() + CLOSE_MS; ; await delay(100)) {
    const held = await now();
    const isClean =
      held.descriptors <= before.descriptors && held.sockets <= before.sockets && held.timers <= before.timers;
    if (isClean) return undefined;
    if (wallMs() > untilMs) return held;
  }
}
