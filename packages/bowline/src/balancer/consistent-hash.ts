import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { AttemptResult, Balancer, Candidate } from "./balancer.ts";
import { Murmur3 } from "./murmur3.ts";

/** A candidate whose place on the ring follows from its address: all clients have the same ring. */
export interface RingCandidate extends Candidate {
  /** `host:port`, as the registry tells it. */
  readonly address: string;
}

/** Points of one candidate on the ring, as in go-zero. */
const POINTS = 100;
/** Points that are sorted at a time: their number and 32 bits of their hash must fit into the 53 bits of a number. */
const MAX_SORTED = 2 ** 21;

/** Points in order of their hashes; one array for each field. */
interface Ring {
  readonly highs: Uint32Array;
  readonly lows: Uint32Array;
  /** Slots of candidates. */
  readonly owners: Uint32Array;
}

function emptyRing(size: number): Ring {
  return { highs: new Uint32Array(size), lows: new Uint32Array(size), owners: new Uint32Array(size) };
}

function copyPoint(from: Ring, at: number, to: Ring, place: number): void {
  to.highs[place] = from.highs[at];
  to.lows[place] = from.lows[at];
  to.owners[place] = from.owners[at];
}

/**
 * The same candidate for the same key, in every client, go-zero's `consistent_hash` among them: a ring of 100 points a candidate,
 * MurmurHash3 of `address` and the point's number. When candidates come or go, only keys of theirs move.
 *
 * A candidate that is not ready, or was tried already, is passed over for the next on the ring. Blind to load and latency, and a weight
 * counts only as 0 or not: a key that many ask for keeps one candidate busy. A call without key ends with INVALID_ARGUMENT.
 */
export function consistentHash<C extends RingCandidate = RingCandidate>(): Balancer<C> {
  return new ConsistentHash<C>();
}

class ConsistentHash<C extends RingCandidate> implements Balancer<C> {
  readonly name: string = "consistent_hash";
  readonly #hash: Murmur3 = new Murmur3();
  readonly #slots: Map<C, number> = new Map();
  /** By slot. */
  readonly #candidates: (C | null)[] = [];
  readonly #freeSlots: number[] = [];
  #ring: Ring = emptyRing(0);

  update(candidates: readonly C[]): void {
    const present = new Set(candidates);
    const gone = [...this.#slots.keys()].filter((candidate) => !present.has(candidate));
    const fresh = [...present].filter((candidate) => !this.#slots.has(candidate));
    if (gone.length > 0) this.#remove(gone);
    const portion = Math.floor(MAX_SORTED / POINTS);
    for (let at = 0; at < fresh.length; at += portion) this.#add(fresh.slice(at, at + portion));
  }

  pick(avoid: C | null, hashKey: string = ""): C | null {
    if (hashKey === "") {
      throw new RpcError(Code.INVALID_ARGUMENT, "the balancer consistent_hash needs the call option hashKey");
    }
    const { owners } = this.#ring;
    this.#hash.hash(hashKey);
    const begin = firstFrom(this.#ring, this.#hash.high, this.#hash.low);
    for (let step = 0; step < owners.length; step++) {
      const owner = this.#candidates[owners[(begin + step) % owners.length]];
      if (owner?.isReady === true && owner.weight > 0 && owner !== avoid) return owner;
    }
    return avoid?.isReady && avoid.weight > 0 ? avoid : null;
  }

  done(_candidate: C, _result: AttemptResult, _elapsedMs: number): void {}

  #remove(gone: readonly C[]): void {
    const isGone = new Uint8Array(this.#candidates.length);
    for (const candidate of gone) {
      const slot = this.#slots.get(candidate) as number;
      isGone[slot] = 1;
      this.#candidates[slot] = null;
      this.#freeSlots.push(slot);
      this.#slots.delete(candidate);
    }
    const { owners } = this.#ring;
    const kept = emptyRing(owners.length - gone.length * POINTS);
    for (let at = 0, to = 0; at < owners.length; at++) {
      if (isGone[owners[at]] === 0) copyPoint(this.#ring, at, kept, to++);
    }
    this.#ring = kept;
  }

  #add(fresh: readonly C[]): void {
    const points = emptyRing(fresh.length * POINTS);
    let at = 0;
    for (const candidate of fresh) {
      const slot = this.#freeSlots.pop() ?? this.#candidates.length;
      this.#candidates[slot] = candidate;
      this.#slots.set(candidate, slot);
      for (let point = 0; point < POINTS; point++, at++) {
        this.#hash.hash(`${candidate.address}${point}`);
        points.highs[at] = this.#hash.high;
        points.lows[at] = this.#hash.low;
        points.owners[at] = slot;
      }
    }
    this.#ring = merge(this.#ring, sorted(points));
  }
}

/** Sorts by numbers: with a function that compares, thousands of candidates would hold up the process for seconds. */
function sorted(points: Ring): Ring {
  const { highs, lows } = points;
  const order = new Float64Array(highs.length);
  for (let at = 0; at < order.length; at++) order[at] = highs[at] * MAX_SORTED + at;
  order.sort();
  const result = emptyRing(order.length);
  for (let at = 0; at < order.length; at++) {
    const from = order[at] % MAX_SORTED;
    // Few have the same upper half: those find their places one by one.
    let to = at;
    for (; to > 0 && result.highs[to - 1] === highs[from] && result.lows[to - 1] > lows[from]; to--) {
      copyPoint(result, to - 1, result, to);
    }
    copyPoint(points, from, result, to);
  }
  return result;
}

/** Both in one. Of equal points those of `old` come first: of two instances at one address the older one is asked. */
function merge(old: Ring, fresh: Ring): Ring {
  const merged = emptyRing(old.owners.length + fresh.owners.length);
  let next = 0;
  for (let at = 0, to = 0; to < merged.owners.length; to++) {
    const isFresh =
      at === old.owners.length || (next < fresh.owners.length && isBefore(fresh, next, old.highs[at], old.lows[at]));
    if (isFresh) copyPoint(fresh, next++, merged, to);
    else copyPoint(old, at++, merged, to);
  }
  return merged;
}

function isBefore(ring: Ring, at: number, high: number, low: number): boolean {
  return ring.highs[at] < high || (ring.highs[at] === high && ring.lows[at] < low);
}

/** The first point at a hash or behind it; behind the last there is the first again. */
function firstFrom(ring: Ring, high: number, low: number): number {
  let begin = 0;
  let end = ring.owners.length;
  while (begin < end) {
    const middle = (begin + end) >>> 1;
    if (isBefore(ring, middle, high, low)) begin = middle + 1;
    else end = middle;
  }
  return begin;
}
