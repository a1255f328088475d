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
  #isStopped = false;

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
    this.#said.set(service, status);
    if (this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    this.#changed();
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

  /** Calls back after each change, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The server serves: the whole and all services do, unless they were said not to. */
  start(services: readonly string[]): void {
    for (const service of services) if (!this.#statuses.has(service)) this.#statuses.set(service, "SERVING");
    if (!this.#said.has(WHOLE)) this.#statuses.set(WHOLE, "SERVING");
    this.#changed();
  }

  /** The server stops: nothing is served any more, whatever is said later. */
  stop(): void {
    this.#isStopped = true;
    for (const service of this.#statuses.keys()) this.#statuses.set(service, "NOT_SERVING");
    this.#changed();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
