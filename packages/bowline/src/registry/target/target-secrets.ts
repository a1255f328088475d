/** Keys of a query whose values are secrets, without what is no letter: `password`, `access-token`, `secretKey`. */
const SECRET_KEY = /^(?:pass|pwd|auth)$|password|passwd|passphrase|secret|token|credential|(?:api|access|private)key/;

/** A user and password: all that stands before the last `@`, since a password may hold what ends a host. A path of a socket has none. */
const USER_INFO = /^(?!unix:)(?:[a-z][a-z0-9+.-]*:(?=\/))?\/*(.*)@/is;

/** What reads the secrets that each scheme's registry may need. */
const VARIABLES: ReadonlyMap<string, string> = new Map([
  ["etcd", "as BOWLINE_ETCD_PASSWORD"],
  ["discov", "as BOWLINE_ETCD_PASSWORD"],
  ["consul", "as CONSUL_HTTP_TOKEN"],
  ["eureka", "as BOWLINE_EUREKA_PASSWORD"],
  ["nacos", "as BOWLINE_NACOS_PASSWORD or BOWLINE_NACOS_SECRET_KEY"],
]);

/** True for the key of a setting that no target may hold: targets are logged. */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key.toLowerCase().replace(/[^a-z]/g, ""));
}

/** Where a secret of this scheme belongs: the end of the sentence that refuses one. */
export function placeOfSecrets(scheme: string): string {
  return `targets are logged, give it as an option or ${VARIABLES.get(scheme) ?? "by the environment"}`;
}

/** The characters from `start` to `end` of a target that may be malformed, with `***` for user, password and secrets of the query. */
export function withoutSecrets(text: string, start: number = 0, end: number = text.length): string {
  let shown = "";
  let at = start;
  for (const [from, to] of secretsOf(text)) {
    if (to <= at || from >= end) continue;
    shown += `${text.slice(at, Math.max(at, from))}***`;
    at = Math.min(to, end);
  }
  return shown + text.slice(at, end);
}

/** Where they begin and end. */
function secretsOf(text: string): readonly (readonly [from: number, to: number])[] {
  const found: [number, number][] = [];
  const user = USER_INFO.exec(text);
  if (user !== null) found.push([user[0].length - 1 - user[1].length, user[0].length - 1]);
  for (const { 0: pair, 1: key, index } of text.matchAll(/[?&#]([^?=&#]*)=[^&#]*/g)) {
    if (isSecretKey(decoded(key))) found.push([index + key.length + 2, index + pair.length]);
  }
  return found;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
