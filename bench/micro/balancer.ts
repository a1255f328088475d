// What one pick with its done costs: ns of CPU a call, median of 9 rounds, beside 32 calls in flight.
// Run: node bench/micro/balancer.ts

import type { Balancer, Candidate } from "../../packages/bowline/src/balancer/balancer.ts";
import { p2c } from "../../packages/bowline/src/balancer/p2c.ts";
import { roundRobin } from "../../packages/bowline/src/balancer/round-robin.ts";

const ROUNDS = 9;
const CALLS = 1_000_000;
const DEPTH = 32;

/** A turn of the event loop is 32 calls and 0.2 ms long. */
const clock = {
  time: 0,
  now: () => clock.time,
  fresh: () => clock.time,
  setTimeout: () => ({ cancel() {} }),
  setInterval: () => ({ cancel() {} }),
};

/** Answers take 1 to 2 ms; kept here, so that what the balancer allocates is all that is seen. */
const elapsedMs = Float64Array.from({ length: 64 }, (_, index) => 1 + index / 64);

function nanosecondsPerCall(balancer: Balancer<Candidate>, inFlight: (Candidate | null)[]): number {
  const before = process.cpuUsage();
  for (let call = 0; call < CALLS; call++) {
    if (call % DEPTH === 0) clock.time += 0.2;
    const ended = inFlight[call % DEPTH];
    if (ended !== null) {
      ended.inFlight--;
      balancer.done(ended, "ok", elapsedMs[call & 63]);
    }
    const picked = balancer.pick(null) as Candidate;
    picked.inFlight++;
    inFlight[call % DEPTH] = picked;
  }
  return (process.cpuUsage(before).user * 1000) / CALLS;
}

function candidates(count: number): Candidate[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `instance-${i}`,
    weight: 1,
    isReady: true,
    inFlight: 0,
    streaming: 0,
    state: undefined,
  }));
}

console.log("balancer     candidates   ns per pick + done");
for (const create of [() => roundRobin<Candidate>(), () => p2c<Candidate>({ clock })]) {
  for (const size of [3, 10, 100]) {
    const balancer = create();
    balancer.update(candidates(size));
    const inFlight: (Candidate | null)[] = new Array(DEPTH).fill(null);
    const rounds = Array.from({ length: ROUNDS + 1 }, () => nanosecondsPerCall(balancer, inFlight));
    const median = rounds.slice(1).sort((a, b) => a - b)[ROUNDS >> 1];
    console.log(balancer.name.padEnd(12), String(size).padStart(10), median.toFixed(1).padStart(20));
  }
}
