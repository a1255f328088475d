// A process with one registration, which closes and ends when it gets SIGTERM: consul-registrar.ts HOSTS SERVICE ID ADDRESS
import { consul } from "../../../packages/bowline/src/registry/consul/index.ts";
import { instanceAt } from "../../../packages/bowline/src/registry/instance/instance.ts";
import { systemClock } from "../../../packages/bowline/src/rpc/clock.ts";
import { systemRandom } from "../../../packages/bowline/src/rpc/random.ts";

const [hosts, service, id, address] = process.argv.slice(2);
const context = { clock: systemClock, random: systemRandom, environment: {} };
const registry = consul(hosts.split(",")).create(context);
process.once("SIGTERM", () => void registry.close().then(() => process.exit(0)));
process.on("disconnect", () => process.exit(0));
await registry.register(service, { ...instanceAt(address), id });
process.send?.({ registered: true });
