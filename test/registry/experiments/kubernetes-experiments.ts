import { seededRandom } from "bowline/testing";
import { kubernetes } from "../../../packages/bowline/src/registry/kubernetes/index.ts";
import { endpointOf, groupsOf, podInstance } from "../kubernetes-harness.ts";
import { KubernetesServer } from "../kubernetes-server.ts";
import { type Figures, FleetView, type Mortal, ownClock, waitUntil } from "./etcd-fleet.ts";

const SERVICE = "default/experiment";
const PODS = 250;
const SEEN_MS = 60_000;

/**
 * Experiment 20, Kubernetes: the API server is restarted under one who watches, and a pod goes while it is away or just after. To pass: a
 * view that is true soon after the change, without a living pod missing, a dead one brought back, or a revision before the last.
 */
export async function restartApiServer(apiServer: string, etcd: string, rounds: number): Promise<Figures> {
  const server = new KubernetesServer(apiServer, etcd);
  let view: FleetView | undefined;
  try {
    await server.start();
    const pods: Mortal[] = Array.from({ length: PODS }, (_, at) => ({ id: podInstance(at).id, killedAt: null }));
    const write = (): Promise<void> => {
      const living = pods.flatMap(({ killedAt }, at) => (killedAt === null ? [podInstance(at)] : []));
      return server.set(
        SERVICE,
        groupsOf(living).map((group) => group.map(endpointOf)),
      );
    };
    await write();
    const context = { clock: ownClock(), random: seededRandom(1), environment: {} };
    view = new FleetView(SERVICE, pods, kubernetes(server.options).create(context));
    const seen = view;
    await waitUntil("all are seen", () => seen.isTrue, SEEN_MS);
    seen.begin();
    let slowestTruthMs = 0;
    for (let round = 0; round < rounds; round++) {
      await server.stopApi();
      await server.startApi();
      pods[round * 7].killedAt = performance.now();
      await write();
      slowestTruthMs = Math.max(slowestTruthMs, await waitUntil("the view is true", () => seen.isTrue, SEEN_MS));
    }
    seen.look();
    const { missed, longestMissingMs, resurrections, goneBack } = seen;
    return { rounds, slowestTruthMs, missed, longestMissingMs, resurrections, goneBack };
  } finally {
    await view?.close();
    await server.remove();
  }
}
