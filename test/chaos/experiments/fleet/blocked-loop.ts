import { once } from "node:events";
import { connect } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Code } from "bowline";
import { RawPeer } from "bowline/testing";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import type { Load } from "../../processes/options.ts";
import { rounds } from "../../rounds.ts";

const SERVERS = 3;
const CLIENTS = 2;
const BLOCK_MS = 500;
/** What a block may add to others' calls beside its own length. */
const MOST_ADDED_MS = 10;
/** What a peer has for its answer in any case, behind a block; a PING and its answer need time of their own. */
const RESPITE_MS = 100;
const SLACK_MS = 20;
/** Connections without calls to each server, which answer its PINGs. */
const IDLERS = 8;
/** PINGs of the servers: many are unanswered when a block begins; their time is over in it, or ends with it. */
const KEEPALIVES: readonly { readonly timeMs: number; readonly timeoutMs: number }[] = [
  { timeMs: 20, timeoutMs: 200 },
  { timeMs: 20, timeoutMs: 450 },
  { timeMs: 20, timeoutMs: 490 },
];

/** A handler that keeps the event loop: its process hears nothing meanwhile, and must not take that for the others' silence. */
export const blockedLoop: Experiment = {
  number: 13,
  name: "blocked event loop",
  promise:
    "no call fails, no connection is given up whose peer answers within 100 ms, and no other call takes longer than the block and 10 ms",
  fullMinutes: 3,
  needsRoot: false,
  run,
};

async function run(scale: Scale): Promise<Outcome> {
  const { isShort, seed } = scale;
  await using fleet = new Fleet(seed);
  await Promise.all(KEEPALIVES.map((keepalive) => fleet.startServer({ options: { keepalive } })));
  await fleet.startClients(CLIENTS, `static:///${fleet.servers.map(({ address }) => address).join(",")}`);
  await fleet.ready(SERVERS);
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  const idlers = (await Promise.all(fleet.servers.map(openIdlers))).flat();
  const seen: Seen = { calmMs: [], blockedMs: [], stallsMs: [] };
  const load = await fleet.bearable({ perSecond: isShort ? 60 : 300, writeShare: 0.5 });
  for (const _ of rounds(scale, 2, 60)) {
    await blockOne(fleet, seen, load);
    await blockAll(fleet);
  }
  const lost = idlers.filter((peer) => peer.isClosed || peer.hasOtherEnded).length;
  for (const peer of idlers) peer.destroy();
  const reports = await Promise.all(fleet.servers.map((server) => server.report()));
  const stallMs = Math.max(...seen.stallsMs, delays.max / 1e6);
  // A peer that the machine held up has not answered in time.
  const isExcused = stallMs + SLACK_MS >= RESPITE_MS;
  const { logs: _, faults, ...figures } = await fleet.balance(({ code }) => code === Code.UNAVAILABLE && isExcused);
  const addedMs = Math.max(...seen.blockedMs) - BLOCK_MS;
  const noiseMs = Math.max(...seen.calmMs) + stallMs;
  const found = [...faults];
  if (addedMs > MOST_ADDED_MS + noiseMs)
    found.push(`a call took ${addedMs} ms more than the block, noise ${noiseMs} ms`);
  if (lost > 0 && !isExcused) found.push(`${lost} connections were given up although their peers answer PINGs`);
  if (found.length > 0) found.push(`servers counted ${JSON.stringify(reports.map(({ misbehaved }) => misbehaved))}`);
  return {
    figures: { ...figures, idlers: idlers.length, lost, addedMs, noiseMs, stallMs },
    faults: found,
  };
}

/** What was measured in the rounds. */
interface Seen {
  readonly calmMs: number[];
  readonly blockedMs: number[];
  readonly stallsMs: number[];
}

/** One server is blocked while all have calls. */
async function blockOne(fleet: Fleet, seen: Seen, load: Load): Promise<void> {
  fleet.load(load);
  await delay(200);
  await marks(fleet);
  await delay(500);
  const calm = await marks(fleet);
  await Promise.all(fleet.servers.map((server) => server.report()));
  fleet.chance.pick(fleet.clients).burst({ perSecond: 1, writeShare: 1, blockMs: BLOCK_MS });
  await delay(BLOCK_MS * 1.5);
  fleet.load({ perSecond: 0 });
  await fleet.quiet();
  const blocked = await marks(fleet);
  const reports = await Promise.all(fleet.servers.map((server) => server.report()));
  seen.stallsMs.push(...reports.map(({ longestBlockMs }) => Math.max(0, longestBlockMs - BLOCK_MS)));
  seen.calmMs.push(...calm.map(({ maxMs }) => maxMs));
  seen.blockedMs.push(...blocked.map(({ maxMs }) => maxMs));
  seen.stallsMs.push(...[...calm, ...blocked].map(({ longestBlockMs }) => longestBlockMs));
}

/** Nothing is called, so that PINGs are due; then each server is blocked. */
async function blockAll(fleet: Fleet): Promise<void> {
  await delay(fleet.chance.int(50, 100));
  for (const client of fleet.clients) client.burst({ perSecond: 2, writeShare: 1, blockMs: BLOCK_MS });
  await fleet.quiet();
  await marks(fleet);
}

function marks(fleet: Fleet): Promise<{ readonly maxMs: number; readonly longestBlockMs: number }[]> {
  return Promise.all(fleet.clients.map((client) => client.mark()));
}

function openIdlers({ address }: ChaosServer): Promise<RawPeer[]> {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  const open = async (): Promise<RawPeer> => {
    const socket = connect({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    const peer = new RawPeer(socket, { role: "client", acknowledges: true, timeoutMs: 10_000 });
    await peer.handshake();
    return peer;
  };
  return Promise.all(Array.from({ length: IDLERS }, open));
}
