import type { Instance } from "../../packages/bowline/src/registry/registry.ts";

/** An instance of the kind that a cluster can hold: a pod, its id the pod's uid. */
export function podInstance(number: number): Instance {
  return {
    id: `uid-pod-${number}`,
    addresses: [{ address: `10.7.${number >> 8}.${number & 255}:8080`, network: "" }],
    weight: 1,
    zone: `zone-${number % 3}`,
    version: "",
    tags: { node: `node-${number % 5}` },
    state: "ready",
  };
}

/** Endpoints of one slice: Kubernetes puts 100 into each. */
export const SLICE_ENDPOINTS = 100;

/** An instance as an endpoint of a slice. */
export function endpointOf({ id, addresses, zone, tags, state }: Instance): object {
  const [{ address }] = addresses;
  const isReady = state === "ready";
  return {
    addresses: [address.slice(0, address.lastIndexOf(":"))],
    conditions: { ready: isReady, serving: true, terminating: !isReady },
    zone,
    nodeName: tags.node,
    targetRef: { kind: "Pod", namespace: "default", name: id.replace("uid-", ""), uid: id },
  };
}

/** The instances in groups of one slice each. */
export function groupsOf(instances: readonly Instance[]): readonly (readonly Instance[])[] {
  const count = Math.ceil(instances.length / SLICE_ENDPOINTS);
  return Array.from({ length: count }, (_, index) =>
    instances.slice(index * SLICE_ENDPOINTS, (index + 1) * SLICE_ENDPOINTS),
  );
}
