import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { seededRandom } from "bowline/testing";
import { consul } from "../../../packages/bowline/src/registry/consul/index.ts";
import { instanceAt } from "../../../packages/bowline/src/registry/instance/instance.ts";
import type { Registry } from "../../../packages/bowline/src/registry/registry.ts";
import { ConsulServer, consulPorts } from "../consul-server.ts";
import { type Figures, FleetView, type Mortal, ownClock, pause, waitUntil } from "./etcd-fleet.ts";
import { HEAL_MS, OBSERVED_SERVICE } from "./observed-fleet.ts";

/** Processes that end in each round, and others that live on: two are never half of the whole set. */
const ENDING = 2;
const LIVING = 3;
/** The life of an instance that is not heard of: by then nothing is seen any more that was seen for its last word alone. */
const TTL_MS = 10_000;

/** One process with one registration. */
interface Registrant extends Mortal {
  readonly process: ChildProcess;
}

/**
 * Experiment 20, Consul: processes end while the agent that has them is away, in turn closing in order and killed, and the agent is back,
 * with what was on its disk, before their checks would have run out. The agent is a server, of so many. To pass: they are gone soon after
 * it answers, and do not come back; nobody who lives is missing.
 */
export async function endWithoutAgent(program: string, size: number, rounds: number): Promise<Figures> {
  const ports = await consulPorts(size);
  const join = ports.map(([, , , serf]) => serf);
  const servers = await Promise.all(
    ports.map((each, at) => ConsulServer.start({ program, ports: each, node: `n${at}`, servers: size, join })),
  );
  const hosts = servers.map(({ address }) => address);
  const living = Array.from({ length: LIVING }, (_, at): Mortal => ({ id: `living-${at}`, killedAt: null }));
  const registries = living.map((_, at) => own(rotated(hosts, at), at + 1));
  const figures = { rounds, closedGoneMs: 0, killedGoneMs: 0, longestMissingMs: 0, resurrections: 0, goneBack: 0 };
  try {
    for (const [at, { id }] of living.entries()) {
      await registries[at].register(OBSERVED_SERVICE, { ...instanceAt(`10.1.0.${at + 1}:80`), id });
    }
    for (let round = 0; round < rounds; round++) {
      const signal = round % 2 === 0 ? "SIGTERM" : "SIGKILL";
      const seen = await endOnce(servers, round, living, signal);
      const gone = signal === "SIGTERM" ? "closedGoneMs" : "killedGoneMs";
      figures[gone] = Math.max(figures[gone], seen.goneMs);
      figures.longestMissingMs = Math.max(figures.longestMissingMs, seen.longestMissingMs);
      figures.resurrections += seen.resurrections;
      figures.goneBack += seen.goneBack;
    }
    return figures;
  } finally {
    await Promise.all(registries.map((registry) => registry.close()));
    await Promise.all(servers.map((server) => server.process.remove()));
  }
}

/** `goneMs`: until the view was true, from when the agent was back. */
type Seen = Record<"goneMs" | "longestMissingMs" | "resurrections" | "goneBack", number>;

async function endOnce(
  servers: readonly ConsulServer[],
  round: number,
  living: readonly Mortal[],
  signal: "SIGTERM" | "SIGKILL",
): Promise<Seen> {
  const agent = servers[round % servers.length];
  const hosts = rotated(
    servers.map(({ address }) => address),
    round,
  );
  const ending = await Promise.all(Array.from({ length: ENDING }, (_, at) => begin(hosts, `ended-${round}-${at}`, at)));
  const view = new FleetView(OBSERVED_SERVICE, [...living, ...ending], own(rotated(hosts, 1), LIVING + 1));
  try {
    await waitUntil("all are seen", () => view.isTrue, HEAL_MS);
    view.begin();
    await agent.process.stop("SIGKILL");
    await Promise.all(ending.map((each) => end(each, signal)));
    await agent.process.start();
    const goneMs = await waitUntil("the view is true", () => view.isTrue, HEAL_MS);
    await pause(TTL_MS);
    view.look();
    const { longestMissingMs, resurrections, goneBack } = view;
    return { goneMs, longestMissingMs, resurrections, goneBack };
  } finally {
    await view.close();
    for (const { process } of ending) process.kill("SIGKILL");
  }
}

async function begin(hosts: readonly string[], id: string, at: number): Promise<Registrant> {
  const program = fileURLToPath(new URL("./consul-registrar.ts", import.meta.url));
  const child = fork(program, [hosts.join(","), OBSERVED_SERVICE, id, `10.2.0.${at + 1}:80`]);
  await once(child, "message");
  return { id, killedAt: null, process: child };
}

async function end(registrant: Registrant, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const exited = once(registrant.process, "exit");
  registrant.killedAt = performance.now();
  registrant.process.kill(signal);
  await exited;
}

function own(hosts: readonly string[], seed: number): Registry {
  return consul(hosts).create({ clock: ownClock(), random: seededRandom(seed), environment: {} });
}

function rotated(hosts: readonly string[], by: number): string[] {
  const at = by % hosts.length;
  return [...hosts.slice(at), ...hosts.slice(0, at)];
}
