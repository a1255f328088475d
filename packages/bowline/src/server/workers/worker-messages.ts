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
  /** What was asked for by this number is done, or has failed. */
  | { readonly bowline: "done"; readonly replyTo: number; readonly error: ErrorReport | null }
  /** The server is closed and all that it counted is told. */
  | { readonly bowline: "closed" };

/** What has been said so far, for a worker that starts. */
export interface WorkerStart {
  readonly statuses: Statuses;
  readonly isPaused: boolean;
  /** Null until somebody has set one. */
  readonly weight: number | null;
}

/** What a primary asks a worker to do, and waits for. */
export type WorkerRequest =
  /** Call `pause()`, or `resume()`. */
  { readonly bowline: "pause"; readonly isPaused: boolean } | { readonly bowline: "weight"; readonly weight: number };

/** What a primary tells a worker. */
export type ToWorker =
  /** Listen on `listen`. `isFirst`: nobody has bound it; a Unix socket's file is a dead server's. */
  | ({ readonly bowline: "go"; readonly listen: string; readonly isFirst: boolean } & WorkerStart)
  /** The health of a service has been set. `isEcho`: by this worker. */
  | { readonly bowline: "health"; readonly service: string; readonly status: ServingStatus; readonly isEcho: boolean }
  | (WorkerRequest & { readonly replyTo: number })
  /** Stop, within `withinMs` at most. */
  | { readonly bowline: "stop"; readonly withinMs: number };

/** An error on its way to another process. */
export interface ErrorReport {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  /** What else it says of itself, as far as that is text, numbers and truth values: `code`, `kind` and the like. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  readonly cause: ErrorReport | null;
  /** Of an AggregateError. */
  readonly errors: readonly ErrorReport[];
}

/** Causes of causes that are told: a chain may be a ring. */
const MAX_DEPTH = 8;
/** Errors of an AggregateError that are told. */
const MAX_ERRORS = 8;

/** What can be told of anything that was thrown, causes included. */
export function errorReport(thrown: unknown, depth: number = MAX_DEPTH): ErrorReport {
  const nothing = { stack: "", fields: {}, cause: null, errors: [] };
  if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown), ...nothing };
  const { name, message, stack = "", cause } = thrown;
  const inner: readonly unknown[] = thrown instanceof AggregateError ? thrown.errors.slice(0, MAX_ERRORS) : [];
  return {
    name,
    message,
    stack,
    fields: fieldsOf(thrown),
    cause: cause === undefined || depth === 0 ? null : errorReport(cause, depth - 1),
    errors: depth === 0 ? [] : inner.map((each) => errorReport(each, depth - 1)),
  };
}

function fieldsOf(error: Error): ErrorReport["fields"] {
  const { name: _name, message: _message, stack: _stack, ...rest } = error as Error & Record<string, unknown>;
  const fields: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(rest)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") fields[key] = value;
  }
  return fields;
}

/** An error with the name, message, stack, fields and causes of the one that was reported; its class is Error or AggregateError. */
export function reportedError({ name, message, stack, fields, cause, errors }: ErrorReport): Error {
  const options = cause === null ? undefined : { cause: reportedError(cause) };
  const inner = errors.map(reportedError);
  const error = inner.length > 0 ? new AggregateError(inner, message, options) : new Error(message, options);
  Object.assign(error, fields);
  return Object.defineProperties(error, {
    name: { value: name, configurable: true },
    stack: { value: stack, configurable: true },
  });
}

/** True for messages of ours; the other process runs the same program, so their fields are not looked at. */
export function isOurs(message: unknown): message is { readonly bowline: string } {
  return typeof message === "object" && message !== null && "bowline" in message && typeof message.bowline === "string";
}
