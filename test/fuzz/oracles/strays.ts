/** Errors that nobody handled: whatever the input, there must be none. */
export class Strays {
  readonly #found: string[] = [];
  readonly #listener = (error: unknown): void => {
    this.add(error instanceof Error ? (error.stack ?? error.message) : String(error));
  };

  /** Listens in this process from now on. */
  constructor() {
    process.on("uncaughtException", this.#listener);
    process.on("unhandledRejection", this.#listener);
  }

  add(text: string): void {
    this.#found.push(text);
  }

  /** Throws what was found since the last time. */
  judge(): void {
    const found = this.#found.splice(0);
    if (found.length > 0) throw new Error(`nobody handled: ${found.join("\n")}`);
  }

  close(): void {
    process.off("uncaughtException", this.#listener);
    process.off("unhandledRejection", this.#listener);
  }
}
