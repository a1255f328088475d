// What one pick with its done costs: ns per call, median of ROUNDS, for each balancer and size of the set.
// Run: node bench/micro/balancer.ts
import type { Balancer, Candidate } from "../../packages/bowline/src/balancer/balancer.ts";
import { p2c } from "../../packages/bowline/src/balancer/p2c.ts";
import { roundRobin } from "../../packages/bowline/src/balancer/round-robin.ts";

const ROUNDS = 9;
const CALLS = 1_000_000;
/** Calls in flight at a time. */
const DEPTH = 32;
/** One reading of the clock serves this many picks and dones, as one turn of the event loop would. */
const CALLS_A_TURN = 32;

class Endpoint implements Candidate {
  readonly id: string;
  readonly weight: number = 1;
  readonly isReady: boolean = true;
  inFlight: number = 0;
  state: unknown = undefined;

  constructor(id: string) {
    this.id = id;
  }
}

let now = 0;
const clock = {
  now: (): number => now,
  fresh: (): number => now,
  setTimeout: (): never => {
    throw new Error("not used");
  },
  setInterval: (): never => {
    throw new Error("not used");
  },
};

function nanosecondsPerCall(balancer: Balancer<Endpoint>, depth: (Endpoint | null)[]): number {
  const start = performance.now();
  for (let call = 0; call < CALLS; call++) {
    if (call % CALLS_A_TURN === 0) now += 0.2;
    const slot = call % DEPTH;
    const ended = depth[slot];
    if (ended !== null) {
      ended.inFlight--;
      balancer.done(ended, "ok", 1 + (call & 7) * 0.1);
    }
    const picked = balancer.pick(null) as Endpoint;
    picked.inFlight++;
    depth[slot] = picked;
  }
  return ((performance.now() - start) * 1e6) / CALLS;
}

console.log("balancer     candidates   ns per pick + done   bytes allocated per call");
for (const create of [() => roundRobin<Endpoint>(), () => p2c<Endpoint>({ clock })]) {
  for (const size of [3, 10, 100]) {
    const balancer = create();
    balancer.update(Array.from({ length: size }, (_, index) => new Endpoint(`instance-${index}`)));
    const depth: (Endpoint | null)[] = new Array(DEPTH).fill(null);
    nanosecondsPerCall(balancer, depth);
    const heapBefore = process.memoryUsage().heapUsed;
    const results = Array.from({ length: ROUNDS }, () => nanosecondsPerCall(balancer, depth)).sort((a, b) => a - b);
    const bytes = Math.max(0, process.memoryUsage().heapUsed - heapBefore) / (ROUNDS * CALLS);
    const columns = [balancer.name.padEnd(12), String(size).padStart(10), results[ROUNDS >> 1].toFixed(1).padStart(20)];
    console.log(columns.join(" "), bytes.toFixed(2).padStart(25));
  }
}
