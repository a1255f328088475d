import type { AttemptResult, Balancer } from "../src/balancer/balancer.ts";
import { type Random, seededRandom } from "../src/rpc/random.ts";
import { candidates, HandClock, type TestCandidate } from "./test-candidate.ts";

/**
 * What is simulated: clients that call servers over a network of 0.25 ms a way, at random moments, whatever the
 * answers.
 */
export interface SimulationOptions {
  readonly seed: number;
  readonly balancer: (world: { clock: HandClock; random: Random }) => Balancer<TestCandidate>;
  /** Changes the servers at given times; `at` takes ms. */
  readonly faults?: (servers: readonly SimulatedServer[], at: (timeMs: number, change: () => void) => void) => void;
  /** What is measured begins and ends then, in ms. */
  readonly measured: readonly [fromMs: number, toMs: number];
}

/** What came out of the measured time. */
export interface SimulationResult {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Failed and timed out calls, 0..1. */
  readonly errorRatio: number;
  /** Calls that the first server got between two times, relative to a fair share. */
  shareOfFirst(fromMs: number, toMs: number): number;
}

const SERVERS = 10;
const SLOTS = 4;
const CLIENTS = 4;
const MEAN_SERVICE_MS = 10;
const LOAD = 0.6;
const ONE_WAY_MS = 0.25;
const TIMEOUT_MS = 1000;

/** A server with a few workers, a queue without end, and faults. */
export class SimulatedServer {
  /** Service times are multiplied by this. */
  slowness: number = 1;
  /** Every call fails at once. */
  isFailing: boolean = false;
  /** Nothing starts or ends before that time. */
  frozenUntilMs: number = 0;
  readonly #world: World;
  readonly #queue: (() => void)[] = [];
  #busy = 0;

  constructor(world: World) {
    this.#world = world;
  }

  arrive(answer: (result: AttemptResult) => void): void {
    if (this.isFailing) this.#world.after(1, () => answer("failed"));
    else if (this.#busy < SLOTS) this.#serve(answer);
    else this.#queue.push(() => this.#serve(answer));
  }

  #serve(answer: (result: AttemptResult) => void): void {
    this.#busy++;
    const finish = (): void => {
      const frozenMs = this.frozenUntilMs - this.#world.clock.time;
      if (frozenMs > 0) {
        this.#world.after(frozenMs, finish);
        return;
      }
      this.#busy--;
      answer("ok");
      this.#queue.shift()?.();
    };
    this.#world.after(this.#world.serviceMs() * this.slowness, finish);
  }
}

/** Time, chance and what is to happen, in a heap by time. */
class World {
  readonly clock: HandClock = new HandClock();
  readonly random: Random;
  readonly #times: number[] = [];
  readonly #events: (() => void)[] = [];

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** Lognormal, coefficient of variation 1. */
  serviceMs(): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random());
    return MEAN_SERVICE_MS * Math.exp(Math.sqrt(Math.LN2) * normal - Math.LN2 / 2);
  }

  after(delayMs: number, event: () => void): void {
    const time = this.clock.time + delayMs;
    let at = this.#times.length;
    for (let parent = (at - 1) >> 1; at > 0 && this.#times[parent] > time; at = parent, parent = (at - 1) >> 1) {
      this.#times[at] = this.#times[parent];
      this.#events[at] = this.#events[parent];
    }
    this.#times[at] = time;
    this.#events[at] = event;
  }

  runUntil(endMs: number): void {
    while (this.#times[0] < endMs) {
      this.clock.time = this.#times[0];
      this.#takeFirst()();
    }
  }

  #takeFirst(): () => void {
    const event = this.#events[0];
    const time = this.#times.pop() as number;
    const last = this.#events.pop() as () => void;
    const size = this.#times.length;
    if (size === 0) return event;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && this.#times[child + 1] < this.#times[child]) child++;
      if (this.#times[child] >= time) break;
      this.#times[at] = this.#times[child];
      this.#events[at] = this.#events[child];
      at = child;
    }
    this.#times[at] = time;
    this.#events[at] = last;
    return event;
  }
}

/** Runs a simulation: 10 servers with 4 workers, 10 ms a call, 4 clients, 60 % load, calls time out after a second. */
export function simulate(options: SimulationOptions): SimulationResult {
  const world = new World(options.seed);
  const [fromMs, toMs] = options.measured;
  const servers = Array.from({ length: SERVERS }, () => new SimulatedServer(world));
  const latencies: number[] = [];
  const picks: { readonly timeMs: number; readonly isFirst: boolean }[] = [];
  let errors = 0;

  const call = (balancer: Balancer<TestCandidate>, set: readonly TestCandidate[]): void => {
    const picked = balancer.pick(null) as TestCandidate;
    const server = set.indexOf(picked);
    const startedAt = world.clock.time;
    let isOver = false;
    picked.inFlight++;
    picks.push({ timeMs: startedAt, isFirst: server === 0 });
    const end = (result: AttemptResult): void => {
      if (isOver) return;
      isOver = true;
      picked.inFlight--;
      const elapsedMs = world.clock.time - startedAt;
      balancer.done(picked, result, elapsedMs);
      if (startedAt < fromMs || startedAt >= toMs) return;
      if (result === "ok") latencies.push(elapsedMs);
      else errors++;
      if (result === "timeout") latencies.push(elapsedMs);
    };
    world.after(TIMEOUT_MS, () => end("timeout"));
    world.after(ONE_WAY_MS, () => servers[server].arrive((result) => world.after(ONE_WAY_MS, () => end(result))));
  };

  const gapMs = (CLIENTS * MEAN_SERVICE_MS) / (LOAD * SERVERS * SLOTS);
  for (let client = 0; client < CLIENTS; client++) {
    const balancer = options.balancer({ clock: world.clock, random: world.random });
    const set = candidates(SERVERS);
    balancer.update(set);
    const next = (): void => {
      world.after(-Math.log(1 - world.random()) * gapMs, next);
      call(balancer, set);
    };
    world.after(-Math.log(1 - world.random()) * gapMs, next);
  }
  options.faults?.(servers, (timeMs, change) => world.after(timeMs, change));
  world.runUntil(toMs + TIMEOUT_MS);

  latencies.sort((a, b) => a - b);
  return {
    p50Ms: latencies[Math.floor(latencies.length * 0.5)],
    p99Ms: latencies[Math.floor(latencies.length * 0.99)],
    errorRatio: errors / picks.filter(({ timeMs }) => timeMs >= fromMs && timeMs < toMs).length,
    shareOfFirst: (from, to) => {
      const within = picks.filter(({ timeMs }) => timeMs >= from && timeMs < to);
      return (within.filter(({ isFirst }) => isFirst).length / within.length) * SERVERS;
    },
  };
}
