import { RpcError } from "../../src/rpc/rpc-error.ts";

/** The error that a call fails with; fails itself when the call does not, or with something else. */
export async function failure(call: Promise<unknown>): Promise<RpcError> {
  const outcome = await call.then(
    (answer) => new Error(`the call succeeded with ${JSON.stringify(answer)}`),
    (error: unknown) => error,
  );
  if (RpcError.is(outcome)) return outcome;
  throw outcome;
}

/** How each call ended: its answer, or the name of its code. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((each) => (each.status === "fulfilled" ? String(each.value) : String(each.reason.message)));
}

/** A promise with its end outside. */
export interface Gate<T = void> {
  readonly opened: Promise<T>;
  open(value: T): void;
}

/** Makes a gate that is shut. */
export function gate<T = void>(): Gate<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { opened: promise, open: resolve };
}

/** Resolves once the condition holds, looked at after each turn of the event loop; fails after 30 s. */
export async function eventually(condition: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`this never came true: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
