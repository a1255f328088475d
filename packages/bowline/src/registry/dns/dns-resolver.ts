import { lookup, Resolver } from "node:dns/promises";

/** All addresses of one host at one time. */
export interface HostAnswer {
  /** IPv4 and IPv6 addresses without brackets. */
  readonly addresses: readonly string[];
  /** How long the answer holds; undefined when the source does not say (hosts file). */
  readonly ttlMs: number | undefined;
  /** The family whose question failed, as opposed to being answered with "none": its known addresses still count. */
  readonly failedFamily?: 4 | 6;
}

/** Finds the addresses of a host name; rejects, or answers with none, when there are none. */
export type ResolveHost = (host: string) => Promise<HostAnswer>;

/** One SRV record (RFC 2782). */
export interface SrvRecord {
  /** Lower ones first. */
  readonly priority: number;
  /** Share among those of one priority. */
  readonly weight: number;
  readonly port: number;
  /** The host; `.` means that the service is not there. */
  readonly name: string;
}

/** Finds the SRV records of a name; rejects, or answers with none, when there are none. */
export type ResolveSrv = (name: string) => Promise<readonly SrvRecord[]>;

/** The answer "this name has no record of that type", RFC 1035 §4.1.1 and RFC 2308. */
const NO_RECORDS: ReadonlySet<string> = new Set(["ENODATA", "ENOTFOUND"]);

/**
 * The resolver of the system: A and AAAA from DNS with their TTL; without any, whatever the operating system knows
 * (hosts file, search domains, other name services).
 *
 * Names of one part and `localhost` go to the operating system at once: DNS knows no search domains and no hosts file.
 * `server` (`address:port`) asks that DNS server only.
 */
export function systemResolveHost(server: string): ResolveHost {
  const resolver = resolverOf(server);
  return async (host) => {
    if (server !== "") return askDns(resolver, host);
    if (isLocalName(host)) return askSystem(host);
    try {
      return await askDns(resolver, host);
    } catch (dnsError) {
      // The error of DNS says more than the one of the system, which is mostly ENOTFOUND.
      return await askSystem(host).catch(() => Promise.reject(dnsError));
    }
  };
}

/** SRV records from DNS; `server` as for {@link systemResolveHost}. */
export function systemResolveSrv(server: string): ResolveSrv {
  const resolver = resolverOf(server);
  return (name) => resolver.resolveSrv(name);
}

function resolverOf(server: string): Resolver {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  if (server !== "") resolver.setServers([server]);
  return resolver;
}

function isLocalName(host: string): boolean {
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  return !name.includes(".") || name.endsWith(".localhost");
}

async function askDns(resolver: Resolver, host: string): Promise<HostAnswer> {
  const [v4, v6] = await Promise.allSettled([
    resolver.resolve4(host, { ttl: true }),
    resolver.resolve6(host, { ttl: true }),
  ]);
  const records = [v4, v6].flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  const failures = [v4, v6].map((result) => (result.status === "rejected" ? (result.reason as Error) : undefined));
  if (records.length === 0) throw failures.find(isRealFailure) ?? failures[0] ?? new Error("no A or AAAA record");
  const ttlSeconds = Math.min(...records.map((record) => record.ttl));
  return {
    addresses: records.map((record) => record.address),
    ttlMs: ttlSeconds * 1_000,
    failedFamily: isRealFailure(failures[0]) ? 4 : isRealFailure(failures[1]) ? 6 : undefined,
  };
}

function isRealFailure(error: Error | undefined): boolean {
  return error !== undefined && !NO_RECORDS.has(String((error as NodeJS.ErrnoException).code));
}

async function askSystem(host: string): Promise<HostAnswer> {
  const found = await lookup(host, { all: true });
  return { addresses: found.map((entry) => entry.address), ttlMs: undefined };
}
