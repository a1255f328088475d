import { isIP, isIPv4 } from "node:net";
import type { Clock, Timer } from "../rpc/clock.ts";
import { type HostAnswer, type ResolveHost, systemResolveHost } from "./dns-resolver.ts";
import { formatHostPort, type HostPort, isFault, readHostPort } from "./instance/address.ts";
import { instanceAt } from "./instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "./registry.ts";
import type { RegistryConfig, RegistryContext } from "./registry-config.ts";

/** Which addresses a `dns` registry gives. */
export interface DnsOptions {
  /** The DNS server to ask, an IP address with port, `10.0.0.2:53`. Default: the system's resolver and hosts file. */
  readonly server?: string;
  /** Replaces the resolver, for tests and other name services. `server` is not used then. */
  readonly resolve?: ResolveHost;
}

/** Answers are asked again when their TTL is over, but not sooner than the one and not later than the other. */
const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 300_000;
/** For answers without a TTL: between the 5 s that Kubernetes gives its names and the 30 s of grpc-go. */
const UNKNOWN_TTL_MS = 10_000;
/** `refresh` asks at most this often. */
const MIN_INTERVAL_MS = 1_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Many clients that started together shall not ask together: up to this part is added to each wait. */
const JITTER_RATIO = 0.1;

/**
 * A registry that asks DNS: the service to watch is a `host:port`, and each address (A and AAAA) is an instance
 * with that port.
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
  readonly #resolve: ResolveHost;
  readonly #watchers = new Set<DnsWatcher>();
  #isClosed = false;

  constructor(options: DnsOptions, context: Pick<RegistryContext, "clock" | "random">) {
    this.#context = context;
    this.#resolve = options.resolve ?? systemResolveHost(options.server ?? "");
  }

  async register(service: string): Promise<Registration> {
    throw new TypeError(
      `dns registry: ${JSON.stringify(service)} can't be registered, DNS is only read; ` +
        "give the server a registry such as local()",
    );
  }

  watch(service: string, handler: WatchHandler): Watcher {
    if (this.#isClosed) throw new Error("dns registry: closed");
    const address = readHostPort(service);
    if (isFault(address)) {
      throw new TypeError(
        `dns registry: ${JSON.stringify(service)} ${address.problem}; write host:port, such as "user.internal:8080"`,
      );
    }
    const watcher: DnsWatcher = new DnsWatcher(address, this.#resolve, this.#context, handler, () => {
      this.#watchers.delete(watcher);
    });
    this.#watchers.add(watcher);
    return watcher;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watcher of this.#watchers) watcher.close();
  }
}

/** Waits, asks, delivers; one question at a time. */
class DnsWatcher implements Watcher {
  readonly #address: HostPort;
  readonly #resolve: ResolveHost;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #handler: WatchHandler;
  readonly #onClose: () => void;
  /** By instance id, which is the address; objects of addresses that stay are kept. */
  #instances = new Map<string, Instance>();
  #freshness: "live" | "stale" | "none" = "none";
  #revision = 0;
  #failures = 0;
  #lastFailure = "";
  #lastAskedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #isAsking = false;
  #isClosed = false;

  constructor(
    address: HostPort,
    resolve: ResolveHost,
    context: Pick<RegistryContext, "clock" | "random">,
    handler: WatchHandler,
    onClose: () => void,
  ) {
    this.#address = address;
    this.#resolve = resolve;
    this.#clock = context.clock;
    this.#random = context.random;
    this.#handler = handler;
    this.#onClose = onClose;
    void this.#ask();
  }

  refresh(): void {
    if (this.#isClosed || this.#isAsking || isIP(this.#address.host) !== 0) return;
    this.#askIn(Math.max(0, this.#lastAskedAt + MIN_INTERVAL_MS - this.#clock.fresh()));
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#onClose();
  }

  #askIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimeout(() => void this.#ask(), delayMs);
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    this.#lastAskedAt = this.#clock.fresh();
    const answer = await this.#answer();
    this.#isAsking = false;
    if (this.#isClosed) return;
    // The next question is arranged before the handler hears of this answer: a handler that throws stops nothing.
    if (answer instanceof Error) {
      this.#askIn(this.#retryDelay());
      this.#failed(answer);
    } else {
      this.#failures = 0;
      this.#lastFailure = "";
      if (isIP(this.#address.host) === 0) this.#askIn(this.#nextDelay(answer.ttlMs));
      this.#found(answer);
    }
  }

  async #answer(): Promise<HostAnswer | Error> {
    const { host } = this.#address;
    if (isIP(host) !== 0) return { addresses: [host], ttlMs: undefined };
    try {
      const answer = await this.#resolve(host);
      return answer.addresses.length > 0 ? answer : this.#noAddress(undefined);
    } catch (error) {
      return this.#noAddress(error);
    }
  }

  #found(answer: HostAnswer): void {
    const ids = answer.addresses.map((host) => formatHostPort({ host, port: this.#address.port }));
    for (const [id, instance] of this.#instances) {
      if (answer.failedFamily !== undefined && familyOf(instance) === answer.failedFamily) ids.push(id);
    }
    const next = new Map<string, Instance>();
    for (const id of ids.sort()) next.set(id, this.#instances.get(id) ?? instanceAt(id));
    const isSame = next.size === this.#instances.size && [...next.keys()].every((id) => this.#instances.has(id));
    this.#instances = next;
    if (!isSame || this.#freshness !== "live") this.#deliver("live");
  }

  #failed(error: Error): void {
    this.#failures++;
    const isNews = error.message !== this.#lastFailure;
    this.#lastFailure = error.message;
    if (this.#freshness === "live") this.#deliver("stale");
    if (isNews && !this.#isClosed) this.#handler.failed(error);
  }

  #deliver(freshness: "live" | "stale"): void {
    this.#freshness = freshness;
    this.#revision++;
    this.#handler.snapshot({ instances: [...this.#instances.values()], revision: this.#revision, freshness });
  }

  #nextDelay(ttlMs: number | undefined): number {
    const wanted = Math.min(Math.max(ttlMs ?? UNKNOWN_TTL_MS, MIN_TTL_MS), MAX_TTL_MS);
    // Always later than the TTL: a cache on the way would answer with what it has until then.
    return Math.min(wanted * (1 + JITTER_RATIO * this.#random()), MAX_TTL_MS);
  }

  #retryDelay(): number {
    const ceiling = Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10), MAX_RETRY_MS);
    return Math.max(MIN_INTERVAL_MS, ceiling * (0.5 + this.#random() / 2));
  }

  #noAddress(cause: unknown): Error {
    const { host } = this.#address;
    const code = (cause as NodeJS.ErrnoException | undefined)?.code;
    const reason = code ?? (cause instanceof Error ? cause.message : "an empty answer");
    const advice =
      code === undefined || code === "ENOTFOUND" || code === "ENODATA"
        ? "check the name, and whether this machine can resolve it"
        : "check that the DNS server can be reached";
    const known = this.#instances.size > 0 ? `; going on with the ${this.#instances.size} known` : "";
    return new Error(`dns registry: no address found for ${JSON.stringify(host)} (${reason}): ${advice}${known}`, {
      cause,
    });
  }
}

function familyOf(instance: Instance): 4 | 6 {
  return isIPv4(instance.id.slice(0, instance.id.lastIndexOf(":"))) ? 4 : 6;
}

function checkDnsOptions(options: DnsOptions): void {
  if (options.server === undefined) return;
  const read = readHostPort(options.server);
  if (isFault(read) || isIP(read.host) === 0) {
    const shown = JSON.stringify(options.server);
    throw new TypeError(`dns registry: server: ${shown} is no IP address with port; write it as "10.0.0.2:53"`);
  }
}
