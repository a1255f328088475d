import type { Logger } from "../../observe/logger.ts";
import { newInstanceId } from "../../registry/instance/instance.ts";
import type { Address, Registration, Registry } from "../../registry/registry.ts";
import type { RegistryConfig } from "../../registry/registry-config.ts";
import { type Clock, type Timer, within } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import type { AdvertiseOption } from "./advertise-option.ts";
import { Advertising } from "./advertising.ts";
import type { Interfaces } from "./interfaces.ts";

/**
 * Where the entry of a server is.
 *
 * - `pending` it shall be in the registry and is not yet, or was lost; this is tried until it is there
 * - `registered` others see it
 * - `paused` `server.pause()` took it out
 * - `unhealthy` the health check took it out
 * - `unserved` no worker of its shared port serves
 * - `closed` the server has not registered yet, or has stopped
 */
export type RegistrationState = "pending" | "registered" | "paused" | "unhealthy" | "unserved" | "closed";

/** Why an entry is kept out of the registry. */
export type OutReason = "paused" | "unhealthy" | "unserved";

/** The entry of a server in its registry, as it is now. */
export interface ServerRegistration {
  readonly state: RegistrationState;
  /** What others are told to connect to. */
  readonly addresses: readonly Address[];
  /** What `server.setWeight` or the option has set. */
  readonly weight: number;
  /** A sentence on why it is out, or in all the same; empty where there is nothing to say. */
  readonly reason: string;
  /** What went wrong last; null once it is registered again. */
  readonly lastError: Error | null;
  /** When the state began, in ms of the server's clock. Looked at each second. */
  readonly sinceMs: number;
  /** How often the registry had lost the entry, or others had changed it, and it was put again; since the start. */
  readonly losses: number;
}

/** What the entry of a server is made of; see `ServerOptions`. */
export interface EntryOptions {
  readonly name: string;
  readonly registry: RegistryConfig | Registry;
  readonly advertise?: AdvertiseOption;
  readonly portOffset?: number;
  readonly networks?: readonly string[];
  readonly instanceId?: string;
  readonly weight?: number;
  readonly zone?: string;
  readonly version?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** What it takes of its process. */
export interface EntryContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  interfaces(): Interfaces;
}

/** Between two looks at what has become of the entry. */
const LOOK_MS = 1000;
/** For the address by which the registry is reached, at the start; afterwards each look asks again. */
const REACHED_FROM_MS = 2000;
/** For the registry to take the announcement that the instance drains; then it is taken out. */
const ANNOUNCE_MS = 1000;
/**
 * For others to hear the announcement, when the server goes on: who sees but the last of two changes would find an instance gone without
 * a word, and doubt it. A server that stops ends its connections, which is as good.
 */
const HEARD_MS = 200;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** The entry of a server in its registry: a state that is kept true from `open` to `close`, whatever happens to the registry. */
export class RegistryEntry {
  readonly id: string;
  readonly #options: EntryOptions;
  readonly #context: EntryContext;
  readonly #outs: Map<OutReason, string> = new Map();
  #registry: Registry | null = null;
  #advertising: Advertising | null = null;
  /** Why addresses could not be found out last. */
  #missing = "";
  #registration: Registration | null = null;
  /** What could not be taken out: it is asked to go until it does, or until another has taken its place. */
  #leaving: Registration | null = null;
  /** Resolved by `close`: nobody waits for others any longer. */
  readonly #ending: PromiseWithResolvers<void> = Promise.withResolvers();
  /** What the registration was made or changed with last. */
  #put: { readonly addresses: readonly Address[]; readonly weight: number } | null = null;
  #weight: number;
  /** Ends when all passes asked for so far are done; never rejects. */
  #passes: Promise<void> = Promise.resolve();
  #phase: "new" | "opening" | "open" | "closed" = "new";
  #timer: Timer | null = null;
  #note = "";
  #lastError: Error | null = null;
  #lastLogged = "";
  #failures = 0;
  #retryAt = 0;
  #state: RegistrationState = "closed";
  /** What it was at the last look, and after what was done here. */
  #looked: RegistrationState = "closed";
  #sinceMs: number;
  /** Of registrations that are closed. */
  #losses = 0;
  /** Called when the entry has come in, or has come in with other addresses. */
  onRegistered: () => void = () => {};

  constructor(options: EntryOptions, context: EntryContext) {
    this.#options = options;
    this.#context = context;
    this.id = options.instanceId ?? newInstanceId(options.name, process.pid, context.random);
    this.#weight = options.weight ?? 1;
    this.#sinceMs = context.clock.now();
  }

  get registry(): Registry | null {
    return this.#registry;
  }

  get status(): ServerRegistration {
    this.#observe();
    const [reason = this.#note] = this.#outs.values();
    const addresses = this.#addresses;
    const losses = this.#losses + (this.#registration?.losses ?? 0);
    const common = { addresses, weight: this.#weight, reason, lastError: this.#lastError, sinceMs: this.#sinceMs };
    return { state: this.#state, ...common, losses };
  }

  /** A remark for `reason` while the entry is in. */
  set note(text: string) {
    this.#note = text;
  }

  /** Registers the server that is bound to `bound`. Rejects when the registry can't be used at all, or there is no address to advertise. */
  async open(bound: string): Promise<void> {
    this.#phase = "opening";
    this.#registry = this.#openRegistry();
    this.#advertising = new Advertising(this.#options, this.#context, bound, this.#registry);
    await this.#advertising.choose(false, REACHED_FROM_MS);
    for (const note of this.#advertising.notes) this.#context.logger.info({ addresses: this.#texts }, note);
    await this.#reconcile();
    if (this.#phase !== "opening") return;
    this.#phase = "open";
    const look = (): void => void this.#look().catch((error: Error) => this.#report(error));
    this.#timer = this.#context.clock.setInterval(look, LOOK_MS);
    // What was asked for while the first attempt was on its way has changed nothing yet. What fails of it is logged, as it is later.
    await this.#reconcile().catch(() => {});
    if (this.#outs.size === 0) this.#sayHowItBegan();
  }

  /** Takes the entry out until {@link putBack}; other reasons keep it out too. Resolves when it is out. */
  takeOut(reason: OutReason, text: string): Promise<void> {
    this.#outs.set(reason, text);
    return this.#changed();
  }

  /** Undoes {@link takeOut}. Resolves when it is in, or it is known that this takes longer. */
  putBack(reason: OutReason): Promise<void> {
    this.#outs.delete(reason);
    return this.#changed();
  }

  setWeight(weight: number): Promise<void> {
    this.#weight = weight;
    return this.#changed();
  }

  /**
   * Takes the entry out, also one that is still being made, and closes a registry of its own. What fails is logged: an entry that stays
   * expires in the registry. Resolves with true when all that is done, or after `withinMs` with false; what is under way then is left
   * to the registry, which ends it.
   */
  async close(withinMs: number): Promise<boolean> {
    this.#phase = "closed";
    this.#timer?.cancel();
    this.#ending.resolve();
    const { clock } = this.#context;
    const endAt = clock.fresh() + withinMs;
    const isOut = await within(clock, this.#leave(), withinMs);
    const closed = this.#closeRegistry();
    return isOut && (await within(clock, closed, endAt - clock.fresh()));
  }

  async #leave(): Promise<void> {
    await this.#passes;
    await this.#remove();
  }

  async #closeRegistry(): Promise<void> {
    const registry = this.#registry;
    this.#registry = null;
    try {
      if ("create" in this.#options.registry) await registry?.close();
    } catch (error) {
      this.#context.logger.warn({ error }, "closing the registry failed");
    }
  }

  // --- what is wanted, made true ---

  /** Before it is open nothing is true yet that could be changed. */
  #changed(): Promise<void> {
    return this.#phase === "open" ? this.#reconcile() : Promise.resolve();
  }

  /** One pass behind another: each makes true what is wanted when its turn comes. */
  #reconcile(): Promise<void> {
    const pass = this.#passes.then(() => this.#pass());
    this.#passes = pass.then(
      () => {
        if (this.#leaving === null) this.#failures = 0;
      },
      (error: Error) => this.#failed(error),
    );
    return pass;
  }

  async #pass(): Promise<void> {
    const isClosed = (): boolean => this.#phase === "closed";
    if (isClosed()) return;
    if (this.#outs.size > 0) return this.#remove(HEARD_MS);
    const addresses = this.#addresses;
    // Two of one id are refused by most registries: what could not be taken out before is asked once more.
    if (this.#leaving !== null || (this.#put !== null && this.#put.addresses !== addresses)) await this.#remove();
    if (isClosed()) return;
    const wanted = { addresses, weight: this.#weight };
    if (this.#registration === null) {
      this.#registration = await this.#register();
      // Asked to go from now on, it could take out the one that has its id.
      this.#leaving = null;
    } else if (this.#put?.weight !== wanted.weight) await this.#registration.update({ weight: wanted.weight });
    this.#put = wanted;
    this.#lookBack();
  }

  #register(): Promise<Registration> {
    const { name, zone = "", version = "", tags = {} } = this.#options;
    const addresses = this.#addresses;
    const instance = { id: this.id, addresses, weight: this.#weight, zone, version, tags, state: "ready" } as const;
    return (this.#registry as Registry).register(name, instance);
  }

  /** Says that the instance drains, so that clients leave it without a doubt, and takes it out. What fails is logged, and tried again. */
  async #remove(heardMs: number = 0): Promise<void> {
    const registration = this.#registration;
    this.#losses += registration?.losses ?? 0;
    this.#registration = null;
    this.#put = null;
    this.#lookBack();
    if (registration !== null) await this.#announce(registration, heardMs);
    const leaving = registration ?? this.#leaving;
    const isRepeated = registration === null;
    this.#leaving = null;
    try {
      await leaving?.close();
      if (isRepeated && leaving !== null) this.#lastError = null;
    } catch (error) {
      this.#leaving = leaving;
      this.#lastError = error as Error;
      this.#waitLonger();
      if (isRepeated) return;
      const next = this.#phase === "closed" ? "it will expire there" : "it is tried again";
      this.#context.logger.warn({ error }, `taking the instance out of the registry failed; ${next}`);
    }
  }

  /** One that stays registered is renewed for ever: whether others could be told decides nothing. */
  async #announce(registration: Registration, heardMs: number): Promise<void> {
    const { clock, logger } = this.#context;
    try {
      await within(clock, registration.update({ state: "draining" }), ANNOUNCE_MS);
    } catch (error) {
      logger.warn({ error }, "telling the registry that the instance drains failed; it is taken out without that");
      return;
    }
    await within(clock, this.#ending.promise, heardMs);
  }

  #failed(error: Error): void {
    this.#waitLonger();
    this.#lastError = error;
    // Whoever waits for `open` is told by it.
    if (this.#phase === "open") this.#report(error);
  }

  /** Each failure in a row doubles the time below which the next try comes. */
  #waitLonger(): void {
    const ceiling = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    this.#retryAt = this.#context.clock.fresh() + ceiling * this.#context.random();
  }

  // --- looking ---

  async #look(): Promise<void> {
    const before = this.#looked;
    this.#lookBack();
    if (before !== this.#state) this.#sayChange(before);
    const isBack = before === "pending" && this.#state === "registered";
    if (this.#advertising !== null && (isBack || this.#advertising.isDue))
      await this.#lookForAddresses(this.#advertising);
    const isAmiss = this.#leaving !== null || (this.#outs.size === 0 && this.#put?.addresses !== this.#addresses);
    if (!isAmiss || this.#context.clock.fresh() < this.#retryAt || this.#phase !== "open") return;
    await this.#reconcile().catch(() => {});
  }

  /** As opposed to `status`, which may be asked at any time and takes no change away from the look that tells of it. */
  #lookBack(): void {
    this.#observe();
    this.#looked = this.#state;
  }

  #observe(): void {
    const state = this.#stateNow();
    if (state === this.#state) return;
    this.#state = state;
    this.#sinceMs = this.#context.clock.now();
    if (state !== "registered") return;
    this.#lastError = null;
    this.#lastLogged = "";
    this.onRegistered();
  }

  #stateNow(): RegistrationState {
    if (this.#phase === "new" || this.#phase === "closed") return "closed";
    const [out] = this.#outs.keys();
    if (out !== undefined) return out;
    return this.#registration?.state === "registered" ? "registered" : "pending";
  }

  /** What others are told to connect to may have changed, as by another network; its entry follows. */
  async #lookForAddresses(advertising: Advertising): Promise<void> {
    const { logger } = this.#context;
    const before = advertising.texts;
    try {
      await advertising.choose(this.#stateNow() === "registered", LOOK_MS);
      this.#missing = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#missing)
        logger.warn({ error, addresses: before }, "the advertised addresses stay, though they may be gone");
      this.#missing = message;
    }
    const { texts: addresses } = advertising;
    if (addresses.join() !== before.join())
      logger.info({ before, addresses }, `${this.#options.name} has other addresses now`);
  }

  // --- the log ---

  #sayHowItBegan(): void {
    this.#lookBack();
    if (this.#state !== "pending") return;
    const error = this.#lastError;
    this.#lastLogged = error?.message ?? "";
    this.#context.logger.warn(
      { error, addresses: this.#texts },
      `${this.#options.name} is not in the registry yet, which can't be reached: it serves, and registers as soon as that can be done`,
    );
  }

  #sayChange(before: RegistrationState): void {
    const [{ name }, { logger }] = [this.#options, this.#context];
    const fields = { addresses: this.#texts, error: this.#lastError ?? undefined };
    if (this.#state === "registered") logger.info(fields, `${name} is in the registry`);
    else if (this.#state === "pending" && before === "registered")
      logger.warn(fields, `${name} is no longer in the registry; it is being put there again`);
  }

  /** Trouble that the registry tells of by itself. */
  #report(error: Error): void {
    this.#lastError = error;
    if (this.#phase === "opening" || error.message === this.#lastLogged) return;
    this.#lastLogged = error.message;
    this.#context.logger.warn({ error }, "trouble with the registry");
  }

  get #addresses(): readonly Address[] {
    return this.#advertising?.addresses ?? [];
  }

  get #texts(): readonly string[] {
    return this.#advertising?.texts ?? [];
  }

  #openRegistry(): Registry {
    const { registry } = this.#options;
    if (!("create" in registry)) return registry;
    const { clock, random, environment } = this.#context;
    return registry.create({ clock, random, environment, report: (error) => this.#report(error) });
  }
}
