/** Where two lists differ: what stands before `start` and behind the ends is the same. */
export interface ListDifference {
  readonly start: number;
  readonly endBefore: number;
  readonly endAfter: number;
}

/**
 * Narrows down where two lists of the same objects differ, by comparing from both ends. One object that was replaced, taken out or put in
 * leaves a part of one: the work that is done for each object is done for that part only.
 */
export function listDifference<T>(before: readonly T[], after: readonly T[]): ListDifference {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let endBefore = before.length;
  let endAfter = after.length;
  while (endBefore > start && endAfter > start && before[endBefore - 1] === after[endAfter - 1]) {
    endBefore--;
    endAfter--;
  }
  return { start, endBefore, endAfter };
}
