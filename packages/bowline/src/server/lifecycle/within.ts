import type { Clock } from "../../rpc/clock.ts";

/** Resolves when `done` does, with true, or after `ms`, with false; at once for no time at all. Rejects when `done` does before. */
export async function within(clock: Clock, done: Promise<unknown>, ms: number): Promise<boolean> {
  if (ms <= 0) return false;
  const { promise: timeout, resolve } = Promise.withResolvers<false>();
  const timer = clock.setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([done.then(() => true), timeout]);
  } finally {
    timer.cancel();
  }
}
