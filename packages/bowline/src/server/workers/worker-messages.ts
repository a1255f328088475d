import type { ServingStatus } from "../builtin/health.ts";
import type { TallyReport } from "./call-tally.ts";

/** Health of services by name, as far as somebody has said it. */
export type Statuses = Readonly<Record<string, ServingStatus>>;

/**
 * What a worker tells its primary. `bowline` names the kind, so that messages of the program's own are told apart.
 *
 * ```text
 *   asks ──► (go) ──► bound ──► serving ──► (stop) ──► closed
 *                └──── failed ───┘
 * ```
 */
export type FromWorker =
  /** `start()` was called: may I listen? With the health that the program has set before. */
  | { readonly bowline: "asks"; readonly statuses: Statuses }
  /** The port is bound, `ready` comes next. */
  | { readonly bowline: "bound"; readonly address: string }
  | { readonly bowline: "serving"; readonly address: string; readonly services: readonly string[] }
  /** `start()` has failed; the worker ends. */
  | { readonly bowline: "failed"; readonly error: ErrorReport }
  /** The program has set the health of a service here. */
  | { readonly bowline: "health"; readonly service: string; readonly status: ServingStatus }
  | { readonly bowline: "tally"; readonly report: TallyReport }
  /** The server is closed and all that it counted is told. */
  | { readonly bowline: "closed" };

/** What has been said so far, for a worker that starts. */
export interface WorkerStart {
  readonly statuses: Statuses;
  readonly isPaused: boolean;
  /** Null until somebody has set one. */
  readonly weight: number | null;
}

/** What a primary tells a worker. */
export type ToWorker =
  /** Listen on `listen`. `isFirst`: nobody has bound it; a Unix socket's file is a dead server's. */
  | ({ readonly bowline: "go"; readonly listen: string; readonly isFirst: boolean } & WorkerStart)
  /** The health of a service has been set. `isEcho`: by this worker. */
  | { readonly bowline: "health"; readonly service: string; readonly status: ServingStatus; readonly isEcho: boolean }
  /** Call `pause()`, or `resume()`. */
  | { readonly bowline: "pause"; readonly isPaused: boolean }
  | { readonly bowline: "weight"; readonly weight: number }
  /** Stop, within `withinMs` at most. */
  | { readonly bowline: "stop"; readonly withinMs: number };

/** An error on its way to another process. */
export interface ErrorReport {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}

/** What can be told of anything that was thrown. */
export function errorReport(thrown: unknown): ErrorReport {
  if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown), stack: "" };
  return { name: thrown.name, message: thrown.message, stack: thrown.stack ?? "" };
}

/** An error with the name, message and stack of the one that was reported. */
export function reportedError({ name, message, stack }: ErrorReport): Error {
  const error = new Error(message);
  return Object.defineProperties(error, {
    name: { value: name, configurable: true },
    stack: { value: stack, configurable: true },
  });
}

/** True for messages of ours; the other process runs the same program, so their fields are not looked at. */
export function isOurs(message: unknown): message is { readonly bowline: string } {
  return typeof message === "object" && message !== null && "bowline" in message && typeof message.bowline === "string";
}
