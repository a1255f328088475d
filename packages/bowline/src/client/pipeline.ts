import type { CallCredentials } from "../auth/call-credentials.ts";
import { retryBackoffMs } from "../resilience/backoff.ts";
import type { Clock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { nearestName } from "../rpc/options.ts";
import type { Random } from "../rpc/random.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { startSpan } from "../rpc/trace-context.ts";
import { authorizationEnded, authorize, authorizeAnew } from "./call/authorization.ts";
import type { Call } from "./call/call.ts";
import { guardCredentials } from "./call/own-credentials.ts";
import { before, type Interceptor, type PlacedInterceptor } from "./interceptor.ts";

/**
 * A built-in layer: plain functions over the fields of a call, run for each call in the order of the list. A layer costs nothing
 * where it has no hook.
 */
export interface ClientLayer {
  readonly name: string;
  /** One sentence: why it is there, and why at this place. */
  readonly why: string;
  /** Before the first attempt. An error ends the call, nothing was sent then. */
  begin?(call: Call): RpcError | null;
  /** An attempt failed: ms to wait before another one, or -1. */
  attemptEnded?(call: Call, error: RpcError): number;
  /** The end of the call. */
  end?(call: Call, error: RpcError | null): void;
}

/** When and how often failed attempts are repeated. */
export interface RetryPolicy {
  /** Attempts of one call, the first included; 1 = never again. Default 2. */
  readonly maxAttempts: number;
  /** Upper end of the first random pause, in ms; it doubles with each. Default 25. */
  readonly baseMs: number;
  /** Upper end of all pauses, in ms. Default 1000. */
  readonly maxMs: number;
}

/** What the layers of one client are made with. */
export interface ClientPipelineOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Time for a unary call that says nothing else, in ms; 0 = none. */
  readonly timeoutMs: number;
  /** The same for a call that streams. */
  readonly streamTimeoutMs: number;
  readonly retry: RetryPolicy;
  readonly interceptors: readonly (Interceptor | PlacedInterceptor)[];
  /** What proves who calls; absent: nothing. */
  readonly credentials?: CallCredentials;
  /** Names of built-in layers to leave out: for measurements. */
  readonly without: readonly string[];
}

/** Hooks between two interceptors. */
export interface ClientSegment {
  readonly begin: readonly ((call: Call) => RpcError | null)[];
  /** Innermost first. */
  readonly end: readonly ((call: Call, error: RpcError | null) => void)[];
}

/** The layers of a client, flattened. */
export interface ClientPipeline {
  /** One more than interceptors: `interceptors[i]` stands between `segments[i]` and `segments[i + 1]`. */
  readonly segments: readonly ClientSegment[];
  /** Users' interceptors, outermost first. */
  readonly interceptors: readonly Interceptor[];
  readonly attemptEnded: readonly ((call: Call, error: RpcError) => number)[];
  /** Calls wait for credentials before they are sent. */
  readonly hasCredentials: boolean;
  /** Behind all layers and interceptors: gets what the call lacks, and sends it. Once more when it is to be sent after a wait. */
  send(call: Call): void;
  /**
   * True when the call has credentials that hold now, or needs none; else they are got, and it is dispatched when they have come, or it has
   * ended. For a call that has waited: what it had may have ended meanwhile.
   */
  authorize(call: Call): boolean;
  /** The order as text, a line each. */
  describe(): string;
}

/** The composition root of the client: what happens around each call, outermost first. */
export function clientPipeline(options: ClientPipelineOptions): ClientPipeline {
  const all = [traceLayer(), metricsLayer(options.clock), deadlineLayer(options), retryLayer(options)];
  const names = all.map((layer) => layer.name);
  for (const name of options.without) {
    if (!names.includes(name)) throw noLayer("without", name, names);
  }
  const order = inOrder(all, options.interceptors).filter(
    (entry) => typeof entry === "function" || !options.without.includes(entry.name),
  );
  const layers = order.filter((entry) => typeof entry !== "function");
  const segments: ClientLayer[][] = [[]];
  const interceptors: Interceptor[] = [];
  for (const entry of order) {
    if (typeof entry === "function") {
      interceptors.push(entry);
      segments.push([]);
    } else {
      segments[segments.length - 1].push(entry);
    }
  }
  const credentials = options.credentials === undefined ? undefined : guardCredentials(options.credentials);
  const authorized = credentials === undefined ? () => true : (call: Call) => authorize(call, credentials);
  const attempt = credentials === undefined ? [] : [credentialsLayer(credentials)];
  segments[segments.length - 1].push(...attempt);
  return {
    segments: segments.map((segment) => ({
      begin: segment.flatMap((layer) => layer.begin ?? []),
      end: segment.flatMap((layer) => layer.end ?? []).reverse(),
    })),
    interceptors,
    attemptEnded: [...attempt, ...layers].flatMap((layer) => layer.attemptEnded ?? []),
    hasCredentials: credentials !== undefined,
    send(call) {
      keepOneTrace(call);
      if (authorized(call)) call.dispatch();
    },
    authorize: authorized,
    describe: () => [...order, ...attempt, ...ATTEMPT].map(line).join("\n"),
  };
}

/** What happens in each attempt, below all layers. */
const ATTEMPT: readonly ClientLayer[] = [
  { name: "pick", why: "chooses the endpoint anew for each attempt: a retry must not knock on the same broken door" },
  { name: "transport", why: "gRPC over HTTP/2; repeats by itself what the server has certainly not seen" },
];

function credentialsLayer(credentials: CallCredentials): ClientLayer {
  return {
    name: "credentials",
    why: "inside all interceptors: only the wire sees the secret; asked anew once when another has come meanwhile",
    attemptEnded: (call, error) => (authorizeAnew(call, error, credentials) ? 0 : -1),
    end: (call, error) => authorizationEnded(call, error, credentials),
  };
}

function traceLayer(): ClientLayer {
  return {
    name: "trace",
    why: "outermost, so that one span covers all attempts; continues the trace of the call that is being served",
    begin(call) {
      const parent = call.parent;
      startSpan(
        call,
        parent !== null && (parent.traceA | parent.traceB | parent.traceC | parent.traceD) !== 0 ? parent : null,
      );
      if (parent !== null) call.tracestate = parent.tracestate;
      return null;
    },
  };
}

/** Who sets `traceparent`, for the call or in an interceptor, wants another trace than ours. */
function keepOneTrace(call: Call): void {
  if (call.requestMetadata?.has("traceparent") !== true) return;
  call.spanA = 0;
  call.spanB = 0;
  call.tracestate = undefined;
}

function metricsLayer(clock: Clock): ClientLayer {
  return {
    name: "metrics",
    why: "outside deadline and retry: counts what the caller sees, one call whatever its attempts",
    begin(call) {
      call.target.stats.begin();
      return null;
    },
    end(call, error) {
      call.target.stats.end(error === null ? 0 : error.code, clock.now() - call.startedAt);
    },
  };
}

function deadlineLayer({ timeoutMs: unaryTimeoutMs, streamTimeoutMs }: ClientPipelineOptions): ClientLayer {
  return {
    name: "deadline",
    why: "outside retry: all attempts share the time of the call, which is never more than what its own caller waits",
    begin(call) {
      const timeoutMs = call.options?.timeoutMs ?? (call.method.kind === "unary" ? unaryTimeoutMs : streamTimeoutMs);
      let deadlineAt = timeoutMs > 0 ? call.startedAt + timeoutMs : 0;
      const inherited = call.parent === null ? 0 : call.parent.deadlineAt;
      if (inherited > 0 && (deadlineAt === 0 || inherited < deadlineAt)) deadlineAt = inherited;
      call.deadlineAt = deadlineAt;
      if (deadlineAt === 0) return null;
      if (deadlineAt <= call.startedAt) {
        return new RpcError(Code.DEADLINE_EXCEEDED, "the deadline had passed before the call was sent", {
          reason: "deadline",
          sent: false,
        });
      }
      call.channel.wheel.add(call, deadlineAt);
      return null;
    },
  };
}

/** A wait that a server asks for, in ms. Whatever else it says means that it wants no retry (gRFC A6). */
const PUSHBACK = /^\d{1,9}$/;

function retryLayer({ retry, random, clock }: ClientPipelineOptions): ClientLayer {
  const name = "retry";
  const why =
    "outside pick: another attempt goes to another endpoint; only idempotent methods, only while the budget lasts";
  if (retry.maxAttempts === 1) return { name, why };
  return {
    name,
    why,
    begin(call) {
      call.channel.retryBudget.deposit();
      return null;
    },
    attemptEnded(call, error) {
      if (error.code !== Code.UNAVAILABLE || call.retries + 1 >= retry.maxAttempts) return -1;
      if (call.method.idempotency === "unknown") return -1;
      // One layer of a chain repeats, or attempts multiply.
      if (call.parent?.isRetry === true) return -1;
      const { pushback } = call;
      if (pushback !== undefined && !PUSHBACK.test(pushback)) return -1;
      const delayMs = pushback === undefined ? retryBackoffMs(call.retries, random, retry) : Number(pushback);
      if (call.deadlineAt > 0 && clock.now() + delayMs >= call.deadlineAt) return -1;
      if (!call.channel.retryBudget.withdraw()) return -1;
      call.retries++;
      return delayMs;
    },
  };
}

/** Layers and interceptors, outermost first. An interceptor without a place stands right outside `retry`. */
function inOrder(
  layers: readonly ClientLayer[],
  interceptors: readonly (Interceptor | PlacedInterceptor)[],
): (ClientLayer | Interceptor)[] {
  const placed = interceptors.map((each) => (typeof each === "function" ? before("retry", each) : each));
  const names = layers.map((layer) => layer.name);
  for (const each of placed) {
    if (typeof each?.interceptor !== "function" || (each.side !== "before" && each.side !== "after")) {
      throw new TypeError(
        'an interceptor is an async (call, next) => …, or before("retry", one) for a place of its own',
      );
    }
    const { layer, side } = each;
    if (layer === "retry" && side === "after") {
      throw new TypeError('interceptors run once a call: place them before("retry") or further out');
    }
    if (!names.includes(layer)) throw noLayer(`interceptors: ${side}`, layer, names);
  }
  return layers.flatMap((layer) => {
    const at = (side: string): Interceptor[] =>
      placed.filter((each) => each.layer === layer.name && each.side === side).map((each) => each.interceptor);
    return [...at("before"), layer, ...at("after")];
  });
}

function noLayer(option: string, name: string, names: readonly string[]): TypeError {
  const nearest = nearestName(String(name), names);
  const hint = nearest === undefined ? `layers are ${names.join(", ")}` : `did you mean ${nearest}?`;
  return new TypeError(`createClient options.${option}: there is no layer "${String(name)}"; ${hint}`);
}

function line(entry: ClientLayer | Interceptor): string {
  if (typeof entry === "function")
    return `${entry.name === "" ? "(interceptor)" : entry.name}  an interceptor of yours`;
  return `${entry.name}  ${entry.why}`;
}
