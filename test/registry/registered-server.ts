// A server in etcd, in a process of its own: node registered-server.ts HOST SERVICE. Prints what it advertises once it is registered.
import { createServer } from "bowline";
import { etcd } from "bowline/registry/etcd";

const [host, name] = process.argv.slice(2);
const registry = etcd({ hosts: [host], ttlSeconds: 5 });
const server = createServer({ name, listen: "127.0.0.1:0", registry, drainAcceptMs: 100 });
await server.start();
process.stdout.write(`${server.registration?.addresses[0].address}\n`);
