import type { Figures } from "../load/reading.ts";
import { ask, type Fleet, startFleet, untilAll } from "./fleet.ts";
import { instantMs } from "./instant.ts";
import { quantile } from "./quantile.ts";
import type { RegistryText } from "./registry-text.ts";

/** The one that comes and goes, and those that stay: of five one may go at once, of two clients would doubt it. */
const ONE = "one";
const OTHERS = ["other-1", "other-2", "other-3", "other-4"];
/** Answers in a row without one of the server that was paused: it gets no more calls. */
const QUIET_CALLS = 200;
const QUIET_WITHIN_MS = 10_000;
/** Trials that show nothing: code is compiled in them. */
const WARMUP_TRIALS = 3;

/**
 * From `server.resume()` in one process to the end of the first call that it answers, for a client that makes one call after the other
 * and has four other servers all the time. `registeredMs` is the part of it that `resume()` itself took, at the median: the registry has the
 * entry then.
 */
export async function timeToReach(registry: RegistryText, service: string, trials: number): Promise<Figures> {
  const fleet = await startFleet(registry, service, [[ONE], OTHERS]);
  try {
    const times: number[] = [];
    const registered: number[] = [];
    for (let trial = -WARMUP_TRIALS; trial < trials; trial++) {
      const { reachedMs, registeredMs } = await reachOnce(fleet);
      if (trial < 0) continue;
      times.push(reachedMs);
      registered.push(registeredMs);
    }
    return { registeredMs: quantile(registered, 0.5), p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
  } finally {
    await fleet.close();
  }
}

async function reachOnce({
  servers: [server],
  client,
}: Fleet): Promise<{ readonly reachedMs: number; readonly registeredMs: number }> {
  const paused = server.next("paused");
  server.send({ pause: true });
  await paused;
  await untilQuiet(client);
  const line = server.next("resumed");
  server.send({ resume: true });
  await untilAll(client, [ONE]);
  const reachedAt = instantMs();
  const { began, resumed } = await line;
  return { reachedMs: reachedAt - Number(began), registeredMs: Number(resumed) - Number(began) };
}

async function untilQuiet(client: Fleet["client"]): Promise<void> {
  const end = performance.now() + QUIET_WITHIN_MS;
  for (let quiet = 0; quiet < QUIET_CALLS; ) {
    if (performance.now() > end) throw new Error(`a server that was paused ${QUIET_WITHIN_MS} ms ago still gets calls`);
    quiet = (await ask(client)) === ONE ? 0 : quiet + 1;
  }
}
