/**
 * A process that registers one instance and stays; its arguments are directory, namespace, service and id.
 *
 * Prints `registered` when others can see it. On SIGTERM it closes its registration in order, prints `closed` and ends.
 */
import { instanceAt } from "../src/registry/instance/instance.ts";
import { createLocalRegistry } from "../src/registry/local/local.ts";
import { systemClock } from "../src/rpc/clock.ts";
import { systemRandom } from "../src/rpc/random.ts";

const [directory, namespace, service, id] = process.argv.slice(2);
const context = { clock: systemClock, random: systemRandom, environment: {} };
const registry = createLocalRegistry({ directory, namespace }, context);
await registry.register(service, { ...instanceAt("127.0.0.1:8080"), id });

// The registry's timers keep no process alive; a server's socket would.
const alive = setInterval(() => {}, 60_000);
process.once("SIGTERM", async () => {
  await registry.close();
  process.stdout.write("closed\n");
  clearInterval(alive);
});
// Whoever reads this may end it at once.
process.stdout.write("registered\n");
