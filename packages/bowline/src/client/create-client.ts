import { parseTarget } from "../registry/target.ts";
import { RetryBudget } from "../resilience/retry-budget.ts";
import { systemClock } from "../rpc/clock.ts";
import type { Method, Service } from "../rpc/method.ts";
import { systemRandom } from "../rpc/random.ts";
import type { CallOptions } from "./call-options.ts";
import type { CallMethod, Channel } from "./channel.ts";
import { channelKey, channelOptions } from "./channel-options.ts";
import { acquireChannel, releaseChannel } from "./channel-pool.ts";
import { type ClientOptions, checkCallOptions, checkClientOptions } from "./client-options.ts";
import { type ClientPipeline, clientPipeline } from "./pipeline.ts";
import { StreamCall } from "./stream-call.ts";
import { UnaryCall } from "./unary-call.ts";

/** What every client has besides its service's methods; a method of the same name hides it. */
export interface ClientControl {
  /** The channel: its state, endpoints and statistics, and `connect()`. Shared with other clients of the same target. */
  readonly channel: Channel;
  /** The layers around each call, outermost first, a line each. */
  describe(): string;
  /** Lets go of the channel; the last client of a target closes its connections and ends its calls. */
  close(): Promise<void>;
}

/** A client of a service. */
export type Client<Methods> = Methods & Omit<ClientControl, keyof Methods> & AsyncDisposable;

const DEFAULT_TIMEOUT_MS = 2000;

/**
 * Makes a client: an object with the service's methods.
 *
 * `target` says where the service is: `host:port`, `dns:///host:port`, `static:///a:1,b:2`, `local:///name`, `unix:///path`, or the
 * bare name of a service in `options.registry`. Nothing is connected before the first call. Clients of one target and the same
 * settings share their connections.
 *
 * @throws TypeError or RangeError when target or options are wrong; it names what, and what is allowed
 */
export function createClient<C>(service: Service<C, unknown>, target: string, options: ClientOptions = {}): Client<C> {
  checkService(service);
  checkClientOptions(options);
  const parsed = parseTarget(target);
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const key = channelKey(parsed, options);
  const channel = acquireChannel(key, () => channelOptions(parsed, options));
  const pipeline = clientPipeline({
    clock,
    random,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    retry: { maxAttempts: 2, baseMs: 25, maxMs: 1000, ...(options.retry === false ? { maxAttempts: 1 } : options.retry) },
    budget: new RetryBudget({ clock }),
    interceptors: options.interceptors ?? [],
    without: options.without ?? [],
  });
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    releaseChannel(key, channel);
  };
  const client: Record<string | symbol, unknown> = { channel, close, describe: () => pipeline.describe() };
  client[Symbol.asyncDispose] = close;
  for (const method of Object.values(service.methods)) {
    client[method.localName] = caller(channel, channel.method(method), pipeline, method);
  }
  return client as Client<C>;
}

/** The function that a method of a client is. */
function caller(channel: Channel, target: CallMethod, pipeline: ClientPipeline, method: Method): unknown {
  if (method.kind === "unary" || method.kind === "client-stream") {
    return (request: unknown, options?: CallOptions): Promise<unknown> => {
      if (options !== undefined) checkCallOptions(options);
      return new Promise((resolve, reject) => {
        new UnaryCall(channel, target, pipeline, options, request, resolve, reject).begin();
      });
    };
  }
  return (request: unknown, options?: CallOptions): AsyncIterable<unknown> => {
    if (options !== undefined) checkCallOptions(options);
    const call = new StreamCall(channel, target, pipeline, options, request);
    call.begin();
    return call.messages;
  };
}

/** @throws TypeError when what was given is no generated service */
function checkService(service: Service): void {
  if (typeof service === "object" && service !== null && typeof service.typeName === "string" && typeof service.methods === "object") return;
  throw new TypeError("createClient: the first argument must be a generated service, such as UserService of user_rpc.ts");
}
