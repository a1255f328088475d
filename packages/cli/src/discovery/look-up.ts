import type { Snapshot } from "bowline/registry";
import { watchTarget } from "bowline/registry";
import { CommandError } from "../command-error.ts";

/** What a registry has told of a target at first. */
export interface LookUp {
  readonly snapshot: Snapshot;
  /** What it complained of meanwhile: entries that can't be read. */
  readonly complaints: readonly string[];
  readonly ms: number;
}

/**
 * Waits for a first answer about a target.
 *
 * @throws CommandError for a malformed target, a registry that refuses, or none that answers within `timeoutMs`
 */
export async function lookUp(target: string, timeoutMs: number): Promise<LookUp> {
  const complaints: string[] = [];
  const begun = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<LookUp>();
  const handler = {
    snapshot: (snapshot: Snapshot): void => resolve({ snapshot, complaints, ms: performance.now() - begun }),
    failed: (error: Error): void => void complaints.push(error.message),
  };
  const watch = open(target, handler);
  const timer = setTimeout(() => {
    const why = complaints.at(-1) ?? `no answer within ${timeoutMs} ms`;
    const hint = "Is the registry running, and reachable from here? --timeout gives it more time.";
    reject(new CommandError(`${target} can't be looked up: ${why}`, hint));
  }, timeoutMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    await watch.close();
  }
}

/** Watches a target. @throws CommandError for a malformed one */
export function open(target: string, handler: Parameters<typeof watchTarget>[1]): ReturnType<typeof watchTarget> {
  try {
    return watchTarget(withScheme(target), handler);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CommandError(error.message);
  }
}

/** A bare name is one of the embedded registry of this machine; that is what a newcomer has. */
export function withScheme(target: string): string {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(target) && target !== "localhost" && !/^[0-9.]+$/.test(target)
    ? `local:///${target}`
    : target;
}
