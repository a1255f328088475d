import { Server } from "./server.ts";
import { checkServerOptions, type ServerOptions } from "./server-options.ts";
import {
  checkCanHaveWorkers,
  claimWorkers,
  clusterPrimaryLink,
  launchWorker,
  ownWorkerId,
} from "./workers/cluster-processes.ts";
import { PrimaryServer } from "./workers/primary-server.ts";
import { workerPlan } from "./workers/worker-options.ts";
import type { LaunchWorker } from "./workers/worker-process.ts";
import { WorkerServer } from "./workers/worker-server.ts";

/**
 * Makes a server. Add services to it, then `start()` it.
 *
 * ```ts
 * const server = createServer({ listen: "127.0.0.1:8080" }).add(UserService, { async getUser(request) { … } });
 * await server.start();
 * ```
 *
 * @throws TypeError or RangeError when an option is wrong; it names the option, the value, and what is allowed
 */
export function createServer(options: ServerOptions = {}): Server {
  if (options?.workers === undefined) return new Server(options);
  checkServerOptions(options);
  const plan = workerPlan(options.workers);
  const id = ownWorkerId();
  if (id > 0) return new WorkerServer(options, { id, plan, link: clusterPrimaryLink() });
  checkCanHaveWorkers(plan.entry);
  const launch: LaunchWorker = (workerId, handler) => launchWorker(workerId, handler, plan.entry);
  return new PrimaryServer(options, plan, { claim: claimWorkers, launch });
}
