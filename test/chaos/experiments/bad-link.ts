import { setTimeout as delay } from "node:timers/promises";
import type { ClientOptions } from "bowline";
import type { CheckedClient, CheckedLoad } from "../checked/checked-client.ts";
import type { CheckedServer } from "../checked/checked-server.ts";
import { Trial } from "../checked/trial.ts";
import type { Experiment, Outcome, Scale } from "../experiment.ts";
import type { Conditions } from "../proxy/conditions.ts";
import { createProxy, type LinkProxy } from "../proxy/link-proxy.ts";

/** Window of streams and connection in the runs that are measured: it does not grow. */
const WINDOW_BYTES = 262_144;
/** What must be reached of a window in each round trip, or of the line. */
const LEAST_SHARE = 0.8;
/** More would mean that something else than the link was measured. */
const MOST_SHARE = 1.15;
/** Windows that may grow must get beyond those that they begin with. */
const LEAST_GROWTH = 1.5;
/** 64 Kbit/s. */
const NARROW_BYTES_PER_SECOND = 8000;
const ROUND_TRIPS = 5;
/** A busy machine makes answers late, or the round trips that they are compared with: what is out of range is measured again. */
const MEASUREMENTS = 3;
const TIMEOUT_MS = 20_000;
const HANG_MS = 30_000;

/** A round trip of 200 ms: half each way. */
const SLOW: Partial<Conditions> = { latencyMs: 100 };
/** The same on average. */
const UNSTEADY: Partial<Conditions> = { latencyMs: 80, jitterMs: 40 };
/** A lost packet is repeated after the shortest time that Linux waits; what is behind it waits, too. */
const LOSSY: Partial<Conditions> = { latencyMs: 10, lossRatio: 0.01, repeatMs: 200 };
const NARROW: Partial<Conditions> = { bytesPerSecond: NARROW_BYTES_PER_SECOND, bufferBytes: 16_384 };
const CRUMBS: Partial<Conditions> = { sliceBytes: 1 };
const ALL: Partial<Conditions> = { ...UNSTEADY, ...CRUMBS, lossRatio: 0.01 };

/** Links that are slow, unsteady, lossy and narrow, or hand on single bytes. */
export const badLink: Experiment = {
  number: 6,
  name: "bad links: +200 ms, jitter, 1 % loss, 64 Kbit/s, single bytes",
  promise:
    "no call fails, no answer is wrong, and throughput is at least 80 % of what a window in each round trip, or the line, allows",
  fullMinutes: 5,
  needsRoot: false,
  run,
};

/** A client behind a link of its own. */
interface Lane {
  readonly client: CheckedClient;
  readonly proxy: LinkProxy;
}

/** A download as measured. */
interface Throughput {
  /** Of the bytes that the link allows in that time. */
  readonly share: number;
  readonly bytesPerSecond: number;
}

async function run({ isShort, seed }: Scale): Promise<Outcome> {
  await using trial = new Trial(seed);
  const server = await trial.startServer();
  const fixed = { streamWindowBytes: WINDOW_BYTES, connectionWindowBytes: WINDOW_BYTES, maxWindowBytes: WINDOW_BYTES };
  const lanes = await Promise.all(
    [{ limits: fixed }, { limits: fixed }, {}, {}, {}].map((options) => lane(trial, server, options)),
  );
  try {
    const [slow, unsteady, growth, line] = await Promise.all([
      measureWindow(lanes[0], SLOW, isShort),
      measureWindow(lanes[1], UNSTEADY, isShort),
      measureGrowth(lanes[2], isShort),
      measureLine(lanes[3], isShort),
      crumble(lanes[4], isShort),
    ]);
    const verdict = await trial.settle(HANG_MS, () => false);
    const { calls, ok, runs } = verdict.balance;
    const wrong = verdict.reports.reduce((sum, { wrongCount }) => sum + wrongCount, 0);
    const shares = { slow, unsteady, narrow: line };
    return {
      figures: {
        calls,
        ok,
        runs,
        wrong,
        slowPercent: slow.share * 100,
        unsteadyPercent: unsteady.share * 100,
        narrowPercent: line.share * 100,
        slowBytesPerSecond: slow.bytesPerSecond,
        grownBytesPerSecond: growth.bytesPerSecond,
        grownPercent: growth.share * 100,
        longestStallMs: verdict.longestStallMs,
      },
      faults: [...verdict.faults, ...Object.entries(shares).flatMap(shareFault), ...growthFault(growth)],
    };
  } finally {
    await Promise.all(lanes.map(({ proxy }) => proxy[Symbol.asyncDispose]()));
  }
}

async function lane(trial: Trial, server: CheckedServer, options: ClientOptions): Promise<Lane> {
  const proxy = await createProxy({ target: server.address, seed: trial.chance.seed() });
  return { proxy, client: await trial.startClient(proxy.address, { options }) };
}

/** With a window that stays. */
function measureWindow(
  { client, proxy }: Lane,
  conditions: Partial<Conditions>,
  isShort: boolean,
): Promise<Throughput> {
  proxy.setBoth(conditions);
  // Of the packets of a window one always has the worst luck, and the rest arrive behind it.
  const extraMs = (conditions.jitterMs ?? 0) / 2;
  return measured(isInRange, () => throughput(client, (isShort ? 24 : 160) * WINDOW_BYTES, extraMs));
}

/** With windows as they are by default, which grow; then all kinds of calls while packets are lost. */
async function measureGrowth({ client, proxy }: Lane, isShort: boolean): Promise<Throughput> {
  proxy.setBoth(SLOW);
  const seen = await measured(hasGrown, () => throughput(client, (isShort ? 64 : 400) * WINDOW_BYTES, 0));
  proxy.setBoth(LOSSY);
  await loadFor(client, { perSecond: 30, timeoutMs: TIMEOUT_MS, maxBytes: 5000 }, isShort ? 3000 : 60_000);
  return seen;
}

/** Small calls of all kinds through a narrow line, then as much as it takes. */
async function measureLine({ client, proxy }: Lane, isShort: boolean): Promise<Throughput> {
  proxy.setBoth(NARROW);
  await loadFor(client, { perSecond: 5, timeoutMs: TIMEOUT_MS, maxBytes: 40 }, isShort ? 2000 : 60_000);
  const bytes = (isShort ? 3 : 30) * NARROW_BYTES_PER_SECOND;
  return measured(isInRange, async () => {
    // What was left on the line goes first.
    await client.roundTrips(1);
    const bytesPerSecond = await rate(client, bytes, 1000);
    return { bytesPerSecond, share: bytesPerSecond / NARROW_BYTES_PER_SECOND };
  });
}

/** All kinds of calls byte by byte; then that, late and with losses. */
async function crumble({ client, proxy }: Lane, isShort: boolean): Promise<void> {
  const load = { perSecond: 20, timeoutMs: TIMEOUT_MS, maxBytes: 300 };
  proxy.setBoth(CRUMBS);
  await loadFor(client, load, isShort ? 4000 : 60_000);
  proxy.setBoth(ALL);
  await loadFor(client, load, isShort ? 2000 : 60_000);
}

/** Bytes a second on a stream of answers, beside what a window in each round trip would be; `extraMs` is what a window needs beyond a call. */
async function throughput(client: CheckedClient, bytes: number, extraMs: number): Promise<Throughput> {
  await client.roundTrips(1); // connects
  const trips = await client.roundTrips(ROUND_TRIPS);
  const roundTripMs = trips[trips.length >> 1] + extraMs;
  const bytesPerSecond = await rate(client, bytes, WINDOW_BYTES / 16);
  return { bytesPerSecond, share: (bytesPerSecond * roundTripMs) / 1000 / WINDOW_BYTES };
}

/** The first that is as it must be, or the last. */
async function measured(
  isGood: (seen: Throughput) => boolean,
  measure: () => Promise<Throughput>,
): Promise<Throughput> {
  let seen = await measure();
  for (let count = 1; count < MEASUREMENTS && !isGood(seen); count++) seen = await measure();
  return seen;
}

function isInRange({ share }: Throughput): boolean {
  return share >= LEAST_SHARE && share <= MOST_SHARE;
}

function hasGrown({ share }: Throughput): boolean {
  return share >= LEAST_GROWTH;
}

/** Bytes that a stream of answers brings in a second. */
async function rate(client: CheckedClient, wantedBytes: number, messageBytes: number): Promise<number> {
  const { bytes, ms } = await client.download(wantedBytes, messageBytes);
  return (bytes / ms) * 1000;
}

async function loadFor(client: CheckedClient, load: CheckedLoad, ms: number): Promise<void> {
  client.load(load);
  await delay(ms);
  client.load({ ...load, perSecond: 0 });
}

function shareFault([name, seen]: readonly [string, Throughput]): string[] {
  if (isInRange(seen)) return [];
  return [
    `the ${name} link carried ${seen.share.toFixed(2)} of what it allows, from ${LEAST_SHARE} to ${MOST_SHARE} was expected`,
  ];
}

function growthFault(seen: Throughput): string[] {
  if (hasGrown(seen)) return [];
  return [
    `windows that may grow carried ${seen.share.toFixed(2)} of the first one, at least ${LEAST_GROWTH} was expected`,
  ];
}
