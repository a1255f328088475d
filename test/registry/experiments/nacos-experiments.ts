import { seededRandom } from "bowline/testing";
import { type NacosOptions, nacos } from "../../../packages/bowline/src/registry/nacos/index.ts";
import type { Registry } from "../../../packages/bowline/src/registry/registry.ts";
import { NacosServer } from "../nacos-server.ts";
import { CuttableNetwork, type Figures, ownClock, pause, waitUntil } from "./etcd-fleet.ts";
import { HEAL_MS, type Observed, observeFleet } from "./observed-fleet.ts";

/** Processes that register, three instances each. */
const REGISTRARS = 3;
/** How long nothing of what the server says arrives: long enough for a push, too short to be missed by a beat. */
const DEAF_MS = 2000;
/** A link that ends sooner is taken for a sick server, which is tried again less and less often. */
const SETTLED_MS = 11_000;

/**
 * Experiment 20, Nacos: the server is killed, an instance leaves while it is away, and it comes back knowing nobody, since what it knows of
 * ephemeral instances lies in its memory. To pass: the view is true again soon after it answers, and nobody comes back from the dead.
 */
export async function restartNacos(program: string, rounds: number): Promise<Figures> {
  const server = await NacosServer.start(program);
  return observe(server, {}, async ({ isTrue, end }) => {
    let slowestTruthMs = 0;
    for (let round = 0; round < rounds; round++) {
      await server.process.stop("SIGKILL");
      await end(round);
      await server.restart();
      slowestTruthMs = Math.max(slowestTruthMs, await waitUntil("the view is true", isTrue, HEAL_MS));
    }
    return { rounds, slowestTruthMs };
  });
}

/**
 * Experiment 20, Nacos: what the server pushes to the one who watches is lost with the connection, and nobody says so. To pass: what has
 * changed meanwhile is seen as soon as there is a connection again.
 */
export async function loseNacosPushes(program: string, rounds: number): Promise<Figures> {
  const server = await NacosServer.start(program);
  const network = new CuttableNetwork();
  return observe(server, { network }, async ({ isTrue, end }) => {
    let slowestTruthMs = 0;
    let unseen = 0;
    for (let round = 0; round < rounds; round++) {
      await pause(SETTLED_MS);
      network.deafen();
      await end(round);
      await pause(DEAF_MS);
      if (!isTrue()) unseen++;
      network.cut();
      network.mend();
      slowestTruthMs = Math.max(slowestTruthMs, await waitUntil("the view is true", isTrue, HEAL_MS));
    }
    return { rounds, unseen, slowestTruthMs };
  });
}

function observe(
  server: NacosServer,
  watching: NacosOptions,
  work: (observed: Observed) => Promise<Figures>,
): Promise<Figures> {
  const cast = {
    registrars: Array.from({ length: REGISTRARS }, (_, at) => ownNacos({ hosts: server.address }, at + 1)),
    watching: ownNacos({ hosts: server.address, ...watching }, REGISTRARS + 1),
    remove: () => server.remove(),
  };
  return observeFleet(cast, work);
}

function ownNacos(options: NacosOptions, seed: number): Registry {
  return nacos(options).create({ clock: ownClock(), random: seededRandom(seed), environment: {} });
}
