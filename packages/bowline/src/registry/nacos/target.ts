import { checkServiceName } from "../instance/instance.ts";
import { checkQuery, printRemoteTarget, type RemoteTarget } from "../remote-target.ts";
import type { AdaptedTarget } from "../target/adapters.ts";
import { writtenService } from "./format.ts";
import { nacos } from "./nacos.ts";
import type { NacosOptions } from "./options.ts";

const FORM = "nacos://10.0.0.1:8848/user.rpc?group=DEFAULT_GROUP&namespace=public";
/** Ours, and behind them zero-contrib's for the same. */
const KNOWN = ["group", "namespace", "cluster", "protocol", "tls", "GroupName", "namespaceid", "Clusters"];

/**
 * Reads `nacos://host:8848,host2:8848/user.rpc?group=…&namespace=…&cluster=…` (`cluster`: those whose instances are seen, split at commas;
 * also `protocol` and `tls`). Without a host the environment says it, else this machine is asked. User and keys come from the environment.
 *
 * @throws TypeError that says what is wrong with the target
 */
export function fromTarget(target: RemoteTarget): AdaptedTarget {
  const { hosts, path: service, query } = target;
  const fault = (problem: string): TypeError =>
    new TypeError(`target "${printRemoteTarget(target)}": ${problem}. Correct: "${FORM}"`);
  if ("username" in query) throw fault("holds username: give it as an option or as BOWLINE_NACOS_USER");
  checkQuery(target, KNOWN);
  if (service === "") throw fault("lacks the name of the service");
  const one = (name: string, other: string): string | undefined => {
    if (name in query && other in query) throw fault(`has ${name} and ${other}, which are the same`);
    return query[name] ?? query[other];
  };
  const [group, namespace, clusters] = [
    one("group", "GroupName"),
    one("namespace", "namespaceid"),
    one("cluster", "Clusters"),
  ];
  if (query.tls !== undefined && query.tls !== "true" && query.tls !== "false") {
    throw fault("has tls that is not true or false");
  }
  try {
    checkServiceName(service);
    writtenService(service);
    const options: NacosOptions = {
      ...(hosts.length === 0 ? {} : { hosts }),
      ...(group === undefined ? {} : { group }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(clusters === undefined || clusters === "" ? {} : { clusters: clusters.split(",") }),
      ...(query.protocol === undefined ? {} : { protocol: query.protocol as NacosOptions["protocol"] }),
      ...(query.tls === "true" ? { tls: true } : {}),
    };
    return { config: nacos(options), service };
  } catch (error) {
    throw fault(error instanceof Error ? error.message : String(error));
  }
}
