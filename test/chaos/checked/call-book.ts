import { type CallOptions, Code, RpcError } from "bowline";
import { type CallKind, CallLog, wallMs } from "../ledger/call-log.ts";
import { WrongAnswerError } from "./checked-calls.ts";
import { LoopWatch } from "./loop-watch.ts";
import { CALL_KEY } from "./metadata.ts";

/** How late calls ended that had a deadline, in ms. */
export interface Lateness {
  /** The most by which one ended behind its deadline, without the time in which the process was held up. */
  readonly latestMs: number;
  /** The same with that time. */
  readonly latestRawMs: number;
  /** The longest time that the process was held up. */
  readonly longestStallMs: number;
}

/** Ends a little late are not looked at closer. */
const LATE_MS = 5;

/** How an answer that was wrong is written down. */
const WRONG = { code: Code.UNKNOWN, text: "the answer is wrong", instance: "", attempt: 1, sent: true };

interface Overrun {
  readonly deadlineAtMs: number;
  readonly endedAtMs: number;
}

/** Writes down each call of a process, and how late it ended. */
export class CallBook {
  readonly log: CallLog;
  /** When this process was held up. */
  readonly watch: LoopWatch = new LoopWatch();
  /** Calls that have not ended. */
  open = 0;
  /** Answers that were not what they must be, in words. */
  readonly wrong: string[] = [];
  readonly #client: number;

  readonly #overruns: Overrun[] = [];
  #whenIdle: () => void = () => {};

  constructor(client: number) {
    this.#client = client;
    this.log = CallLog.begin(client);
  }

  /** Makes a call by `make` and writes it down; never rejects. `make` must hand on the options. Resolves with the call's code. */
  async enter(kind: CallKind, timeoutMs: number, make: (options: CallOptions) => Promise<void>): Promise<number> {
    const sequence = this.log.start(kind);
    const startedAtMs = wallMs();
    this.open++;
    let code: number = Code.OK;
    try {
      await make({ timeoutMs, metadata: { [CALL_KEY]: `${this.#client}/${sequence}` } });
    } catch (error) {
      code = this.#fail(kind, sequence, startedAtMs, error);
    }
    const endedAtMs = wallMs();
    this.log.end(sequence, code, endedAtMs - startedAtMs);
    const deadlineAtMs = startedAtMs + timeoutMs;
    if (timeoutMs > 0 && endedAtMs > deadlineAtMs + LATE_MS) this.#overruns.push({ deadlineAtMs, endedAtMs });
    if (--this.open === 0) this.#whenIdle();
    return code;
  }

  /** Waits until all have ended, but not longer than this; those that have not are open for ever in the log. */
  async idle(withinMs: number): Promise<void> {
    if (this.open === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    this.#whenIdle = resolve;
    await promise;
    clearTimeout(timer);
  }

  /** Of all calls so far. */
  get lateness(): Lateness {
    const most = (of: (overrun: Overrun) => number): number =>
      this.#overruns.reduce((m, each) => Math.max(m, of(each)), 0);
    const raw = ({ deadlineAtMs, endedAtMs }: Overrun): number => endedAtMs - deadlineAtMs;
    return {
      latestMs: most((each) => raw(each) - this.watch.stalledMs(each.deadlineAtMs, each.endedAtMs)),
      latestRawMs: most(raw),
      longestStallMs: this.watch.longestMs,
    };
  }

  #fail(kind: CallKind, sequence: number, startedAtMs: number, error: unknown): number {
    const isWrong = error instanceof WrongAnswerError;
    if (isWrong) this.wrong.push(`call ${sequence}: ${error.message}`);
    const { code, text, instance = "", attempt, sent: wasSent } = isWrong ? WRONG : RpcError.from(error);
    this.log.failures.push({
      client: this.#client,
      sequence,
      kind,
      code,
      text,
      instance,
      attempt,
      wasSent,
      serverId: "",
      startedAtMs,
      endedAtMs: wallMs(),
    });
    return code;
  }
}
