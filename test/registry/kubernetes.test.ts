import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubernetes } from "../../packages/bowline/src/registry/kubernetes/index.ts";
import type { Instance } from "../../packages/bowline/src/registry/registry.ts";
import { systemClock } from "../../packages/bowline/src/rpc/clock.ts";
import { seededRandom } from "../../packages/bowline/src/rpc/random.ts";
import { FakeCluster } from "../../packages/bowline/test/fake-cluster.ts";
import { WatchRecorder } from "../../packages/bowline/test/watch-recorder.ts";
import { registryContract } from "./contract.ts";
import { endpointOf, groupsOf, podInstance } from "./kubernetes-harness.ts";

/** Makes these the slices of a service, in place of those that it has. */
function setSlices(
  cluster: FakeCluster,
  slices: Map<string, number>,
  service: string,
  instances: readonly Instance[],
): void {
  const groups = groupsOf(instances);
  const name = (index: number): string => `${service.replace("/", "-")}-${index}`;
  for (const [index, group] of groups.entries()) {
    cluster.put({ name: name(index), service, endpoints: group.map(endpointOf) });
  }
  for (let index = groups.length; index < (slices.get(service) ?? 0); index++) cluster.delete(name(index));
  slices.set(service, groups.length);
}

const cluster = new FakeCluster();
const slices = new Map<string, number>();

registryContract("kubernetes, spoken to by a fake cluster", {
  capabilities: {
    writes: false,
    keeps: ["id", "zone", "tags", "state"],
    listsWithout: "default/",
    serviceNames: ["default/user", "default/user-rpc"],
    instanceIds: [],
  },
  open: () => cluster.start(),
  close: () => cluster.stop(),
  start: () => cluster.start(),
  stop: () => cluster.stop(),
  service: (label) =>
    `default/contract-${label
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .slice(0, 40)
      .replace(/-$/, "")}`,
  instance: podInstance,
  set: (service, instances) => setSlices(cluster, slices, service, instances),
  writeBad: (service) => {
    const endpoints = [{ addresses: ["10.0.0.999"] }, { addresses: [] }, { addresses: ["fd00::1"] }, 7];
    cluster.put({ name: `${service.replace("/", "-")}-bad`, service, endpoints: endpoints as object[] });
    return endpoints.length;
  },
  create: (context) => kubernetes({ server: cluster.url, token: cluster.token }).create(context),
});

describe("5,000 pods in 50 slices", () => {
  const large = new FakeCluster();
  const pods = Array.from({ length: 5_000 }, (_, index) => podInstance(index + 1));
  beforeAll(() => large.start());
  afterAll(() => large.stop());

  it("are read in pages, and one that changes leaves all others the objects that they were", async () => {
    large.pageItems = 20;
    setSlices(large, new Map(), "default/large", pods);
    const context = { clock: systemClock, random: seededRandom(1), environment: {} };
    const registry = kubernetes({ server: large.url, token: large.token }).create(context);
    const seen = new WatchRecorder(registry, "default/large");
    const { instances } = await seen.until((snapshot) => snapshot.instances.length === pods.length);
    const changed = pods.map((pod, index) => (index === 777 ? { ...pod, state: "draining" as const } : pod));
    // Only the slice of that pod.
    large.put({
      name: "default-large-7",
      service: "default/large",
      endpoints: changed.slice(700, 800).map(endpointOf),
    });
    const after = await seen.until((snapshot) => snapshot.instances.some(({ state }) => state === "draining"));
    const others = after.instances.filter((instance, index) => instance !== instances[index]);
    expect(others.map(({ id }) => id)).toEqual(["uid-pod-778"]);
    expect(seen.snapshots).toHaveLength(2);
    await registry.close();
  });
});
