// Registers in a registry that can't be reached, and closes it: node registry-close-process.ts consul|etcd|eureka|nacos
// Prints a line of JSON before that and one behind it, which says how long it took. Nothing else keeps the process alive.
import { consul } from "../src/registry/consul/consul.ts";
import { etcd } from "../src/registry/etcd/etcd.ts";
import { eureka } from "../src/registry/eureka/eureka.ts";
import { instanceAt } from "../src/registry/instance/instance.ts";
import { nacos } from "../src/registry/nacos/nacos.ts";
import { type Clock, systemClock } from "../src/rpc/clock.ts";
import { seededRandom } from "../src/rpc/random.ts";

/** How much faster than others this clock runs: the test need not wait for what is decided by seconds. */
const SPEED = 10;

const clock: Clock = {
  now: () => systemClock.now() * SPEED,
  fresh: () => systemClock.fresh() * SPEED,
  setTimeout: (callback, delayMs) => systemClock.setTimeout(callback, delayMs / SPEED),
  setInterval: (callback, periodMs) => systemClock.setInterval(callback, periodMs / SPEED),
  hold: () => systemClock.hold?.() ?? { cancel: () => {} },
};

const configs = { consul, etcd, eureka, nacos };
const name = process.argv[2] as keyof typeof configs;
const registry = configs[name]("127.0.0.1:1").create({ clock, random: seededRandom(1), environment: {} });
const { state } = await registry.register("user.rpc", instanceAt("10.0.0.7:8080"));
console.log(JSON.stringify({ state }));
const begunAt = clock.fresh();
await registry.close();
console.log(JSON.stringify({ closedAfterMs: clock.fresh() - begunAt }));
