import { setTimeout as delay } from "node:timers/promises";
import type { ServerInterceptor } from "bowline";

/**
 * Makes every call take about `ms` longer, half as long to half as long again. Real handlers wait for disks and banks; those of the shop
 * answer at once, and then there is little to see of how load is shared. 0 changes nothing.
 */
export function pretendWork(ms: number): ServerInterceptor {
  return async (call, next) => {
    if (ms > 0) await delay(ms * (0.5 + Math.random()));
    return next(call);
  };
}
