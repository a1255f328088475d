import { networkInterfaces } from "node:os";
import { dial } from "../../net/dial.ts";
import type { Logger } from "../../observe/logger.ts";
import type { Registry } from "../../registry/registry.ts";
import { type Clock, within } from "../../rpc/clock.ts";
import { environment } from "../../rpc/platform.ts";
import type { Random } from "../../rpc/random.ts";
import type { ServerOptions } from "../server-options.ts";
import { HealthCheck } from "./health-check.ts";
import type { EntryOptions, OutReason, RegistryEntry, ServerRegistration } from "./registration.ts";
import { ServicePeers } from "./service-peers.ts";

/** Answers for the health of a server: NOT_SERVING for everything while it is held, whatever else is said. */
export interface HealthHold {
  hold(isHeld: boolean): void;
}

/** Options of a server, and what is added to those of a worker. */
export type PresenceOptions = ServerOptions & Pick<EntryOptions, "portOffset">;

/** What a server's presence takes of it. */
export interface PresenceContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly health: HealthHold;
}

/** A registry that can't be reached must not use up the time for calls that run. */
const UNREGISTER_TIMEOUT_MS = 5000;
/** It is asked even where there is no time for calls. */
const MIN_UNREGISTER_TIMEOUT_MS = 500;
/** For the registry to tell of the other instances. */
const OTHERS_MS = 5000;

/**
 * Whether others find a server: its entry in the registry together with what it says of its health, and all that takes it out and puts it
 * in again. Works without a registry too; then only health is said.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #context: PresenceContext;
  readonly #outs: Set<OutReason> = new Set();
  readonly #stopped: AbortController = new AbortController();
  #entry: RegistryEntry | null = null;
  #peers: ServicePeers | null = null;
  #healthCheck: HealthCheck | null = null;
  #weight: number | undefined;
  #isChecking = false;
  #closing: Promise<void> | null = null;

  constructor(options: PresenceOptions, context: PresenceContext) {
    this.#options = options;
    this.#context = context;
    this.#weight = options.weight;
  }

  /** Null without a registry, and before the server has begun to register. */
  get registration(): ServerRegistration | null {
    return this.#entry?.status ?? null;
  }

  /** True for a server of which others may have the address from a registry. */
  get isKnown(): boolean {
    return this.#entry !== null;
  }

  /** Registers the server that is bound to `bound`, and begins its health check. Rejects as {@link RegistryEntry.open}. */
  async open(bound: string): Promise<void> {
    const { registry, name, healthCheck } = this.#options;
    if (registry !== undefined && name !== undefined)
      await this.#openEntry({ ...this.#options, registry, name }, bound);
    if (healthCheck !== undefined && !this.#stopped.signal.aborted) this.#beginHealthCheck();
  }

  async pause(): Promise<void> {
    await this.#takeOut("paused", "server.pause() was called");
  }

  async resume(): Promise<void> {
    await this.#putBack("paused");
  }

  /** Nobody serves behind the address, and `text` says why: others must not be sent there until {@link served}. Says nothing of health. */
  unserved(text: string): void {
    // What fails is told by the entry, which tries again.
    void this.#entry?.takeOut("unserved", text).catch(() => {});
  }

  /** Undoes {@link unserved}. */
  served(): void {
    void this.#entry?.putBack("unserved").catch(() => {});
  }

  async setWeight(weight: number): Promise<void> {
    if (typeof weight !== "number" || !Number.isFinite(weight) || weight < 0) {
      throw new RangeError(`server.setWeight(${String(weight)}): give a number from 0 (no load) up; the default is 1`);
    }
    this.#weight = weight;
    await this.#entry?.setWeight(weight);
  }

  /** Takes the server out of the registry for good; a registry that takes too long for the ms that are left is left to itself. A second call waits for the same. */
  close(leftMs: number = UNREGISTER_TIMEOUT_MS): Promise<void> {
    this.#closing ??= this.#close(leftMs);
    return this.#closing;
  }

  async #close(leftMs: number): Promise<void> {
    const timeoutMs = Math.max(MIN_UNREGISTER_TIMEOUT_MS, Math.min(leftMs, UNREGISTER_TIMEOUT_MS));
    this.#stopped.abort();
    this.#healthCheck?.close();
    this.#peers?.close();
    const entry = this.#entry;
    this.#entry = null;
    if (entry === null || (await entry.close(timeoutMs))) return;
    this.#context.logger.warn({ timeoutMs }, "the registry does not answer; the instance will expire there");
  }

  async #openEntry(options: EntryOptions, bound: string): Promise<void> {
    // Loaded now: a server without a registry has no use for it.
    const { RegistryEntry } = await import("./registration.ts");
    if (this.#stopped.signal.aborted) return;
    const { clock, random, logger } = this.#context;
    const context = { clock, random, logger, environment: environment(), interfaces: networkInterfaces };
    const entry = new RegistryEntry({ ...options, weight: this.#weight }, context);
    this.#entry = entry;
    entry.onRegistered = () => void this.#checkSelf(entry);
    // Paused before it was started: it is made, and stays out.
    for (const reason of this.#outs) await entry.takeOut(reason, "server.pause() was called");
    await entry.open(bound);
  }

  async #takeOut(reason: OutReason, text: string): Promise<void> {
    this.#outs.add(reason);
    this.#context.health.hold(true);
    await this.#entry?.takeOut(reason, text);
  }

  async #putBack(reason: OutReason): Promise<void> {
    this.#outs.delete(reason);
    this.#context.health.hold(this.#outs.size > 0);
    await this.#entry?.putBack(reason);
  }

  // --- the health check ---

  #beginHealthCheck(): void {
    const { healthCheck } = this.#options;
    if (healthCheck === undefined) return;
    const { clock, random, logger } = this.#context;
    this.#peers = this.#watchPeers(() => this.#healthCheck?.othersChanged());
    let said = "";
    const say = (text: string): void => {
      if (this.#entry !== null) this.#entry.note = text;
      if (text !== "" && text !== said) logger.warn({}, text);
      said = text;
    };
    this.#healthCheck = new HealthCheck(healthCheck, clock, random, {
      hasOthers: () => this.#hasOthers(),
      leave: (reason) => {
        say(reason);
        void this.#takeOut("unhealthy", reason).catch(() => {});
      },
      comeBack: (reason) => {
        said = "";
        if (this.#entry !== null) this.#entry.note = "";
        if (reason !== "") logger.info({}, reason);
        // What fails is told by the entry, which tries again.
        void this.#putBack("unhealthy").catch(() => {});
      },
      stays: say,
    });
  }

  /** Without a registry nobody is told of the others: what is in front of the server decides. */
  #hasOthers(): boolean | null {
    if (this.#options.registry === undefined) return true;
    const others = this.#peers?.ready ?? null;
    return others === null ? null : others.length > 0;
  }

  #watchPeers(told: () => void): ServicePeers | null {
    const registry: Registry | null = this.#entry?.registry ?? null;
    const { name } = this.#options;
    if (registry === null || name === undefined || this.#entry === null) return null;
    return new ServicePeers(registry, name, this.#entry.id, told);
  }

  // --- the self-check ---

  /** Says in one line what is wrong with the addresses, and stops nothing. */
  async #checkSelf(entry: RegistryEntry): Promise<void> {
    const { registry } = entry;
    const { selfCheck: isWanted = true, tls, network, name } = this.#options;
    if (registry === null || registry.isMachineOnly === true || !isWanted || this.#isChecking) return;
    this.#isChecking = true;
    const { clock, logger } = this.#context;
    const { addresses } = entry.status;
    try {
      const { selfCheck } = await import("./self-check.ts");
      const problem = await selfCheck(addresses, {
        clock,
        dial: network?.dial.bind(network) ?? dial,
        isTls: tls !== undefined,
        interfaces: networkInterfaces(),
        reachedFrom: (await registry.reachedFrom?.().catch(() => null)) ?? null,
        others: await this.#others(),
        signal: this.#stopped.signal,
      });
      if (problem === null || this.#stopped.signal.aborted) return;
      logger.warn({ addresses: addresses.map(({ address }) => address) }, `${name} is registered, but ${problem}`);
    } catch (error) {
      logger.warn({ error }, "the self-check failed");
    } finally {
      this.#isChecking = false;
    }
  }

  async #others(): ReturnType<typeof waitForOthers> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const peers = this.#watchPeers(resolve);
    return peers === null ? null : waitForOthers(peers, promise, this.#context.clock);
  }
}

async function waitForOthers(peers: ServicePeers, told: Promise<void>, clock: Clock): Promise<ServicePeers["ready"]> {
  await within(clock, told, OTHERS_MS);
  const { ready } = peers;
  peers.close();
  return ready;
}
