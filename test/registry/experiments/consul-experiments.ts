import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { seededRandom } from "bowline/testing";
import { type ConsulOptions, consul } from "../../../packages/bowline/src/registry/consul/index.ts";
import type { Registry } from "../../../packages/bowline/src/registry/registry.ts";
import { ConsulServer, consulPorts } from "../consul-server.ts";
import { type Figures, ownClock, pause, waitUntil } from "./etcd-fleet.ts";
import {
  type Cast,
  HEAL_MS,
  OBSERVED_INSTANCES,
  OBSERVED_SERVICE,
  type Observed,
  observeFleet,
} from "./observed-fleet.ts";

/** Agents find a server to have failed within some seconds, and look for it again each 30 s. */
const GIVEN_UP_MS = 15_000;
/** Between two faults, in ms: agents open their streams to a server anew, and questions are held again. */
const REST_MS = 2000;

/**
 * Experiment 20, Consul: of three servers the leader is killed and brought back, again and again, and an instance leaves each time
 * while it is away: at most seven times. To pass: a view that is true soon after all are there again, without a revision before the last
 * or an instance that comes back after its end; who was registered with the agent that is gone is back in time.
 */
export async function killConsulLeaders(program: string, rounds: number): Promise<Figures> {
  const ports = await consulPorts(3);
  const join = ports.map(([, , , serf]) => serf);
  const servers = await Promise.all(
    ports.map((each, at) => ConsulServer.start({ program, ports: each, node: `n${at}`, servers: 3, join })),
  );
  return observe(servers, async ({ isTrue, end }) => {
    let slowestTruthMs = 0;
    let trueAfterQuietMs = 0;
    for (let round = 0; round < rounds; round++) {
      // One that was away is no voter at first: without the leader the rest could not elect one.
      await waitUntil("all vote", () => allVote(servers), HEAL_MS);
      const leader = await leaderOf(servers);
      await leader.process.stop("SIGKILL");
      await end(round);
      const rest = servers.filter((server) => server !== leader);
      const electionMs = await waitUntil("there is a leader", () => haveLeader(rest), HEAL_MS);
      const truthMs = await waitUntil("the view is true", isTrue, HEAL_MS);
      slowestTruthMs = Math.max(slowestTruthMs, electionMs + truthMs);
      trueAfterQuietMs = Math.max(trueAfterQuietMs, truthMs);
      await leader.process.start();
      trueAfterQuietMs = Math.max(trueAfterQuietMs, await waitUntil("the view is true again", isTrue, HEAL_MS));
    }
    return { rounds, slowestTruthMs, trueAfterQuietMs };
  });
}

/** Experiment 20, Consul: its data are lost, and its index begins anew far below what was seen. To pass: as above. */
export async function resetConsulIndex(program: string, rounds: number): Promise<Figures> {
  const [ports] = await consulPorts(1);
  const server = await ConsulServer.start({ program, ports, node: "one" });
  return observe([server], async ({ isTrue }) => {
    let slowestTruthMs = 0;
    let furthestReset = 0;
    for (let round = 0; round < rounds; round++) {
      await raiseIndex(server);
      const before = await indexOf(server);
      await server.process.stop("SIGKILL");
      await rm(join(server.process.folder, "data"), { recursive: true, force: true });
      await server.process.start();
      furthestReset = Math.max(furthestReset, before - (await indexOf(server)));
      slowestTruthMs = Math.max(slowestTruthMs, await waitUntil("the view is true", isTrue, HEAL_MS));
    }
    return { rounds, slowestTruthMs, furthestReset };
  });
}

/**
 * Experiment 20, Consul: the same behind agents that are clients of the server and run on. In turn its data are lost, and it is away for a
 * moment; the same for so long that the agents have given it up; and a snapshot from before all was registered is put in. To pass: the view
 * is true soon after the agents have a leader again, which Consul's own way takes up to two minutes for.
 */
export async function resetBehindClients(program: string, rounds: number): Promise<Figures> {
  const [ports, ...clientPorts] = await consulPorts(4);
  // A snapshot of another node of the same name would have the new one refused.
  const settings = { node_id: randomUUID() };
  const server = await ConsulServer.start({ program, ports, node: "one", settings });
  const clients = await Promise.all(
    clientPorts.map((each, at) =>
      ConsulServer.start({ program, ports: each, node: `client-${at}`, servers: 0, join: [ports[3]] }),
    ),
  );
  const snapshot = await (await server.request("GET", "/v1/snapshot")).arrayBuffer();
  const loseData = async (awayMs: number): Promise<void> => {
    await server.process.stop("SIGKILL");
    await rm(join(server.process.folder, "data"), { recursive: true, force: true });
    await pause(awayMs);
    await server.process.start();
  };
  const faults = [
    () => loseData(0),
    () => server.request("PUT", "/v1/snapshot", new Uint8Array(snapshot)),
    () => loseData(GIVEN_UP_MS),
  ];
  return observe(
    clients,
    async ({ isTrue }) => {
      let trueAfterQuietMs = 0;
      let slowestTruthMs = 0;
      for (let round = 0; round < rounds; round++) {
        await pause(REST_MS);
        await faults[round % faults.length]();
        const ledMs = await waitUntil("the agents have a leader", () => haveLeader(clients), 2 * HEAL_MS);
        const truthMs = await waitUntil("the view is true", async () => isTrue() && (await knowAll(server)), HEAL_MS);
        trueAfterQuietMs = Math.max(trueAfterQuietMs, truthMs);
        slowestTruthMs = Math.max(slowestTruthMs, ledMs + truthMs);
      }
      return { rounds, trueAfterQuietMs, slowestTruthMs };
    },
    [server],
  );
}

/** The catalog itself has all. */
async function knowAll(server: ConsulServer): Promise<boolean> {
  const answer = await server.request("GET", `/v1/health/service/${OBSERVED_SERVICE}?passing`);
  return ((await answer.json()) as unknown[]).length === OBSERVED_INSTANCES;
}

/** Three of the instances are registered with each of three agents first. */
function observe(
  servers: readonly ConsulServer[],
  work: (observed: Observed) => Promise<Figures>,
  others: readonly ConsulServer[] = [],
): Promise<Figures> {
  const hosts = servers.map(({ address }) => address);
  const cast: Cast = {
    registrars: hosts.map((_, at) => ownConsul({ hosts: [...hosts.slice(at), ...hosts.slice(0, at)] }, at)),
    watching: ownConsul({ hosts }, hosts.length),
    remove: () => Promise.all([...servers, ...others].map((server) => server.process.remove())),
  };
  return observeFleet(cast, work);
}

function ownConsul(options: ConsulOptions, seed: number): Registry {
  return consul(options).create({ clock: ownClock(), random: seededRandom(seed + 1), environment: {} });
}

async function leaderOf(servers: readonly ConsulServer[]): Promise<ConsulServer> {
  return servers[Number((await peersOf(servers)).find(({ Leader }) => Leader)?.Node.slice(1))];
}

async function allVote(servers: readonly ConsulServer[]): Promise<boolean> {
  const peers = await peersOf(servers).catch(() => []);
  return peers.filter(({ Voter }) => Voter).length === servers.length && peers.some(({ Leader }) => Leader);
}

/** All that take part in elections or will. */
async function peersOf(servers: readonly ConsulServer[]): Promise<{ Node: string; Leader: boolean; Voter: boolean }[]> {
  const answer = await Promise.any(servers.map((each) => each.request("GET", "/v1/operator/raft/configuration")));
  return ((await answer.json()) as { Servers: { Node: string; Leader: boolean; Voter: boolean }[] }).Servers;
}

/** A majority of them answers. */
async function haveLeader(servers: readonly ConsulServer[]): Promise<boolean> {
  const answers = servers.map((each) => each.request("GET", "/v1/catalog/nodes?consistent"));
  return (await Promise.allSettled(answers)).every(({ status }) => status === "fulfilled");
}

/** A hundred changes of a service that nobody watches. */
async function raiseIndex(server: ConsulServer): Promise<void> {
  for (let change = 0; change < 100; change++) {
    const Service = { ID: "noise", Service: "noise", Port: change + 1 };
    await server.request("PUT", "/v1/catalog/register", { Node: "noise", Address: "10.9.9.9", Service });
  }
}

async function indexOf(server: ConsulServer): Promise<number> {
  const { headers } = await server.request("GET", `/v1/health/service/${OBSERVED_SERVICE}`);
  return Number(headers.get("x-consul-index"));
}
