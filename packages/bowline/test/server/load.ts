import type { CallOptions } from "../../src/client/call-options.ts";
import type { TextClient } from "./text-service.ts";

/** What became of the calls of a {@link Load}. */
export interface LoadResult {
  readonly calls: number;
  /** Errors, and answers that were wrong. */
  readonly failures: readonly unknown[];
}

/** Calls `say` again and again, `width` calls at a time, until told to stop. */
export class Load {
  #calls = 0;
  readonly #failures: unknown[] = [];
  #isStopping = false;
  readonly #loops: Promise<void>[];
  readonly #waiting: { readonly count: number; readonly reached: () => void }[] = [];

  constructor(client: TextClient, width: number, options: CallOptions = {}) {
    this.#loops = Array.from({ length: width }, () => this.#loop(client, options));
  }

  /** Resolves when this many calls more have ended. */
  more(count: number): Promise<void> {
    return new Promise((reached) => this.#waiting.push({ count: this.#calls + count, reached }));
  }

  /** Lets the calls in flight end. */
  async stop(): Promise<LoadResult> {
    this.#isStopping = true;
    await Promise.all(this.#loops);
    return { calls: this.#calls, failures: this.#failures };
  }

  async #loop(client: TextClient, options: CallOptions): Promise<void> {
    for (let i = 0; !this.#isStopping; i++) {
      const text = `call ${i}`;
      try {
        const answer = await client.say(text, options);
        if (answer !== text) this.#failures.push(new Error(`${text} was answered by ${answer}`));
      } catch (error) {
        this.#failures.push(error);
        // A server that fails everything must not keep the test from its end.
        await new Promise((resolve) => setImmediate(resolve));
      }
      this.#calls++;
      for (const each of this.#waiting) if (this.#calls === each.count) each.reached();
    }
  }
}
