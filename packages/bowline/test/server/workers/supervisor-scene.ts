import { Supervisor } from "../../../src/server/workers/supervisor.ts";
import type { FromWorker } from "../../../src/server/workers/worker-messages.ts";
import type { WorkerPlan } from "../../../src/server/workers/worker-options.ts";
import { VirtualClock } from "../../../src/testing/virtual-clock.ts";
import { RecordingLogger } from "../server-scene.ts";
import { FakeWorkers } from "./fake-workers.ts";

/** What all workers bind in the end. */
export const ADDRESS = "10.0.0.1:41234";

/** What workers are told at their start. */
export const START = { statuses: { database: "NOT_SERVING" }, isPaused: false, weight: null } as const;

/** Supervisors of fake workers. */
export class SupervisorScene {
  readonly clock: VirtualClock = new VirtualClock();
  readonly log: RecordingLogger = new RecordingLogger();
  readonly workers: FakeWorkers = new FakeWorkers();
  /** What the owner was told. */
  readonly heard: (readonly [number, FromWorker["bowline"] | "ended"])[] = [];

  readonly make = (plan: Partial<WorkerPlan> = {}, listen: string = "10.0.0.1:0"): Supervisor => {
    const { clock, log, workers, heard } = this;
    return new Supervisor({
      plan: { count: 2, ports: "shared", entry: undefined, startTimeoutMs: 30_000, ...plan },
      listen,
      clock,
      // No jitter: delays are 100, 200, 400 … ms.
      random: () => 0.5,
      logger: log,
      launch: workers.launch,
      owner: {
        workerStart: START,
        received: (id, { bowline }) => heard.push([id, bowline]),
        ended: (id) => heard.push([id, "ended"]),
      },
    });
  };

  /** All of its workers serve. */
  readonly serving = async (plan: Partial<WorkerPlan> = {}): Promise<Supervisor> => {
    const supervisor = this.make(plan);
    const started = supervisor.start();
    this.workers.allServe(ADDRESS);
    await started;
    return supervisor;
  };
}

/** Of each worker in turn. */
export const states = (supervisor: Supervisor): string[] => supervisor.workers.map(({ state }) => state);
