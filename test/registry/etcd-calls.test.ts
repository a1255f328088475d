import { createClient, createServer } from "bowline";
import { etcd } from "bowline/registry/etcd";
import { memoryNetwork } from "bowline/testing";
import { afterEach, expect, it } from "vitest";
import { KnotService } from "../gen/packages/v1/knot_rpc.ts";
import { EtcdDouble } from "./etcd-double.ts";

const silent = { info() {}, warn() {}, error() {} };
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server of the service, registered under `name`; it answers with its own number. */
async function serve(
  network: ReturnType<typeof memoryNetwork>,
  registry: ReturnType<typeof etcd>,
  number: number,
): Promise<void> {
  const listen = `server-${number}:8080`;
  const server = createServer({
    name: "knot.rpc",
    listen,
    advertise: listen,
    network,
    registry,
    handleSignals: false,
    drainAcceptMs: 0,
    logger: silent,
  });
  server.add(KnotService, {
    tie: () => ({ name: String(number) }),
    collect: () => ({}),
    async *list() {},
    async *exchange() {},
  });
  closing.push(() => server.close());
  await server.start();
}

it("calls find their server through etcd, and go on when etcd is gone", async () => {
  const network = memoryNetwork();
  const member = new EtcdDouble(network, "etcd-1:2379");
  closing.push(() => member.stop());
  await member.start();
  const registry = etcd({ hosts: [member.host], network });
  await serve(network, registry, 1);
  const knots = createClient(KnotService, "knot.rpc", {
    registry,
    network,
    balancer: "round_robin",
    snapshotFolder: false,
  });
  closing.push(() => knots.close());
  const ask = async (): Promise<string> => (await knots.tie({ name: "bowline" })).name;
  expect(await ask()).toBe("1");
  await serve(network, registry, 2);
  const seen = new Set<string>();
  while (seen.size < 2) seen.add(await ask());
  await member.stop();
  for (let i = 0; i < 20; i++) seen.add(await ask());
  expect([...seen].sort()).toEqual(["1", "2"]);
});
