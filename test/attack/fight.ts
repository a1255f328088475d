import { setTimeout as delay } from "node:timers/promises";
import { Arena } from "./arena.ts";
import { AttackedClient } from "./attacked-client.ts";
import type { ServerReport } from "./attacked-server.ts";
import type { Caller, Mark } from "./caller.ts";
import type { ClientRow, Form, Row } from "./row.ts";

/** How a row came out. */
export interface Verdict {
  readonly row: number;
  readonly role: "server" | "client";
  readonly title: string;
  readonly required: string;
  /** What was measured, or why it did not pass. */
  readonly seen: string;
  readonly passed: boolean;
}

/** RSS, or heap, of a process after the attack may be this much above that before, as a ratio. */
const SLACK = 1.1;
const RSS_SAMPLE_MS = 50;
/** Time for the first honest call of a window to end. */
const PATIENCE_MS = 5000;

interface Memory {
  readonly rssBytes: number;
  readonly heapBytes: number;
}

/** The process that is attacked. */
interface Victim {
  readonly residentBytes: number;
  memory(): Promise<Memory>;
}

/**
 * Runs one row and judges it: the row's own figure, and what is asked of all rows. With fresh processes, or in an arena that other rows
 * have used: then the log is not judged, as its rate is bounded.
 */
export async function fight(row: Row, form: Form, arena?: Arena): Promise<Verdict> {
  const { row: number, role, title, required } = row;
  const verdict = { row: number, role, title, required };
  try {
    if (arena !== undefined && Arena.isFor(row))
      return { ...verdict, seen: await measure(row, form, arena, false), passed: true };
    await using own = await Arena.start(form, row);
    return { ...verdict, seen: await measure(row, form, own, true), passed: true };
  } catch (error) {
    return { ...verdict, seen: error instanceof Error ? error.message : String(error), passed: false };
  }
}

async function measure(row: Row, form: Form, { server, caller }: Arena, isFresh: boolean): Promise<string> {
  const before = await server.report(true);
  const seen = await (row.role === "server"
    ? besieged(
        row,
        form,
        caller,
        server,
        (round) => row.attack(server, form, round),
        () => server.hangUp(),
      )
    : attackClient(row, form, caller));
  expectReasons(row, before, await server.report(), isFresh);
  return seen;
}

async function attackClient(row: ClientRow, form: Form, caller: Caller): Promise<string> {
  await using client = await AttackedClient.start(caller);
  return await besieged(
    row,
    form,
    caller,
    caller,
    (round) => row.attack(client, form, round),
    () => {},
  );
}

/** Counts honest calls before, during and after the attack, and watches the victim's memory. */
async function besieged(
  row: Row,
  form: Form,
  caller: Caller,
  victim: Victim,
  attack: (round: number) => Promise<string>,
  hangUp: () => void,
): Promise<string> {
  const coldBytes = victim.residentBytes;
  // A process keeps the pages of its busiest moment; what an attack leaks grows with each round.
  let seen = form.settleMs === 0 ? "" : await attack(0);
  let rounds = form.settleMs === 0 ? 0 : 1;
  if (rounds > 0) hangUp();
  const memoryBefore = rounds === 0 ? { rssBytes: coldBytes, heapBytes: 0 } : await victim.memory();
  const before = await window(caller, form);
  let peakBytes = memoryBefore.rssBytes;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, victim.residentBytes);
  }, RSS_SAMPLE_MS);
  try {
    const endAt = performance.now() + form.windowMs;
    do {
      const round = await attack(rounds);
      if (rounds++ === 0) seen = round;
    } while (performance.now() < endAt && rounds < form.maxRounds);
  } finally {
    clearInterval(sampler);
  }
  const during = await caller.mark();
  hangUp();
  const after = await window(caller, form);
  judgeHonest(row, form, before, during, after);
  const memoryAfter = form.settleMs === 0 ? undefined : await settled(victim, memoryBefore, form.settleMs);
  return [
    seen,
    `${rounds} rounds`,
    shown(before, during, after),
    memoryShown(coldBytes, memoryBefore, peakBytes, memoryAfter),
  ].join("; ");
}

/** Honest calls of one window in which nothing else happens; at least one. */
async function window(caller: Caller, form: Form): Promise<Mark> {
  await caller.mark();
  await delay(form.windowMs);
  let mark = await caller.mark();
  for (const begunAt = performance.now(); mark.ok + mark.failed === 0; mark = await caller.mark()) {
    if (performance.now() - begunAt > PATIENCE_MS) break;
    await delay(5);
  }
  return mark;
}

function rate(mark: Mark): number {
  return (mark.ok * 1000) / mark.ms;
}

function judgeHonest(row: Row, form: Form, before: Mark, during: Mark, after: Mark): void {
  for (const [when, mark] of Object.entries({ before, during, after })) {
    if (mark.failed > 0) throw new Error(`${mark.failed} honest calls failed ${when} the attack: ${mark.failures[0]}`);
    if (mark.unhandled > 0) throw new Error(`${mark.unhandled} unhandled rejections in the client`);
    if (mark.ok === 0 && when !== "during") throw new Error(`no honest call succeeded ${when} the attack`);
  }
  const least = form.duringRatio === 0 ? 0 : (row.duringRatio ?? form.duringRatio);
  const ratios = { during: rate(during) / rate(before), after: rate(after) / rate(before) };
  if (ratios.during < least) throw new Error(`honest throughput fell to ${percent(ratios.during)} during the attack`);
  if (ratios.after < form.afterRatio)
    throw new Error(`honest throughput was ${percent(ratios.after)} after the attack`);
}

function shown(before: Mark, during: Mark, after: Mark): string {
  const ratios = `${percent(rate(during) / rate(before))} during, ${percent(rate(after) / rate(before))} after`;
  return `honest ${during.ok} ok, 0 failed, ${ratios}, p99 ${before.p99Ms.toFixed(1)} → ${during.p99Ms.toFixed(1)} ms`;
}

/**
 * Waits until RSS has come back. What the allocator keeps of pages without use is told, and no failure: the heap must have come back then.
 *
 * @throws Error when neither has within `patienceMs`
 */
async function settled(victim: Victim, before: Memory, patienceMs: number): Promise<Memory> {
  const endAt = performance.now() + patienceMs;
  for (;;) {
    const after = await victim.memory();
    if (!(after.rssBytes > before.rssBytes * SLACK)) return after;
    if (performance.now() > endAt) {
      if (after.heapBytes <= before.heapBytes * SLACK) return after;
      const figures = `${mib(after.heapBytes)} of heap, ${mib(before.heapBytes)} before`;
      throw new Error(
        `${figures}; RSS ${mib(after.rssBytes)}, ${mib(before.rssBytes)} before, ${patienceMs / 1000} s after the attack`,
      );
    }
    await delay(500);
  }
}

function memoryShown(cold: number, before: Memory, peak: number, after: Memory | undefined): string {
  const rss = `RSS cold ${mib(cold)}, warm ${mib(before.rssBytes)} → peak ${mib(peak)}`;
  if (after === undefined) return rss;
  const isBack = after.rssBytes <= before.rssBytes * SLACK;
  const heap = `heap ${mib(before.heapBytes)} → ${mib(after.heapBytes)}`;
  return `${rss} → ${mib(after.rssBytes)}${isBack ? "" : " (NOT within 10 %, the heap is)"}, ${heap}`;
}

/** One counter and one line in the log name each reason, lines come at a bounded rate, and nothing else went wrong. */
function expectReasons(row: Row, before: ServerReport, after: ServerReport, isLogged: boolean): void {
  const { misbehaved, warnings, errors, unhandled } = after;
  if (unhandled > 0) throw new Error(`${unhandled} unhandled rejections in the server`);
  const [error] = errors.slice(before.errors.length);
  if (error !== undefined) throw new Error(`the server logged an error: ${error}`);
  for (const reason of row.role === "server" ? (row.reasons ?? []) : []) {
    const isCounted = (misbehaved[reason] ?? 0) > (before.misbehaved[reason] ?? 0);
    if (!isCounted) throw new Error(`no counter names ${reason}: ${JSON.stringify(misbehaved)}`);
    // Of many reasons at once only the first have a line; the rest are counted and told as a number.
    const isNamed = warnings.some(({ kind, text }) => kind === reason || text.includes(reason));
    if (isLogged && !isNamed && warnings.length < MAX_LINES) throw new Error(`no line in the log names ${reason}`);
  }
  if (warnings.length > MAX_LINES * PERIODS) throw new Error(`${warnings.length} lines in the log`);
}

/** Lines that a server may write about misbehaviour in one period of 10 s, and periods that a row may last. */
const MAX_LINES = 10;
const PERIODS = 8;

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
