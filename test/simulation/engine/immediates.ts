type Callback = (...args: unknown[]) => void;

/** Counts the immediates of the process that wait, so that who plays with virtual time knows when nothing is ready to run any more. */
export class Immediates {
  /** Immediates that were set and have neither run nor been cleared. */
  waiting = 0;
  readonly #set: typeof setImmediate = globalThis.setImmediate;
  readonly #clear: typeof clearImmediate = globalThis.clearImmediate;
  readonly #isCounted: () => boolean;

  /** `isCounted` is asked when one is set; default: all are counted. */
  constructor(isCounted: () => boolean = () => true) {
    this.#isCounted = isCounted;
  }

  /** Begins to count; `stop` must follow. */
  start(): void {
    const open = new WeakSet<object>();
    const counted = (callback: Callback, ...args: unknown[]): NodeJS.Immediate => {
      if (!this.#isCounted()) return this.#set(callback, ...args);
      this.waiting++;
      const immediate: NodeJS.Immediate = this.#set(() => {
        open.delete(immediate);
        this.waiting--;
        callback(...args);
      });
      open.add(immediate);
      return immediate;
    };
    globalThis.setImmediate = counted as typeof setImmediate;
    globalThis.clearImmediate = (immediate) => {
      if (typeof immediate === "object" && open.delete(immediate)) this.waiting--;
      this.#clear(immediate);
    };
  }

  /** Gives the platform's own functions back. */
  stop(): void {
    globalThis.setImmediate = this.#set;
    globalThis.clearImmediate = this.#clear;
  }

  /** Runs all that is ready, promises and immediates, until nothing is. */
  async settle(): Promise<void> {
    do await new Promise<void>((resolve) => this.#set(resolve));
    while (this.waiting > 0);
  }
}
