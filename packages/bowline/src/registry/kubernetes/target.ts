import type { RegistryConfig } from "../registry-config.ts";
import { checkQuery, printRemoteTarget, type RemoteTarget } from "../remote-target.ts";
import { kubernetes } from "./kubernetes.ts";
import { readServiceName } from "./service-name.ts";

/**
 * Reads `k8s://namespace/service:port`, or `k8s:///service:port` for the own namespace; the port by number or by name, or none where the
 * service has only one. `?context=` names a context of kubectl's configuration.
 *
 * @throws TypeError that says what is wrong with the target
 */
export function fromTarget(target: RemoteTarget): { readonly config: RegistryConfig; readonly service: string } {
  checkQuery(target, ["context"]);
  const { hosts, path, query } = target;
  if (hosts.length > 1)
    throw new TypeError(`target "${printRemoteTarget(target)}": one namespace, not ${hosts.length}`);
  if (path.includes("/")) {
    throw new TypeError(`target "${printRemoteTarget(target)}": write k8s://namespace/service:port`);
  }
  const service = hosts.length === 0 ? path : `${hosts[0]}/${path}`;
  readServiceName(service, {}, "default");
  const options = {
    ...(query.context === undefined ? {} : { context: query.context }),
    ...(hosts.length === 0 ? {} : { namespace: hosts[0] }),
  };
  return { config: kubernetes(options), service };
}
