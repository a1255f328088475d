// Calls servers of peer.v1.Echo as it is told on stdin, a line of JSON each; answers each order with {"outcome": …}.
import { createInterface } from "node:readline";
import { type Client, codeName, createClient, RpcError } from "bowline";
import { Echo, type EchoClient } from "../gen/peer/v1/echo_rpc.ts";
import { printLine } from "../peers/peer-lines.ts";
import type { Calling, Opening, Outcome } from "./orders.ts";

/** Between two calls that fail at once. */
const PAUSE_MS = 50;
const PATIENCE_MS = 60_000;

const clients = new Map<string, Client<EchoClient>>();

function open({ open: name, target, networks, rewrite }: Opening): Outcome {
  // What an earlier run knew would hide what etcd says now; and nobody waits two minutes for the next attempt here.
  const options = { networks, rewrite, snapshotFolder: false, reconnect: { initialMs: 100, maxMs: 500 } } as const;
  clients.set(name, createClient(Echo, target, options));
  return { server: "", from: "" };
}

async function callOnce(name: string, timeoutMs: number): Promise<Outcome> {
  const client = clients.get(name);
  if (client === undefined) throw new Error(`there is no client ${name}`);
  try {
    const { serverId, call } = await client.unary({ describe: true }, { timeoutMs });
    return { server: serverId, from: (call?.peerAddress ?? "").replace(/:\d+$/, "") };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return { code: codeName(error.code), text: error.message };
  }
}

async function call({ call: name, timeoutMs, until, patienceMs = PATIENCE_MS }: Calling): Promise<Outcome> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const outcome = await callOnce(name, timeoutMs);
    if (until === undefined || ("server" in outcome && outcome.server === until) || performance.now() > end) {
      return outcome;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const order = JSON.parse(line) as Opening | Calling;
    printLine({ outcome: "open" in order ? open(order) : await call(order) });
  })
  .on("close", () => process.exit(0));
printLine({ ready: true });
