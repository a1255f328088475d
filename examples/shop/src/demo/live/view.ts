import type { FleetInstance } from "../fleet/fleet-instance.ts";
import type { Figures } from "../fleet/statistics.ts";
import type { LoggedEvent } from "./event-log.ts";
import type { Paint } from "./paint.ts";
import { tableLines } from "./table.ts";
import { clipped, duration, latency, sparkline, wholeNumber } from "./text.ts";

/** All that is to be seen. */
export interface View {
  readonly columns: number;
  readonly rows: number;
  /** Monotonic milliseconds. */
  readonly now: number;
  readonly startedAt: number;
  /** Where the instances find each other, and how that is. */
  readonly registry: string;
  /** Deeds a second that are wanted. */
  readonly rate: number;
  /** As the customers' client counts. */
  readonly customers: Figures | null;
  /** Deeds of customers, and those that did not get what they should. */
  readonly ended: number;
  readonly failed: number;
  /** Calls and p99 of the last seconds, oldest first. */
  readonly history: readonly { readonly callsPerSecond: number; readonly p99Ms: number }[];
  readonly instances: readonly FleetInstance[];
  readonly selected: FleetInstance | null;
  readonly events: readonly LoggedEvent[];
  /** A question, in place of the keys. */
  readonly question: string | null;
}

const MIN_COLUMNS = 80;
const MIN_ROWS = 16;
/** From here on there is room for shares and for the past. */
const WIDE_COLUMNS = 100;
/** The table leaves room for so many events. */
const MIN_EVENTS = 2;

const KEYS = "↑↓ select  k kill  f freeze  s start  r restart  c registry  +- load  q quit";

/** The screen as lines, none wider than it. */
export function linesOf(view: View, paint: Paint): string[] {
  const { columns, rows } = view;
  if (columns < MIN_COLUMNS || rows < MIN_ROWS) {
    const text = `The shop needs ${MIN_COLUMNS} × ${MIN_ROWS} characters, this is ${columns} × ${rows}. q quits.`;
    return [clipped(text, columns)];
  }
  const isWide = columns >= WIDE_COLUMNS;
  const head = [title(view, paint), customers(view, paint), ...(isWide ? [past(view, paint)] : []), ""];
  const table = tableLines({ ...view, isWide }, rows - head.length - MIN_EVENTS - 3, paint);
  const room = rows - head.length - table.length - 3;
  const events = view.events.slice(-room).map((event) => eventLine(event, columns, paint));
  const body = [...head, ...table, "", ` ${paint("strong", "what happened")}`, ...events];
  while (body.length < rows - 1) body.push("");
  return [...body, footer(view, paint)];
}

function title({ columns, instances, rate, now, startedAt, registry }: View, paint: Paint): string {
  const running = instances.filter((each) => each.isAlive).length;
  const facts = `   ${running} processes   load ${wholeNumber(rate)} calls/s   up ${duration(now - startedAt)}`;
  const left = columns - 13 - facts.length;
  return ` ${paint("strong", "Bowline shop")}${facts}${paint("faint", clipped(registry, left - 1).padStart(left - 1))}`;
}

function customers({ customers: figures, ended, failed, columns }: View, paint: Paint): string {
  if (figures === null) return ` ${paint("strong", "customers")}   ${paint("faint", "none yet")}`;
  const { callsPerSecond, p50Ms, p99Ms, inFlight } = figures;
  const speed = `p50 ${latency(p50Ms)} ms   p99 ${latency(p99Ms)} ms`;
  const facts = `   ${wholeNumber(callsPerSecond)} calls/s   ${speed}   in flight ${wholeNumber(inFlight)}   `;
  const long = `failed ${wholeNumber(failed)} of ${wholeNumber(ended)}`;
  const room = columns - 10 - facts.length;
  const lost = long.length <= room ? long : clipped(`failed ${wholeNumber(failed)}`, room);
  return ` ${paint("strong", "customers")}${facts}${paint(failed === 0 ? "good" : "bad", lost)}`;
}

function past({ history, columns }: View, paint: Paint): string {
  const size = Math.floor((columns - 34) / 2);
  const calls = sparkline(
    history.map(({ callsPerSecond }) => callsPerSecond),
    size,
  );
  const p99 = sparkline(
    history.map(({ p99Ms }) => p99Ms),
    size,
  );
  return ` ${paint("faint", "calls/s")} ${paint("accent", calls)}   ${paint("faint", "p99")} ${paint("accent", p99)}`;
}

function eventLine({ time, text, tone }: LoggedEvent, columns: number, paint: Paint): string {
  return ` ${paint("faint", time)}  ${paint(tone, clipped(text, columns - 12))}`;
}

function footer({ question, columns }: View, paint: Paint): string {
  const text = clipped(` ${question ?? KEYS}`, columns).padEnd(columns);
  return question === null ? paint("chosen", text) : paint("warning", paint("chosen", text));
}
