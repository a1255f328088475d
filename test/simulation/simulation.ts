import { Dice } from "./engine/dice.ts";
import { SealedProcess } from "./engine/sealed-process.ts";
import { SimulationClock } from "./engine/simulation-clock.ts";
import { Trace } from "./engine/trace.ts";
import { type Chunking, calmLinkPlan, drawLinkPlan } from "./network/link-plan.ts";
import { TappedNetwork } from "./network/tapped-network.ts";
import { type CallPlan, drawCall } from "./world/call-plan.ts";
import { Fleet } from "./world/fleet.ts";
import { Ledger, outcomeCounts } from "./world/ledger.ts";
import { Mishaps } from "./world/mishaps.ts";
import { Traffic } from "./world/traffic.ts";

/** A mistake that is put into the world, to show that it is found. */
export type Planted = "lost-octet" | "changed-octet" | "handler-twice" | "forgotten-timer" | "process-chance";

/** One run of a simulation. */
export interface SimulationOptions {
  readonly seed: number;
  /** Virtual time with calls and faults, in seconds. Default 20. */
  readonly seconds?: number;
  /** No faults, and octets cut in this way. Default: faults, and a way for each connection. */
  readonly calm?: Chunking;
  readonly planted?: Planted;
  /** Takes a line for each event. */
  readonly print?: (line: string) => void;
}

/** What a run came to. */
export interface SimulationResult {
  readonly seed: number;
  /** Rules that were broken, in order; empty when all is well. */
  readonly violations: readonly string[];
  /** Of all events and their times: equal for equal options. */
  readonly hash: string;
  readonly events: number;
  readonly calls: number;
  readonly connections: number;
  /** Windows of quiet connections that were found whole. */
  readonly windows: number;
  /** Ended calls by code. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** A line for each call with how it ended and a digest of its answers. */
  readonly results: readonly string[];
}

/** Calls a second of virtual time. */
const CALLS_PER_SECOND = 3;
const MISHAPS_PER_SECOND = 0.4;
/** Calls and mishaps begin this long before the end, so that all have theirs within the time. */
const LAST_START_MS = 3000;
/** For a call after all faults: connecting and a retry have their place in it. */
const PROBE_MS = 10_000;
/** Time for everything to close: the longest time that a server or a link waits for its peer, and more. */
const CLOSE_MS = 20_000;

/**
 * Plays servers and clients over a network with faults, all of it drawn from the seed, and checks what must hold whatever happens.
 * Equal options give equal runs, however busy the machine is: what the run takes of the process's own chance and time is a fault too.
 * One run at a time.
 */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const sealed = new SealedProcess();
  const strays: unknown[] = [];
  const rejected = (reason: unknown): void => void strays.push(reason);
  process.on("unhandledRejection", rejected);
  try {
    return await sealed.run(() => new Run(options, sealed, strays).play());
  } finally {
    process.off("unhandledRejection", rejected);
  }
}

class Run {
  readonly ledger: Ledger;
  readonly #options: SimulationOptions;
  readonly #sealed: SealedProcess;
  /** Rejections that nobody handled. */
  readonly #strays: readonly unknown[];
  readonly #clock: SimulationClock;
  readonly #trace: Trace;
  readonly #network: TappedNetwork;
  readonly #fleet: Fleet;
  readonly #traffic: Traffic;
  readonly #plans: CallPlan[] = [];
  readonly #runMs: number;
  /** Share of connections that something befalls. */
  readonly #severity: number;
  #windows = 0;
  readonly #step = (): void => this.#checkStep();

  constructor(options: SimulationOptions, sealed: SealedProcess, strays: readonly unknown[]) {
    const { seed, calm, seconds = 20, planted } = options;
    const dice = new Dice(seed, "world");
    const granularityMs = dice.pick([1, 5, 5, 5]);
    this.#options = options;
    this.#sealed = sealed;
    this.#strays = strays;
    this.#runMs = seconds * 1000;
    this.#clock = new SimulationClock({ granularityMs, settle: () => sealed.settle() });
    const now = (): number => this.#clock.now();
    this.#trace = new Trace(now, options.print ?? null);
    this.ledger = new Ledger(this.#trace, now, { granularityMs, isCalm: calm !== undefined });
    this.#severity = dice.between(0.1, 0.8);
    const linkDice = new Dice(seed, "links");
    this.#network = new TappedNetwork({
      seed,
      clock: this.#clock,
      trace: this.#trace,
      plan: () => (calm === undefined ? drawLinkPlan(linkDice, this.#severity) : calmLinkPlan(calm)),
      violation: (text) => this.ledger.violation(text),
      tamper: tampering(planted),
    });
    const world = { seed, clock: this.#clock, network: this.#network, ledger: this.ledger, plans: this.#plans };
    const isTwofold = planted === "handler-twice";
    this.#fleet = new Fleet({ ...world, isTwofold, isCalm: calm !== undefined }, dice.whole(1, 3));
    this.#traffic = new Traffic({ ...world, addresses: this.#fleet.addresses }, dice.whole(1, 3));
    this.#drawCalls();
  }

  async play(): Promise<SimulationResult> {
    const { seed } = this.#options;
    this.#trace.note(`seed ${seed}: ${this.#fleet.addresses.length} servers, ${this.#traffic.clients.length} clients`);
    await this.#until(Promise.all(this.#fleet.addresses.map((address) => this.#fleet.start(address))), 100, "starting");
    for (const plan of this.#plans) {
      void this.#clock.setTimeout(() => void this.#traffic.call(plan), plan.atMs);
    }
    if (this.#options.planted === "process-chance") this.#clock.setTimeout(() => void Math.random(), 1);
    if (this.#options.planted === "forgotten-timer") this.#clock.setInterval(() => {}, 1_000_000);
    if (this.#options.calm === undefined) this.#scheduleMishaps();
    await this.#clock.runUntil(this.#runMs, this.#step);
    await this.#recover();
    this.#checkWindows();
    await this.#close();
    this.#checkRest();
    this.ledger.checkEnd();
    return this.#result();
  }

  #drawCalls(): void {
    const dice = new Dice(this.#options.seed, "calls");
    const count = Math.round((this.#runMs / 1000) * CALLS_PER_SECOND);
    const untilMs = Math.max(1, this.#runMs - LAST_START_MS);
    for (let id = 0; id < count; id++) this.#plans.push(drawCall(id, dice, this.#traffic.clients.length, untilMs));
  }

  #scheduleMishaps(): void {
    const dice = new Dice(this.#options.seed, "mishaps");
    const untilMs = Math.max(1, this.#runMs - LAST_START_MS);
    const count = Math.round((this.#runMs / 1000) * MISHAPS_PER_SECOND * 2 * this.#severity);
    const mishaps = new Mishaps(this.#fleet, this.#network, this.#clock, this.#trace);
    mishaps.schedule(count, dice, this.#fleet, this.#clock, untilMs);
  }

  /** All faults end; then each client must be served again. */
  async #recover(): Promise<void> {
    if (this.ledger.openCalls > 0) this.ledger.violation(`${this.ledger.openCalls} calls are open at the end`);
    // While a handler runs for a caller who is gone unheard, what it has not read is not given back.
    if (this.ledger.running === 0) this.#checkWindows();
    const { memory } = this.#network;
    this.#trace.note("all faults end");
    if (this.#options.calm === undefined) {
      this.#network.heal();
      for (const address of this.#fleet.addresses) {
        memory.restore(address);
        memory.accept(address);
      }
      for (const link of memory.links()) link.reset();
    }
    await this.#until(this.#fleet.startAll(), PROBE_MS, "starting all servers again");
    const probes = this.#traffic.clients.map((client, index) => this.#probe(client.channel.connect(), index));
    await this.#until(Promise.all(probes), PROBE_MS, "the calls after all faults");
  }

  async #probe(connected: Promise<void>, client: number): Promise<void> {
    await connected;
    const dice = new Dice(this.#options.seed, `probe ${client}`);
    const id = this.#plans.length;
    const drawn = drawCall(id, dice, 1, 1);
    const plan: CallPlan = {
      ...drawn,
      method: "look",
      client,
      timeoutMs: 5000,
      waitForReady: true,
      cancelAfterMs: null,
      leaveAfter: null,
      requests: [2000],
      answers: [50_000],
      compression: "identity",
      ending: "ok",
    };
    this.#plans.push(plan);
    await this.#traffic.call(plan);
    const error = this.ledger.calls.get(id)?.error ?? null;
    if (error !== null) this.ledger.violation(`client ${client} is not served after all faults: ${error.message}`);
  }

  /** Connections that live and have nothing to do must have all their windows. */
  #checkWindows(): void {
    for (const { client, server } of this.#network.connections) {
      if (client.isClosed || server.isClosed || client.isTamperedWith) continue;
      for (const { name, flow } of [client, server]) {
        this.#windows++;
        // Windows are given back by halves.
        if (flow.openForPeer >= Math.floor(flow.openAtFirst / 2)) continue;
        this.ledger.violation(`${name} has ${flow.openForPeer} octets of window left, of ${flow.openAtFirst}`);
      }
    }
  }

  async #close(): Promise<void> {
    this.#trace.note("closing");
    const closing = Promise.all([...this.#traffic.clients.map((client) => client.close()), this.#fleet.close()]);
    await this.#until(closing, CLOSE_MS, "closing all clients and servers");
    this.#network.memory.close();
    await this.#clock.runUntil(this.#clock.now() + CLOSE_MS, this.#step);
  }

  #checkStep(): void {
    this.ledger.checkStep();
  }

  /** When all is closed nothing may be left, and the product's counts must be ours. */
  #checkRest(): void {
    const { ledger } = this;
    const expectZero = (count: number, what: string): void => {
      if (count !== 0) ledger.violation(`${count} ${what} are left when all is closed`);
    };
    expectZero(this.#clock.pending, "timers");
    expectZero(this.#network.memory.links().length, "links");
    for (const reason of this.#strays) ledger.violation(`unhandled rejection: ${String(reason)}`);
    for (const text of this.#sealed.leaks) ledger.violation(text);
    for (const server of this.#fleet.servers) {
      expectZero(server.connectionCount, "connections of a server");
      for (const { method, started, inFlight, byCode } of server.stats) {
        expectZero(inFlight, `calls of ${method} in flight at a server`);
        expectZero(started - sum(byCode), `calls of ${method} without an end at a server`);
      }
    }
    for (const { channel } of this.#traffic.clients) {
      expectZero(channel.waitingCount, "waiting calls");
      expectZero(channel.sleepingCount, "calls between attempts");
      for (const endpoint of channel.endpoints) expectZero(endpoint.inFlight, `calls in flight to ${endpoint.id}`);
    }
    this.#checkCounts();
  }

  #checkCounts(): void {
    const stats = this.#traffic.clients.flatMap(({ channel }) => channel.stats);
    const started = stats.reduce((total, each) => total + each.started, 0);
    const ended = stats.reduce((total, each) => total + sum(each.byCode), 0);
    const calls = this.ledger.calls.size;
    if (started !== calls || ended !== calls) {
      this.ledger.violation(`${calls} calls were made; the channels count ${started} started and ${ended} ended`);
    }
    const counted = stats.reduce((total, each) => total + each.byCode[0], 0);
    const { OK = 0 } = outcomeCounts(this.ledger.calls.values());
    // A stream may have ended well before its caller left it, cancelled it, or got to its end too late.
    const unread = [...this.ledger.calls.values()].filter(({ plan, error, hasLeft }) => {
      return hasLeft || (error?.origin === "local" && (plan.method === "list" || plan.method === "chat"));
    });
    if (counted < OK || counted > OK + unread.length) {
      this.ledger.violation(
        `${OK} calls were ok and ${unread.length} streams were left; the channels count ${counted} ok`,
      );
    }
  }

  /** Time goes on until `promise` has settled, and not longer than `ms`. */
  async #until(promise: Promise<unknown>, ms: number, what: string): Promise<void> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    promise.then(over, (error: unknown) => {
      over();
      this.ledger.violation(`${what}: ${String(error)}`);
    });
    await this.#clock.runUntil(this.#clock.now() + ms, this.#step, () => isOver);
    if (!isOver) this.ledger.violation(`${what} is not done after ${ms} ms`);
  }

  #result(): SimulationResult {
    const calls = [...this.ledger.calls.values()].sort((one, other) => one.plan.id - other.plan.id);
    return {
      seed: this.#options.seed,
      violations: this.ledger.violations,
      hash: this.#trace.hash,
      events: this.#trace.events,
      calls: calls.length,
      connections: this.#network.connections.length,
      windows: this.#windows,
      outcomes: outcomeCounts(calls),
      results: calls.map(({ plan, error, answers, digest, hasLeft, runs }) => {
        return `${plan.id} ${error?.code ?? (hasLeft ? "left" : 0)} ${answers} ${digest} ${runs}`;
      }),
    };
  }
}

function sum(counts: Float64Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** A network that spoils one chunk, once a run. */
function tampering(planted: Planted | undefined): ((chunk: Buffer) => Buffer) | undefined {
  if (planted !== "lost-octet" && planted !== "changed-octet") return undefined;
  let isDone = false;
  return (chunk) => {
    // Long enough to hold a message.
    if (isDone || chunk.length < 1000) return chunk;
    isDone = true;
    const at = chunk.length - 200;
    if (planted === "lost-octet") return Buffer.concat([chunk.subarray(0, at), chunk.subarray(at + 1)]);
    const changed = Buffer.from(chunk);
    changed[at] ^= 1;
    return changed;
  };
}
