import type { MessagePort } from "node:worker_threads";

/**
 * Keeps the process alive while something is held, as open sockets do. Timers of Bowline's clocks don't: without this a
 * test that waits for a deadline in real time would end before it, for want of anything else to wait for.
 */
export class KeepAlive {
  #port: MessagePort | null = null;
  #holds = 0;

  /** One more reason to stay. */
  hold(): void {
    if (this.#holds++ > 0) return;
    this.#port = new MessageChannel().port1;
    this.#port.ref();
  }

  /** One reason less. */
  release(): void {
    if (--this.#holds > 0) return;
    this.#port?.close();
    this.#port = null;
  }
}
