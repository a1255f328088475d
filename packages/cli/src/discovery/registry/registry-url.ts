import { kindOf } from "../probe/address-kind.ts";

/** A target of a registry in its parts, which may lack the service: `etcd://10.0.0.1:2379/user.rpc`, `consul://?dc=dc1`. */
export interface RegistryUrl {
  /** What leads to the registry and chooses a part of it, without the service. */
  readonly registry: string;
  /** Empty if none is named. */
  readonly service: string;
}

const URL_PARTS = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)(?:\/([^?]*))?(\?.*)?$/i;
/** Schemes of targets that say themselves who is there. */
const WITHOUT_REGISTRY = /^(static|direct|dns|srv|unix)$/i;

/** True if a target leads to a registry that is there, and names no service in it. */
export function lacksService(target: string): boolean {
  return registryUrl(target)?.service === "" && (settingsHint(target) !== undefined || /^local:/i.test(target));
}

/** Takes a target apart; null if it names no registry. Malformed ones are left to whoever looks them up. */
export function registryUrl(target: string): RegistryUrl | null {
  const [, scheme, authority, path = "", query = ""] = URL_PARTS.exec(target) ?? [];
  if (scheme === undefined || WITHOUT_REGISTRY.test(scheme)) return null;
  const key = /[?&]key=([^&]*)/.exec(query);
  // As go-zero writes it: etcd:///10.0.0.1:2379?key=user.rpc
  if (authority === "" && key !== null) {
    const rest = query.replace(key[0], "").replace(/^&/, "?");
    return { registry: `${scheme}://${path}${rest}`, service: decoded(key[1]) };
  }
  return { registry: `${scheme}://${authority}${query}`, service: decoded(path) };
}

/** True if other machines read what is in the target's registry, so that addresses there are to be of use to them. */
export function isShared(target: string): boolean {
  const [, scheme, authority] = URL_PARTS.exec(registryUrl(target)?.registry ?? "") ?? [];
  if (scheme === undefined || /^local$/i.test(scheme)) return false;
  // An agent of Consul runs on each machine, and where no host is named the environment says which.
  if (/^consul$/i.test(scheme) || authority === "") return true;
  const hosts = authority.split(",").map((host) => host.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
  return hosts.some((host) => kindOf(host) !== "loopback");
}

/** How a target's registry is set up from a command line: what its errors call options; undefined where there are none. */
export function settingsHint(target: string): string | undefined {
  const [, scheme] = URL_PARTS.exec(registryUrl(target)?.registry ?? "") ?? [];
  return SETTINGS.get(scheme?.toLowerCase());
}

const ETCD =
  "Here options stand in the target, such as ?user=NAME&tls=true, and the password in BOWLINE_ETCD_PASSWORD.";
const SETTINGS: ReadonlyMap<string | undefined, string> = new Map([
  ["etcd", ETCD],
  ["discov", ETCD],
  ["consul", "Here options stand in the target, such as ?dc=dc1&tls=true, and the token in CONSUL_HTTP_TOKEN."],
  [
    "eureka",
    "Here options stand in the target, such as ?user=NAME&tls=true, and the password in BOWLINE_EUREKA_PASSWORD.",
  ],
  [
    "nacos",
    "Here options stand in the target, such as ?namespace=test&tls=true; user and password in BOWLINE_NACOS_USER and BOWLINE_NACOS_PASSWORD.",
  ],
  ["k8s", "Here the cluster is that of kubectl's configuration; ?context=NAME behind the target takes another one."],
]);

/** The target of a service in the registry that a URL leads to. */
export function serviceTarget(url: string, service: string): string {
  const [registry, query = ""] = (registryUrl(url)?.registry ?? url).split(/(?=\?)/);
  // Slashes are part of names in etcd, and a colon stands before a port of Kubernetes.
  return `${registry}/${encodeURIComponent(service).replace(/%2F|%3A/g, decodeURIComponent)}${query}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
