import { checkServiceName } from "../instance/instance.ts";
import { checkQuery, printRemoteTarget, type RemoteTarget } from "../remote-target.ts";
import type { AdaptedTarget } from "../target/adapters.ts";
import { eureka } from "./eureka.ts";

const FORM = "eureka://10.0.0.1:8761,10.0.0.2:8761/user.rpc?path=/eureka";

/**
 * Reads `eureka://host:8761,host2:8761/user.rpc`. The query may set `path` of the servers' API, `user`, `secure` and `tls`; the password
 * comes from the environment, `BOWLINE_EUREKA_PASSWORD`.
 *
 * @throws TypeError that says what is wrong with the target
 */
export function fromTarget(target: RemoteTarget): AdaptedTarget {
  const { hosts, path: service, query } = target;
  const fault = (problem: string): TypeError =>
    new TypeError(`target "${printRemoteTarget(target)}": ${problem}. Correct: "${FORM}"`);
  checkQuery(target, ["path", "user", "secure", "tls"]);
  if (hosts.length === 0) throw fault("names no host");
  if (service === "") throw fault("lacks the name of the service");
  const isTrue = (name: string): boolean => {
    const value = query[name] ?? "false";
    if (value === "true" || value === "1" || value === "") return true;
    if (value === "false" || value === "0") return false;
    throw fault(`has ${name} that is not true or false`);
  };
  const path = (query.path ?? "").replace(/^\/*(?=.)/, "/");
  const isTls = isTrue("tls");
  const options = {
    hosts: hosts.map((host) => `${isTls ? "https" : "http"}://${host}${path}`),
    secure: isTrue("secure"),
    ...(isTls ? { tls: true } : {}),
    ...(query.user === undefined ? {} : { user: query.user }),
  };
  try {
    checkServiceName(service);
    return { config: eureka(options), service };
  } catch (error) {
    throw fault(error instanceof Error ? error.message : String(error));
  }
}
