import { type Random, seededRandom } from "bowline/testing";

/** Choices that a seed repeats: what the generators of schemas, messages and bytes draw from. */
export class Chance {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.#random() * (max - min + 1));
  }

  /** True in `share` of all cases, 0..1. */
  odds(share: number): boolean {
    return this.#random() < share;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("there is nothing to pick from");
    return items[this.int(0, items.length - 1)] as T;
  }

  /** The result of one of the functions. */
  oneOf<T>(...makers: readonly (() => T)[]): T {
    return this.pick(makers)();
  }

  /** The items in a random order. */
  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  }

  /** As many results of `make` as a number from `min` to `max` says. */
  list<T>(min: number, max: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.int(min, max) }, (_, index) => make(index));
  }

  /** Bytes of any value. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.int(0, 255));
  }

  /** A seed for a part that should stay the same whatever is drawn elsewhere. */
  seed(): number {
    return this.int(0, 0x7fffffff);
  }
}
