import { Code, codeName } from "bowline";
import type { Call } from "../traffic/traffic.ts";

/** A part of the scenario. Times are monotonic milliseconds. */
export interface Phase {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** What was seen in a run. */
export interface Facts {
  /** All that were started; those that have not ended have `endedAt` 0. */
  readonly calls: readonly Call[];
  /** Calls that the traffic's client has counted itself: started, and ended by whatever code. */
  readonly counted: { readonly started: number; readonly ended: number };
  readonly phases: readonly Phase[];
  readonly killedAt: number;
  readonly frozenAt: number;
  readonly thawedAt: number;
  /** Part of its service's calls that the added instance got, and what all would get if they got the same; 0 to 1. */
  readonly addedShare: number;
  readonly fairShare: number;
  /** Processes, files and ports that are still there. */
  readonly leftBehind: readonly string[];
}

/** What must be true of a run, and whether it was. */
export interface Assertion {
  readonly name: string;
  readonly ok: boolean;
  /** Figures, or what is wrong. */
  readonly detail: string;
}

/** Clients learn of a dead process from their sockets, at once but for a loaded machine. */
const NOTICE_MS = 1_000;
/** Around the freeze: time to notice it, and calls that could not be answered before its end in any case. */
const FREEZE_MARGIN_MS = 500;
const ANSWERED_IN_FREEZE = 0.9;
const P99_IN_FREEZE_MS = 1_000;

/** Judges a run. */
export function judge(facts: Facts): Assertion[] {
  return [
    everyCallCounted(facts),
    noIdempotentLost(facts),
    othersFailOnlyByTheKill(facts),
    nothingFails("a graceful restart loses nothing", facts, "restart"),
    nothingFails("a frozen instance loses nothing", facts, "freeze"),
    ...(facts.phases.some(({ name }) => name === "registry")
      ? [nothingFails("a killed registry loses nothing", facts, "registry")]
      : []),
    answeredDuringFreeze(facts),
    shareOfAdded(facts),
    {
      name: "nothing is left behind",
      ok: facts.leftBehind.length === 0,
      detail: facts.leftBehind.join(", ") || "no process, file or port",
    },
  ];
}

function everyCallCounted({ calls, counted }: Facts): Assertion {
  const open = calls.filter((call) => call.endedAt === 0).length;
  const ok = open === 0 && counted.started === calls.length && counted.ended === calls.length;
  const detail = `${calls.length} made, ${calls.length - open} ended; the client counts ${counted.started} and ${counted.ended}`;
  return { name: "every call ends, once", ok, detail };
}

function noIdempotentLost({ calls }: Facts): Assertion {
  const idempotent = calls.filter((call) => call.isIdempotent);
  return lossless("no idempotent call is lost", idempotent);
}

function othersFailOnlyByTheKill({ calls, killedAt }: Facts): Assertion {
  const others = calls.filter((call) => !call.isIdempotent);
  const exposed = others.filter((call) => call.startedAt <= killedAt + NOTICE_MS && call.endedAt >= killedAt);
  const failed = others.filter((call) => call.code !== Code.OK);
  const unexplained = failed.filter((call) => call.code !== Code.UNAVAILABLE || !exposed.includes(call));
  const detail = `${failed.length} of ${others.length} failed, ${exposed.length} were exposed to the kill`;
  return {
    name: "other calls fail only with the killed instance, as UNAVAILABLE",
    ok: unexplained.length === 0,
    detail: unexplained.length === 0 ? detail : `${detail}; ${describe(unexplained[0])}`,
  };
}

function nothingFails(name: string, { calls, phases }: Facts, phaseName: string): Assertion {
  const phase = phases.find((each) => each.name === phaseName) as Phase;
  return lossless(
    name,
    calls.filter((call) => call.startedAt <= phase.to && call.endedAt >= phase.from),
  );
}

function answeredDuringFreeze({ calls, frozenAt, thawedAt }: Facts): Assertion {
  const isNew = ({ startedAt }: Call): boolean =>
    startedAt >= frozenAt + FREEZE_MARGIN_MS && startedAt <= thawedAt - FREEZE_MARGIN_MS;
  const fresh = calls.filter((call) => isNew(call) && !call.isStream);
  const toOrders = fresh.filter(({ deed }) => deed === "checkout" || deed === "getOrder");
  const answered = toOrders.filter(({ endedAt, code }) => code === Code.OK && endedAt < thawedAt);
  const p99 = quantile(fresh, 0.99);
  return {
    name: "while one order instance is frozen the other one answers",
    ok: answered.length >= toOrders.length * ANSWERED_IN_FREEZE && toOrders.length > 0 && p99 < P99_IN_FREEZE_MS,
    detail: `${answered.length} of ${toOrders.length} calls about orders answered before it woke, p99 of all calls ${p99.toFixed(0)} ms`,
  };
}

function shareOfAdded({ addedShare, fairShare }: Facts): Assertion {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  const detail = `${percent(addedShare)} of the calls, ${percent(fairShare)} would be fair`;
  return { name: "an added instance gets its share", ok: addedShare >= fairShare / 2, detail };
}

function lossless(name: string, calls: readonly Call[]): Assertion {
  const failed = calls.filter((call) => call.code !== Code.OK || call.endedAt === 0);
  if (failed.length === 0) return { name, ok: calls.length > 0, detail: `${calls.length} of ${calls.length} answered` };
  return { name, ok: false, detail: `${failed.length} of ${calls.length} failed; the first: ${describe(failed[0])}` };
}

function describe({ deed, code, text, startedAt, endedAt }: Call): string {
  return `${deed} after ${Math.round(endedAt - startedAt)} ms with ${codeName(code)}: ${text}`;
}

/** The time in ms within which the share `q` of calls was answered; 0 for none. */
export function quantile(calls: readonly Call[], q: number): number {
  const sorted = calls.map(({ startedAt, endedAt }) => endedAt - startedAt).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}
