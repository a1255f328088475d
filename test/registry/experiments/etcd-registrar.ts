// A process with one registration, which experiments stop and let go on: etcd-registrar.ts HOSTS SERVICE
import { etcd } from "../../../packages/bowline/src/registry/etcd/index.ts";
import { instanceAt } from "../../../packages/bowline/src/registry/instance/instance.ts";
import { systemClock } from "../../../packages/bowline/src/rpc/clock.ts";
import { seededRandom } from "../../../packages/bowline/src/rpc/random.ts";

const [hosts, service] = process.argv.slice(2);
const registry = etcd(hosts.split(",")).create({ clock: systemClock, random: seededRandom(1), environment: {} });
await registry.register(service, { ...instanceAt("10.2.0.1:8080"), id: "paused" });
process.send?.({ registered: true });
process.on("disconnect", () => process.exit(0));
