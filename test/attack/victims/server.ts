// The server under attack: peer.v1.Echo served by Bowline, which reports what it has counted when asked. --options is JSON for createServer.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createServer, type ServerOptions } from "bowline";
import { Echo, type EchoHandlers } from "../../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";
import { announce, printLine } from "../../peers/peer-lines.ts";
import { MisdeedLog } from "./misdeed-log.ts";

const { values } = parseArgs({ options: { options: { type: "string", default: "{}" } } });

/** What happened since the counters were cleared. `running` goes on. */
const counts = { started: 0, running: 0, mostRunning: 0, cancelled: 0, producedBytes: 0, mostPerTurn: 0, metadata: 0 };
const log = new MisdeedLog();
let unhandled = 0;
let startedInTurn = 0;

/** A handler of any method begins: how many do in one turn of the event loop. */
function began(): void {
  if (startedInTurn++ === 0) {
    setImmediate(() => {
      counts.mostPerTurn = Math.max(counts.mostPerTurn, startedInTurn);
      startedInTurn = 0;
    });
  }
}

const echo = echoHandlers("victim");
const handlers: EchoHandlers = {
  ...echo,
  unary: (request, context) => {
    began();
    return echo.unary(request, context);
  },
  // Stubborn on purpose: it goes on although nobody waits for it any more.
  slow: async (request, context) => {
    began();
    counts.started++;
    counts.mostRunning = Math.max(counts.mostRunning, ++counts.running);
    context.signal.addEventListener("abort", () => counts.cancelled++);
    await delay(request.sleepMs);
    counts.running--;
    return { serverId: "victim" };
  },
  serverStream: async function* (request, context) {
    counts.metadata += [...context.metadata].length;
    for await (const answer of echo.serverStream(request, context) as AsyncIterable<{ payload: Uint8Array }>) {
      counts.producedBytes += answer.payload.length;
      yield answer;
    }
  },
};

process.on("unhandledRejection", () => unhandled++);
process.on("uncaughtException", () => unhandled++);

const server = createServer({
  name: "victim.rpc",
  listen: "127.0.0.1:0",
  handleSignals: false,
  ...(JSON.parse(values.options) as ServerOptions),
  logger: log,
});
server.add(Echo, handlers);
await server.start();

const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();

createInterface({ input: process.stdin }).on("line", (line) => {
  const { clear } = JSON.parse(line) as { clear?: boolean };
  const { named, errors, mostLines } = log;
  const misdeeds = { misbehaved: Object.fromEntries(server.misbehaved), errors, mostLines, unhandled };
  printLine({
    report: { ...counts, ...misdeeds, named: [...named], connections: server.connectionCount },
    longestBlockMs: delays.max / 1e6,
  });
  if (!clear) return;
  Object.assign(counts, { started: 0, mostRunning: counts.running, cancelled: 0, producedBytes: 0, mostPerTurn: 0 });
  delays.reset();
});
announce({ addr: server.address });
