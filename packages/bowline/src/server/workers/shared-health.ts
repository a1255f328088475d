import type { Health, ServingStatus } from "../builtin/health.ts";
import type { Statuses } from "./worker-messages.ts";

/**
 * The health of one server of several that are to say the same: what the program sets here is told, what it sets elsewhere is set here.
 *
 * The order in which things are set is the primary's: it tells everyone of each change, the one that made it too. A worker that has
 * changed a service does not listen to what others said of it before its own change comes back: that was earlier.
 */
export class SharedHealth {
  readonly #health: Health;
  readonly #tell: (service: string, status: ServingStatus) => void;
  readonly #isPrimary: boolean;
  readonly #known: Map<string, ServingStatus> = new Map();
  /** Own changes that have not come back, by service. */
  readonly #unconfirmed: Map<string, number> = new Map();
  readonly #stop: () => void;

  /** Takes what was said so far for known to all; `tell` is called for each change that the program makes here from now on. */
  constructor(side: "primary" | "worker", health: Health, tell: (service: string, status: ServingStatus) => void) {
    this.#isPrimary = side === "primary";
    this.#health = health;
    this.#tell = tell;
    for (const [service, status] of health.said) this.#known.set(service, status);
    this.#stop = health.onChange(() => this.#changed());
  }

  /** All that was said, here or elsewhere. */
  get statuses(): Statuses {
    return Object.fromEntries(this.#known);
  }

  /** Something was set elsewhere. */
  set(service: string, status: ServingStatus): void {
    if (this.#unconfirmed.has(service)) return;
    this.#known.set(service, status);
    this.#health.set(service, status);
  }

  /** All of it was set elsewhere. */
  setAll(statuses: Statuses): void {
    for (const [service, status] of Object.entries(statuses)) this.set(service, status);
  }

  /** A change of this side has come back from the primary, which says so for each. */
  confirm(service: string): void {
    const left = (this.#unconfirmed.get(service) ?? 0) - 1;
    if (left > 0) this.#unconfirmed.set(service, left);
    else this.#unconfirmed.delete(service);
  }

  /** Tells no more. */
  close(): void {
    this.#stop();
  }

  #changed(): void {
    // What the stop of a server does to its health is not what the program says.
    if (this.#health.isStopped) return;
    for (const [service, status] of this.#health.said) {
      if (this.#known.get(service) === status) continue;
      this.#known.set(service, status);
      if (!this.#isPrimary) this.#unconfirmed.set(service, (this.#unconfirmed.get(service) ?? 0) + 1);
      this.#tell(service, status);
    }
  }
}
