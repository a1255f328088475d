import { HttpError } from "../http/http-error.ts";
import type { Instance } from "../registry.ts";
import { entryId } from "../remote/entry-id.ts";
import type { RemoteEntry } from "../remote/kept-registration.ts";
import type { ConsulClient } from "./client.ts";
import type { AgentEntry } from "./continuity.ts";
import {
  endEntry,
  isOwnService,
  isWritten,
  ownEntry,
  readEntry,
  restartCheck,
  type ServiceDefinition,
  writeService,
} from "./format.ts";
import type { CheckedConsulOptions } from "./options.ts";

/** An agent behind a proxy may be restarted without a connection that ends: one renewal in so many looks whether it was. */
const RENEWALS_A_LOOK = 3;
/**
 * A proxy may end connections that are idle: after one that ended without a restart, the next ones are left for the renewals for so long,
 * twice as long each time, up to the time between two renewals.
 */
const MIN_TRUST_MS = 1000;
/** What was not answered may be done so much later: agents and servers hold it while there is no leader (`rpc_hold_timeout`, 7 s). */
const SETTLED_MS = 7500;

/**
 * The entry of one instance. It lives with one agent, the first that took it. When that can't be reached, the next one takes it; the
 * old entry is taken out there as soon as that is possible, and fails its check until then. When the instance ends while its agent can't
 * be reached, another one writes that into the catalog.
 *
 * An agent that ends a connection may have been restarted, with or without what it knew: the entry is renewed as soon as Consul answers,
 * and found to be missing or put right then. So may the servers behind the agent, which does not tell them for a while: then the catalog
 * is asked, and told.
 */
export class ConsulEntry implements RemoteEntry, AgentEntry {
  onBack: (isDoubtful?: boolean) => void = () => {};
  readonly #service: string;
  readonly #client: ConsulClient;
  readonly #options: CheckedConsulOptions;
  readonly id: string;
  readonly #run: string;
  #isHidden = false;
  #agent = "";
  /** What was written last. */
  #definition: ServiceDefinition | null = null;
  /** Renewals until it is looked whether the agent was restarted. */
  #untilLook = 0;
  /** A connection was lost, and nothing was found to be wrong yet. */
  #isDoubted = false;
  /** The catalog may have lost it, whatever the agent knows. */
  #isUncertain = false;
  #hasToldInVain = false;
  /** When the catalog was told, if it has not answered. */
  #toldAt = Number.NEGATIVE_INFINITY;
  #trustMs = 0;
  #trustedUntil = 0;
  /** Agents that may still hold an entry of this instance. */
  readonly #left = new Set<string>();

  /** `run` tells it from other registrations of the same id. */
  constructor(service: string, instanceId: string, run: string, client: ConsulClient, options: CheckedConsulOptions) {
    this.#service = service;
    this.#run = run;
    this.#client = client;
    this.#options = options;
    this.id = entryId(service, instanceId);
  }

  get isHidden(): boolean {
    return this.#isHidden;
  }

  async put(instance: Instance): Promise<void> {
    const definition = writeService(this.#service, instance, this.#options, this.#run);
    this.#definition = definition;
    const errors: Error[] = [];
    for (const agent of this.#candidates()) {
      try {
        await this.#putAt(agent, definition);
        return;
      } catch (error) {
        errors.push(error as Error);
        if (!isWorthAnotherAgent(error)) break;
      }
    }
    this.#client.outage.wait(this.#back);
    throw errors.length === 1 ? errors[0] : allFailed(errors);
  }

  readonly #back = (): void => this.onBack(true);

  readonly #lost = (agent: string): void => {
    if (agent !== this.#agent) return;
    this.#untilLook = 0;
    if (this.#client.now < this.#trustedUntil) return;
    this.#isDoubted = true;
    this.#client.outage.wait(this.#back, true);
  };

  isThere(service: unknown): boolean {
    return this.#definition === null || isWritten(service, this.#definition);
  }

  lost(): void {
    this.#isUncertain = true;
    this.onBack(true);
  }

  async renew(): Promise<boolean> {
    try {
      const isKnown = await this.#say();
      if (isKnown) await this.#assure();
      await this.#cleanUp();
      return isKnown;
    } catch (error) {
      this.#untilLook = 0;
      // Another agent may take it; with one agent only there is nobody to ask.
      if (isWorthAnotherAgent(error) && this.#client.agents.length > 1) return false;
      this.#client.outage.wait(this.#back);
      throw error;
    }
  }

  /** Says that it lives; false if the agent does not know it. */
  async #say(): Promise<boolean> {
    const isChecking = this.#options.check.kind !== "ttl";
    const isKnown = isChecking
      ? await this.#client.knows(this.id, this.#agent)
      : await this.#client.pass(this.id, this.#agent);
    if (!isKnown || isChecking) this.#judge(!isKnown);
    else if (this.#untilLook-- <= 0) await this.#look();
    return isKnown;
  }

  /** Puts right what a restart has left of it. */
  async #look(): Promise<void> {
    const check = restartCheck(this.id);
    this.#untilLook = RENEWALS_A_LOOK - 1;
    try {
      const isPassing = await this.#client.isPassing(check, this.#agent);
      this.#judge(!isPassing);
      if (isPassing) return;
      await this.#client.replaceCheck(this.id, check, this.#agent);
    } catch (error) {
      this.#untilLook = 0;
      throw error;
    }
  }

  /** Whether a connection that was lost meant a restart. */
  #judge(wasRestarted: boolean): void {
    if (wasRestarted) {
      this.#trustMs = 0;
      this.#trustedUntil = 0;
    } else if (this.#isDoubted) {
      this.#trustMs = Math.min((this.#options.ttlSeconds * 1000) / 3, Math.max(MIN_TRUST_MS, 2 * this.#trustMs));
      this.#trustedUntil = this.#client.now + this.#trustMs;
    }
    this.#isDoubted = false;
  }

  async remove(): Promise<void> {
    this.#client.onLost.delete(this.#lost);
    this.#client.continuity.delete(this.#agent, this);
    this.#client.outage.forget(this.#back);
    if (this.#agent !== "") this.#left.add(this.#agent);
    const failed: Error[] = [];
    await Promise.all(
      [...this.#left].map((agent) =>
        this.#client.deregister(this.id, agent).then(
          () => this.#left.delete(agent),
          (error: Error) => failed.push(error),
        ),
      ),
    );
    if (failed.length === 0) return this.#confirm();
    if (!this.#isHidden && this.#client.agents.length > 1 && failed.some(isWorthAnotherAgent)) await this.#hide();
    throw failed[0];
  }

  /** What an agent is told while there is no leader the catalog learns seconds after there is one: it is told here, too. */
  async #confirm(): Promise<void> {
    try {
      const entries = await this.#client.entriesOf(this.#service, this.id);
      const own = entries.flatMap((entry) => ownEntry(entry, this.#run));
      await Promise.all(own.map((entry) => this.#client.deregisterFromCatalog(entry)));
    } catch (error) {
      // The token may not allow it: then the agent does it at its own pace.
      if (isWorthAnotherAgent(error)) throw error;
    }
    if (this.#client.now - this.#toldAt > SETTLED_MS) return;
    throw new HttpError("timeout", "consul registry: what the catalog was told may come late; it is looked for again");
  }

  async #hide(): Promise<void> {
    try {
      const entries = await this.#client.entriesOf(this.#service, this.id);
      const operations = entries.flatMap((entry) => endEntry(entry, this.#run));
      if (operations.length > 0) await this.#client.transact(operations);
      // A token may not see it; an answer may have been lost.
      this.#isHidden = operations.length > 0 || entries.some((entry) => readEntry(entry, "any") === undefined);
    } catch {
      // There may be no leader: it is tried again together with the agent that does not answer.
    }
  }

  async #putAt(agent: string, definition: ServiceDefinition): Promise<void> {
    // Counted before it is known: an agent that does not answer may have taken it.
    this.#left.add(agent);
    try {
      await this.#client.register(definition, agent);
    } catch (error) {
      if (error instanceof HttpError && error.status >= 400 && error.status < 500) this.#left.delete(agent);
      throw error;
    }
    if (this.#agent !== "" && agent !== this.#agent) {
      this.#client.continuity.delete(this.#agent, this);
      this.#untilLook = 0;
      this.#isUncertain = true;
    }
    this.#agent = agent;
    this.#left.delete(agent);
    this.#client.onLost.add(this.#lost);
    this.#client.continuity.add(agent, this);
    await this.#assure();
    // A check that is there already keeps its status: it may have run out, or the agent may have been restarted.
    if (this.#options.check.kind === "ttl") await this.#say().catch(() => false);
  }

  /**
   * An agent that waits for a leader with something else tells the catalog seconds after there is one, and one that has not noticed what
   * the servers have lost a minute later: they are told here, too.
   */
  async #assure(): Promise<void> {
    if (!this.#isUncertain) return;
    this.#isUncertain = false;
    try {
      await this.#tell();
      this.#hasToldInVain = false;
    } catch (error) {
      // The token may not allow it: then the agent does it at its own pace.
      if (!isWorthAnotherAgent(error)) return;
      this.#isUncertain = true;
      // As soon as it can be done, but only once: then with the next renewal.
      if (!this.#hasToldInVain) this.#client.outage.wait(this.#back, true);
      this.#hasToldInVain = true;
    }
  }

  /**
   * Writes into the catalog what the agent knows. What fails its checks there, or is another registration of the same id, is left to the
   * agent: nobody else may say that it is well.
   */
  async #tell(): Promise<void> {
    const { services } = await this.#client.servicesOf(this.#agent);
    if (this.#definition === null || this.isThere(services[this.id])) return;
    if (!isOwnService(await this.#client.healthyService(this.id, this.#agent), this.#run)) return;
    const node = await this.#client.nodeOf(this.#agent, true);
    this.#toldAt = this.#client.now;
    try {
      await this.#client.registerInCatalog(this.#definition, node);
      this.#toldAt = Number.NEGATIVE_INFINITY;
    } catch (error) {
      if (!isWorthAnotherAgent(error)) this.#toldAt = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }

  /** The agent that has it first, then the others in their order. */
  #candidates(): readonly string[] {
    const { agents } = this.#client;
    return this.#agent === "" ? agents : [this.#agent, ...agents.filter((agent) => agent !== this.#agent)];
  }

  /** One agent a renewal, and only for as long as that takes: the renewals go on. */
  async #cleanUp(): Promise<void> {
    const [agent] = this.#left;
    if (agent === undefined) return;
    // To the end of the queue if it fails.
    this.#left.delete(agent);
    await this.#client.deregister(this.id, agent).catch((error: unknown) => {
      if (error instanceof HttpError && error.isTransient) this.#left.add(agent);
    });
  }
}

function isWorthAnotherAgent(error: unknown): boolean {
  return error instanceof HttpError && (error.isTransient || error.kind === "tls");
}

function allFailed(errors: readonly Error[]): HttpError {
  const last = errors[errors.length - 1];
  const kind = last instanceof HttpError ? last.kind : "unreachable";
  const details = last instanceof HttpError ? { status: last.status, text: last.text } : {};
  const message = errors.map((error) => error.message.replace(/^consul registry: /, "")).join("; ");
  return new HttpError(kind, `consul registry: ${message}`, { ...details, cause: new AggregateError(errors) });
}
