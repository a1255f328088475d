import type { AttemptResult, Balancer } from "../src/balancer/balancer.ts";
import type { CandidateStats } from "../src/balancer/candidate-stats.ts";
import { type P2cOptions, p2c } from "../src/balancer/p2c.ts";
import { seededRandom } from "../src/rpc/random.ts";
import { HandClock, type TestCandidate } from "./test-candidate.ts";

/** A balancer with calls that tests begin and end by hand. */
export class Bench {
  readonly clock: HandClock = new HandClock();
  readonly balancer: Balancer<TestCandidate>;

  constructor(set: readonly TestCandidate[], options: P2cOptions = {}) {
    this.balancer = p2c<TestCandidate>({ clock: this.clock, random: seededRandom(3), ...options });
    this.balancer.update(set);
  }

  begin(avoid: TestCandidate | null = null): TestCandidate {
    const picked = this.balancer.pick(avoid);
    if (picked === null) throw new Error("nothing picked");
    picked.inFlight++;
    return picked;
  }

  end(candidate: TestCandidate, result: AttemptResult, elapsedMs: number): void {
    candidate.inFlight--;
    this.balancer.done(candidate, result, elapsedMs);
  }

  /** Calls one after the other, `gapMs` apart; `answer` says how each ends. Returns how many each candidate got. */
  run(
    calls: number,
    gapMs: number,
    answer: (candidate: TestCandidate) => [AttemptResult, number],
  ): Map<TestCandidate, number> {
    const counts = new Map<TestCandidate, number>();
    for (let call = 0; call < calls; call++) {
      const picked = this.begin();
      counts.set(picked, (counts.get(picked) ?? 0) + 1);
      const [result, elapsedMs] = answer(picked);
      this.clock.time += elapsedMs;
      this.end(picked, result, elapsedMs);
      this.clock.time += gapMs;
    }
    return counts;
  }
}

/** What `p2c` remembers of a candidate. */
export const stats = (candidate: TestCandidate): CandidateStats => candidate.state as CandidateStats;
/** All calls end well after so long. */
export const wellIn = (elapsedMs: number) => (): [AttemptResult, number] => ["ok", elapsedMs];
