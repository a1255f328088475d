/** A stream of requests that is written while it is being sent. */
export class Outbox<T> implements AsyncIterable<T> {
  readonly #messages: T[] = [];
  #isEnded = false;
  #wake: () => void = () => {};

  push(message: T): void {
    this.#messages.push(message);
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) yield message;
      else if (this.#isEnded) return;
      else await this.#more();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
