import { type Code, codeName, RpcError } from "bowline";
import type { Trace } from "../engine/trace.ts";
import type { CallPlan } from "./call-plan.ts";

/** A call and what became of it. */
export interface CallRecord {
  readonly plan: CallPlan;
  readonly deadlineAt: number;
  /** How often it has ended; 1 in the end. */
  ends: number;
  endedAt: number;
  /** Null after an answer, or after the caller has left. */
  error: RpcError | null;
  hasLeft: boolean;
  isCancelled: boolean;
  /** Answers that the caller has got. */
  answers: number;
  /** Digest of the answers. */
  digest: number;
  /** How often a handler was run for it. */
  runs: number;
}

/** Timers fire in slots of 5 ms, and their wheel looks each 5 ms. */
const WHEEL_MS = 15;

/** What the books of a run must know of its world. */
export interface LedgerOptions {
  /** That of the clock, in ms. */
  readonly granularityMs: number;
  /** The network is without faults: no call may fail for it. */
  readonly isCalm: boolean;
}

/** The books of a run: what was started, what was handled, how it ended, and what must not be. */
export class Ledger {
  readonly violations: string[] = [];
  readonly calls: Map<number, CallRecord> = new Map();
  /** Handlers that run now. */
  running = 0;
  readonly #open: Set<CallRecord> = new Set();
  readonly #trace: Trace;
  readonly #now: () => number;
  readonly #isCalm: boolean;
  /** How late a deadline may be, in ms. */
  readonly #slackMs: number;

  constructor(trace: Trace, now: () => number, { granularityMs, isCalm }: LedgerOptions) {
    this.#isCalm = isCalm;
    this.#trace = trace;
    this.#now = now;
    this.#slackMs = WHEEL_MS + 2 * granularityMs;
  }

  /** Something is not as it must be. */
  violation(text: string): void {
    this.#trace.note(`VIOLATION ${text}`);
    this.violations.push(`at ${this.#now().toFixed(1)} ms: ${text}`);
  }

  /** A call begins. */
  started(plan: CallPlan): CallRecord {
    const record: CallRecord = {
      plan,
      deadlineAt: this.#now() + plan.timeoutMs,
      ends: 0,
      endedAt: 0,
      error: null,
      hasLeft: false,
      isCancelled: false,
      answers: 0,
      digest: 0,
      runs: 0,
    };
    this.calls.set(plan.id, record);
    this.#open.add(record);
    this.#trace.note(`call ${plan.id} ${plan.method} starts`);
    return record;
  }

  /** A call has ended, with an answer (null), or with this. */
  ended(record: CallRecord, error: unknown): void {
    const { id, method } = record.plan;
    record.ends++;
    record.endedAt = this.#now();
    this.#open.delete(record);
    const text = error === null ? (record.hasLeft ? "left" : "ok") : outcomeText(error);
    this.#trace.note(`call ${id} ${method} ends: ${text}, ${record.answers} answers`);
    if (record.ends > 1) this.violation(`call ${id} has ended ${record.ends} times`);
    if (error === null) return;
    if (RpcError.is(error)) record.error = error;
    else this.violation(`call ${id} ended with what is no RpcError: ${String(error)}`);
  }

  /** A handler begins to serve this call. */
  handlerBegan(id: number): void {
    this.running++;
    const record = this.calls.get(id);
    if (record === undefined) return this.violation(`a handler runs for call ${id}, which nobody made`);
    record.runs++;
    this.#trace.note(`call ${id} handler run ${record.runs}`);
    const most = record.plan.method === "look" ? 3 : 1;
    if (record.runs > most) this.violation(`call ${id} (${record.plan.method}) was handled ${record.runs} times`);
    if (record.ends > 0 && record.error?.sent === false) {
      this.violation(`call ${id} is handled after its caller was told that it was not`);
    }
  }

  /** It is done. */
  handlerEnded(id: number): void {
    this.running--;
    this.#trace.note(`call ${id} handler done`);
  }

  /** What must be true whenever nothing is ready to run. */
  checkStep(): void {
    const now = this.#now();
    for (const record of this.#open) {
      // A caller that pauses between answers hears of the end only when it asks for the next.
      const { answers, answerPauseMs } = record.plan;
      if (now - record.deadlineAt <= this.#slackMs + answerPauseMs * answers.length) continue;
      this.#open.delete(record);
      this.violation(`call ${record.plan.id} runs ${(now - record.deadlineAt).toFixed(1)} ms after its deadline`);
    }
  }

  /** Calls that have not ended. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** What must be true of all calls when all is over. */
  checkEnd(): void {
    if (this.running !== 0) this.violation(`${this.running} handlers still run`);
    for (const record of this.calls.values()) this.#checkCall(record);
  }

  #checkCall(record: CallRecord): void {
    const { plan, error, ends, runs, answers } = record;
    const what = `call ${plan.id} (${plan.method})`;
    if (ends !== 1) return this.violation(`${what} has ended ${ends} times`);
    const late = record.endedAt - record.deadlineAt;
    // A caller that pauses between answers finds those that arrived in time, then the end.
    if (late > this.#slackMs + plan.answerPauseMs * plan.answers.length) {
      this.violation(`${what} ended ${late.toFixed(1)} ms after its deadline`);
    }
    const expected = plan.method === "list" || plan.method === "chat" ? plan.answers.length : 1;
    if (answers > expected) this.violation(`${what} got ${answers} answers of ${expected}`);
    if (error === null) return this.#checkSuccess(record, what, expected);
    if (!error.sent && runs > 0) this.violation(`${what} was handled, but: ${error.message} (sent: false)`);
    if (runs > Math.max(1, error.attempt)) this.violation(`${what}: ${runs} handlers in ${error.attempt} attempts`);
    this.#checkCode(record, error, what);
  }

  #checkSuccess({ plan, hasLeft, runs, answers }: CallRecord, what: string, expected: number): void {
    if (runs === 0 && !hasLeft) this.violation(`${what} is ok, but no handler has run`);
    if (hasLeft) return;
    if (answers !== expected) this.violation(`${what} is ok with ${answers} answers of ${expected}`);
    if (plan.ending !== "ok") this.violation(`${what} is ok, but its handler was to end with "${plan.ending}"`);
  }

  #checkCode({ plan, isCancelled }: CallRecord, error: RpcError, what: string): void {
    const name = codeName(error.code);
    const isPlanned =
      (plan.ending === "status" && error.code === plan.code) || (plan.ending === "throw" && name === "UNKNOWN");
    const isOfTime = name === "DEADLINE_EXCEEDED" || (name === "CANCELLED" && isCancelled);
    if (isPlanned || isOfTime || (!this.#isCalm && isOfFaults(name, error.text))) return;
    this.violation(`${what} ended as nothing of its plan explains: ${outcomeText(error)}`);
  }
}

/** True for what a call may end with because of the network, or because a server has stopped. */
function isOfFaults(name: string, text: string): boolean {
  if (name === "UNAVAILABLE") return true;
  // INTERNAL_ERROR and CANCEL of streams that were reset on their way, by the table of gRPC over HTTP/2.
  if (name === "CANCELLED" || name === "INTERNAL") return text.includes("reset the stream");
  // A stream that waits for a window for too long is reset by its sender; the other end hears ENHANCE_YOUR_CALM.
  return name === "RESOURCE_EXHAUSTED" && /stallTimeoutMs|ENHANCE_YOUR_CALM/.test(text);
}

function outcomeText(error: unknown): string {
  if (!RpcError.is(error)) return String(error);
  const { message, reason, origin, attempt, sent } = error;
  return `${message} (${origin}, ${reason ?? "no reason"}, attempt ${attempt}, sent: ${sent})`;
}

/** For tables: the codes of ended calls with their counts. */
export function outcomeCounts(calls: Iterable<CallRecord>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { error, hasLeft } of calls) {
    const name = error === null ? (hasLeft ? "left" : "OK") : codeName(error.code as Code);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
