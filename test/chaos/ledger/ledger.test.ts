import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "bowline";
import { afterEach, describe, expect, it } from "vitest";
import { type CallKind, CallLog, type Failure } from "./call-log.ts";
import { Ledger } from "./ledger.ts";
import { type RunEvent, RunLog, readRuns } from "./run-log.ts";

const CLIENT = 3;

function began(sequence: number, client: number = CLIENT): RunEvent {
  return { client, sequence, phase: "began", atMs: 0 };
}

function failure(sequence: number, more: Partial<Failure> = {}): Failure {
  const base = {
    client: CLIENT,
    sequence,
    kind: "write",
    code: Code.UNAVAILABLE,
    text: "gone",
    instance: "a",
  } as const;
  return { ...base, attempt: 1, wasSent: true, serverId: "", startedAtMs: 0, endedAtMs: 1, ...more };
}

/** A log with calls of these kinds, all of which have ended well. */
function calls(...kinds: readonly CallKind[]): CallLog {
  const log = CallLog.begin(CLIENT);
  for (const kind of kinds) log.end(log.start(kind), Code.OK, 1);
  return log;
}

/** A log with one call, which has failed like this. */
function failed(more: Partial<Failure> = {}): CallLog {
  const log = CallLog.begin(CLIENT);
  const told = failure(0, more);
  log.end(log.start(told.kind), told.code, 1);
  log.failures.push(told);
  return log;
}

const faults = (log: CallLog, runs: readonly RunEvent[], isExpected = false): readonly string[] =>
  new Ledger([log], runs).balance(() => isExpected).faults;

describe("the ledger", () => {
  it("balances when each call was handled and ended once", () => {
    const { faults: found, ...figures } = new Ledger(
      [calls("read", "write", "watch")],
      [began(0), began(1), began(2), began(0)],
    ).balance(() => false);
    expect(found).toEqual([]);
    expect(figures).toEqual({ calls: 3, ok: 3, expectedErrors: 0, unexpectedErrors: 0, runs: 4, repeated: 1 });
  });

  it("finds calls that were handled too often, never, or made by nobody", () => {
    expect(faults(calls("write"), [began(0), began(0)])).toEqual(["call 3/0: (write) handled more than 1 times"]);
    expect(faults(calls("watch"), [began(0), began(0)])).toEqual(["call 3/0: (watch) handled more than 1 times"]);
    expect(faults(calls("read"), [began(0), began(0), began(0)])).toEqual([
      "call 3/0: (read) handled more than 2 times",
    ]);
    expect(faults(calls("read"), [])).toEqual(["call 3/0: ok, but never handled"]);
    expect(faults(calls("read"), [began(0), began(1)])).toEqual(["call 3/1: handled, but nobody called it"]);
    expect(faults(calls("read"), [began(0), began(0, 9)])).toEqual(["call 9/0: handled, but nobody called it"]);
  });

  it("finds calls without an end, and with two", () => {
    const open = CallLog.begin(CLIENT);
    open.start("read");
    expect(faults(open, [began(0)])).toEqual([
      "call 3/0: never ended",
      "1 calls were started, 0 are ok, 0 failed as expected",
    ]);
    const twice = calls("read");
    twice.end(0, Code.OK, 2);
    expect(faults(twice, [began(0)])[0]).toBe("call 3/0: ended more than once");
  });

  it("counts failures that are expected, and finds others", () => {
    expect(new Ledger([failed()], [began(0)]).balance(() => true)).toMatchObject({ expectedErrors: 1, faults: [] });
    expect(faults(failed(), [began(0)])).toEqual(["call 3/0: (write) failed: [UNAVAILABLE] gone"]);
  });

  it("finds failures that say other than what servers saw", () => {
    expect(faults(failed({ wasSent: false }), [began(0)], true)).toEqual([
      "call 3/0: handled, but the caller was told that it was not sent",
    ]);
    expect(faults(failed({ kind: "read", attempt: 1 }), [began(0), began(0)], true)).toEqual([
      "call 3/0: handled more often than attempted",
    ]);
    const silent = CallLog.begin(CLIENT);
    silent.end(silent.start("read"), Code.UNAVAILABLE, 1);
    expect(faults(silent, [], true)).toContain("call 3/0: failed, but nobody said how");
  });

  it("shows three examples of a fault and counts the rest", () => {
    const log = calls(...Array<CallKind>(5).fill("read"));
    expect(faults(log, [])).toEqual(["call 3/0, 3/1, 3/2 and 2 more: ok, but never handled"]);
  });
});

describe("logs of calls and of handlers", () => {
  let directory = "";
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string): string => {
    directory = mkdtempSync(join(tmpdir(), "bowline-ledger-"));
    return join(directory, name);
  };

  it("come back from their files as they were", () => {
    const path = file("calls");
    const log = calls(...Array<CallKind>(3000).fill("write"), "watch");
    log.failures.push(failure(7));
    log.save(path);
    const loaded = CallLog.load(CLIENT, path);
    expect([loaded.count, loaded.kind(2999), loaded.kind(3000)]).toEqual([3001, "write", "watch"]);
    expect([loaded.code(3000), loaded.ends(3000), loaded.durationMs(3000)]).toEqual([0, 1, 1]);
    expect(loaded.failures).toEqual([failure(7)]);
  });

  it("of handlers are written at once", () => {
    const path = file("runs");
    const log = new RunLog(path);
    log.note(1, 2, "began");
    log.note(1, 2, "cancelled");
    const read = [...readRuns(path)];
    expect(read.map(({ client, sequence, phase }) => [client, sequence, phase])).toEqual([
      [1, 2, "began"],
      [1, 2, "cancelled"],
    ]);
    expect(read[1].atMs).toBeGreaterThanOrEqual(read[0].atMs);
  });
});
