import { checkServiceName } from "../instance/instance.ts";
import { checkQuery, printRemoteTarget, type RemoteTarget } from "../remote-target.ts";
import type { AdaptedTarget } from "../target/adapters.ts";
import { etcd } from "./etcd.ts";
import { checkEtcdService, type EtcdOptions } from "./options.ts";

const FORMS = "etcd://10.0.0.1:2379,10.0.0.2:2379/user.rpc or etcd:///10.0.0.1:2379?key=user.rpc";

/**
 * Reads `etcd://h1:2379,h2:2379/user.rpc` and go-zero's `etcd:///h1:2379,h2:2379?key=user.rpc`; `discov://` is the same. The query
 * may set `user`, `prefix` and `tls=true`; the password comes from the environment, `BOWLINE_ETCD_PASSWORD`.
 *
 * @throws TypeError that says what is wrong with the target
 */
export function fromTarget(target: RemoteTarget): AdaptedTarget {
  const { query } = target;
  const fault = (problem: string): TypeError =>
    new TypeError(`target "${printRemoteTarget(target)}": ${problem}. Correct: "${FORMS}"`);
  checkQuery(target, ["key", "user", "prefix", "tls"]);
  const isGoZero = target.hosts.length === 0;
  if (!isGoZero && query.key !== undefined) throw fault("names the service twice, in its path and as key");
  const hosts = isGoZero ? target.path.split(",").filter((host) => host !== "") : target.hosts;
  // go-zero trims the slashes of a key that stands in the path.
  const service = isGoZero ? (query.key ?? "") : target.path.replace(/^\/+|\/+$/g, "");
  if (hosts.length === 0) throw fault("names no host");
  if (service === "") throw fault("lacks the name of the service");
  if (query.tls !== undefined && query.tls !== "true" && query.tls !== "false")
    throw fault("has tls that is not true or false");
  try {
    checkServiceName(service);
    checkEtcdService(service);
    return { config: etcd(optionsOf(hosts, query)), service };
  } catch (error) {
    throw fault(error instanceof Error ? error.message : String(error));
  }
}

function optionsOf(hosts: readonly string[], query: RemoteTarget["query"]): EtcdOptions {
  const { user, prefix } = query;
  return {
    hosts,
    tls: query.tls === "true",
    ...(user === undefined ? {} : { user }),
    ...(prefix === undefined ? {} : { prefix }),
  };
}
