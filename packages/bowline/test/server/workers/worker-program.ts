// A server of the text service with workers, for tests of them: node worker-program.ts <options as JSON>
// Over IPC its primary says `{ serving: address }` or `{ failed: message }`, and answers what it is asked: see Question.
import { local } from "../../../src/registry/local/local.ts";
import { Code } from "../../../src/rpc/code.ts";
import { RpcError } from "../../../src/rpc/rpc-error.ts";
import type { ServingStatus } from "../../../src/server/builtin/health.ts";
import { createServer } from "../../../src/server/create-server.ts";
import type { ServerOptions } from "../../../src/server/server-options.ts";
import { echo, TextService } from "../text-service.ts";

/** What a test asks the primary. */
export type Question =
  | { readonly ask: "stats" | "workers" | "close" | "health" | "pause" | "resume" }
  | { readonly ask: "weight"; readonly weight: number }
  | { readonly ask: "set"; readonly service: string; readonly status: ServingStatus };

/** Options of the program besides those of the server. */
export interface ProgramOptions extends ServerOptions {
  /** Folder of a local registry. */
  readonly directory?: string;
  /** Worker 2 fails before its start or in `ready`, or gets stuck there. */
  readonly broken?: "before" | "ready" | "hangs" | "never ready";
  /** Nothing but the server keeps the processes. */
  readonly isIdle?: boolean;
}

const { directory, broken, isIdle = false, ...options } = JSON.parse(process.argv[2] ?? "{}") as ProgramOptions;
const isBroken = broken !== undefined && process.env.BOWLINE_WORKER?.endsWith(":2") === true;

/** Something that nobody closes: a process that ends by itself only would run for ever. */
if (!isIdle) setInterval(() => {}, 60_000);

const server = createServer({
  listen: "127.0.0.1:0",
  drainAcceptMs: 50,
  ...options,
  ...(directory === undefined ? {} : { registry: local({ directory }) }),
  ready: () => {
    if (isBroken && broken === "ready") throw new RangeError("no database");
    return isBroken && broken === "never ready" ? new Promise<void>(() => {}) : undefined;
  },
});
server.add(TextService, { ...echo, say });
if (isBroken && broken === "before") throw new Error("broken before its start");
if (isBroken && broken === "hangs") await new Promise(() => {});

/** `pid` tells which worker answers; `exit N`, `block`, `fail`, `close` and `health NAME STATUS` do it there; `wait N` takes N ms. */
function say(text: string): string | Promise<string> {
  const [verb, first, second] = text.split(" ");
  switch (verb) {
    case "pid":
      return String(process.pid);
    case "exit":
      return process.exit(Number(first));
    case "block":
      setImmediate(() => {
        for (;;);
      });
      return "from now on";
    case "fail":
      throw new RpcError(Code.NOT_FOUND, text);
    case "close":
      setImmediate(() => void server.close());
      return "closing";
    case "health":
      server.health.set(first, second as ServingStatus);
      return "set";
    case "wait":
      return new Promise((resolve) => setTimeout(() => resolve(text), Number(first)));
    case "hang":
      return new Promise(() => {});
    default:
      return text;
  }
}

if (server.role === "primary") {
  process.on("message", (question: Question) => {
    void answer(question).then((reply) => process.send?.({ answer: reply }));
  });
  if (isIdle) process.channel?.unref();
}

try {
  await server.start();
  if (server.role === "primary") process.send?.({ serving: server.address });
} catch (error) {
  if (server.role === "worker") throw error;
  process.send?.({ failed: (error as Error).message, workers: server.workers, state: server.state });
  process.exit(1);
}

async function answer(question: Question): Promise<unknown> {
  switch (question.ask) {
    case "stats":
      return {
        methods: server.stats.map(({ method, started, inFlight, byCode }) => ({
          method,
          started,
          inFlight,
          ok: byCode[0],
        })),
        timed: server.stats.map((each) => each.histogram().reduce((sum, count) => sum + count, 0)),
        misbehaved: Object.fromEntries(server.misbehaved),
        connections: server.connectionCount,
      };
    case "workers":
      return server.workers;
    case "health":
      return Object.fromEntries(server.health.all);
    case "set":
      return server.health.set(question.service, question.status);
    case "pause":
      return server.pause();
    case "resume":
      return server.resume();
    case "weight":
      return server.setWeight(question.weight);
    case "close":
      return server.close();
  }
}
