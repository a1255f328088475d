/** A source of chance: a number in [0, 1). Algorithms take it as an argument, so that a seed replays a run. */
export type Random = () => number;

/** The process's source of chance. Not for secrets. */
export const systemRandom: Random = () => Math.random();

/** A repeatable source of chance from a 32-bit seed (mulberry32), for tests and the simulator. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
