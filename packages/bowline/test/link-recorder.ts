import type { LinkHandler } from "../src/http2/link.ts";

/** A link's handler that remembers all it was told, in order, and lets a test wait for what it wants to hear. */
export class LinkRecorder implements LinkHandler {
  /** `data`, `drain`, `end`, `closed`; runs of `data` count once. */
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  error: Error | undefined;
  /** Called with each chunk, after it was remembered. */
  onData: (chunk: Buffer) => void = () => {};
  readonly #waiting = new Set<() => void>();
  #all: Buffer = Buffer.alloc(1024);
  #length = 0;

  linkData(chunk: Buffer): void {
    // The chunk is only lent.
    const copy = Buffer.from(chunk);
    this.chunks.push(copy);
    this.#append(copy);
    this.onData(chunk);
    this.#happened("data");
  }

  linkDrain(): void {
    this.#happened("drain");
  }

  linkEnd(): void {
    this.#happened("end");
  }

  linkClosed(error: Error | undefined): void {
    this.error = error;
    this.#happened("closed");
  }

  /** All chunks in one. */
  get bytes(): Buffer {
    return this.#all.subarray(0, this.#length);
  }

  get text(): string {
    return this.bytes.toString();
  }

  has(event: string): boolean {
    return this.events.includes(event);
  }

  /** Resolves when `condition` holds, now or after an event. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }

  untilText(text: string): Promise<void> {
    return this.until(() => this.text.includes(text));
  }

  untilEvent(event: string): Promise<void> {
    return this.until(() => this.has(event));
  }

  #append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#all.length) this.#all = Buffer.concat([this.bytes], length * 2);
    chunk.copy(this.#all, this.#length);
    this.#length = length;
  }

  #happened(event: string): void {
    if (event !== "data" || this.events.at(-1) !== "data") this.events.push(event);
    for (const check of this.#waiting) check();
  }
}
