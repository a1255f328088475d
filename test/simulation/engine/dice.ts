import { crc32 } from "node:zlib";
import { type Random, seededRandom } from "bowline/testing";

/** Chance of one part of a simulation: parts don't disturb each other's draws. */
export class Dice {
  /** For what takes a `random`. */
  readonly random: Random;

  /** The same numbers for the same seed and part. */
  constructor(seed: number, part: string) {
    this.random = seededRandom(crc32(part, seed >>> 0));
  }

  /** True in this share of cases, 0 to 1. */
  chance(share: number): boolean {
    return this.random() < share;
  }

  /** A number from `least` to below `most`. */
  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1));
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)];
  }
}
