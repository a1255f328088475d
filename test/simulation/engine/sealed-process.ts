import { AsyncLocalStorage } from "node:async_hooks";
import { Immediates } from "./immediates.ts";

/** What a run must not use: its own chance and time take their place. */
const FORBIDDEN: readonly (readonly [owner: object, name: string, label: string])[] = [
  [Math, "random", "Math.random"],
  [Date, "now", "Date.now"],
  [performance, "now", "performance.now"],
  [globalThis, "setTimeout", "setTimeout"],
  [globalThis, "setInterval", "setInterval"],
];

type Anything = (...args: unknown[]) => unknown;

/**
 * The process as a run may use it: immediates are counted, so that the simulation knows when nothing is ready to run any more, and
 * whoever takes chance or time from the process is told on, because two runs of a seed would differ. What else goes on in the process
 * is left alone.
 */
export class SealedProcess {
  /** Who used what he must not, in order. */
  readonly leaks: string[] = [];
  readonly #inside = new AsyncLocalStorage<true>();
  readonly #immediates = new Immediates(() => this.#inside.getStore() !== undefined);
  readonly #restore: (() => void)[] = [];

  /** Runs `work` and all that follows from it sealed. One at a time. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#immediates.start();
    for (const [owner, name, label] of FORBIDDEN) this.#watch(owner as Record<string, Anything>, name, label);
    try {
      return await this.#inside.run(true, work);
    } finally {
      for (const restore of this.#restore.splice(0)) restore();
      this.#immediates.stop();
    }
  }

  /** Runs all that is ready, promises and immediates, until nothing is. */
  settle(): Promise<void> {
    return this.#immediates.settle();
  }

  #watch(owner: Record<string, Anything>, name: string, label: string): void {
    const own = Object.getOwnPropertyDescriptor(owner, name);
    const original = owner[name];
    const value = (...args: unknown[]): unknown => {
      if (this.#inside.getStore() !== undefined) this.leaks.push(`${label} was used ${callerOf(new Error())}`);
      return original.apply(owner, args);
    };
    Object.defineProperty(owner, name, { value, configurable: true, writable: true });
    this.#restore.push(() => {
      if (own === undefined) delete owner[name];
      else Object.defineProperty(owner, name, own);
    });
  }
}

/** Where in the sources a call came from, innermost first. */
function callerOf({ stack = "" }: Error): string {
  const places = stack
    .split("\n")
    .map((line) => /\/((?:packages|test)\/[^)]+)\)?$/.exec(line)?.[1] ?? "")
    .filter((place) => place !== "" && !place.includes("sealed-process"));
  return places.length === 0 ? "somewhere" : `by ${places.slice(0, 3).join(", ")}`;
}
