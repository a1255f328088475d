import type { AcceptedOptions } from "./accepted-connections.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";

/** A process that runs a worker, as its primary sees it. */
export interface WorkerProcess {
  /** 0 if the system could not start it. */
  readonly pid: number;
  /** Tells it something; lost if it has ended. */
  send(message: ToWorker): void;
  /** Ends it at once, without a chance to object. */
  kill(): void;
}

/** Who is told of a worker's process. */
export interface WorkerProcessHandler {
  received(message: FromWorker): void;
  /** It is gone, once. `how` completes "worker 2 …": `ended with code 1`, `was ended by SIGSEGV`. */
  ended(how: string): void;
}

/** What runs the workers of one server. */
export interface WorkerHost {
  /**
   * Takes it for a server; returns the way to give it back. Throws when another server has it. `accepted` says what becomes of
   * connections that wait for a worker.
   */
  claim(accepted: AcceptedOptions): () => void;
  readonly launch: LaunchWorker;
}

/** Starts the process of the worker with this id, from 1. What is told of it is told later. */
export type LaunchWorker = (id: number, handler: WorkerProcessHandler) => WorkerProcess;
