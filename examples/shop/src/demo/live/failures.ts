import { codeName } from "bowline";
import type { Call } from "../traffic/traffic.ts";

/** Failures of one kind are told as one, so often. */
const TELL_MS = 5_000;

/** Puts what customers did not get in words, and many of a kind in one line. */
export class Failures {
  readonly #tell: (text: string) => void;
  /** How many of a kind have come since it was last told, and when that was. */
  readonly #kinds = new Map<string, { count: number; toldAt: number }>();

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  /** A call has failed at `now` (monotonic milliseconds). */
  add({ deed, code, text }: Call, now: number): void {
    const kind = `${deed} failed with ${codeName(code)}`;
    const known = this.#kinds.get(kind) ?? { count: 0, toldAt: Number.NEGATIVE_INFINITY };
    this.#kinds.set(kind, known);
    known.count++;
    if (now - known.toldAt < TELL_MS) return;
    this.#tell(`${known.count > 1 ? `${known.count} × ` : ""}${kind}: ${text}`);
    known.count = 0;
    known.toldAt = now;
  }
}
