import { isIP } from "node:net";
import { isFault, readHostPort } from "../instance/address.ts";
import type { Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { AddressQuestion } from "./address-question.ts";
import { type ResolveHost, type ResolveSrv, systemResolveHost, systemResolveSrv } from "./dns-resolver.ts";
import type { DnsQuestion } from "./question.ts";
import { SrvQuestion } from "./srv-question.ts";
import { DnsWatcher } from "./watcher.ts";

/** Which addresses a `dns` registry gives. */
export interface DnsOptions {
  /** The DNS server to ask, an IP address with port, `10.0.0.2:53`. Default: the system's resolver and hosts file. */
  readonly server?: string;
  /**
   * What a service is: `address`, a `host:port` whose A and AAAA records are instances with that port; `srv`, a name whose SRV records name
   * hosts and ports (RFC 2782). Default `address`.
   */
  readonly records?: "address" | "srv";
  /** Replaces the resolver, for tests and other name services. `server` is not used then. */
  readonly resolve?: ResolveHost;
  /** The same for SRV records. */
  readonly resolveSrv?: ResolveSrv;
}

/**
 * A registry that asks DNS: the service to watch is a `host:port`, and each address (A and AAAA) is an instance with that port; or, with
 * `records: "srv"`, a name with SRV records.
 *
 * Failures keep the last known set, marked stale, and are retried after 1 s doubling up to 30 s.
 *
 * @throws TypeError if `server` is no address with port
 */
export function dns(options: DnsOptions = {}): RegistryConfig {
  checkDnsOptions(options);
  return { name: "dns", create: (context) => new DnsRegistry(options, context) };
}

/** Starts what {@link dns} describes. */
export function createDnsRegistry(options: DnsOptions, context: Pick<RegistryContext, "clock" | "random">): Registry {
  checkDnsOptions(options);
  return new DnsRegistry(options, context);
}

class DnsRegistry implements Registry {
  readonly name: string = "dns";
  readonly #context: Pick<RegistryContext, "clock" | "random">;
  readonly #isSrv: boolean;
  readonly #resolve: ResolveHost;
  readonly #resolveSrv: ResolveSrv;
  readonly #watchers = new Set<DnsWatcher>();
  #isClosed = false;

  constructor(options: DnsOptions, context: Pick<RegistryContext, "clock" | "random">) {
    this.#context = context;
    this.#isSrv = options.records === "srv";
    this.#resolve = options.resolve ?? systemResolveHost(options.server ?? "");
    this.#resolveSrv = options.resolveSrv ?? systemResolveSrv(options.server ?? "");
  }

  async register(service: string): Promise<Registration> {
    throw new TypeError(
      `dns registry: ${JSON.stringify(service)} can't be registered, DNS is only read; ` +
        "give the server a registry such as local()",
    );
  }

  watch(service: string, handler: WatchHandler): Watcher {
    if (this.#isClosed) throw new Error("dns registry: closed");
    const watcher: DnsWatcher = new DnsWatcher(this.#question(service), this.#context, handler, () => {
      this.#watchers.delete(watcher);
    });
    this.#watchers.add(watcher);
    return watcher;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watcher of this.#watchers) watcher.close();
  }

  #question(service: string): DnsQuestion {
    if (this.#isSrv) return new SrvQuestion(service, this.#resolveSrv, this.#resolve);
    const address = readHostPort(service);
    if (!isFault(address)) return new AddressQuestion(address, this.#resolve);
    throw new TypeError(
      `dns registry: ${JSON.stringify(service)} ${address.problem}; write host:port, such as "user.internal:8080"`,
    );
  }
}

function checkDnsOptions({ server, records }: DnsOptions): void {
  if (records !== undefined && records !== "address" && records !== "srv") {
    throw new TypeError(`dns registry: records: ${JSON.stringify(records)} is neither "address" nor "srv"`);
  }
  if (server === undefined) return;
  const read = readHostPort(server);
  if (isFault(read) || isIP(read.host) === 0) {
    throw new TypeError(
      `dns registry: server: ${JSON.stringify(server)} is no IP address with port; write it as "10.0.0.2:53"`,
    );
  }
}
