import { isSecretKey, placeOfSecrets } from "./target/target-secrets.ts";

/** A service in a registry that its target names: `etcd://10.0.0.1:2379/user.rpc`. What the parts mean is the adapter's affair. */
export interface RemoteTarget {
  readonly kind: "remote";
  /** In lower case: `etcd`, `consul`. */
  readonly scheme: string;
  /** What stands between `//` and the next slash, split at commas, as written; none for `etcd:///`. */
  readonly hosts: readonly string[];
  /** What follows, without its leading slash, decoded. */
  readonly path: string;
  /** `?key=value&…`, decoded; each key stands there once. */
  readonly query: Readonly<Record<string, string>>;
}

/** The error about the characters from `start` to `end` of a target. */
type Fault = (start: number, end: number, problem: string) => TypeError;

/**
 * Reads `scheme://hosts/path?query` (RFC 3986 §3, with a list of hosts).
 *
 * @throws TypeError made by `fault`
 */
export function readRemoteTarget(text: string, scheme: string, fault: Fault): RemoteTarget {
  const start = scheme.length + "://".length;
  const hash = text.indexOf("#", start);
  if (hash >= 0) throw fault(hash, text.length, "is a fragment, which means nothing here; write # as %23");
  const question = text.indexOf("?", start);
  const end = question < 0 ? text.length : question;
  const slash = text.indexOf("/", start);
  if (slash < 0 || slash > end) throw fault(start, end, `lacks the name of the service: ${scheme}://host:port/name`);
  return {
    kind: "remote",
    scheme,
    hosts: readHosts(text, start, slash, fault),
    path: decode(text, slash + 1, end, fault),
    query: question < 0 ? {} : readQuery(text, question + 1, scheme, fault),
  };
}

/** The text of a target in its one form. */
export function printRemoteTarget({ scheme, hosts, path, query }: RemoteTarget): string {
  const pairs = Object.entries(query).map(([key, value]) => `${encodePart(key)}=${encodePart(value)}`);
  return `${scheme}://${hosts.join(",")}/${encodePart(path)}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`;
}

/**
 * Refuses keys of the query that an adapter does not know.
 *
 * @throws TypeError that names the key and those that there are
 */
export function checkQuery(target: RemoteTarget, known: readonly string[]): void {
  for (const key of Object.keys(target.query)) {
    if (known.includes(key)) continue;
    throw new TypeError(
      `target "${printRemoteTarget(target)}": "${key}" is no setting of ${target.scheme}; known are ${known.join(", ")}`,
    );
  }
}

function readHosts(text: string, start: number, end: number, fault: Fault): string[] {
  if (start === end) return [];
  const hosts = text.slice(start, end).split(",");
  let at = start;
  for (const host of hosts) {
    if (host === "") throw fault(at, at, "is where a host is missing");
    if (host.includes("@")) {
      throw fault(
        at,
        at,
        "is where a name or password stands: targets are logged, give both as options or by environment",
      );
    }
    at += host.length + 1;
  }
  return hosts;
}

function readQuery(text: string, start: number, scheme: string, fault: Fault): Record<string, string> {
  const query: Record<string, string> = Object.create(null);
  let at = start;
  for (const pair of text.slice(start).split("&")) {
    const end = at + pair.length;
    const equals = pair.indexOf("=");
    if (equals <= 0) throw fault(at, end, "is no setting; write key=value");
    const key = decode(text, at, at + equals, fault);
    if (isSecretKey(key)) throw fault(at, end, `holds a secret: ${placeOfSecrets(scheme)}`);
    if (key in query) throw fault(at, end, "stands there twice");
    query[key] = decode(text, at + equals + 1, end, fault);
    at = end + 1;
  }
  return { ...query };
}

function decode(text: string, start: number, end: number, fault: Fault): string {
  const decoded = decodedOrNull(text.slice(start, end));
  if (decoded === null) throw fault(start, end, 'holds a "%" that begins no UTF-8 character; write "%" as %25');
  if (/\p{Cc}/u.test(decoded)) throw fault(start, end, "holds a control character");
  return decoded;
}

function decodedOrNull(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Slashes, colons and commas stay readable: neither a path nor a query is ended by them (RFC 3986 §3.3, §3.4). */
function encodePart(text: string): string {
  return encodeURIComponent(text).replace(/%(?:2F|3A|2C|5B|5D)/g, decodeURIComponent);
}
