import { setTimeout as delay } from "node:timers/promises";
import { Code } from "bowline";
import type { CheckedClient, CheckedLoad, WatchEnd } from "../checked/checked-client.ts";
import { LoopWatch } from "../checked/loop-watch.ts";
import { Trial, type Verdict } from "../checked/trial.ts";
import type { Experiment, Outcome, Scale } from "../experiment.ts";
import { type Failure, wallMs } from "../ledger/call-log.ts";
import type { Host, Undo } from "../network/host.ts";
import { createNetwork, type Network } from "../network/network.ts";
import type { Router } from "../network/router.ts";

const PORT = 7000;
/** The least that a client may ask for. */
const KEEPALIVE_MS = 10_000;
/** The end of a silence is noticed a twentieth late at most; a timer that fires late is given 100 ms more. */
const NOTICE_MS = KEEPALIVE_MS * 1.05 + 100;
/** What a call may take beyond its deadline. */
const MAX_LATE_MS = 50;
/** Between two messages of the streams that have no deadline. */
const MESSAGE_INTERVAL_MS = 100;
const TIMEOUT_MS = 2000;
const WARM_UP_CALLS = 20;
const HANG_MS = 5000;

/** It is this process that asks clients what they have noticed. */
const watch = new LoopWatch();

/** Packets vanish on the way to servers and back, and nobody is told. */
export const blackHole: Experiment = {
  number: 4,
  name: "black hole both ways and one way",
  promise: `no call outlives its deadline by more than ${MAX_LATE_MS} ms, and a connection into the hole is given up within one keepalive`,
  fullMinutes: 3,
  needsRoot: true,
  run,
};

/** What is dropped between the clients and a server. */
const HOLES: readonly ((router: Router, address: string) => Undo)[] = [
  (router, address) => router.cutOff(address),
  (router, address) => router.drop({ from: address }),
  (router, address) => router.drop({ to: address }),
];

/** Clients and servers with a router between them; the last server stays reachable. */
interface Scene {
  readonly trial: Trial;
  readonly router: Router;
  readonly servers: readonly Host[];
  /** Knows all servers. */
  readonly pool: CheckedClient;
  /** Each knows one of the servers that will vanish. */
  readonly lonely: readonly CheckedClient[];
}

/** One time in which servers were cut off. */
interface Cut {
  readonly fromMs: number;
  /** When all were back. */
  readonly toMs: number;
  readonly noticedAfterMs: number;
  /** The part of that in which the client, or who watched it, was held up. */
  readonly stalledMs: number;
  readonly backAfterMs: number;
  readonly ends: readonly WatchEnd[];
}

async function run({ isShort, seed }: Scale): Promise<Outcome> {
  const answerMs = isShort ? 1000 : 5000;
  await using network = createNetwork();
  await using trial = new Trial(seed);
  const scene = await build(network, trial, answerMs);
  await Promise.all([scene.pool, ...scene.lonely].map((client) => client.roundTrips(WARM_UP_CALLS)));
  const load: CheckedLoad = { perSecond: isShort ? 100 : 300, timeoutMs: TIMEOUT_MS };
  scene.pool.load(load);
  for (const client of scene.lonely) client.load({ ...load, perSecond: 20 });
  await delay(1000);
  const cuts: Cut[] = [];
  for (let round = 0; round < (isShort ? 1 : 5); round++) cuts.push(await cutOnce(scene, answerMs));
  await delay(1000);
  const verdict = await trial.settle(HANG_MS, (failure) => isOfCut(failure, scene, cuts));
  const { faults: _, ...balance } = verdict.balance;
  const figures = {
    cuts: cuts.length,
    ...balance,
    lostByPool: verdict.reports.find(({ log }) => log.client === scene.pool.number)?.log.failures.length ?? 0,
    latestMs: verdict.latestMs,
    longestStallMs: verdict.longestStallMs,
    noticedAfterMs: Math.max(...cuts.map((cut) => cut.noticedAfterMs)),
    stalledMs: Math.max(...cuts.map((cut) => cut.stalledMs)),
    streamSilentMs: Math.max(...cuts.flatMap(({ ends }) => ends.map((end) => end.silentMs))),
    backAfterMs: Math.max(...cuts.map((cut) => cut.backAfterMs)),
  };
  return { figures, faults: [...verdict.faults, ...timeFaults(verdict, cuts, answerMs)] };
}

async function build(network: Network, trial: Trial, answerMs: number): Promise<Scene> {
  const [left, right] = [network.subnet("10.1.0.0/24"), network.subnet("10.2.0.0/24")];
  const router = network.router("router", [left, right]);
  const clients = network.host("clients", left, { gateway: router });
  const servers = ["both-ways", "no-answers", "no-requests", "sound"].map((name) =>
    network.host(name, right, { gateway: router }),
  );
  const options = { listen: `0.0.0.0:${PORT}`, keepalive: { minPingMs: KEEPALIVE_MS / 2, pingWithoutCalls: true } };
  await Promise.all(servers.map((host) => trial.startServer(options, (program) => host.start(program))));
  const addresses = servers.map(addressOf);
  const keepalive = { timeMs: KEEPALIVE_MS, timeoutMs: answerMs, withoutCalls: true };
  const start = (target: string): Promise<CheckedClient> =>
    trial.startClient(target, { options: { keepalive, connectTimeoutMs: 2000 } }, (program) => clients.start(program));
  const [pool, ...lonely] = await Promise.all([
    start(`static:///${addresses.join(",")}`),
    ...addresses.slice(0, HOLES.length).map(start),
  ]);
  return { trial, router, servers, pool, lonely };
}

async function cutOnce(scene: Scene, answerMs: number): Promise<Cut> {
  const { router, servers, pool, lonely } = scene;
  const isReady = { connectionState: "ready" };
  await Promise.all(
    [pool, ...lonely].map((client) => client.until((all) => all.length > 0 && all.every(hasState(isReady)))),
  );
  const watches = Promise.all(lonely.map((client) => client.watch(MESSAGE_INTERVAL_MS, NOTICE_MS + answerMs)));
  // If something else goes wrong first, that is what is told.
  watches.catch(() => {});
  await delay(5 * MESSAGE_INTERVAL_MS);
  const fromMs = wallMs();
  const undone = HOLES.map((cut, index) => cut(router, servers[index].address()));
  const gone = servers.slice(0, HOLES.length).map(addressOf);
  await pool.until((all) => !all.some((each) => gone.includes(each.address) && hasState(isReady)(each)));
  const noticedAtMs = wallMs();
  const stalledMs = watch.stalledMs(fromMs, noticedAtMs) + (await pool.stalledMs(fromMs, noticedAtMs));
  const ends = (await watches).flat();
  for (const undo of undone) undo();
  const healedAtMs = wallMs();
  await Promise.all([pool, ...lonely].map((client) => client.until((all) => all.every(hasState(isReady)))));
  const toMs = wallMs();
  return { fromMs, toMs, noticedAfterMs: noticedAtMs - fromMs, stalledMs, backAfterMs: toMs - healedAtMs, ends };
}

function timeFaults({ latestMs }: Verdict, cuts: readonly Cut[], answerMs: number): string[] {
  const faults: string[] = [];
  if (latestMs > MAX_LATE_MS) faults.push(`a call outlived its deadline by ${latestMs} ms`);
  const mostMs = NOTICE_MS + answerMs;
  for (const { noticedAfterMs, stalledMs, ends } of cuts) {
    if (noticedAfterMs > mostMs + stalledMs) {
      faults.push(
        `the hole was noticed after ${noticedAfterMs} ms, ${mostMs} and ${stalledMs} of standstill are allowed`,
      );
    }
    for (const { code, silentMs } of ends) {
      if (code !== Code.UNAVAILABLE) faults.push(`a stream into the hole ended with code ${code}`);
      if (silentMs > mostMs)
        faults.push(`a stream was silent for ${silentMs} ms before it ended, ${mostMs} are allowed`);
    }
  }
  return faults;
}

/** Calls may fail that went to a server while it was cut off. The client that knows them all must not lose any other. */
function isOfCut(failure: Failure, { servers, pool }: Scene, cuts: readonly Cut[]): boolean {
  const { client, code, instance, startedAtMs, endedAtMs } = failure;
  if (code !== Code.DEADLINE_EXCEEDED && code !== Code.UNAVAILABLE) return false;
  const isToTheSound = instance.includes(addressOf(servers[HOLES.length]));
  if (isToTheSound || (client === pool.number && instance === "")) return false;
  return cuts.some(({ fromMs, toMs }) => startedAtMs <= toMs && endedAtMs >= fromMs);
}

function addressOf(host: Host): string {
  return `${host.address()}:${PORT}`;
}

function hasState({ connectionState }: { readonly connectionState: string }) {
  return (each: { readonly connectionState: string }): boolean => each.connectionState === connectionState;
}
