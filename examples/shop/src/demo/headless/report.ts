import { Code, codeName } from "bowline";
import type { Call } from "../traffic/traffic.ts";
import { type Assertion, type Facts, type Phase, quantile } from "./verdict.ts";

/** A phase in figures. */
export interface PhaseReport {
  readonly name: string;
  readonly seconds: number;
  readonly calls: number;
  readonly ok: number;
  /** Failed calls by the name of their code. */
  readonly failed: Readonly<Record<string, number>>;
  /** Of calls with one answer, in ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A run in figures: the last line of the output. */
export interface RunReport {
  readonly ok: boolean;
  readonly phases: readonly PhaseReport[];
  readonly assertions: readonly Assertion[];
}

/** The figures of a run. A call belongs to the phase in which it was started. */
export function reportOf({ calls, phases }: Facts, assertions: readonly Assertion[]): RunReport {
  return { ok: assertions.every(({ ok }) => ok), phases: phases.map((phase) => phaseReport(phase, calls)), assertions };
}

/** The report for people. */
export function printed({ ok, phases, assertions }: RunReport): string {
  const head = ["phase", "seconds", "calls", "ok", "failed", "p50 ms", "p99 ms"];
  const rows = phases.map((each) => [
    each.name,
    each.seconds.toFixed(1),
    String(each.calls),
    String(each.ok),
    failuresInWords(each.failed),
    each.p50Ms.toFixed(1),
    each.p99Ms.toFixed(1),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ");
  return [
    "",
    line(head),
    ...rows.map(line),
    "",
    ...assertions.map(({ name, ok: isTrue, detail }) => `${isTrue ? "pass" : "FAIL"}  ${name}: ${detail}`),
    "",
    ok ? "The shop has held." : "The shop has not held; see the lines that begin with FAIL.",
  ].join("\n");
}

function phaseReport({ name, from, to }: Phase, all: readonly Call[]): PhaseReport {
  const calls = all.filter(({ startedAt }) => startedAt >= from && startedAt < to);
  const failed: Record<string, number> = {};
  for (const { code } of calls) if (code !== Code.OK) failed[codeName(code)] = (failed[codeName(code)] ?? 0) + 1;
  const unary = calls.filter((call) => !call.isStream);
  return {
    name,
    seconds: round((to - from) / 1000),
    calls: calls.length,
    ok: calls.filter(({ code }) => code === Code.OK).length,
    failed,
    p50Ms: round(quantile(unary, 0.5)),
    p99Ms: round(quantile(unary, 0.99)),
  };
}

function failuresInWords(failed: PhaseReport["failed"]): string {
  const parts = Object.entries(failed).map(([code, count]) => `${count} ${code}`);
  return parts.length === 0 ? "0" : parts.join(", ");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
