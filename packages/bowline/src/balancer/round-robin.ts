import { type Random, systemRandom } from "../rpc/random.ts";
import type { AttemptResult, Balancer, Candidate } from "./balancer.ts";

/** What may be set on {@link roundRobin}. */
export interface RoundRobinOptions {
  /** Where in the set the first turn begins. Default: the process's source of chance. */
  readonly random?: Random;
}

/**
 * Each ready candidate in its turn, beginning at a random one, so that many clients don't begin with the same.
 *
 * Blind to latency, failures and load: for fleets whose members are equal, and as a baseline. A weight of 0 gets
 * nothing, other weights count alike.
 */
export function roundRobin<C extends Candidate = Candidate>(options: RoundRobinOptions = {}): Balancer<C> {
  return new RoundRobin<C>(options.random ?? systemRandom);
}

class RoundRobin<C extends Candidate> implements Balancer<C> {
  readonly name: string = "round_robin";
  readonly #start: number;
  #candidates: readonly C[] = [];
  /** Whose turn it is; -1 before the first update. */
  #next = -1;

  constructor(random: Random) {
    this.#start = random();
  }

  update(candidates: readonly C[]): void {
    const whoseTurn = this.#candidates[this.#next];
    this.#candidates = candidates.filter((candidate) => candidate.weight > 0);
    const size = this.#candidates.length;
    if (size === 0) return;
    if (this.#next < 0) {
      this.#next = Math.floor(this.#start * size);
    } else {
      const index = this.#candidates.indexOf(whoseTurn);
      this.#next = index >= 0 ? index : this.#next % size;
    }
  }

  pick(avoid: C | null): C | null {
    const size = this.#candidates.length;
    for (let step = 0; step < size; step++) {
      const index = this.#next;
      const candidate = this.#candidates[index];
      this.#next = index + 1 === size ? 0 : index + 1;
      if (candidate.isReady && candidate !== avoid) return candidate;
    }
    return avoid?.isReady && avoid.weight > 0 ? avoid : null;
  }

  done(_candidate: C, _result: AttemptResult, _elapsedMs: number): void {}
}
