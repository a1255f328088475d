import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type EtcdMember, EtcdServer } from "../etcd-server.ts";
import { type Figures, FleetView, type Member, ownRegistry, pause, startMember, waitUntil } from "./etcd-fleet.ts";

const TTL_MS = 10_000;
const SERVICE = "experiment.rpc";

async function withFleet<T>(
  program: string,
  members: number,
  instances: number,
  work: (server: EtcdServer, fleet: readonly Member[], view: FleetView) => Promise<T>,
): Promise<T> {
  const server = await EtcdServer.start({ program, members });
  const fleet: Member[] = [];
  let view: FleetView | undefined;
  try {
    const numbers = Array.from({ length: instances }, (_, at) => at + 1);
    fleet.push(...(await Promise.all(numbers.map((number) => startMember(SERVICE, number, { hosts: server.hosts })))));
    view = new FleetView(SERVICE, fleet, ownRegistry({ hosts: server.hosts }));
    const seen = view;
    await waitUntil("the fleet is seen", () => seen.isTrue, 20_000);
    return await work(server, fleet, seen);
  } finally {
    await view?.close();
    await Promise.all(fleet.map((member) => member.close()));
    await server.remove();
  }
}

/**
 * Experiment 16: of three members the leader is killed again and again, and brought back, while instances die, too.
 *
 * To pass: a view that is true 2 s after quiet, no living instance missing for more than a heartbeat, no dead one seen for longer than
 * two lives of its lease and an election. etcd gives every lease its whole life again with each new leader, so where leaders are killed
 * more often than that the time counts from the last kill.
 */
export function killLeaders(program: string, forMs: number, everyMs: number, instances: number): Promise<Figures> {
  return withFleet(program, 3, instances, async (server, fleet, view) => {
    const end = performance.now() + forMs;
    let kills = 0;
    let slowestTruthMs = 0;
    while (performance.now() < end) {
      const leader = await server.leader();
      if (leader < 0) {
        await pause(50);
        continue;
      }
      await server.members[leader].process.stop("SIGKILL");
      view.disturbed();
      kills++;
      const victim = fleet.find(({ killedAt }, at) => killedAt === null && at > 0);
      if (victim !== undefined && kills % 2 === 0 && kills < fleet.length) victim.kill();
      await pause(everyMs);
      await server.members[leader].process.start();
    }
    await waitUntil("a leader is there", async () => (await server.leader()) >= 0, 10_000);
    // Those that were killed last are dead when their leases are over; only then is it quiet.
    const lastDeath = Math.max(0, ...fleet.map(({ killedAt }) => killedAt ?? 0));
    await pause(Math.max(0, lastDeath + 2 * TTL_MS + 2000 - performance.now()));
    slowestTruthMs = await waitUntil("the view is true", () => view.isTrue, 10_000);
    view.look();
    return {
      kills,
      deaths: fleet.filter(({ killedAt }) => killedAt !== null).length,
      trueAfterQuietMs: slowestTruthMs,
      missed: view.missed,
      longestMissingMs: view.longestMissingMs,
      longestDeadMs: view.longestDeadMs,
      longestDeadSinceKillMs: view.longestDeadSinceMs,
      resurrections: view.resurrections,
      goneBack: view.goneBack,
      snapshots: view.snapshots,
    };
  });
}

/**
 * Experiment 17: a follower falls behind (SIGSTOP) while instances go and the history is compacted; then it is restarted. One who watches
 * goes to any member, and each member has one who knows of no other. To pass: nothing missed, nothing resurrected, no revision before the
 * last.
 */
export function lagAndCompact(program: string, rounds: number): Promise<Figures> {
  return withFleet(program, 3, 10, async (server, fleet, view) => {
    const alone = server.hosts.map((host) => new FleetView(SERVICE, fleet, ownRegistry({ hosts: [host] })));
    const views = [view, ...alone];
    let slowestTruthMs = 0;
    const untilTrue = async (what: string): Promise<void> => {
      const tookMs = await waitUntil(what, () => views.every(({ isTrue }) => isTrue), 20_000);
      slowestTruthMs = Math.max(slowestTruthMs, tookMs);
    };
    try {
      await untilTrue("all views are true");
      slowestTruthMs = 0;
      let deaths = 0;
      for (let round = 0; round < rounds; round++) {
        if (await lagOnce(server, fleet, round)) deaths++;
        await untilTrue("the views are true");
        const { process } = followerOf(server, await server.leader(), round);
        await process.stop();
        await process.start();
        await untilTrue("the views are true again");
      }
      return { rounds, deaths, slowestTruthMs, ...worstOf(views) };
    } finally {
      await Promise.all(alone.map((each) => each.close()));
    }
  });
}

function followerOf(server: EtcdServer, leader: number, round: number): EtcdMember {
  return server.members[(Math.max(0, leader) + 1 + (round % 2)) % 3];
}

/** True when an instance has gone meanwhile, in order, so that it goes at once. */
async function lagOnce(server: EtcdServer, fleet: readonly Member[], round: number): Promise<boolean> {
  const leader = await server.leader();
  const { process } = followerOf(server, leader, round);
  process.signal("SIGSTOP");
  const living = fleet.filter(({ killedAt }) => killedAt === null);
  const [victim] = living;
  // One has to stay.
  const goes = living.length > 1;
  if (goes) {
    victim.killedAt = performance.now();
    await victim.registration.close();
  }
  await server.put("experiment/round", String(round));
  await server.compact(server.members[Math.max(0, leader)]);
  await pause(500);
  process.signal("SIGCONT");
  return goes;
}

function worstOf(views: readonly FleetView[]): Figures {
  const worst = (figure: (view: FleetView) => number): number => Math.max(...views.map(figure));
  return {
    missed: worst(({ missed }) => missed),
    longestMissingMs: worst(({ longestMissingMs }) => longestMissingMs),
    resurrections: worst(({ resurrections }) => resurrections),
    goneBack: worst(({ goneBack }) => goneBack),
  };
}

/**
 * Experiment 18: two of three members are gone, then the leader stands still. To pass: those who watch keep what they know, no instance
 * goes when the cluster is back, and each lease is renewed or granted again within a heartbeat.
 */
export function loseQuorum(program: string, forMs: number): Promise<Figures> {
  return withFleet(program, 3, 20, async (server, fleet, view) => {
    const [, second, third] = server.members;
    await Promise.all([second.process.stop("SIGKILL"), third.process.stop("SIGKILL")]);
    await pause(forMs);
    const keptInOutage = view.longestMissingMs === 0 ? 1 : 0;
    await Promise.all([second.process.start(), third.process.start()]);
    await waitUntil("there is a leader", async () => (await server.leader()) >= 0, 20_000);
    const registered = (): boolean => fleet.every(({ registration }) => registration.state === "registered");
    const quorumHealMs = await waitUntil("all are registered and seen", () => registered() && view.isTrue, 30_000);
    const leader = server.members[await server.leader()];
    leader.process.signal("SIGSTOP");
    await pause(forMs);
    leader.process.signal("SIGCONT");
    const stallHealMs = await waitUntil("all are registered and seen", () => registered() && view.isTrue, 30_000);
    // Long enough for what an old leader might have revoked to show.
    await pause(TTL_MS + 2000);
    view.look();
    return {
      quorumHealMs,
      stallHealMs,
      missed: view.missed,
      longestMissingMs: view.longestMissingMs,
      keptInOutage,
      goneBack: view.goneBack,
    };
  });
}

/**
 * Experiment 19: a process with a registration stands still for two lives of its lease. To pass: gone within the life and 1 s, back
 * within 1 s after it goes on.
 */
export async function pauseRegistrar(program: string, rounds: number): Promise<Figures> {
  const server = await EtcdServer.start({ program });
  const child = fork(fileURLToPath(new URL("./etcd-registrar.ts", import.meta.url)), [server.hosts.join(","), SERVICE]);
  const seen = new Set<string>();
  const registry = ownRegistry({ hosts: server.hosts });
  let slowestGoneMs = 0;
  let slowestBackMs = 0;
  try {
    await once(child, "message");
    registry.watch(SERVICE, {
      snapshot({ instances }) {
        seen.clear();
        for (const { id } of instances) seen.add(id);
      },
      failed() {
        // What is seen counts.
      },
    });
    await waitUntil("it is seen", () => seen.size === 1, 5000);
    for (let round = 0; round < rounds; round++) {
      child.kill("SIGSTOP");
      slowestGoneMs = Math.max(slowestGoneMs, await waitUntil("it is gone", () => seen.size === 0, 2 * TTL_MS));
      await pause(Math.max(0, 2 * TTL_MS - slowestGoneMs));
      child.kill("SIGCONT");
      slowestBackMs = Math.max(slowestBackMs, await waitUntil("it is back", () => seen.size === 1, TTL_MS));
    }
    return { rounds, slowestGoneMs, slowestBackMs };
  } finally {
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await registry.close();
    await server.remove();
  }
}

/**
 * Many processes whose etcd goes away, by default for longer than their leases live, and comes back without its data: all want another
 * lease at once. Requests, and messages on streams, are counted by etcd itself; `peakRequestsPerSecond` is the worst of about a second.
 */
export async function restartTogether(
  program: string,
  processes: number,
  outageMs: number = TTL_MS + 5000,
): Promise<Figures> {
  const server = await EtcdServer.start({ program });
  const fleet: Member[] = [];
  try {
    for (let at = 0; at < processes; at += 100) {
      const numbers = Array.from({ length: Math.min(100, processes - at) }, (_, i) => at + i + 1);
      fleet.push(
        ...(await Promise.all(numbers.map((number) => startMember(SERVICE, number, { hosts: server.hosts })))),
      );
    }
    await server.stop("SIGKILL");
    await server.wipe();
    await pause(outageMs);
    await server.resume();
    const begun = performance.now();
    let last = 0;
    let lastAt = begun;
    let peak = 0;
    let present = 0;
    while (present < processes && performance.now() - begun < 60_000) {
      await pause(1000);
      const now = await requests(server);
      const at = performance.now();
      peak = Math.max(peak, ((now - last) * 1000) / (at - lastAt));
      last = now;
      lastAt = at;
      present = (await server.list(`${SERVICE}/`)).length;
    }
    return {
      processes,
      present,
      missing: processes - present,
      healedMs: lastAt - begun,
      peakRequestsPerSecond: peak,
      requests: last,
    };
  } finally {
    await Promise.all(fleet.map((member) => member.close()));
    await server.remove();
  }
}

/** Calls and stream messages that etcd has taken since it started, as its metrics tell. */
async function requests(server: EtcdServer): Promise<number> {
  const text = await (await fetch(`http://${server.hosts[0]}/metrics`)).text();
  const received = [...text.matchAll(/^grpc_server_msg_received_total\{.*\} ([0-9.e+]+)$/gm)];
  return received.reduce((sum, [, count]) => sum + Number(count), 0);
}
