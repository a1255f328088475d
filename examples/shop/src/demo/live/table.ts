import type { FleetInstance } from "../fleet/fleet-instance.ts";
import { shareOf } from "../fleet/narrator.ts";
import type { Figures } from "../fleet/statistics.ts";
import type { Paint, Tone } from "./paint.ts";
import { cell, duration, latency, wholeNumber } from "./text.ts";

/** What is to be shown of the instances. */
export interface Table {
  readonly instances: readonly FleetInstance[];
  readonly selected: FleetInstance | null;
  /** Monotonic milliseconds. */
  readonly now: number;
  /** There is room for shares, 20 columns more than the 80 of the rest. */
  readonly isWide: boolean;
}

/** Headings and widths, negative for what stands at the left of its column; 80 columns in all. */
const COLUMNS: readonly (readonly [string, number])[] = [
  ["", -3],
  ["instance", -14],
  ["state", -10],
  ["calls/s", 8],
  ["p50 ms", 7],
  ["p99 ms", 7],
  ["errors", 7],
  ["in flight", 10],
  ["pid", 7],
  ["uptime", 7],
];
const SHARE_OVER_MS = 3_000;
const SHARE_COLUMNS = 10;

const STATE_TONES: Readonly<Record<string, Tone>> = {
  ready: "good",
  starting: "accent",
  connecting: "warning",
  stale: "warning",
  draining: "warning",
  frozen: "accent",
  killed: "bad",
  crashed: "bad",
};

/** The table in at most `rows` lines; the selected instance is among those that are shown. */
export function tableLines(table: Table, rows: number, paint: Paint): string[] {
  const { instances, selected, isWide } = table;
  const head = row(COLUMNS.map(([heading]) => heading)) + (isWide ? "   share of calls" : "");
  const room = Math.max(0, rows - 1);
  const first = Math.max(0, instances.indexOf(selected as FleetInstance) - room + 1);
  const shown = instances.slice(first, first + room);
  return [paint("faint", head), ...shown.map((each, i) => instanceLine(table, each, first + i + 1, paint))];
}

function instanceLine(table: Table, instance: FleetInstance, number: number, paint: Paint): string {
  const { selected, now, isWide } = table;
  const { name, pid, isAlive, startedAt, endedAt } = instance;
  const mark = `${instance === selected ? "▸" : " "}${number <= 9 ? number : " "}`;
  const state = shownState(instance);
  const age = duration((isAlive ? now : endedAt) - startedAt);
  const line = row([mark, name, state, ...figuresInWords(instance, now), String(pid), age]);
  const tone = STATE_TONES[state];
  const toned = tone === undefined ? line : line.replace(state.padEnd(10), (text) => paint(tone, text));
  const shown = instance === selected ? paint("strong", toned) : isAlive ? toned : paint("faint", toned);
  return isWide && isAlive ? shown + shareBar(table, instance, paint) : shown;
}

function figuresInWords({ isAlive, statistics }: FleetInstance, now: number): string[] {
  const figures: Figures | null = isAlive ? statistics.figures(now) : null;
  if (figures === null) return ["–", "–", "–", "–", "–"];
  const { callsPerSecond, p50Ms, p99Ms, errors, inFlight } = figures;
  return [wholeNumber(callsPerSecond), latency(p50Ms), latency(p99Ms), wholeNumber(errors), wholeNumber(inFlight)];
}

/** `connecting`: it serves, but one of those it needs can't be reached. `stale`: it goes on with what it knew of others. */
function shownState({ state, channels }: FleetInstance): string {
  const isCut = channels.some((channel) => channel.state === "connecting" || channel.state === "transient-failure");
  if (state !== "ready") return state;
  if (isCut) return "connecting";
  return channels.some(({ freshness }) => freshness !== "live") ? "stale" : state;
}

function shareBar({ instances, now }: Table, instance: FleetInstance, paint: Paint): string {
  const rivals = instances.filter((each) => each.service === instance.service && each.isAlive);
  const share = shareOf(instance, rivals, SHARE_OVER_MS, now);
  const bar = "━".repeat(Math.round(share * SHARE_COLUMNS)).padEnd(SHARE_COLUMNS);
  return `   ${paint("accent", bar)}${`${Math.round(share * 100)} %`.padStart(6)}`;
}

function row(cells: readonly string[]): string {
  return cells.map((text, i) => cell(text, COLUMNS[i][1])).join("");
}
