import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Instance, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryContext } from "../registry-config.ts";
import type { DnsAnswer, DnsQuestion } from "./question.ts";

/** Answers are asked again when their TTL is over, but not sooner than the one and not later than the other. */
const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 300_000;
/** For answers without a TTL: between the 5 s that Kubernetes gives its names and the 30 s of grpc-go. */
const UNKNOWN_TTL_MS = 10_000;
/** `refresh` asks at most this often. */
const MIN_INTERVAL_MS = 1_000;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Many clients that started together shall not ask together: up to this part is added to each wait. */
const JITTER_RATIO = 0.1;

/** Asks one question again and again, one at a time: waits, asks, delivers. */
export class DnsWatcher implements Watcher {
  readonly #question: DnsQuestion;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #handler: WatchHandler;
  readonly #onClose: () => void;
  /** By id; objects of instances that stay as they are are kept. */
  #instances: ReadonlyMap<string, Instance> = new Map();
  #freshness: "live" | "stale" | "none" = "none";
  #revision = 0;
  #failures = 0;
  #lastFailure = "";
  #lastAskedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #isAsking = false;
  #isClosed = false;

  constructor(
    question: DnsQuestion,
    context: Pick<RegistryContext, "clock" | "random">,
    handler: WatchHandler,
    onClose: () => void,
  ) {
    this.#question = question;
    this.#clock = context.clock;
    this.#random = context.random;
    this.#handler = handler;
    this.#onClose = onClose;
    void this.#ask();
  }

  refresh(): void {
    if (this.#isClosed || this.#isAsking || this.#question.isFixed) return;
    this.#askIn(Math.max(0, this.#lastAskedAt + MIN_INTERVAL_MS - this.#clock.fresh()));
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#onClose();
  }

  #askIn(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimeout(() => void this.#ask(), delayMs);
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    this.#lastAskedAt = this.#clock.fresh();
    const answer = await this.#answer();
    this.#isAsking = false;
    if (this.#isClosed) return;
    // The next question is arranged before the handler hears of this answer: a handler that throws stops nothing.
    if (answer instanceof Error) {
      this.#askIn(this.#retryDelay());
      this.#failed(answer);
    } else {
      this.#failures = 0;
      this.#lastFailure = "";
      if (!this.#question.isFixed) this.#askIn(this.#nextDelay(answer.ttlMs));
      this.#found(answer.instances);
    }
  }

  async #answer(): Promise<DnsAnswer | Error> {
    const { subject } = this.#question;
    try {
      const answer = await this.#question.ask(this.#instances);
      return answer.instances.size > 0 ? answer : noAddress(subject, this.#instances.size, undefined);
    } catch (error) {
      return noAddress(subject, this.#instances.size, error);
    }
  }

  #found(next: ReadonlyMap<string, Instance>): void {
    const isSame =
      next.size === this.#instances.size && [...next].every(([id, instance]) => this.#instances.get(id) === instance);
    this.#instances = next;
    if (!isSame || this.#freshness !== "live") this.#deliver("live");
  }

  #failed(error: Error): void {
    this.#failures++;
    const isNews = error.message !== this.#lastFailure;
    this.#lastFailure = error.message;
    if (this.#freshness === "live") this.#deliver("stale");
    if (isNews && !this.#isClosed) this.#handler.failed(error);
  }

  #deliver(freshness: "live" | "stale"): void {
    this.#freshness = freshness;
    this.#revision++;
    this.#handler.snapshot({ instances: [...this.#instances.values()], revision: this.#revision, freshness });
  }

  #nextDelay(ttlMs: number | undefined): number {
    const wanted = Math.min(Math.max(ttlMs ?? UNKNOWN_TTL_MS, MIN_TTL_MS), MAX_TTL_MS);
    // Always later than the TTL: a cache on the way would answer with what it has until then.
    return Math.min(wanted * (1 + JITTER_RATIO * this.#random()), MAX_TTL_MS);
  }

  #retryDelay(): number {
    const ceiling = Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10), MAX_RETRY_MS);
    return Math.max(MIN_INTERVAL_MS, ceiling * (0.5 + this.#random() / 2));
  }
}

/** What to tell when a question has no answer. */
function noAddress(subject: string, knownCount: number, cause: unknown): Error {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const reason = code ?? (cause instanceof Error ? cause.message : "an empty answer");
  const advice =
    code === undefined || code === "ENOTFOUND" || code === "ENODATA"
      ? "check the name, and whether this machine can resolve it"
      : "check that the DNS server can be reached";
  const known = knownCount > 0 ? `; going on with the ${knownCount} known` : "";
  const text = `dns registry: no address found for ${JSON.stringify(subject)} (${reason}): ${advice}${known}`;
  return new Error(text, { cause });
}
