import type { Candidate } from "../src/balancer/balancer.ts";
import type { Clock } from "../src/rpc/clock.ts";

/** A candidate that a test may change at will. */
export class TestCandidate implements Candidate {
  readonly id: string;
  weight: number;
  isReady: boolean = true;
  inFlight: number = 0;
  streaming: number = 0;
  state: unknown = undefined;

  constructor(id: string, weight: number = 1) {
    this.id = id;
    this.weight = weight;
  }
}

/** `count` candidates of weight 1, ready. */
export function candidates(count: number): TestCandidate[] {
  return Array.from({ length: count }, (_, index) => new TestCandidate(`instance-${index}`));
}

/** A clock that a test sets; nothing waits for it. */
export class HandClock implements Clock {
  time: number = 0;

  now(): number {
    return this.time;
  }

  fresh(): number {
    return this.time;
  }

  setTimeout(): never {
    throw new Error("a balancer sets no timers");
  }

  setInterval(): never {
    throw new Error("a balancer sets no timers");
  }
}
