import type { Clock } from "../../rpc/clock.ts";
import { type HeldAnswer, HeldQuestion } from "./held-question.ts";
import type { Outage } from "./outage.ts";

/** Something that a process has told an agent, and that the agent has told the servers. */
export interface AgentEntry {
  readonly id: string;
  /** Whether this, which the catalog has under its id, is what the agent was told last. */
  isThere(service: unknown): boolean;
  /** The servers don't have it, or not as it was told. */
  lost(): void;
}

/** What the servers have of an agent's services. */
export interface AgentServices extends HeldAnswer {
  /** By id. */
  readonly services: Readonly<Record<string, unknown>>;
  /** Some may have been left out. */
  readonly isPartial: boolean;
}

/** What a {@link Continuity} needs to know of an agent; questions are held as {@link HeldQuestion} has it. */
export interface ContinuityContext {
  readonly clock: Clock;
  readonly outage: Outage;
  /** How long a question is held, in ms. */
  readonly waitMs: number;
  /** Asks the servers for the agent's services; rejects, too, while they have no leader. */
  services(index: string, waitMs: number, signal: AbortSignal): Promise<AgentServices>;
  /** Asks for what never is, from the stream that the agent has of its servers. */
  stream(index: string, waitMs: number, signal: AbortSignal): Promise<HeldAnswer>;
}

/** An agent may put a question that it holds to the next server in silence, which holds it for what is left of this time, in ms. */
const MAX_SILENCE_MS = 10_000;
/** The same for a while after a stream broke off, in ms: until the agent opens it again, nothing else tells. */
const ALERT_SILENCE_MS = 1000;
/** An agent may wait so long with a stream that it could not open, in ms (agent/submatview: a minute, and up to as much again). */
const ALERT_MS = 120_000;

/** An agent may take so long to tell the servers what it was told, in ms. */
const TELLING_MS = 1000;
/**
 * What the token may not see is never there, and an old Consul does not say so: after so many losses in a row the next ones count only
 * after `MAX_SILENCE_MS`, and twice as long each time.
 */
const FREE_LOSSES = 3;
const MAX_TRUST_MS = 3_600_000;

/**
 * Finds out when Consul's servers have lost what they were told by an agent that runs on: it has noticed nothing, and would tell them again
 * a minute or two later. They were restarted without their data, or a snapshot was put in.
 *
 * Two questions are held at an agent for all that a process has told it. A server that gets a snapshot answers the one for the agent's
 * services at once (agent/consul, `AbandonCh`); one that ends breaks off the stream that the other is answered from, whereupon the first
 * is asked anew.
 */
export class Continuity {
  readonly #contextOf: (agent: string) => ContinuityContext;
  /** By label of the agent. */
  readonly #agents: Map<string, WatchedAgent> = new Map();

  constructor(contextOf: (agent: string) => ContinuityContext) {
    this.#contextOf = contextOf;
  }

  add(agent: string, entry: AgentEntry): void {
    const watched = this.#agents.get(agent) ?? new WatchedAgent(this.#contextOf(agent));
    this.#agents.set(agent, watched);
    watched.add(entry);
  }

  /** Undoes `add`. */
  delete(agent: string, entry: AgentEntry): void {
    if (this.#agents.get(agent)?.delete(entry)) this.#agents.delete(agent);
  }

  close(): void {
    for (const watched of this.#agents.values()) watched.close();
    this.#agents.clear();
  }
}

/** What was not there when the servers were asked. */
interface Absence {
  readonly times: number;
  /** It counts from then on, by the clock. */
  readonly countsFrom: number;
}

class WatchedAgent {
  readonly #context: ContinuityContext;
  readonly #entries: Map<AgentEntry, Absence> = new Map();
  readonly #services: HeldQuestion<AgentServices>;
  readonly #stream: HeldQuestion<HeldAnswer>;
  #alertUntil = Number.NEGATIVE_INFINITY;

  constructor(context: ContinuityContext) {
    const { clock, outage, waitMs } = context;
    this.#context = context;
    this.#services = new HeldQuestion({
      clock,
      outage,
      waitMs: () => Math.min(waitMs, clock.fresh() < this.#alertUntil ? ALERT_SILENCE_MS : MAX_SILENCE_MS),
      ask: (...question) => context.services(...question),
      found: (answer) => this.#judge(answer),
    });
    this.#stream = new HeldQuestion({
      clock,
      outage,
      waitMs: () => waitMs,
      ask: (...question) => context.stream(...question),
      broken: () => {
        this.#alertUntil = clock.fresh() + ALERT_MS;
        this.#services.askAfresh();
      },
    });
  }

  add(entry: AgentEntry): void {
    this.#entries.set(entry, { times: 0, countsFrom: this.#context.clock.fresh() + TELLING_MS });
    this.#services.begin();
    this.#stream.begin();
  }

  /** True: it was the last. */
  delete(entry: AgentEntry): boolean {
    this.#entries.delete(entry);
    if (this.#entries.size > 0) return false;
    this.close();
    return true;
  }

  close(): void {
    this.#entries.clear();
    this.#services.end();
    this.#stream.end();
  }

  #judge({ services, isPartial }: AgentServices): void {
    if (isPartial) return;
    const now = this.#context.clock.fresh();
    for (const [entry, { times, countsFrom }] of [...this.#entries]) {
      if (now < countsFrom) continue;
      if (entry.isThere(services[entry.id])) {
        this.#entries.set(entry, { times: 0, countsFrom: now });
        continue;
      }
      const trustMs = times < FREE_LOSSES ? 0 : Math.min(MAX_TRUST_MS, MAX_SILENCE_MS * 2 ** (times - FREE_LOSSES));
      this.#entries.set(entry, { times: times + 1, countsFrom: now + trustMs });
      entry.lost();
    }
  }
}
