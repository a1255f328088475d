import { isRemoteScheme } from "./adapters.ts";
import { parseTarget } from "./target.ts";
import { registryOf } from "./target-registry.ts";
import { processContext } from "./watch-target.ts";

/** `scheme://`, what names the place, nothing more than a slash, and the query. */
const PLACE = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)\/?(\?.*)?$/i;

/** How long a list is waited for. */
export interface ListServicesOptions {
  /** Ends the wait, and what was opened for it; the rejection is the signal's reason. Default: none. */
  readonly signal?: AbortSignal;
}

/**
 * Names of the services in the registry of a target, sorted: of `etcd://10.0.0.1:2379`, `consul://`, `k8s://shop`, `local://`, each with
 * the query that its targets may have. A service behind it is not looked at. Rejects when the registry can't be reached.
 *
 * @throws TypeError for a malformed place, and one that has no list of services, as `dns:///user.internal:8080`
 */
export async function listServices(place: string, { signal }: ListServicesOptions = {}): Promise<readonly string[]> {
  const target = parseTarget(withService(place));
  signal?.throwIfAborted();
  const { registry } = registryOf(target, processContext());
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (registry.services !== undefined) return await Promise.race([registry.services(), aborted]);
  } finally {
    signal?.removeEventListener("abort", abort);
    await registry.close();
  }
  throw new TypeError(
    `"${place}" has no list of services; name a registry, as in "etcd://10.0.0.1:2379" or "local://"`,
  );
}

/** Targets name a service, whichever it is. */
function withService(place: string): string {
  const [, scheme = "", authority = "", query = ""] = PLACE.exec(place) ?? [];
  const isRegistry = scheme.toLowerCase() === "local" || isRemoteScheme(scheme.toLowerCase());
  return isRegistry ? `${scheme}://${authority}/any${query}` : place;
}
