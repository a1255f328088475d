import type { Balancer } from "../../balancer/balancer.ts";
import type { Instance } from "../../registry/registry.ts";
import { Endpoint, type EndpointOptions, type EndpointOwner, endpointId } from "./endpoint.ts";

/** Whom a set tells of its endpoints. */
export type EndpointSetOwner = Omit<EndpointOwner, "departed">;

/** What the endpoints of a set are, together: the best that one of them is. */
export type EndpointSetState = "ready" | "connecting" | "failed" | "empty";

/**
 * The endpoints of a channel, as the registry tells them.
 *
 * One that stays keeps its connections and statistics; one that goes finishes its calls. A registry that suddenly knows nobody
 * is not believed: endpoints that have not announced their end stay, and those that are gone in truth can't be connected to.
 */
export class EndpointSet implements EndpointOwner {
  readonly #options: EndpointOptions;
  readonly #balancer: Balancer<Endpoint>;
  readonly #owner: EndpointSetOwner;
  readonly #endpoints: Map<string, Endpoint> = new Map();
  /** Out of the set, with calls that still run. */
  readonly #departing: Set<Endpoint> = new Set();
  #hasDraining = false;
  /** The balancer was told of those only that stay. */
  #isLeavingOut = false;

  constructor(options: EndpointOptions, balancer: Balancer<Endpoint>, owner: EndpointSetOwner) {
    this.#options = options;
    this.#balancer = balancer;
    this.#owner = owner;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** In the order in which they came. */
  get all(): readonly Endpoint[] {
    return [...this.#endpoints.values()];
  }

  get state(): EndpointSetState {
    let state: EndpointSetState = "empty";
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.weight === 0) continue;
      if (endpoint.connectionState === "ready") return "ready";
      if (endpoint.connectionState !== "backoff") state = "connecting";
      else if (state === "empty") state = "failed";
    }
    return state;
  }

  /** Why there is no connection, if an endpoint knows. */
  get lastError(): Error | null {
    for (const endpoint of this.#endpoints.values()) if (endpoint.lastError !== null) return endpoint.lastError;
    return null;
  }

  /** Calls in flight, and a number that changes with each call. */
  get activity(): { readonly inFlight: number; readonly count: number } {
    let inFlight = 0;
    let count = 0;
    for (const endpoint of [...this.#endpoints.values(), ...this.#departing]) {
      inFlight += endpoint.inFlight;
      count += endpoint.activity;
    }
    return { inFlight, count };
  }

  /** Takes over what the registry says. New endpoints connect if `isInUse`. */
  apply(instances: readonly Instance[], isInUse: boolean): void {
    const seen = new Set<string>();
    let isChanged = false;
    for (const instance of instances) {
      const address = instance.addresses[0]?.address;
      if (address === undefined) continue;
      const id = endpointId(instance.id, address);
      seen.add(id);
      isChanged = this.#put(id, instance, address) || isChanged;
    }
    for (const [id, endpoint] of this.#endpoints) {
      if (seen.has(id) || (seen.size === 0 && !endpoint.isDraining)) continue;
      this.#remove(id, endpoint);
      isChanged = true;
    }
    if (isChanged) this.#tellBalancer();
    if (isInUse) this.connect();
  }

  connect(): void {
    for (const endpoint of this.#endpoints.values()) if (endpoint.weight > 0) endpoint.connect();
  }

  /** The same, without waiting for the end of backoffs. */
  connectNow(): void {
    for (const endpoint of this.#endpoints.values()) if (endpoint.weight > 0) endpoint.connectNow();
  }

  /** Calls wait: one connection more where all are full. */
  grow(): void {
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.weight > 0 && endpoint.isFull && !endpoint.isDraining) endpoint.grow();
    }
  }

  /** Closes connections until `connect`; no call may be in flight. */
  rest(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.rest();
  }

  /** Closes all connections; calls that run are reset. */
  close(): void {
    const all = [...this.#endpoints.values(), ...this.#departing];
    this.#endpoints.clear();
    this.#tellBalancer();
    for (const endpoint of all) endpoint.close(false);
  }

  // --- EndpointOwner ---

  stateChanged(endpoint: Endpoint): void {
    if (this.#hasDraining && this.#isLeavingOut !== this.#hasReadyStayer()) this.#tellBalancer();
    this.#owner.stateChanged(endpoint);
  }

  roomMade(): void {
    this.#owner.roomMade();
  }

  departed(endpoint: Endpoint): void {
    this.#departing.delete(endpoint);
  }

  // --- in detail ---

  /** True when the balancer has to know. */
  #put(id: string, { id: instanceId, weight, state }: Instance, address: string): boolean {
    let endpoint = this.#endpoints.get(id);
    const isNew = endpoint === undefined;
    endpoint ??= new Endpoint(instanceId, address, weight, this.#options, this);
    const isDraining = state === "draining";
    const isChanged = isNew || endpoint.weight !== weight || endpoint.isDraining !== isDraining;
    endpoint.weight = weight;
    endpoint.isDraining = isDraining;
    if (isNew) this.#endpoints.set(id, endpoint);
    return isChanged;
  }

  #remove(id: string, endpoint: Endpoint): void {
    this.#endpoints.delete(id);
    this.#departing.add(endpoint);
    endpoint.close(true);
  }

  /** Draining endpoints get calls only while nobody else is connected. */
  #tellBalancer(): void {
    const { all } = this;
    this.#hasDraining = all.some((endpoint) => endpoint.isDraining);
    this.#isLeavingOut = this.#hasReadyStayer();
    this.#balancer.update(this.#isLeavingOut ? all.filter((endpoint) => !endpoint.isDraining) : all);
  }

  #hasReadyStayer(): boolean {
    for (const endpoint of this.#endpoints.values()) {
      if (!endpoint.isDraining && endpoint.weight > 0 && endpoint.connectionState === "ready") return true;
    }
    return false;
  }
}
