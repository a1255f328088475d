import { formatHostPort } from "../instance/address.ts";
import { printRemoteTarget, type RemoteTarget, readRemoteTarget } from "../remote-target.ts";
import { isRemoteScheme } from "./adapters.ts";
import { TargetReader } from "./target-reader.ts";
import { exampleOf, unknownScheme } from "./target-scheme.ts";

/** Where a client looks a service up. */
export type Target =
  /** These addresses and no others; `host:port` each, names in lower case. */
  | { readonly kind: "static"; readonly addresses: readonly string[] }
  /** All addresses of a host. `server` is the `address:port` of the DNS server to ask; empty means the system's. */
  | { readonly kind: "dns"; readonly host: string; readonly port: number; readonly server: string }
  /** What the SRV records of a name say (RFC 2782). `server` as for `dns`. */
  | { readonly kind: "srv"; readonly name: string; readonly server: string }
  /** A service among the processes of this user and machine. An empty `namespace` means the configured one. */
  | { readonly kind: "local"; readonly service: string; readonly namespace: string }
  /** A service in whatever registry the client was given. */
  | { readonly kind: "registry"; readonly service: string }
  /** A socket in the file system; a relative path counts from the working directory. */
  | { readonly kind: "unix"; readonly path: string }
  /** A service in a registry that the target itself names. */
  | RemoteTarget;

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;

/**
 * Reads a target: `static:///a:1,b:2` (or `direct:///`), `dns:///host:port` (or `dns://server/host:port`), `srv:///name`,
 * `local:///service` (or `local://namespace/service`), `unix:///path`, `unix:path`, `etcd://host:2379/service` and the
 * other registries of adapters.ts, a bare `host:port`, or a bare service name.
 *
 * A bare address with a literal IP is `static`, with a name it is `dns`; a bare name without a port is left to the
 * registry that the client was given. Percent-encoding is undone behind a scheme. No scheme has a default port.
 *
 * @throws TypeError that shows the target, the wrong part with its place, and a correct target
 */
export function parseTarget(text: string): Target {
  if (typeof text !== "string") {
    throw new TypeError(
      `target: expected a text, got ${text === null ? "null" : typeof text}. Correct: "${exampleOf("dns")}"`,
    );
  }
  const reader = new TargetReader(text);
  reader.checkCharacters();
  if (/^unix:/i.test(text)) return reader.unix();
  const scheme = SCHEME.exec(text)?.[1].toLowerCase();
  if (scheme === undefined) return reader.bare();
  if (scheme === "static" || scheme === "direct") return reader.static(scheme);
  if (scheme === "dns") return reader.dns();
  if (scheme === "srv") return reader.srv();
  if (scheme === "local") return reader.local();
  if (isRemoteScheme(scheme)) return readRemoteTarget(text, scheme, (...at) => reader.fault(...at, scheme));
  throw reader.fault(0, scheme.length, unknownScheme(scheme), "");
}

/** The text of a target in its one form: `parseTarget(printTarget(target))` equals `target`. */
export function printTarget(target: Target): string {
  switch (target.kind) {
    case "static":
      return `static:///${target.addresses.map((address) => address.replaceAll("%", "%25")).join(",")}`;
    case "dns":
      return `dns://${target.server.replaceAll("%", "%25")}/${formatHostPort(target).replaceAll("%", "%25")}`;
    case "srv":
      return `srv://${target.server.replaceAll("%", "%25")}/${target.name}`;
    case "local":
      return `local://${encodeURIComponent(target.namespace)}/${encodePath(target.service)}`;
    case "registry":
      return target.service;
    case "remote":
      return printRemoteTarget(target);
    case "unix":
      return `${target.path.startsWith("/") ? "unix://" : "unix:"}${encodePath(target.path)}`;
  }
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
