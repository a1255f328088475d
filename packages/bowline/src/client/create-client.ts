import { boundedCodec } from "../codec/codec.ts";
import { parseTarget } from "../registry/target/target.ts";
import { systemClock } from "../rpc/clock.ts";
import { isMessages } from "../rpc/iteration/user-iterator.ts";
import { checkService, type Method, type Service } from "../rpc/method.ts";
import { systemRandom } from "../rpc/random.ts";
import { StreamCall } from "./call/stream-call.ts";
import { UnaryCall } from "./call/unary-call.ts";
import type { CallOptions } from "./call-options.ts";
import type { CallMethod, Channel } from "./channel/channel.ts";
import { channelKey, channelOptions } from "./channel/channel-options.ts";
import { acquireChannel, releaseChannel } from "./channel/channel-pool.ts";
import { type ClientOptions, checkCallOptions, checkClientOptions } from "./client-options.ts";
import { type ClientPipeline, clientPipeline, type RetryPolicy } from "./pipeline.ts";

/** What every client has besides its service's methods; a method of the same name hides it. */
export interface ClientControl {
  /** The channel: its state, endpoints and statistics, and `connect()`. Shared with other clients of the same target. */
  readonly channel: Channel;
  /** The layers around each call, outermost first, a line each. */
  describe(): string;
  /**
   * Lets go of the channel; the last client of a target closes its connections and ends its calls with CANCELLED. Only then do further
   * calls fail: until the last has let go, calls of this client still run.
   */
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
  checkService("createClient", service);
  checkClientOptions(options);
  const parsed = parseTarget(target);
  const methods = Object.values(service.methods).map((method) => methodIn(method, options));
  const pipeline = clientPipeline({
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    // A stream that is meant to last is not to end by surprise.
    streamTimeoutMs: options.timeoutMs ?? 0,
    retry: retryPolicy(options.retry),
    interceptors: options.interceptors ?? [],
    credentials: options.credentials,
    without: options.without ?? [],
  });
  const key = channelKey(parsed, options);
  const channel = acquireChannel(key, () => channelOptions(parsed, options));
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= releaseChannel(key, channel);
    return closing;
  };
  const client: Record<string | symbol, unknown> = { channel, close, describe: () => pipeline.describe() };
  client[Symbol.asyncDispose] = close;
  for (const method of methods) {
    client[method.localName] = caller(channel, channel.method(method), pipeline, method);
  }
  return client as Client<C>;
}

function retryPolicy(retry: ClientOptions["retry"]): RetryPolicy {
  if (retry === false) return { maxAttempts: 1, baseMs: 0, maxMs: 0 };
  const { maxAttempts = 2, baseMs = 25, maxMs = 1000 } = retry ?? {};
  return { maxAttempts, baseMs, maxMs };
}

/** The method with the codecs of a client: its own, or the same messages in another form. */
function methodIn(method: Method, { codec = "proto", maxDecodedBytes }: ClientOptions): Method {
  const isAsItIs = codec === "proto" || codec === method.input.name;
  if (isAsItIs && maxDecodedBytes === undefined) return method;
  const input = isAsItIs ? method.input : method.input.as?.(codec);
  const output = isAsItIs ? method.output : method.output.as?.(codec);
  if (input !== undefined && output !== undefined) {
    return { ...method, input, output: boundedCodec(output, maxDecodedBytes) };
  }
  throw new TypeError(
    `createClient options.codec is "${codec}", but the codecs of ${method.path} offer ${method.input.name} only: leave the option out, or give its codecs as("${codec}")`,
  );
}

/** The function that a method of a client is. Wrong arguments make a promise reject; where there is none they throw. */
function caller(channel: Channel, target: CallMethod, pipeline: ClientPipeline, method: Method): unknown {
  switch (method.kind) {
    case "unary":
      return (request: unknown, options?: CallOptions): Promise<unknown> =>
        new Promise((resolve, reject) => {
          if (options !== undefined) checkCallOptions(options);
          new UnaryCall(channel, target, pipeline, options, request, resolve, reject).begin();
        });
    case "client-stream":
      return (requests: unknown, options?: CallOptions): Promise<unknown> =>
        new Promise((resolve, reject) => {
          if (options !== undefined) checkCallOptions(options);
          checkRequests(method, requests);
          new UnaryCall(channel, target, pipeline, options, requests, resolve, reject).begin();
        });
    default:
      return (request: unknown, options?: CallOptions): AsyncIterable<unknown> => {
        if (options !== undefined) checkCallOptions(options);
        if (method.kind === "bidi-stream") checkRequests(method, request);
        const call = new StreamCall(channel, target, pipeline, options, request);
        call.begin();
        return call.messages;
      };
  }
}

/** @throws TypeError when a method that streams its requests is given something else */
function checkRequests(method: Method, requests: unknown): void {
  if (isMessages(requests)) return;
  const given = requests === null ? "null" : typeof requests;
  throw new TypeError(
    `${method.path} takes an (async) iterable of messages, such as an array or a generator, not ${given}`,
  );
}
