import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubernetes } from "../../packages/bowline/src/registry/kubernetes/index.ts";
import { systemClock } from "../../packages/bowline/src/rpc/clock.ts";
import { seededRandom } from "../../packages/bowline/src/rpc/random.ts";
import { WatchRecorder } from "../../packages/bowline/test/watch-recorder.ts";
import { registryContract } from "./contract.ts";
import { endpointOf, groupsOf, podInstance } from "./kubernetes-harness.ts";
import { KubernetesServer } from "./kubernetes-server.ts";
import { realRegistry } from "./suite.ts";

await realRegistry("a Kubernetes API server", ["kube-apiserver", "etcd-3.6"], ([apiServer, etcd]) => {
  const server = new KubernetesServer(apiServer, etcd);
  const context = { clock: systemClock, random: seededRandom(1), environment: {} };
  const create = (): ReturnType<ReturnType<typeof kubernetes>["create"]> => kubernetes(server.options).create(context);

  afterAll(() => server.remove());

  registryContract("kubernetes", {
    capabilities: {
      writes: false,
      keeps: ["id", "zone", "tags", "state"],
      listsWithout: "default/",
      serviceNames: ["default/user", "default/user-rpc"],
      instanceIds: [],
    },
    patienceMs: 60_000,
    open: () => server.start(),
    start: () => server.startApi(),
    stop: () => server.stopApi(),
    service: (label) =>
      `default/c-${randomBytes(3).toString("hex")}-${label
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .slice(0, 30)}x`,
    instance: podInstance,
    set: (service, instances) =>
      server.set(
        service,
        groupsOf(instances).map((group) => group.map(endpointOf)),
      ),
    create: () => create(),
  });

  describe("beyond the contract", { timeout: 240_000 }, () => {
    beforeAll(() => server.start(), 180_000);

    it("a server that is restarted: nobody is missed or brought back", async () => {
      const registry = create();
      const seen = new WatchRecorder(registry, "default/restarted");
      await server.set("default/restarted", [[podInstance(1), podInstance(2)].map(endpointOf)]);
      await seen.untilIds("uid-pod-1", "uid-pod-2");
      await server.stopApi();
      await server.startApi();
      await server.set("default/restarted", [[podInstance(2), podInstance(3)].map(endpointOf)]);
      await seen.untilIds("uid-pod-2", "uid-pod-3");
      expect(seen.last?.freshness).toBe("live");
      await registry.close();
    });

    it("5,000 endpoints in 50 slices are read, and a changed one is told alone", async () => {
      const pods = Array.from({ length: 5_000 }, (_, index) => podInstance(index + 1));
      const registry = create();
      await server.set(
        "default/large",
        groupsOf(pods).map((group) => group.map(endpointOf)),
      );
      const seen = new WatchRecorder(registry, "default/large");
      const { instances } = await seen.until((snapshot) => snapshot.instances.length === 5_000);
      const leaving = pods
        .slice(700, 800)
        .map((pod, index) => (index === 7 ? { ...pod, state: "draining" as const } : pod));
      await server.putSlice("default/large", 7, leaving.map(endpointOf));
      const after = await seen.until((snapshot) => snapshot.instances.some(({ state }) => state === "draining"));
      const known = new Set(instances);
      expect(after.instances.filter((instance) => !known.has(instance)).map(({ id }) => id)).toEqual(["uid-pod-708"]);
      await registry.close();
    });

    it("one whose token is wrong, and one without the right, are told what to change", async () => {
      const refused = kubernetes({ ...server.options, token: "wrong" }).create(context);
      const seen = new WatchRecorder(refused, "default/user");
      const error = await seen.untilFailure(/answered 401/);
      expect(error.message).toContain("credentials of the option server are not accepted");
      await refused.close();
      const stranger = kubernetes({ ...server.options, token: server.strangerToken }).create(context);
      const denied = await new WatchRecorder(stranger, "default/user").untilFailure(/answered 403/);
      expect(denied.message).toContain("kind: ClusterRole");
      await stranger.close();
    });
  });
});
