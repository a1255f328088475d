import { setTimeout as delay } from "node:timers/promises";
import type { Caller, Mark } from "./caller.ts";
import type { Form, Row } from "./row.ts";

/** Time for the first honest call of a window to end. */
const PATIENCE_MS = 5000;
/** Windows that are looked at before and after an attack: the machine may be busy with something else in one. */
const MAX_WINDOWS = 6;
/** Honest calls come at a fixed pace; a window with less of them than this part says nothing of the usual. */
const USUAL_RATIO = 0.95;

/** Honest calls around one siege. */
export interface Siege {
  readonly before: Mark;
  readonly during: Mark;
  readonly after: Mark;
  /** CPU time of the attacker and of the honest client meanwhile, in ms; NaN where the system does not tell. */
  readonly attackerCpuMs: number;
  readonly honestCpuMs: number;
}

/** Thrown when honest calls succeeded, but too few of them: on a busy machine worth a second look. */
export class ThroughputError extends Error {}

/** Honest calls of one window in which nothing else happens; at least one. */
async function quietWindow(caller: Caller, form: Form): Promise<Mark> {
  await caller.mark();
  await delay(form.windowMs);
  let mark = await caller.mark();
  for (const begunAt = performance.now(); mark.ok + mark.failed === 0; mark = await caller.mark()) {
    if (performance.now() - begunAt > PATIENCE_MS) break;
    await delay(5);
  }
  return mark;
}

/** The window before an attack; another one, while the machine is too busy for the pace of honest calls. */
export async function windowBefore(caller: Caller, form: Form): Promise<Mark> {
  let mark = await quietWindow(caller, form);
  const isUsual = (): boolean => form.windowMs === 0 || mark.failed > 0 || rate(mark) >= mark.pace * USUAL_RATIO;
  for (let i = 1; i < MAX_WINDOWS && !isUsual(); i++) mark = await quietWindow(caller, form);
  return mark;
}

/** The window after an attack; another one, while throughput is not what it was. */
export async function windowAfter(caller: Caller, form: Form, before: Mark): Promise<Mark> {
  let mark = await quietWindow(caller, form);
  for (let i = 1; i < MAX_WINDOWS && mark.failed === 0 && ratio(mark, before) < form.afterRatio; i++) {
    mark = await quietWindow(caller, form);
  }
  return mark;
}

/**
 * All honest calls succeed, at least 80 % of the usual throughput during the attack, 95 % after it.
 *
 * @throws ThroughputError when it is only that there were too few; Error when a call failed
 */
export function judgeHonest(row: Row, form: Form, { before, during, after }: Siege): void {
  for (const [when, mark] of Object.entries({ before, during, after })) {
    if (mark.failed > 0) throw new Error(`${mark.failed} honest calls failed ${when} the attack: ${mark.failures[0]}`);
    if (mark.unhandled > 0) throw new Error(`${mark.unhandled} unhandled rejections in the client`);
    if (mark.ok === 0 && when !== "during") throw new Error(`no honest call succeeded ${when} the attack`);
  }
  const least = form.duringRatio === 0 ? 0 : (row.duringRatio ?? form.duringRatio);
  const ratios = { during: ratio(during, before), after: ratio(after, before) };
  if (ratios.during < least)
    throw new ThroughputError(`honest throughput fell to ${percent(ratios.during)} during the attack`);
  if (ratios.after < form.afterRatio)
    throw new ThroughputError(`honest throughput was ${percent(ratios.after)} after the attack`);
}

/** The figures in words. */
export function shownHonest({ before, during, after, attackerCpuMs, honestCpuMs }: Siege): string {
  const ratios = `${percent(ratio(during, before))} during, ${percent(ratio(after, before))} after`;
  const latency = `p99 ${before.p99Ms.toFixed(1)} → ${during.p99Ms.toFixed(1)} ms`;
  const cpu = `CPU attacker ${Math.round(attackerCpuMs)} ms, honest ${Math.round(honestCpuMs)} ms`;
  return `honest ${during.ok} ok, 0 failed, ${ratios}, ${latency}, ${cpu}`;
}

/** Calls that a pause of the machine held up are made up for in the next window: that one is not to count as the usual. */
function ratio(mark: Mark, before: Mark): number {
  return rate(mark) / Math.min(rate(before), before.pace);
}

function rate(mark: Mark): number {
  return (mark.ok * 1000) / mark.ms;
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}
