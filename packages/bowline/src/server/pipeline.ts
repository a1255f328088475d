import type { Clock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import type { Method } from "../rpc/method.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { TimerWheel } from "../rpc/timer-wheel.ts";
import { startSpan } from "../rpc/trace-context.ts";
import type { ServerCall } from "./server-call.ts";
import type { ServerContext } from "./server-context.ts";

/** A built-in layer: functions over a call's fields, run in the order of the list when its headers have arrived. */
export interface ServerLayer {
  readonly name: string;
  /** One sentence: why it is there, and why at this place. */
  readonly why: string;
  /** Headers are here, the body is not decoded yet. An error ends the call. */
  begin?(call: ServerCall): RpcError | null;
  /** The call has its status. */
  end?(call: ServerCall, error: RpcError | null): void;
}

/** A call as a server's interceptor sees it. */
export interface ServedCall {
  readonly method: Method;
  /** The message, or an async iterable of messages when the method streams requests. May be replaced. */
  request: unknown;
  readonly context: ServerContext;
}

/**
 * A user's function around each handler of a server. `next` runs what is inside; it gives the answer: a message, or an async
 * iterable of messages when the method streams them. The first of the list is outermost. What it throws ends the call.
 */
export type ServerInterceptor = (call: ServedCall, next: (call: ServedCall) => Promise<unknown>) => Promise<unknown>;

/** The layers of a server, flattened. */
export interface ServerPipeline {
  readonly begin: readonly ((call: ServerCall) => RpcError | null)[];
  /** Innermost first. */
  readonly end: readonly ((call: ServerCall, error: RpcError | null) => void)[];
  readonly interceptors: readonly ServerInterceptor[];
  describe(): string;
}

/** The longest time that unary calls may take, in ms, of all methods and of some by their path; see `ServerOptions`. */
export interface TimeLimits {
  readonly timeoutMs?: number;
  readonly methodTimeoutsMs?: Readonly<Record<string, number>>;
}

/** What the layers of a server are made with. */
export interface ServerPipelineOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly interceptors: readonly ServerInterceptor[];
  readonly timeLimits?: TimeLimits;
  /** Callers must say who they are; the guard of each method sees to it. */
  readonly isGuarded?: boolean;
  /** Names of built-in layers to leave out: for measurements. */
  readonly without: readonly string[];
}

/** Names of the built-in layers that can be left out. */
export const SERVER_LAYERS: readonly string[] = ["trace", "metrics", "deadline"];

/** The composition root of the server: what happens around each handler, outermost first. */
export function serverPipeline(options: ServerPipelineOptions): ServerPipeline {
  const layers = [traceLayer, metricsLayer(options.clock), deadlineLayer(options)].filter(
    (layer) => !options.without.includes(layer.name),
  );
  const { interceptors } = options;
  return {
    begin: layers.flatMap((layer) => layer.begin ?? []),
    end: layers.flatMap((layer) => layer.end ?? []).reverse(),
    interceptors,
    describe: () =>
      [RECOVER, ...layers, ...(options.isGuarded === true ? [AUTH] : []), ...interceptors.map(described), HANDLER]
        .map(({ name, why }) => `${name}  ${why}`)
        .join("\n"),
  };
}

const RECOVER: ServerLayer = {
  name: "recover",
  why: "outermost: whatever a handler or interceptor throws becomes a status, never the end of the process",
};

const AUTH: ServerLayer = {
  name: "auth",
  why: "before the body is decoded and anything of yours runs; inside deadline: finding out who calls is part of the caller's time",
};

const HANDLER: ServerLayer = { name: "handler", why: "yours" };

const traceLayer: ServerLayer = {
  name: "trace",
  why: "before all that may end the call, so that refusals belong to a trace too; calls made by the handler continue it",
  begin(call) {
    startSpan(call, call.stream.trace);
    return null;
  },
};

function metricsLayer(clock: Clock): ServerLayer {
  return {
    name: "metrics",
    why: "outside admission and deadline: refused and late calls count",
    begin(call) {
      call.server.stats.begin();
      return null;
    },
    end(call, error) {
      call.server.stats.end(error === null ? 0 : error.code, clock.now() - call.stream.startedAt);
    },
  };
}

function deadlineLayer({ wheel, timeLimits = {} }: ServerPipelineOptions): ServerLayer {
  const limitOf = timeLimitOf(timeLimits);
  return {
    name: "deadline",
    why: "before the body is decoded: nobody waits for the answer to a call that is late already",
    begin(call) {
      const { stream } = call;
      const limitMs = limitOf(call.server.method);
      const timeoutMs = stream.timeoutMs < 0 ? limitMs : Math.min(stream.timeoutMs, limitMs);
      if (timeoutMs === Number.POSITIVE_INFINITY) return null;
      if (timeoutMs === 0) return deadlineExceeded();
      call.deadlineAt = stream.startedAt + timeoutMs;
      wheel.add(stream, call.deadlineAt);
      return null;
    },
    end(call) {
      wheel.remove(call.stream);
    },
  };
}

/** Infinity for what has no limit: streams live as long as they are of use. */
function timeLimitOf({ timeoutMs = 0, methodTimeoutsMs = {} }: TimeLimits): (method: Method) => number {
  const common = timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs;
  const own = new Map(Object.entries(methodTimeoutsMs));
  const longest = Number.POSITIVE_INFINITY;
  if (own.size === 0) return ({ kind }) => (kind === "unary" ? common : longest);
  return ({ kind, path }) => (kind === "unary" ? (own.get(path) ?? common) : longest);
}

/** The status of a call whose time is over. */
export function deadlineExceeded(): RpcError {
  return new RpcError(Code.DEADLINE_EXCEEDED, "deadline exceeded at the server", { reason: "deadline" });
}

function described(interceptor: ServerInterceptor): ServerLayer {
  return { name: interceptor.name === "" ? "(interceptor)" : interceptor.name, why: "an interceptor of yours" };
}
