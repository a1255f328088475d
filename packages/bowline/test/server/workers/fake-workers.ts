import { errorReport, type FromWorker, type ToWorker } from "../../../src/server/workers/worker-messages.ts";
import type { WorkerProcess, WorkerProcessHandler } from "../../../src/server/workers/worker-process.ts";

/** A process that does what a test says. */
export class FakeWorker implements WorkerProcess {
  readonly id: number;
  readonly pid: number;
  readonly received: ToWorker[] = [];
  wasKilled = false;
  /** Does at once what it is asked. */
  isObedient = true;
  readonly #handler: WorkerProcessHandler;

  constructor(id: number, pid: number, handler: WorkerProcessHandler) {
    this.id = id;
    this.pid = pid;
    this.#handler = handler;
  }

  send(message: ToWorker): void {
    this.received.push(message);
    if (this.isObedient && "replyTo" in message) this.does(message.replyTo);
  }

  /** Has done what it was asked by this number, or failed. */
  does(replyTo: number, error: Error | null = null): void {
    this.says({ bowline: "done", replyTo, error: error && errorReport(error) });
  }

  kill(): void {
    this.wasKilled = true;
  }

  says(message: FromWorker): void {
    this.#handler.received(message);
  }

  asks(): void {
    this.says({ bowline: "asks", statuses: {} });
  }

  binds(address: string): void {
    this.says({ bowline: "bound", address });
  }

  serves(address: string): void {
    this.says({ bowline: "serving", address, services: [] });
  }

  fails(message: string): void {
    this.failsWith(Object.assign(new RangeError(message), { stack: "there" }));
  }

  failsWith(error: Error): void {
    this.says({ bowline: "failed", error: errorReport(error) });
  }

  closes(): void {
    this.says({ bowline: "closed" });
  }

  ends(how: string = "ended with code 0"): void {
    this.#handler.ended(how);
  }

  /** True once it may bind its address. */
  get mayGo(): boolean {
    return this.received.some(({ bowline }) => bowline === "go");
  }
}

/** All processes that were launched. */
export class FakeWorkers {
  readonly launched: FakeWorker[] = [];

  /** Thrown by the next launches. */
  launchError: Error | null = null;

  readonly launch = (id: number, handler: WorkerProcessHandler): FakeWorker => {
    if (this.launchError !== null) throw this.launchError;
    const worker = new FakeWorker(id, 100 + this.launched.length, handler);
    this.launched.push(worker);
    return worker;
  };

  /** The latest process of a worker. */
  of(id: number): FakeWorker {
    const found = this.launched.findLast((each) => each.id === id);
    if (found === undefined) throw new Error(`worker ${id} was never launched`);
    return found;
  }

  /** Has all workers start in order at one address. */
  allServe(address: string): void {
    const ids = new Set(this.launched.map(({ id }) => id));
    for (const id of ids) this.of(id).asks();
    for (const id of ids) this.of(id).binds(address);
    for (const id of ids) this.of(id).serves(address);
  }
}
