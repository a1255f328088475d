import { isDeepStrictEqual, styleText } from "node:util";
import type { Instance, Snapshot } from "bowline/registry";
import type { Terminal } from "../../terminal.ts";
import { labelled, namesClient, type Reach, type ReachFlags, reachOf, reachText } from "../reach.ts";
import { open } from "../registry/look-up.ts";

/** The flags of `bowline watch`. */
export interface WatchFlags extends ReachFlags {
  readonly json?: boolean;
}

/** What has changed about a target. */
export interface Change {
  readonly kind: "added" | "removed" | "changed";
  readonly instance: Instance;
  /** Of `changed`: how it was. */
  readonly before?: Instance;
}

/** What makes `after` of `before`; in the order of `after`, what went last. */
export function changesBetween(before: readonly Instance[], after: readonly Instance[]): readonly Change[] {
  const old = new Map(before.map((instance) => [instance.id, instance]));
  const changes: Change[] = [];
  for (const instance of after) {
    const was = old.get(instance.id);
    old.delete(instance.id);
    if (was === undefined) changes.push({ kind: "added", instance });
    else if (!isDeepStrictEqual(was, instance)) changes.push({ kind: "changed", instance, before: was });
  }
  for (const instance of old.values()) changes.push({ kind: "removed", instance });
  return changes;
}

/** The longest that a timer of Node waits. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** `bowline watch`: prints each change of a target until `signal`. @throws CommandError for a malformed target */
export async function runWatch(
  target: string,
  flags: WatchFlags,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  let known: Snapshot | null = null;
  const reaching = reachOf(flags);
  const reachOfOne = (instance: Instance): Reach | null | undefined =>
    namesClient(flags) ? (reaching([instance]).get(instance) ?? null) : undefined;
  const say = (event: object, text: string): void => {
    const at = new Date();
    if (flags.json === true) terminal.write(`${JSON.stringify({ at: at.toISOString(), target, ...event })}\n`);
    else terminal.write(`${paint("dim", at.toTimeString().slice(0, 8))} ${text}\n`);
  };
  const watch = open(target, {
    snapshot(snapshot) {
      for (const change of changesBetween(known?.instances ?? [], snapshot.instances)) {
        const reach = reachOfOne(change.instance);
        say(reach === undefined ? change : { ...change, reach }, textOf(change, reach));
      }
      const { freshness, revision, instances } = snapshot;
      if (known === null && instances.length === 0) say({ kind: "empty" }, `${target} has no instances yet`);
      if (freshness !== (known?.freshness ?? "live"))
        say({ kind: "freshness", freshness, revision }, `now ${freshness}`);
      known = snapshot;
    },
    failed: (error) => say({ kind: "failed", error: error.message }, paint("red", error.message)),
  });
  // What a registry waits with doesn't keep a process alive; this command is meant to stay.
  const alive = setInterval(() => undefined, MAX_TIMER_MS);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  clearInterval(alive);
  await watch.close();
}

const SIGNS = { added: paint("green", "+"), removed: paint("red", "-"), changed: paint("yellow", "~") } as const;

function textOf({ kind, instance, before }: Change, reach: Reach | null | undefined): string {
  const { id, addresses, state, weight, zone, version } = instance;
  const places = reach === undefined ? addresses.map(labelled).join(" ") : reachText(reach, addresses);
  const facts = [state, `weight ${weight}`, zone, version].filter((fact) => fact !== "");
  const was = before === undefined ? "" : `  (was ${before.state}, weight ${before.weight})`;
  const name = id === addresses[0]?.address ? "" : `  ${id}`;
  return `${SIGNS[kind]} ${places}  ${facts.join(", ")}${name}${was}`;
}

function paint(style: "dim" | "green" | "red" | "yellow", text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
