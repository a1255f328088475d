import { contextHere, type InContext } from "../../rpc/call-context.ts";
import type { Method } from "../../rpc/method.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { CallOptions } from "../call-options.ts";
import { isStreamed } from "./request-source.ts";

/**
 * The context in which a call that begins here calls the user back, to get requests or to tell something: when it does, it may be within
 * another call, of whose answer or connection it has waited for. Null for most, which have nothing to call.
 */
export function contextOf(method: Method, options: CallOptions | undefined): InContext | null {
  if (isStreamed(method)) return contextHere();
  if (options === undefined) return null;
  const { onHeader, onTrailer, compressIf } = options;
  return onHeader !== undefined || onTrailer !== undefined || compressIf !== undefined ? contextHere() : null;
}

/** Calls the user back; `failed` hears what that throws, or rejects with: nobody else waits for what an async function gives here. */
export function callBack(
  inContext: InContext | null,
  callback: () => unknown,
  failed: (error: RpcError) => void,
): void {
  try {
    const given = inContext?.(callback);
    if (typeof given !== "object" || given === null || !("then" in given)) return;
    Promise.resolve(given).catch((error: unknown) => failed(RpcError.from(error)));
  } catch (error) {
    failed(RpcError.from(error));
  }
}
