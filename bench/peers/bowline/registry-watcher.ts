// A process that watches services of a registry: `registry-watcher.ts REGISTRY`. A line {"watch":[SERVICE, …],"instances":N} on stdin is
// answered with {"began":INSTANT,"known":INSTANT,"blockedMs":MS} when each of them was told with N instances; {"change":true} with
// {"expecting":true}, and with {"changed":INSTANT} when the next set is told.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { seededRandom, systemClock } from "bowline/testing";
import { announce, printLine } from "../../../test/peers/peer-lines.ts";
import { instantMs } from "../../harness/discovery/instant.ts";
import { registryOf } from "../../harness/discovery/registry-text.ts";

const registry = registryOf(process.argv[2]).create({
  clock: systemClock,
  random: seededRandom(1),
  environment: process.env,
});
/** The last set of each service, as a channel keeps it. */
const sets = new Map<string, readonly unknown[]>();
let isChangeWanted = false;

function watch(services: readonly string[], instances: number): void {
  const missing = new Set(services);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const began = instantMs();
  const known = (service: string): void => {
    if (!missing.delete(service) || missing.size > 0) return;
    const at = instantMs();
    // The histogram counts a delay when it is over, that of this turn in the next.
    setTimeout(() => {
      delay.disable();
      printLine({ began, known: at, blockedMs: delay.max / 1e6 });
    }, 5);
  };
  for (const service of services) {
    registry.watch(service, {
      snapshot: (snapshot) => {
        sets.set(service, snapshot.instances);
        if (isChangeWanted) {
          isChangeWanted = false;
          printLine({ changed: instantMs() });
        }
        if (snapshot.instances.length === instances) known(service);
      },
      failed: (error) => void process.stderr.write(`${error.message}\n`),
    });
  }
}

announce({});
for await (const text of createInterface({ input: process.stdin })) {
  const line = JSON.parse(text) as { readonly watch?: readonly string[]; readonly instances?: number };
  if (line.watch !== undefined) watch(line.watch, line.instances ?? 1);
  else {
    isChangeWanted = true;
    printLine({ expecting: true });
  }
}
