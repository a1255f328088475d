import type { Metadata } from "../rpc/metadata.ts";
import type { Method } from "../rpc/method.ts";

/** A call as an interceptor sees it. */
export interface InterceptedCall {
  readonly method: Method;
  /** The message of a unary or server-streaming call, an (async) iterable of messages for the other two. May be replaced. */
  request: unknown;
  /** Sent with the request; may be changed until `next` is called. */
  readonly metadata: Metadata;
  /** How requests are compressed, `identity` for not at all; may be changed until `next` is called. */
  compression: string;
  /** See the call option of this name; null = by size. May be changed until `next` is called. */
  compressIf: ((message: unknown) => boolean) | null;
  /** What is left of the deadline in ms; undefined without one, or in front of the layer that sets it. */
  readonly timeRemainingMs: number | undefined;
}

/**
 * A user's function around each call of a client.
 *
 * `next` goes on with the call and may be called once; it gives the answer: a message, or an async iterable of messages when the
 * method streams them (`call.method.kind` tells). Interceptors run in the order of the list, the first one outermost. What an
 * interceptor throws ends the call.
 */
export type Interceptor = (
  call: InterceptedCall,
  next: (call: InterceptedCall) => Promise<unknown>,
) => Promise<unknown>;

/** An interceptor with its place among the built-in layers. */
export interface PlacedInterceptor {
  readonly interceptor: Interceptor;
  readonly side: "before" | "after";
  readonly layer: string;
}

/** Places an interceptor outside the layer of this name. */
export function before(layer: string, interceptor: Interceptor): PlacedInterceptor {
  return { interceptor, side: "before", layer };
}

/** Places an interceptor right inside the layer of this name. */
export function after(layer: string, interceptor: Interceptor): PlacedInterceptor {
  return { interceptor, side: "after", layer };
}
