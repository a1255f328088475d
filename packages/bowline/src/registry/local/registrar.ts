import type { Clock, Timer } from "../../rpc/clock.ts";
import { checkChange } from "../instance/instance.ts";
import type { Instance, Registration } from "../registry.ts";
import type { LeaseDirectory } from "./lease-directory.ts";
import { encodeLease } from "./lease-file.ts";
import { HEARTBEAT_MS } from "./lease-set.ts";
import type { ProcessIdentity } from "./process-table.ts";

/** What a registration needs of the registry that made it. */
export interface RegistrarContext {
  readonly directory: LeaseDirectory;
  readonly clock: Clock;
  readonly process: ProcessIdentity;
  readonly report: (error: Error) => void;
}

/**
 * Keeps one lease file as it should be until it is closed.
 *
 * `pending` — the file is not written, or was found missing or could not be renewed; each heartbeat tries again.
 * `registered` — at the last heartbeat it was there. `closed` — removed, for good.
 */
export class LocalRegistration implements Registration {
  readonly #service: string;
  readonly #context: RegistrarContext;
  readonly #onClose: () => void;
  #instance: Instance;
  /** What the file should say. */
  #wanted: string;
  /** What it said when it was last known to be there. */
  #written: string | null = null;
  #state: "pending" | "registered" | "closed" = "pending";
  #heartbeat: Timer | null = null;
  /** Ends when all passes asked for so far are done; never rejects. */
  #passes: Promise<void> = Promise.resolve();
  #waitingPasses = 0;
  #losses = 0;
  #lastReport = "";
  #closing: Promise<void> | null = null;

  constructor(service: string, instance: Instance, context: RegistrarContext, onClose: () => void) {
    this.#service = service;
    this.#instance = instance;
    this.#context = context;
    this.#onClose = onClose;
    this.#wanted = this.#encode(instance);
  }

  get state(): "pending" | "registered" | "closed" {
    return this.#state;
  }

  get losses(): number {
    return this.#losses;
  }

  /** Writes the file for the first time and begins the heartbeats. Rejects if it can't be written; that is all then. */
  async start(): Promise<void> {
    await this.#reconcile();
    if (this.#closing === null) this.#heartbeat = this.#context.clock.setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** Resolves when the file says so. Rejects if it can't be written now; the heartbeats go on trying. */
  async update(change: Partial<Pick<Instance, "weight" | "state" | "tags">>): Promise<void> {
    if (this.#closing !== null) {
      throw new Error(`local registry: ${this.#instance.id} is closed and can't be updated; register it again`);
    }
    const { weight, state, tags } = this.#instance;
    const next = { weight: change.weight ?? weight, state: change.state ?? state, tags: change.tags ?? tags };
    checkChange(next);
    const instance = { ...this.#instance, ...next };
    this.#wanted = this.#encode(instance);
    this.#instance = instance;
    await this.#reconcile();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#heartbeat?.cancel();
    this.#state = "closed";
    // A pass may be writing at this moment: the removal comes behind it.
    await this.#passes;
    await this.#context.directory.remove(this.#service, this.#instance.id).finally(this.#onClose);
  }

  #beat(): void {
    if (this.#waitingPasses > 0) return;
    this.#reconcile().then(
      () => {
        this.#lastReport = "";
      },
      (error: Error) => this.#reportOnce(error),
    );
  }

  /** One pass behind another: each makes true what is wanted when its turn comes. */
  #reconcile(): Promise<void> {
    this.#waitingPasses++;
    const pass = this.#passes.then(() => this.#pass());
    this.#passes = pass.then(
      () => this.#passDone("registered"),
      () => this.#passDone("pending"),
    );
    return pass;
  }

  async #pass(): Promise<void> {
    if (this.#closing !== null) return;
    if (this.#written === this.#wanted) return this.#renew();
    try {
      await this.#put();
    } catch (error) {
      // The old file still speaks for a living process; a full disk does not keep it from being renewed.
      if (this.#written !== null)
        await this.#context.directory.touch(this.#service, this.#instance.id).catch(() => false);
      throw error;
    }
  }

  async #renew(): Promise<void> {
    if (await this.#context.directory.touch(this.#service, this.#instance.id)) return;
    this.#losses++;
    this.#written = null;
    this.#state = "pending";
    await this.#put();
  }

  async #put(): Promise<void> {
    const wanted = this.#wanted;
    await this.#context.directory.put(this.#service, this.#instance.id, wanted);
    this.#written = wanted;
  }

  #passDone(state: "pending" | "registered"): void {
    this.#waitingPasses--;
    if (this.#closing === null) this.#state = state;
  }

  #encode(instance: Instance): string {
    return encodeLease({ service: this.#service, process: this.#context.process, instance });
  }

  #reportOnce(error: Error): void {
    if (error.message === this.#lastReport) return;
    this.#lastReport = error.message;
    this.#context.report(error);
  }
}
