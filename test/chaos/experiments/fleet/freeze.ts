import { setTimeout as delay } from "node:timers/promises";
import { Code } from "bowline";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import { type Failure, wallMs } from "../../ledger/call-log.ts";
import { rounds } from "../../rounds.ts";

const SERVERS = 3;
const CLIENTS = 2;
/** The least that a client may ask for. */
const KEEPALIVE_MS = 10_000;
/** A silence is noticed at most a twentieth late. */
const LATEST = 1.05;
/** A PING's time is over 100 ms later if the process itself was late; the looks at the endpoints take as long. */
const RESPITE_MS = 200;
const TIMEOUT_MS = 3000;
/** From here on p2c tries a server that it avoids with one call now and then: those are not counted. */
const RETEST_MS = 3750;
/** Calls that a client may still lose to the frozen server after those that it had there. */
const MOST_LOST = 5;
/** Time for the answer to a PING: the short form has less. */
const SHORT_ANSWER_MS = 500;
const FULL_ANSWER_MS = 5000;

/** SIGSTOP: the process does nothing any more, its connections stand. */
export const freeze: Experiment = {
  number: 3,
  name: "frozen server",
  promise:
    "calls leave it after at most 5 each client, keepalive finds it within its two times and a twentieth, no call fails from then on, and it is back within two of its periods",
  fullMinutes: 3,
  needsRoot: false,
  run,
};

/** One freeze. */
interface Frost {
  readonly address: string;
  readonly atMs: number;
  readonly detectedAtMs: number;
  readonly isBackAfterMs: number;
}

async function run(scale: Scale): Promise<Outcome> {
  const { isShort, seed } = scale;
  await using fleet = new Fleet(seed);
  const timeoutMs = isShort ? SHORT_ANSWER_MS : FULL_ANSWER_MS;
  const keepalive = { timeMs: KEEPALIVE_MS, timeoutMs };
  const servers = await fleet.startServers(SERVERS, { options: { keepalive: { minPingMs: KEEPALIVE_MS / 2 } } });
  const target = `static:///${servers.map(({ address }) => address).join(",")}`;
  await fleet.startClients(CLIENTS, target, { keepalive: { ...keepalive, withoutCalls: true } });
  await fleet.ready(SERVERS);
  const most = { perSecond: isShort ? 100 : 500, writeShare: 0.5, sleepMs: 10, timeoutMs: TIMEOUT_MS };
  const load = await fleet.bearable(most);
  fleet.load(load);
  await delay(1500);
  await fleet.longestStallMs();
  const frosts: Frost[] = [];
  const faults: string[] = [];
  for (const _ of rounds(scale, 1, 5)) {
    frosts.push(await freezeOne(fleet, fleet.chance.pick(servers), isShort));
  }
  const stallMs = await fleet.longestStallMs();
  for (const frost of frosts) faults.push(...timeFaults(frost, timeoutMs, stallMs));
  const lost = new Map<string, number>();
  const isExpected = (failure: Failure): boolean => isOfFrost(failure, frosts, lost);
  const { logs: _, faults: unbalanced, ...figures } = await fleet.balance(isExpected);
  const mostLost = Math.max(0, ...lost.values());
  // Calls that were on their way when it froze are lost in any case: they are not counted here.
  if (mostLost > MOST_LOST) faults.push(`a client lost ${mostLost} calls that it began after the freeze`);
  const detectedAfterMs = Math.max(...frosts.map(({ atMs, detectedAtMs }) => detectedAtMs - atMs));
  const backAfterMs = Math.max(...frosts.map(({ isBackAfterMs }) => isBackAfterMs));
  return {
    figures: {
      freezes: frosts.length,
      perSecond: CLIENTS * load.perSecond,
      ...figures,
      mostLost,
      detectedAfterMs,
      backAfterMs,
      stallMs,
    },
    faults: [...faults, ...unbalanced],
  };
}

async function freezeOne(fleet: Fleet, victim: ChaosServer, isShort: boolean): Promise<Frost> {
  victim.freeze();
  const atMs = wallMs();
  const isReady = (each: { address: string; connectionState: string }): boolean =>
    each.address === victim.address && each.connectionState === "ready";
  await Promise.all(fleet.clients.map((client) => client.until((all) => !all.some(isReady))));
  const detectedAtMs = wallMs();
  await delay(isShort ? 1000 : 5000);
  victim.thaw();
  const before = (await victim.report()).begun;
  const isBackAfterMs = Math.max(
    ...(await Promise.all(fleet.clients.map((client) => client.until((all) => all.some(isReady))))),
  );
  // It is not enough to be connected: it must be used.
  while ((await victim.report()).begun === before) await delay(20);
  return { address: victim.address, atMs, detectedAtMs, isBackAfterMs };
}

function timeFaults({ atMs, detectedAtMs, isBackAfterMs }: Frost, timeoutMs: number, stallMs: number): string[] {
  const faults: string[] = [];
  const detectedAfterMs = detectedAtMs - atMs;
  const mostMs = KEEPALIVE_MS * LATEST + timeoutMs + RESPITE_MS + stallMs;
  if (detectedAfterMs > mostMs) faults.push(`keepalive needed ${detectedAfterMs} ms, ${mostMs} are allowed`);
  const periodsMs = 2 * KEEPALIVE_MS + stallMs;
  if (isBackAfterMs > periodsMs) faults.push(`it was back after ${isBackAfterMs} ms, ${periodsMs} are allowed`);
  return faults;
}

/** True for a call that the frozen server did not answer; counts, for each client and freeze, those that began after it. */
function isOfFrost(failure: Failure, frosts: readonly Frost[], lost: Map<string, number>): boolean {
  const { client, code, instance, startedAtMs, endedAtMs } = failure;
  if (code !== Code.DEADLINE_EXCEEDED && code !== Code.UNAVAILABLE) return false;
  const frost = frosts.find(({ address, atMs, detectedAtMs }) => {
    return instance.includes(address) && startedAtMs <= detectedAtMs && endedAtMs >= atMs;
  });
  if (frost === undefined) return false;
  const key = `${client} ${frost.atMs}`;
  const isAfter = startedAtMs > frost.atMs && startedAtMs < frost.atMs + RETEST_MS;
  if (isAfter) lost.set(key, (lost.get(key) ?? 0) + 1);
  return true;
}
