/** The right to ask, until it is given back. */
export interface Turn {
  end(): void;
}

/** Nobody waits longer than this for all who are before it, as far as short questions can bring that about. */
const ROUND_MS = 10_000;
/** Shorter questions would be asked without end. */
const MIN_WAIT_MS = 500;

/**
 * A bounded number of questions at a time, for any number of those who ask: when they are more, each asks for a shorter time and the
 * others follow in the order in which they came.
 */
export class TurnTaking {
  readonly #places: number;
  #taken = 0;
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#places = places;
  }

  /** How long a question may be held when there are so many who ask again and again. */
  waitMs(longestMs: number, askers: number): number {
    if (askers <= this.#places) return longestMs;
    return Math.min(longestMs, Math.max(MIN_WAIT_MS, Math.floor((ROUND_MS * this.#places) / askers)));
  }

  /** Waits for a place; undefined when the signal came first. */
  take(signal: AbortSignal): Promise<Turn | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    if (this.#taken < this.#places) return Promise.resolve(this.#turn());
    return new Promise((resolve) => {
      const given = (): void => {
        signal.removeEventListener("abort", gaveUp);
        resolve(this.#turn());
      };
      const gaveUp = (): void => {
        this.#waiting.delete(given);
        resolve(undefined);
      };
      signal.addEventListener("abort", gaveUp, { once: true });
      this.#waiting.add(given);
    });
  }

  #turn(): Turn {
    this.#taken++;
    let isEnded = false;
    return {
      end: () => {
        if (isEnded) return;
        isEnded = true;
        this.#taken--;
        const [next] = this.#waiting;
        if (next === undefined) return;
        this.#waiting.delete(next);
        next();
      },
    };
  }
}
