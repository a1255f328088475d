import type { FromWorker, ToWorker } from "../../../src/server/workers/worker-messages.ts";
import type { WorkerProcess, WorkerProcessHandler } from "../../../src/server/workers/worker-process.ts";

/** A process that does what a test says. */
export class FakeWorker implements WorkerProcess {
  readonly id: number;
  readonly pid: number;
  readonly received: ToWorker[] = [];
  wasKilled = false;
  readonly #handler: WorkerProcessHandler;

  constructor(id: number, pid: number, handler: WorkerProcessHandler) {
    this.id = id;
    this.pid = pid;
    this.#handler = handler;
  }

  send(message: ToWorker): void {
    this.received.push(message);
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
    this.says({ bowline: "failed", error: { name: "RangeError", message, stack: "there" } });
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

  readonly launch = (id: number, handler: WorkerProcessHandler): FakeWorker => {
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
