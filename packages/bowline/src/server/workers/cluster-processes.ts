import type { Cluster, Worker } from "node:cluster";
import { environment } from "../../rpc/platform.ts";
import { AcceptedConnections, type AcceptedOptions } from "./accepted-connections.ts";
import type { PrimaryLink } from "./primary-link.ts";
import { type FromWorker, isOurs, type ToWorker } from "./worker-messages.ts";
import type { WorkerProcess, WorkerProcessHandler } from "./worker-process.ts";

/** Tells a process that it is a worker of ours: the primary's process id and the worker's number. */
const VARIABLE = "BOWLINE_WORKER";

/** node:cluster, loaded at first use: it sets up listeners of its own, which a server without workers must not have. */
function clusterModule(): Cluster {
  // Its types describe the module as `import` shows it; this is its default export.
  return process.getBuiltinModule("node:cluster") as unknown as Cluster;
}

/** The number of the worker, from 1, that this process is; 0 if it is none of ours. */
export function ownWorkerId(): number {
  const [primary, id] = (environment()[VARIABLE] ?? "").split(":");
  // Processes that a worker starts inherit the variable, but not the parent.
  if (Number(primary) !== process.ppid || process.channel === undefined) return 0;
  return clusterModule().isWorker ? Number(id) : 0;
}

/** @throws TypeError when this process can't have workers, or does not know which program they are to run */
export function checkCanHaveWorkers(entry: string | undefined): void {
  if (!process.getBuiltinModule("node:worker_threads").isMainThread) {
    throw new TypeError(
      "createServer options.workers: a worker thread can't have worker processes; start the server in the main thread",
    );
  }
  if (clusterModule().isWorker) {
    throw new TypeError(
      "createServer options.workers: this process is a worker of another node:cluster already (pm2 in cluster mode, for one); " +
        "start the program once, or leave workers out",
    );
  }
  if (entry !== undefined || process.argv[1] !== undefined) return;
  throw new TypeError(
    "createServer options.workers: this process runs no file that workers could run too (a REPL or node -e); name one in workers.entry",
  );
}

/** There is one cluster in a process, and every worker runs all of the program: two servers would each start the other once more. */
let isClaimed = false;
/** Of the primary's server that has claimed them. */
let connections: AcceptedConnections | null = null;

/**
 * Takes the workers of this process for one server, in the primary with a bound for the connections that wait for them. Returns the way
 * to give them back.
 *
 * @throws Error when another server has them
 */
export function claimWorkers(accepted: AcceptedOptions | null): () => void {
  if (isClaimed) {
    throw new Error(
      "server.start(): another server of this process has workers already; add all services to one, or leave workers out of the others",
    );
  }
  isClaimed = true;
  const stop = accepted === null ? () => {} : followConnections(new AcceptedConnections(accepted));
  return () => {
    stop();
    isClaimed = false;
  };
}

/** Follows the connections of all workers of this process, the program's own as well, until the returned function is called. */
function followConnections(accepted: AcceptedConnections): () => void {
  const cluster = clusterModule();
  const forked = (worker: Worker): void => accepted.followOther(worker.process);
  for (const worker of Object.values(cluster.workers ?? {})) if (worker !== undefined) forked(worker);
  // Told in the next tick: workers of ours are known by then.
  cluster.on("fork", forked);
  connections = accepted;
  return () => {
    cluster.off("fork", forked);
    accepted.close();
    connections = null;
  };
}

/** Starts the process of worker `id` by node:cluster, with this process's arguments, options of Node, environment and output. */
export function launchWorker(id: number, handler: WorkerProcessHandler, entry: string | undefined): WorkerProcess {
  const cluster = clusterModule();
  // A program may have workers of its own besides: its settings are put back.
  const { settings } = cluster;
  try {
    cluster.setupPrimary({
      exec: entry ?? process.argv[1],
      args: process.argv.slice(2),
      execArgv: process.execArgv,
      silent: false,
      stdio: undefined,
    });
    return new ClusterWorker(cluster.fork({ [VARIABLE]: `${process.pid}:${id}` }), handler);
  } finally {
    Object.assign(cluster, { settings });
  }
}

class ClusterWorker implements WorkerProcess {
  readonly pid: number;
  readonly #worker: Worker;

  constructor(worker: Worker, handler: WorkerProcessHandler) {
    this.#worker = worker;
    this.pid = worker.process.pid ?? 0;
    worker.on("message", (message: unknown) => {
      if (isOurs(message)) handler.received(message as FromWorker);
    });
    const gone = connections?.follow(worker.process);
    let isDisconnected = false;
    worker.process.once("disconnect", () => {
      isDisconnected = true;
    });
    // Not "exit": its last words may still be on their way then.
    worker.process.once("close", (code: number | null, signal: NodeJS.Signals | null) => {
      // node:child_process leaves this out when a connection was on its way to the worker; node:cluster would go on counting it in.
      if (!isDisconnected) worker.process.emit("disconnect");
      gone?.();
      handler.ended(signal === null ? `ended with code ${code}` : `was ended by ${signal}`);
    });
    // Also when a message can't be sent, which the end of the process explains.
    worker.on("error", (error) => {
      if (this.pid === 0) handler.ended(`could not be started: ${error.message}`);
    });
  }

  send(message: ToWorker): void {
    // The callback takes the error of a channel that has just been closed.
    if (this.#worker.isConnected()) this.#worker.send(message, undefined, undefined, () => {});
  }

  kill(): void {
    this.#worker.process.kill("SIGKILL");
  }
}

/** The way from this worker to its primary. */
export function clusterPrimaryLink(): PrimaryLink {
  return {
    send: (message) =>
      new Promise((resolve) => {
        if (!process.connected) return resolve();
        process.send?.(message, undefined, undefined, () => resolve());
      }),
    open({ received, lost }) {
      claimWorkers(null);
      const onMessage = (message: unknown): void => {
        if (isOurs(message)) received(message as ToWorker);
      };
      process.on("message", onMessage);
      const { worker } = clusterModule();
      worker?.once("disconnect", () => {
        // Else node:cluster ends the process at this very moment, with all its calls.
        worker.exitedAfterDisconnect = true;
        lost();
      });
    },
    release: () => process.channel?.unref(),
    exit: (code) => process.exit(code),
  };
}
