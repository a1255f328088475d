import { checkServiceName } from "../instance/instance.ts";
import { checkQuery, printRemoteTarget, type RemoteTarget } from "../remote-target.ts";
import type { AdaptedTarget } from "../target/adapters.ts";
import { checkConsulService, consul } from "./consul.ts";
import type { ConsulOptions } from "./options.ts";

const FORM = "consul://10.0.0.1:8500/user.rpc?tag=v2&dc=dc1";
/** Of zero-contrib's targets those that say which instances are meant; how they are asked for is an option. */
const KNOWN = ["tag", "dc", "ns", "partition", "healthy", "filter", "tls", "allow-stale", "require-consistent"];

/**
 * Reads `consul://host:8500,host2:8500/user.rpc?tag=…&dc=…`; without a host the agent of this machine is asked. The query may also set
 * `ns`, `partition`, `healthy` (false: instances that fail their checks too), `filter`, `tls`, `allow-stale` and `require-consistent`.
 * The token comes from the environment, `CONSUL_HTTP_TOKEN`.
 *
 * @throws TypeError that says what is wrong with the target
 */
export function fromTarget(target: RemoteTarget): AdaptedTarget {
  const { hosts, path: service, query } = target;
  const fault = (problem: string): TypeError =>
    new TypeError(`target "${printRemoteTarget(target)}": ${problem}. Correct: "${FORM}"`);
  checkQuery(target, KNOWN);
  if (service === "") throw fault("lacks the name of the service");
  const isTrue = (name: string, byDefault: boolean): boolean => {
    const value = query[name];
    if (value === undefined) return byDefault;
    if (value === "true" || value === "1" || value === "") return true;
    if (value === "false" || value === "0") return false;
    throw fault(`has ${name} that is not true or false`);
  };
  const [stale, consistent] = [isTrue("allow-stale", false), isTrue("require-consistent", false)];
  if (stale && consistent) throw fault("asks for stale and for consistent answers");
  const options: ConsulOptions = {
    ...(hosts.length === 0 ? {} : { hosts }),
    ...(isTrue("tls", false) ? { tls: true } : {}),
    ...(query.tag === undefined ? {} : { tag: query.tag.split(",") }),
    ...(query.filter === undefined ? {} : { filter: query.filter }),
    ...(query.dc === undefined ? {} : { datacenter: query.dc }),
    ...(query.ns === undefined ? {} : { namespace: query.ns }),
    ...(query.partition === undefined ? {} : { partition: query.partition }),
    health: isTrue("healthy", true) ? "passing" : "any",
    consistency: stale ? "stale" : consistent ? "consistent" : "default",
  };
  try {
    checkServiceName(service);
    checkConsulService(service);
    return { config: consul(options), service };
  } catch (error) {
    throw fault(error instanceof Error ? error.message : String(error));
  }
}
