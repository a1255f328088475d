import { type Logger, silentLogger } from "../../observe/logger.ts";

/** What may be said of a service (grpc/health/v1/health.proto). */
export type ServingStatus = "SERVING" | "NOT_SERVING";

/** The name under which the server as a whole is asked for. */
const WHOLE = "";

/**
 * Whether a server and each of its services can do their work. Load balancers and Kubernetes ask for it by grpc.health.v1.
 */
export class Health {
  readonly #statuses: Map<string, ServingStatus> = new Map([[WHOLE, "NOT_SERVING"]]);
  readonly #said: Map<string, ServingStatus> = new Map();
  readonly #listeners: Set<() => void> = new Set();
  /** Names that somebody has said something of, or that the server has. */
  readonly #names: Set<string> = new Set([WHOLE]);
  #isStarted = false;
  #isHeld = false;
  #isStopped = false;
  readonly #logger: Logger;

  /** `logger` hears of listeners that throw. */
  constructor(logger: Logger = silentLogger) {
    this.#logger = logger;
  }

  /**
   * Says how a service is doing; an empty name means the whole. Nothing changes any more once the server stops.
   *
   * @throws TypeError for any other status
   */
  set(service: string, status: ServingStatus): void {
    if (status !== "SERVING" && status !== "NOT_SERVING") {
      throw new TypeError(`health.set: status is ${JSON.stringify(status)}; give "SERVING" or "NOT_SERVING"`);
    }
    if (this.#isStopped) return;
    const isNews = this.#said.get(service) !== status;
    this.#said.set(service, status);
    this.#names.add(service);
    this.#update(isNews);
  }

  /** The status of a service; undefined if the server has none of this name. */
  get(service: string): ServingStatus | undefined {
    return this.#statuses.get(service);
  }

  /** What was said by `set`, as opposed to what follows from the server's start and stop. */
  get said(): ReadonlyMap<string, ServingStatus> {
    return this.#said;
  }

  /** True once the server stops: nothing will be served any more. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** All names with their status. */
  get all(): ReadonlyMap<string, ServingStatus> {
    return this.#statuses;
  }

  /** Calls back after each change of a status or of what was said, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The server serves: the whole and all services do, unless they were said not to. */
  start(services: readonly string[]): void {
    for (const service of services) this.#names.add(service);
    this.#isStarted = true;
    this.#update();
  }

  /** While it is held nothing is served, whatever was and is said; afterwards what was said counts again. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#update();
  }

  /** The server stops: nothing is served any more, whatever is said later. */
  stop(): void {
    this.#isStopped = true;
    this.#update();
  }

  /** `isNews`: something was said that counts later, though it may change no status now. */
  #update(isNews: boolean = false): void {
    let isChanged = isNews;
    for (const name of this.#names) {
      const status = this.#statusNow(name);
      if (this.#statuses.get(name) === status) continue;
      this.#statuses.set(name, status);
      isChanged = true;
    }
    if (!isChanged) return;
    for (const listener of [...this.#listeners]) this.#tell(listener);
  }

  /** What a listener throws is its own affair: the server may be about to stop, and goes on with that. */
  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#logger.error({ error }, "a listener of server.health.onChange has thrown");
    }
  }

  #statusNow(name: string): ServingStatus {
    if (this.#isStopped || this.#isHeld) return "NOT_SERVING";
    return this.#said.get(name) ?? (this.#isStarted ? "SERVING" : "NOT_SERVING");
  }
}
