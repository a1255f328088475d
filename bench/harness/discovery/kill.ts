import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "bowline";
import type { WhoAmIClient } from "../../peers/bowline/whoami-service.ts";
import type { Reading } from "../load/reading.ts";
import { startFleet } from "./fleet.ts";
import { instantMs } from "./instant.ts";
import type { RegistryText } from "./registry-text.ts";

/** Calls in flight; each answer starts the next. */
const CONCURRENCY = 16;
/** Load before the kill, in ms. */
const BEFORE_MS = 500;
/** And after it: longer than the first wait before the dead address is dialled again. */
const AFTER_MS = 1500;
const MESSAGE = Buffer.from("are you there?");

/** What became of the calls of one kill. */
interface Toll {
  /** Ends of calls that took more than one attempt, as instants. */
  readonly repeated: number[];
  readonly failed: unknown[];
}

/**
 * One of two servers is killed (SIGKILL) under a load of idempotent calls, as often as `kills` says, the one and the other in turn. Both
 * are new each time; the client has its defaults: two attempts.
 */
export async function timeToRecover(registry: RegistryText, service: string, kills: number): Promise<Reading> {
  let lastRepeatedMs = 0;
  let repeatedCalls = 0;
  const failed: unknown[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const { killedAt, toll } = await killOnce(registry, `${service}-${kill}`, kill % 2);
    repeatedCalls += toll.repeated.length;
    lastRepeatedMs = Math.max(lastRepeatedMs, ...toll.repeated.map((at) => at - killedAt));
    failed.push(...toll.failed);
  }
  const firstError = failed.length === 0 ? {} : { firstError: String(failed[0]) };
  const figures = { lastRepeatedMs, repeatedCalls, failedCalls: failed.length };
  return { figures, errors: failed.length, ...firstError };
}

async function killOnce(
  registry: RegistryText,
  service: string,
  victim: number,
): Promise<{ readonly killedAt: number; readonly toll: Toll }> {
  const fleet = await startFleet(registry, service, [["a"], ["b"]]);
  const toll: Toll = { repeated: [], failed: [] };
  try {
    const over = new AbortController();
    const loops = Array.from({ length: CONCURRENCY }, () => callInALoop(fleet.client, over.signal, toll));
    await delay(BEFORE_MS);
    const killedAt = instantMs();
    fleet.servers[victim].kill();
    await delay(AFTER_MS);
    over.abort();
    await Promise.all(loops);
    return { killedAt, toll };
  } finally {
    await fleet.close();
  }
}

async function callInALoop(client: Client<WhoAmIClient>, over: AbortSignal, toll: Toll): Promise<void> {
  while (!over.aborted) {
    let attempts = 0;
    // Asked anew in each attempt; nothing is compressed.
    const compressIf = (): boolean => ++attempts < 0;
    try {
      await client.ask(MESSAGE, { compression: "gzip", compressIf });
    } catch (error) {
      toll.failed.push(error);
    }
    if (attempts > 1) toll.repeated.push(instantMs());
  }
}
