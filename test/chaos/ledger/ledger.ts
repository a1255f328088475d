import { Code, codeName } from "bowline";
import type { CallKind, CallLog, Failure } from "./call-log.ts";
import type { RunEvent } from "./run-log.ts";

/** What a call may end with, beside an answer. */
export type IsExpected = (failure: Failure) => boolean;

/** How often the handler of a call may run, however often it was attempted. */
const MOST_RUNS: Readonly<Record<CallKind, number>> = { read: 2, write: 1, watch: 1 };
/** Examples of each kind of fault that are shown. */
const EXAMPLES = 3;

/** What the books of an experiment come to. */
export interface Balance {
  readonly calls: number;
  readonly ok: number;
  readonly expectedErrors: number;
  readonly unexpectedErrors: number;
  /** Handlers that were begun. */
  readonly runs: number;
  /** Calls whose handler ran twice because they were repeated. */
  readonly repeated: number;
  /** What does not add up; empty when all does. */
  readonly faults: readonly string[];
}

/** Compares what clients have called with what servers have handled: nothing lost, nothing doubled, one end for each call. */
export class Ledger {
  readonly #calls: readonly CallLog[];
  /** By client, then by call: handlers begun. */
  readonly #runs: ReadonlyMap<number, Uint8Array>;
  readonly #faults = new Map<string, string[]>();
  readonly #failures = new Map<string, Failure>();
  #runCount = 0;

  /** `runs` are the events of all servers together. */
  constructor(calls: readonly CallLog[], runs: Iterable<RunEvent>) {
    this.#calls = calls;
    this.#runs = new Map(calls.map(({ client, count }) => [client, new Uint8Array(count)]));
    for (const log of calls)
      for (const each of log.failures) this.#failures.set(`${log.client}/${each.sequence}`, each);
    for (const { client, sequence, phase } of runs) {
      if (phase !== "began") continue;
      this.#runCount++;
      const counts = this.#runs.get(client);
      if (counts === undefined || sequence >= counts.length)
        this.#fault("handled, but nobody called it", client, sequence);
      else counts[sequence]++;
    }
  }

  /** Adds up. A failure that `isExpected` does not know is a fault. */
  balance(isExpected: IsExpected): Balance {
    const count = { calls: 0, ok: 0, expectedErrors: 0, unexpectedErrors: 0, runs: this.#runCount, repeated: 0 };
    for (const log of this.#calls) {
      count.calls += log.count;
      const runs = this.#runs.get(log.client) as Uint8Array;
      for (let sequence = 0; sequence < log.count; sequence++) {
        if (runs[sequence] > 1) count.repeated++;
        if (!this.#checkCall(log, sequence, runs[sequence])) continue;
        if (log.code(sequence) === Code.OK) count.ok++;
        else if (this.#checkFailure(log, sequence, runs[sequence], isExpected)) count.expectedErrors++;
        else count.unexpectedErrors++;
      }
    }
    if (count.calls !== count.ok + count.expectedErrors + count.unexpectedErrors) {
      this.#faults.set(
        `${count.calls} calls were started, ${count.ok} are ok, ${count.expectedErrors} failed as expected`,
        [],
      );
    }
    return { ...count, faults: [...this.#faults].map(([text, examples]) => sentence(text, examples)) };
  }

  /** False for a call without exactly one end. */
  #checkCall(log: CallLog, sequence: number, runs: number): boolean {
    const ends = log.ends(sequence);
    const kind = log.kind(sequence);
    if (ends !== 1) this.#fault(ends === 0 ? "never ended" : "ended more than once", log.client, sequence);
    if (runs > MOST_RUNS[kind])
      this.#fault(`(${kind}) handled more than ${MOST_RUNS[kind]} times`, log.client, sequence);
    if (ends === 1 && runs === 0 && log.code(sequence) === Code.OK)
      this.#fault("ok, but never handled", log.client, sequence);
    return ends === 1;
  }

  #checkFailure(log: CallLog, sequence: number, runs: number, isExpected: IsExpected): boolean {
    const failure = this.#failures.get(`${log.client}/${sequence}`);
    if (failure === undefined) {
      this.#fault("failed, but nobody said how", log.client, sequence);
      return false;
    }
    const { attempt, wasSent, code, text } = failure;
    if (!wasSent && runs > 0)
      this.#fault("handled, but the caller was told that it was not sent", log.client, sequence);
    if (runs > Math.max(1, attempt)) this.#fault("handled more often than attempted", log.client, sequence);
    if (isExpected(failure)) return true;
    this.#fault(`(${failure.kind}) failed: [${codeName(code as Code)}] ${text}`, log.client, sequence);
    return false;
  }

  #fault(text: string, client: number, sequence: number): void {
    const examples = this.#faults.get(text) ?? [];
    if (examples.length === 0) this.#faults.set(text, examples);
    examples.push(`${client}/${sequence}`);
  }
}

function sentence(text: string, examples: readonly string[]): string {
  if (examples.length === 0) return text;
  const rest = examples.length > EXAMPLES ? ` and ${examples.length - EXAMPLES} more` : "";
  return `call ${examples.slice(0, EXAMPLES).join(", ")}${rest}: ${text}`;
}
