// peer.v1.Echo served by Bowline in a process of its own; each handler that begins is written to a file. Told what to do on stdin.
import { createInterface } from "node:readline";
import { createServer, type ServedCall } from "bowline";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";
import { announce, printLine } from "../../peers/peer-lines.ts";
import { RunLog } from "../ledger/run-log.ts";
import { processOptions } from "../processes/options.ts";
import type { CheckedServerOptions } from "./checked-server.ts";
import { CALL_KEY } from "./metadata.ts";
import { resourcesNow } from "./resources.ts";

const { id, log, options } = processOptions<CheckedServerOptions & { readonly log: string }>();
const runs = new RunLog(log);
let unhandled = 0;
process.on("unhandledRejection", () => unhandled++);

const server = createServer({
  name: "peer.rpc",
  listen: "127.0.0.1:0",
  handleSignals: false,
  ...options,
  interceptors: [noted],
});
server.add(Echo, echoHandlers(id));
await server.start();
const baseline = resourcesNow();

function noted(call: ServedCall, next: (call: ServedCall) => Promise<unknown>): Promise<unknown> {
  const [client, sequence] = String(call.context.metadata.get(CALL_KEY)).split("/").map(Number);
  runs.note(client, sequence, "began");
  return next(call);
}

createInterface({ input: process.stdin }).on("line", () => {
  const { connectionCount: connections } = server;
  printLine({ report: { connections, unhandled, baseline, now: resourcesNow() } });
});
announce({ addr: server.address });
