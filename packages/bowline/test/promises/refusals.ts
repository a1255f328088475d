/** What a function throws, as `RangeError: …`; fails when it throws nothing. */
export function thrown(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return String(error);
  }
  throw new Error("nothing was thrown");
}

/** A value of the wrong type, as JavaScript's users give it. */
export const wrong = (value: unknown): never => value as never;

/** An option that is a number, as its doc comment describes it. */
export interface NumberOption {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  readonly isWhole?: boolean;
  /** What 0 stands for, in words. */
  readonly zero?: string;
}

/** The sentence that tells what is allowed. */
export function allowed({ min, max, unit, isWhole, zero }: NumberOption): string {
  const what = isWhole === true ? "a whole number" : "a number";
  return `give ${what} of ${unit} from ${min} to ${max}${zero === undefined ? "" : `; 0 = ${zero}`}`;
}

/** Values that are no number, each with how a message shows it. */
export const NO_NUMBERS: readonly (readonly [unknown, string])[] = [
  ["5", '"5"'],
  [null, "null"],
  [Number.NaN, "NaN"],
  [5n, "5n"],
  [true, "true"],
  [{}, "an object"],
  [[5], "an array"],
  [() => 5, "a function"],
];

/** Numbers just outside the range, and what is no whole number where that is asked for. */
export function outOfRange({ min, max, isWhole }: NumberOption): number[] {
  const below = [min - 1, Number.NEGATIVE_INFINITY];
  const above = max === Number.POSITIVE_INFINITY ? [] : [max + 1, Number.POSITIVE_INFINITY];
  return [...below, ...above, ...(isWhole === true ? [min + 0.5] : [])];
}
