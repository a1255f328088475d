/** Schemes that this version can look up, each with a correct target for messages. */
const BUILT_IN: ReadonlyMap<string, string> = new Map([
  ["static", "static:///10.0.0.7:8080,10.0.0.8:8080"],
  ["direct", "direct:///10.0.0.7:8080,10.0.0.8:8080"],
  ["dns", "dns:///user.internal:8080"],
  ["srv", "srv:///_grpc._tcp.user.internal"],
  ["local", "local:///user.rpc"],
  ["unix", "unix:///run/user.sock"],
  ["etcd", "etcd://10.0.0.1:2379/user.rpc"],
  ["discov", "discov://10.0.0.1:2379/user.rpc"],
  ["consul", "consul://127.0.0.1:8500/user.rpc"],
  ["eureka", "eureka://10.0.0.1:8761/user.rpc"],
  ["nacos", "nacos://10.0.0.1:8848/user.rpc"],
  ["k8s", "k8s://shop/user:grpc"],
]);

/** Schemes that mean something in the family of gRPC and go-zero but are not built in. */
const KNOWN_ELSEWHERE: readonly string[] = ["xds"];

/** What people write who think of URLs of the web. */
const WEB: readonly string[] = ["http", "https", "grpc", "grpcs", "h2", "h2c", "tcp", "tls"];

/** A correct target of a built-in scheme; of `dns` for any other text. */
export function exampleOf(scheme: string): string {
  return BUILT_IN.get(scheme) ?? "dns:///user.internal:8080";
}

/** True for schemes that `parseTarget` reads. */
export function isBuiltIn(scheme: string): boolean {
  return BUILT_IN.has(scheme);
}

/** Why a scheme can't be read, and what to write instead: the sentence after the scheme. */
export function unknownScheme(scheme: string): string {
  const builtIn = `built in are ${[...BUILT_IN.keys()].join(", ")}`;
  if (KNOWN_ELSEWHERE.includes(scheme)) {
    const instead = "With a registry given to the client, the bare name of the service is the target";
    return `is a scheme that is not built in; ${builtIn}. ${instead}`;
  }
  if (WEB.includes(scheme)) return `is no scheme of a target; leave it out and write host:port. ${capital(builtIn)}`;
  const meant = nearestScheme(scheme);
  if (meant === undefined) return `is an unknown scheme; ${builtIn}`;
  const note = BUILT_IN.has(meant) ? "" : ` (which is not built in)`;
  return `is an unknown scheme: did you mean ${meant}://${note}? ${capital(builtIn)}`;
}

/** The scheme at a distance of at most two edits, and of fewer edits than the text has letters. */
function nearestScheme(scheme: string): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(2, scheme.length - 1) + 1;
  // Longer words are no slip of the finger, and the table below grows with their length.
  if (scheme.length > 12) return undefined;
  for (const candidate of [...BUILT_IN.keys(), ...KNOWN_ELSEWHERE]) {
    const distance = editDistance(scheme, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = previous[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[b.length];
}

function capital(sentence: string): string {
  return sentence[0].toUpperCase() + sentence.slice(1);
}
