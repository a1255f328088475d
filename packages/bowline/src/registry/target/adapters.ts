import type { RegistryConfig } from "../registry-config.ts";
import type { RemoteTarget } from "../remote-target.ts";

/** What an adapter makes of a target: the registry to open, and the service to look for in it. */
export interface AdaptedTarget {
  readonly config: RegistryConfig;
  readonly service: string;
}

/** The part of an adapter that reads targets; its file `target.ts`. */
export interface TargetAdapter {
  /** @throws TypeError that says what is wrong with the target */
  fromTarget(target: RemoteTarget): AdaptedTarget;
}

/** An adapter is loaded when a target first names it: who uses none of them pays for none. */
const ADAPTERS: ReadonlyMap<string, () => Promise<TargetAdapter>> = new Map([
  ["etcd", () => import("../etcd/target.ts")],
  ["discov", () => import("../etcd/target.ts")],
  ["consul", () => import("../consul/target.ts")],
  ["eureka", () => import("../eureka/target.ts")],
  ["nacos", () => import("../nacos/target.ts")],
  ["k8s", () => import("../kubernetes/target.ts")],
]);

/** Schemes of targets that lead to a registry of others. */
export function isRemoteScheme(scheme: string): boolean {
  return ADAPTERS.has(scheme);
}

/** All of them. */
export function remoteSchemes(): readonly string[] {
  return [...ADAPTERS.keys()];
}

/** Loads what reads targets of a scheme. */
export function loadAdapter(scheme: string): Promise<TargetAdapter> {
  const load = ADAPTERS.get(scheme);
  if (load === undefined) throw new RangeError(`no adapter has the scheme ${scheme}`);
  return load();
}
