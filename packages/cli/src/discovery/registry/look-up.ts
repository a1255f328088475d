import type { Snapshot } from "bowline/registry";
import { watchTarget } from "bowline/registry";
import { CommandError } from "../../command-error.ts";
import { lacksService, settingsHint } from "./registry-url.ts";

/** What a registry has told of a target at first. */
export interface LookUp {
  readonly snapshot: Snapshot;
  /** Entries that can't be used. */
  readonly skipped: number;
  /** What the registry complained of: which entries, and why. */
  readonly complaints: readonly string[];
  readonly ms: number;
}

/** What to do about a registry that says nothing. */
export const SILENCE = "Is the registry running, and reachable from here? --timeout gives it more time.";

/**
 * Waits for a first answer about a target.
 *
 * @throws CommandError for a malformed target, a registry that refuses, or none that answers within `timeoutMs`
 */
export async function lookUp(target: string, timeoutMs: number): Promise<LookUp> {
  const complaints: string[] = [];
  const begun = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<Snapshot>();
  const giveUp = (): void => {
    const why = complaints.at(-1);
    const hint = why === undefined ? SILENCE : settingsHint(target);
    reject(new CommandError(`${target} can't be looked up: ${why ?? `no answer within ${timeoutMs} ms`}`, hint));
  };
  const handler = {
    snapshot: resolve,
    failed: (error: Error, isFinal?: boolean): void => {
      complaints.push(error.message);
      if (isFinal === true) giveUp();
    },
  };
  const watch = open(target, handler);
  const timer = setTimeout(giveUp, timeoutMs);
  try {
    const snapshot = await promise;
    return { snapshot, skipped: watch.skipped, complaints, ms: performance.now() - begun };
  } finally {
    clearTimeout(timer);
    await watch.close();
  }
}

/** Complaints that are printed; a key may hold rubbish by the thousand. */
const MAX_COMPLAINTS = 3;

/** What a registry complained of, as text for people; empty if it did not. */
export function complaintText({ skipped, complaints }: Pick<LookUp, "skipped" | "complaints">): string {
  const named = complaints.slice(0, MAX_COMPLAINTS);
  const rest = complaints.length - named.length;
  const lines = rest === 0 ? named : [...named, `and ${rest} more`];
  if (skipped === 0 || lines.length === 0) return lines.join("\n  ");
  const heading = `${skipped} ${skipped === 1 ? "entry" : "entries"} skipped:`;
  return lines.length === 1 ? `${heading} ${lines[0]}` : [heading, ...lines].join("\n  ");
}

/** Watches a target. @throws CommandError for a malformed one */
export function open(target: string, handler: Parameters<typeof watchTarget>[1]): ReturnType<typeof watchTarget> {
  try {
    return watchTarget(withScheme(target), handler);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CommandError(
      error.message,
      lacksService(target) ? `bowline ls ${target} lists the services there.` : undefined,
    );
  }
}

/** A bare name is one of the embedded registry of this machine; that is what a newcomer has. */
export function withScheme(target: string): string {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(target) && target !== "localhost" && !/^[0-9.]+$/.test(target)
    ? `local:///${target}`
    : target;
}
