import assert from "node:assert/strict";
import cluster from "node:cluster";
import { createClient, createServer, silentLogger } from "bowline";
import { KnotService } from "../gen/packages/v1/knot_rpc.ts";
import { knotHandlers } from "./knot-handlers.ts";

/** A server of two processes, each of which runs this file, and one that calls both. */
const server = createServer({ listen: "127.0.0.1:0", workers: 2, drainAcceptMs: 0, logger: silentLogger });
server.add(KnotService, { ...knotHandlers, tie: () => ({ name: String(process.pid) }) });
await server.start();

if (cluster.isPrimary) {
  const pids = new Set<string>();
  for (let connection = 0; connection < 4; connection += 1) {
    const knots = createClient(KnotService, server.address);
    pids.add((await knots.tie({})).name);
    await knots.close();
  }
  await server.close();
  assert.equal(pids.size, 2);
  assert.ok(!pids.has(String(process.pid)));
  console.log(`${pids.size} workers`);
}
