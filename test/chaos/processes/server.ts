// chaos.v1.Chaos served by Bowline in a process of its own; every handler is written down when it begins and ends. Ends on SIGTERM, in order.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { createClient, createServer, local, type ServerContext } from "bowline";
import type { Done, Work } from "../../gen/chaos/v1/chaos_pb.ts";
import { Chaos, type ChaosHandlers } from "../../gen/chaos/v1/chaos_rpc.ts";
import { printLine } from "../../peers/peer-lines.ts";
import { RunLog } from "../ledger/run-log.ts";
import { processOptions, type ServerProcessOptions } from "./options.ts";
import { serveOrders } from "./orders.ts";

type Answer = Omit<Done, "$typeName" | "$unknown">;

const { id, log, meeting, next, release, options } = processOptions<ServerProcessOptions>();
const runs = new RunLog(log);
const onward = next === undefined ? undefined : createClient(Chaos, next);
const counts = { begun: 0, running: 0, cancelled: 0, producedBytes: 0 };
let unhandled = 0;
process.on("unhandledRejection", () => unhandled++);

/** Writes down that a handler begins, and when it is cancelled and ends. */
async function handled<T>({ client, sequence }: Work, { signal }: ServerContext, work: () => Promise<T>): Promise<T> {
  runs.note(client, sequence, "began");
  counts.begun++;
  counts.running++;
  const cancelled = (): void => {
    counts.cancelled++;
    runs.note(client, sequence, "cancelled");
  };
  signal.addEventListener("abort", cancelled, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener("abort", cancelled);
    counts.running--;
    runs.note(client, sequence, "ended");
  }
}

function answer({ client, sequence, payloadBytes }: Work, position: number): Answer {
  return { client, sequence, position, serverId: id, payload: new Uint8Array(payloadBytes) };
}

function block(blockMs: number): void {
  for (const until = performance.now() + blockMs; performance.now() < until; );
}

function unary(request: Work, context: ServerContext): Promise<Answer> {
  return handled(request, context, async () => {
    if (request.blockMs > 0) block(request.blockMs);
    if (request.sleepMs > 0) await delay(request.sleepMs, undefined, { signal: context.signal });
    return answer(request, 0);
  });
}

async function* watch(request: Work, context: ServerContext): AsyncIterable<Answer> {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const run = handled(request, context, () => over);
  try {
    for (let position = 0; position < request.count; position++) {
      if (request.intervalMs > 0 && position > 0)
        await delay(request.intervalMs, undefined, { signal: context.signal });
      counts.producedBytes += request.payloadBytes;
      yield answer(request, position);
    }
  } finally {
    end();
    await run;
  }
}

/** Works for as long as somebody waits: only cancellation or the deadline end it. */
function relay(request: Work, context: ServerContext): Promise<Answer> {
  return handled(request, context, async () => {
    const { client, sequence } = request;
    if (onward !== undefined) return onward.relay({ client, sequence });
    const { promise, reject } = Promise.withResolvers<Answer>();
    context.signal.addEventListener("abort", () => reject(context.signal.reason), { once: true });
    return promise;
  });
}

const handlers: ChaosHandlers = { read: unary, write: unary, watch, relay };
const server = createServer({
  name: "chaos.rpc",
  instanceId: id,
  registry: meeting === undefined ? undefined : local(meeting),
  ...options,
});
server.add(Chaos, handlers);
if (release !== undefined) {
  const { service, handlers: ordersHandlers } = serveOrders(release, ({ client, sequence }, work) => {
    counts.begun++;
    runs.note(client, sequence, "began");
    const order = work();
    runs.note(client, sequence, "ended");
    return order;
  });
  server.add(service, ordersHandlers);
}
await server.start();

const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (!("report" in (JSON.parse(line) as object))) return;
    const misbehaved = Object.fromEntries(server.misbehaved);
    const { connectionCount: connections } = server;
    printLine({ report: { ...counts, misbehaved, connections, unhandled, longestBlockMs: delays.max / 1e6 } });
    delays.reset();
  })
  .on("close", () => process.exit(0));
process.on("SIGHUP", () => {
  for (let round = 0; round < 2; round++) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  printLine({ rss_bytes: rss, heap_bytes: heapUsed + external });
});
process.on("exit", () => printLine({ exited: true }));
printLine({ ready: true, pid: process.pid, addr: server.address });
