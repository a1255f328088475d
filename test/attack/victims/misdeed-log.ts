import type { Logger } from "bowline";

/** A period in which lines are bounded. */
const PERIOD_MS = 10_000;

/** The log of a process that is attacked: keeps what it is told, and counts how fast lines come. */
export class MisdeedLog implements Logger {
  /** Kinds that a line has named. */
  readonly named: Set<string> = new Set();
  readonly errors: string[] = [];
  /** Lines of any 10 s, at most. */
  mostLines = 0;
  readonly #times: number[] = [];

  info(): void {}

  warn(fields: object): void {
    const now = performance.now();
    this.#times.push(now);
    while (now - this.#times[0] > PERIOD_MS) this.#times.shift();
    this.mostLines = Math.max(this.mostLines, this.#times.length);
    this.named.add(String((fields as { kind?: unknown }).kind));
  }

  error(_fields: object, text: string): void {
    this.errors.push(text);
  }
}
