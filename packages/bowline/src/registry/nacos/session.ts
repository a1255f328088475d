import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Timer } from "../../rpc/clock.ts";
import { HttpClient } from "../http/http-client.ts";
import type { RegistryContext } from "../registry-config.ts";
import { LOST_RETRY, REFUSED_RETRY } from "../remote/retry.ts";
import { GrpcLink, type LinkContext, type NacosLink } from "./client.ts";
import { NacosCredentials } from "./credentials.ts";
import type { NacosInstance, ServiceInfo } from "./format.ts";
import { HttpLink } from "./http-link.ts";
import { NacosError } from "./nacos-error.ts";
import type { CheckedNacosOptions } from "./options.ts";

/** Who wants to know how it stands with the link. */
export interface LinkObserver {
  /** There is a new link, on which nothing is registered or subscribed yet. */
  up(link: NacosLink): Promise<void> | void;
  /** There is none, and the last try to get one failed. */
  down(error: NacosError): void;
  /** A service has changed. */
  pushed(service: string, info: ServiceInfo): void;
  /** A published instance was lost, and put back. */
  putBack?(instance: NacosInstance): void;
  /** Whether it is to be registered, on whichever link. */
  wants?(service: string, instance: NacosInstance): boolean;
}

/** A link that lived so long was a good one: the next try is a first one. */
const GOOD_LINK_MS = 10_000;
/** How often gRPC is tried while HTTP stands in for it. */
const UPGRADE_MS = 60_000;
/** What has lost its link is put on the next one before the old one is closed, but not for longer than this. */
const HANDOVER_MS = 3000;

/**
 * What registries of equal options share: one link at a time to one of the servers.
 *
 * `connecting` — a link is being opened, whoever needs one waits for it. `up` — there is one. `waiting` — there was none to be had; the
 * next try comes after a random time below 0.5 s as long as no server runs, so that all is in place again soon after one does, and below
 * 0.5 s, 1 s, 2 s … 5 s where one runs and fails. `closed` — for good.
 */
export class NacosSession {
  readonly #options: CheckedNacosOptions;
  readonly #context: RegistryContext;
  readonly #http: HttpClient;
  readonly #credentials: NacosCredentials;
  readonly #observers = new Set<LinkObserver>();
  #hostIndex: number;
  #link: NacosLink | null = null;
  /** Links that are to be closed; those over HTTP not before there is another, for nothing ends with them by itself. */
  readonly #leaving = new Set<NacosLink>();
  #connecting: Promise<NacosLink> | null = null;
  #failure: NacosError | null = null;
  #failures = 0;
  #timer: Timer | null = null;
  #upgradeTimer: Timer | null = null;
  #isClosed = false;

  /** @throws TypeError for TLS files that can't be used */
  constructor(options: CheckedNacosOptions, context: RegistryContext) {
    const { hosts, tls, connectTimeoutMs, requestTimeoutMs } = options;
    this.#options = options;
    this.#context = context;
    const { clock, report } = context;
    this.#http = new HttpClient({
      owner: "nacos registry",
      hosts,
      ...(typeof tls === "object" ? { tls } : {}),
      connectTimeoutMs,
      requestTimeoutMs,
      clock,
      ...(report === undefined ? {} : { report }),
    });
    this.#credentials = new NacosCredentials(options.credentials, this.#http, clock);
    // Not all processes of a fleet shall lean on the first server.
    this.#hostIndex = Math.floor(context.random() * hosts.length);
  }

  /** The link that there is. */
  get current(): NacosLink | null {
    return this.#link;
  }

  /** Why there is no link; null while there is one, or while the first is being opened. */
  get failure(): NacosError | null {
    return this.#link === null ? this.#failure : null;
  }

  /** The link that there is or that is being opened. Rejects with the last failure while it waits for the next try. */
  link(): Promise<NacosLink> {
    if (this.#isClosed) return Promise.reject(new NacosError("unreachable", "closed; make another one"));
    if (this.#link !== null) return Promise.resolve(this.#link);
    if (this.#connecting !== null) return this.#connecting;
    if (this.#timer !== null && this.#failure !== null) return Promise.reject(this.#failure);
    return this.#connect();
  }

  /** Observes from now on; begins to connect if nobody has yet. What is returned ends it. */
  observe(observer: LinkObserver): { end(): void } {
    this.#observers.add(observer);
    this.link().catch(() => {
      // Observers are told.
    });
    return { end: () => void this.#observers.delete(observer) };
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#upgradeTimer?.cancel();
    for (const link of this.#leaving) link.close();
    this.#link?.close();
    this.#link = null;
    this.#http.close();
  }

  #connect(): Promise<NacosLink> {
    this.#timer?.cancel();
    this.#timer = null;
    const connecting = this.#open();
    this.#connecting = connecting;
    connecting.then(
      (link) => this.#opened(link),
      (error: NacosError) => this.#failed(error),
    );
    return connecting;
  }

  async #open(): Promise<NacosLink> {
    const { protocol } = this.#options;
    const link = this.#linkContext();
    if (protocol === "http") return HttpLink.open(this.#http, link);
    try {
      return await this.#openGrpc(link);
    } catch (error) {
      const isOut = error instanceof NacosError && error.fault === "unreachable" && !this.#isClosed;
      if (protocol === "grpc" || !isOut) throw error;
      // What gRPC said is what there is to mend, unless HTTP has something more certain to say.
      return HttpLink.open(this.#http, link).catch((other: unknown) => {
        throw other instanceof NacosError && other.isPermanent ? other : error;
      });
    }
  }

  /** Tries each server once, beginning behind the one that failed last. */
  async #openGrpc(link: LinkContext): Promise<NacosLink> {
    const { hosts } = this.#options;
    const errors: NacosError[] = [];
    for (let tries = 0; tries < hosts.length && !this.#isClosed; tries++) {
      try {
        return await GrpcLink.open(hosts[this.#hostIndex], link);
      } catch (error) {
        if (!(error instanceof NacosError) || (error.fault !== "unreachable" && error.fault !== "starting"))
          throw error;
        errors.push(error);
        this.#nextHost();
      }
    }
    throw errors.length === 1 ? errors[0] : allFailed(errors);
  }

  #linkContext(): LinkContext {
    const onPush = (link: NacosLink, service: string, info: ServiceInfo): void => {
      // One that is left may be behind the one that took its place.
      if (link !== this.#link) return;
      for (const observer of [...this.#observers]) observer.pushed(service, info);
    };
    const onPutBack = (instance: NacosInstance): void => {
      for (const observer of [...this.#observers]) observer.putBack?.(instance);
    };
    return { options: this.#options, context: this.#context, credentials: this.#credentials, onPush, onPutBack };
  }

  #opened(link: NacosLink): void {
    this.#connecting = null;
    if (this.#isClosed) return link.close();
    this.#link = link;
    this.#failure = null;
    this.#inherit(link);
    const since = this.#context.clock.fresh();
    void link.ended.then((error) => this.#ended(link, error, since));
    if (link instanceof HttpLink && this.#options.protocol === "auto") this.#upgradeIn(link);
    for (const observer of [...this.#observers]) void observer.up(link);
  }

  #ended(link: NacosLink, error: NacosError, since: number): void {
    if (this.#link !== link) {
      if (!this.#leaving.has(link)) link.close();
      return;
    }
    this.#link = null;
    this.#failure = error;
    this.#nextHost();
    this.#failures = this.#context.clock.fresh() - since > GOOD_LINK_MS ? 0 : this.#failures + 1;
    // Servers that send their clients elsewhere keep them until then.
    this.#leave(link);
    this.#connectLater();
  }

  #failed(error: NacosError): void {
    this.#connecting = null;
    if (this.#isClosed) return;
    this.#failure = error;
    this.#failures = error.isAway ? 0 : this.#failures + 1;
    this.#connectLater(error.isPermanent);
    for (const observer of [...this.#observers]) observer.down(error);
  }

  /** Full jitter: what lost its server together does not come back together. */
  #connectLater(isPermanent: boolean = false): void {
    if (this.#isClosed) return;
    const delayMs = retryBackoffMs(this.#failures, this.#context.random, isPermanent ? REFUSED_RETRY : LOST_RETRY);
    this.#timer?.cancel();
    this.#timer = this.#context.clock.setTimeout(() => {
      this.#timer = null;
      if (this.#link === null && this.#connecting === null) void this.#connect().catch(() => {});
    }, delayMs);
  }

  #upgradeIn(link: NacosLink): void {
    this.#upgradeTimer?.cancel();
    const delayMs = UPGRADE_MS * (0.5 + this.#context.random() / 2);
    this.#upgradeTimer = this.#context.clock.setTimeout(() => void this.#upgrade(link), delayMs);
  }

  /** gRPC may be there again: then all goes over to it, and what HTTP had is taken out behind it. */
  async #upgrade(old: NacosLink): Promise<void> {
    if (this.#isClosed || this.#link !== old) return;
    const link = await this.#openGrpc(this.#linkContext()).catch(() => null);
    if (link === null) {
      if (this.#link === old) this.#upgradeIn(old);
    } else if (this.#isClosed || this.#link !== old) link.close();
    else {
      this.#opened(link);
      this.#leave(old);
    }
  }

  /** What was registered by HTTP goes on with the next link over HTTP, or is taken out behind one that is not. */
  #inherit(link: NacosLink): void {
    const isWanted = (service: string, instance: NacosInstance): boolean =>
      [...this.#observers].some((observer) => observer.wants?.(service, instance) === true);
    for (const old of this.#leaving) {
      if (!(old instanceof HttpLink)) continue;
      if (!(link instanceof HttpLink)) this.#leave(old);
      else {
        this.#leaving.delete(old);
        link.takeOver(old, isWanted);
      }
    }
  }

  #leave(link: NacosLink): void {
    this.#leaving.add(link);
    // What it has registered waits for the next link.
    if (link instanceof HttpLink && this.#link === null) return;
    this.#context.clock.setTimeout(() => {
      if (link instanceof HttpLink && this.#link === null) return;
      this.#leaving.delete(link);
      link.close();
    }, HANDOVER_MS);
  }

  #nextHost(): void {
    this.#hostIndex = (this.#hostIndex + 1) % this.#options.hosts.length;
  }
}

function allFailed(errors: readonly NacosError[]): NacosError {
  const words = errors.map(({ message }) => message.replace(/^nacos registry: /, ""));
  // One that is starting speaks gRPC: HTTP need not stand in for it.
  const fault = errors.some((error) => error.fault === "starting") ? "starting" : "unreachable";
  return new NacosError(fault, words.join("; ") || "closed", { cause: new AggregateError(errors) });
}
