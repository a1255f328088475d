import type { Balancer } from "../../balancer/balancer.ts";
import type { Instance } from "../../registry/registry.ts";
import type { Clock, Timer } from "../../rpc/clock.ts";
import type { Random } from "../../rpc/random.ts";
import { listDifference } from "../discovery/list-difference.ts";
import { Membership } from "../discovery/membership.ts";
import { ConnectQueue } from "./connect-queue.ts";
import { Endpoint, type EndpointOptions, type EndpointOwner, endpointId } from "./endpoint.ts";
import { EndpointCounts } from "./endpoint-counts.ts";

/** Whom a set tells of its endpoints. */
export interface EndpointSetOwner extends Omit<EndpointOwner, "departed"> {
  /** Endpoints have left for another reason than a snapshot. */
  membersLeft(): void;
  /** Most of the set has vanished: the registry should be asked again. */
  secondLookWanted(): void;
}

/** What a set is made with. */
export interface EndpointSetOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly endpoint: EndpointOptions;
  readonly balancer: Balancer<Endpoint>;
  /** The address of an instance that is dialled; null if none can be reached from here. */
  choose(instance: Instance): string | null;
}

/** What the registry says, and how much that is worth. */
export interface ListedInstances {
  readonly instances: readonly Instance[];
  /** The registry says so now. */
  readonly isLive: boolean;
  /** The first live list of a watch. */
  readonly isFirst: boolean;
}

/** What the endpoints of a set are, together: the best that one of them is. */
export type EndpointSetState = "ready" | "connecting" | "failed" | "empty";

/** What one snapshot does to the endpoints. */
interface Changes {
  readonly added: Endpoint[];
  readonly returned: Endpoint[];
  /** Listed before and not now, with its instance elsewhere or another one in its place. */
  readonly replaced: Endpoint[];
  readonly vanished: Endpoint[];
  /** Stay, with another weight, state, zone or version. */
  readonly altered: Endpoint[];
}

/**
 * The endpoints of a channel, as the registry tells them and as far as it is believed ({@link Membership}).
 *
 * One that stays keeps its connections and statistics; one that goes finishes its calls. The work for a snapshot is that for what differs
 * from the one before, and one look at each place of the list.
 */
export class EndpointSet implements EndpointOwner {
  /** Instances of the last snapshot that have no address which can be reached from here. */
  readonly skipped: Set<Instance> = new Set();
  readonly membership: Membership<Endpoint>;
  readonly #options: EndpointSetOptions;
  readonly #owner: EndpointSetOwner;
  readonly #endpoints: Map<string, Endpoint> = new Map();
  readonly #counts: EndpointCounts = new EndpointCounts();
  readonly #queue: ConnectQueue;
  /** Listed endpoints at each address. */
  readonly #atAddress: Map<string, number> = new Map();
  /** Out of the set, with calls that still run. */
  readonly #departing: Set<Endpoint> = new Set();
  /** The last snapshot. */
  #instances: readonly Instance[] = [];
  #listed = 0;
  /** The last snapshot had two instances for one endpoint: the next is looked at as a whole. */
  #hasTwins = false;
  /** The balancer was told of those only that stay. */
  #isLeavingOut = false;
  #isConnecting = false;
  #lookTimer: Timer | null = null;

  constructor(options: EndpointSetOptions, owner: EndpointSetOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#queue = new ConnectQueue(options.random);
    this.membership = new Membership(options.clock, () => this.#counts.readyListed);
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** In the order in which they came. */
  get all(): readonly Endpoint[] {
    return [...this.#endpoints.values()];
  }

  get state(): EndpointSetState {
    const { weighted, ready, failed } = this.#counts;
    if (weighted === 0) return "empty";
    if (ready > 0) return "ready";
    return failed === weighted ? "failed" : "connecting";
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

  /** Takes over what the registry says, as far as it is believed. New endpoints connect if `isInUse`. */
  apply(list: ListedInstances, isInUse: boolean): void {
    const { added, returned, replaced, vanished, altered } = this.#compare(list.instances);
    const wasFrozen = this.membership.isFrozen;
    for (const endpoint of replaced) this.#remove(endpoint);
    const leaving = this.membership.update({
      listed: this.#listed,
      listedBefore: this.#listed - added.length - returned.length + vanished.length,
      added,
      returned,
      vanished,
      isLive: list.isLive,
      isFirst: list.isFirst,
    });
    for (const endpoint of leaving) this.#remove(endpoint);
    for (const endpoint of vanished) if (this.membership.suspects.has(endpoint)) endpoint.probe();
    const gone = replaced.length + leaving.length;
    if (added.length + altered.length + gone > 0) this.#tellBalancer();
    this.#watchTime();
    if (this.membership.isFrozen && !wasFrozen) this.#owner.secondLookWanted();
    if (isInUse) this.#enqueue([...added, ...altered], isIdle);
  }

  /** Connects all that rest, in portions. */
  connect(): void {
    this.#enqueue(this.#endpoints.values(), isIdle);
  }

  /** The same, without waiting for the end of backoffs. */
  connectNow(): void {
    this.#enqueue(this.#endpoints.values(), (endpoint) => isIdle(endpoint) || endpoint.connectionState === "backoff");
  }

  /** Connects one that has lost its connection. */
  reconnect(endpoint: Endpoint): void {
    this.#queue.add([endpoint]);
    this.#advance();
  }

  /** Calls wait: one connection more where all are full. */
  grow(): void {
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.weight > 0 && endpoint.isFull && !endpoint.isDraining) endpoint.grow();
    }
  }

  /** Closes connections until `connect`; no call may be in flight. What is known is hearsay from now on. */
  rest(): void {
    this.#queue.clear();
    this.#lookTimer?.cancel();
    this.membership.pause();
    for (const endpoint of this.#endpoints.values()) {
      endpoint.rest();
      this.#counts.update(endpoint);
    }
  }

  /** Closes all connections; calls that run are reset. */
  close(): void {
    const all = [...this.#endpoints.values(), ...this.#departing];
    this.#queue.clear();
    this.#lookTimer?.cancel();
    for (const endpoint of this.#endpoints.values()) this.#counts.remove(endpoint);
    this.#endpoints.clear();
    this.#tellBalancer();
    for (const endpoint of all) endpoint.close(false);
  }

  // --- EndpointOwner ---

  stateChanged(endpoint: Endpoint): void {
    if (endpoint.countedAs !== 0) this.#counts.update(endpoint);
    if (this.#counts.draining > 0 && this.#isLeavingOut !== this.#counts.readyStayers > 0) this.#tellBalancer();
    this.#owner.stateChanged(endpoint);
    this.#takeOut(this.membership.changed());
    this.#advance();
  }

  roomMade(): void {
    this.#owner.roomMade();
  }

  departed(endpoint: Endpoint): void {
    this.#departing.delete(endpoint);
  }

  // --- in detail ---

  /** Notes what the snapshot says of each endpoint, and works out who is new, back, gone or replaced. */
  #compare(instances: readonly Instance[]): Changes {
    const before = this.#instances;
    const part = this.#hasTwins
      ? { start: 0, endBefore: before.length, endAfter: instances.length }
      : listDifference(before, instances);
    this.#instances = [...instances];
    this.#hasTwins = false;
    const changes: Changes = { added: [], returned: [], replaced: [], vanished: [], altered: [] };
    const old = new Set(before.slice(part.start, part.endBefore));
    for (const instance of old) this.skipped.delete(instance);
    const listed = new Set<Endpoint>();
    const ids = new Set<string>();
    const put = (some: readonly Instance[]): void => {
      for (const instance of some) {
        ids.add(instance.id);
        const endpoint = this.#put(instance, old, listed, changes);
        if (endpoint !== null) listed.add(endpoint);
      }
    };
    put(instances.slice(part.start, part.endAfter));
    // Of two for one endpoint the last one counts, wherever the difference lies.
    if (this.#hasTwins) put(instances);
    const gone = [...old].flatMap((instance) => this.#goneWith(instance, listed));
    this.#sortOut(gone, ids, changes);
    return changes;
  }

  /** Who is not listed any more, or was not before, and why. */
  #sortOut(gone: readonly Endpoint[], ids: ReadonlySet<string>, { added, replaced, vanished }: Changes): void {
    for (const endpoint of gone) this.#unlist(endpoint);
    for (const endpoint of gone) (this.#isReplaced(endpoint, ids) ? replaced : vanished).push(endpoint);
    if (added.length === 0) return;
    for (const suspect of this.membership.suspects.keys()) {
      if (!suspect.isListed && this.#isReplaced(suspect, ids)) replaced.push(suspect);
    }
  }

  /** The endpoint of an instance that is listed; null if there is no way to it. */
  #put(
    instance: Instance,
    old: ReadonlySet<Instance>,
    listed: ReadonlySet<Endpoint>,
    changes: Changes,
  ): Endpoint | null {
    const address = this.#options.choose(instance);
    if (address === null) {
      this.skipped.add(instance);
      return null;
    }
    const known = this.#endpoints.get(endpointId(instance.id, address));
    if (known === undefined) return this.#add(instance, address, changes);
    if (listed.has(known) || (known.isListed && !old.has(known.instance))) this.#hasTwins = true;
    if (isAltered(known.instance, instance)) changes.altered.push(known);
    known.instance = instance;
    if (!known.isListed) {
      known.suspicion = null;
      this.#list(known);
      changes.returned.push(known);
    }
    this.#counts.update(known);
    return known;
  }

  #add(instance: Instance, address: string, changes: Changes): Endpoint {
    const endpoint = new Endpoint(instance, address, this.#options.endpoint, this);
    this.#endpoints.set(endpoint.id, endpoint);
    this.#list(endpoint);
    this.#counts.update(endpoint);
    changes.added.push(endpoint);
    return endpoint;
  }

  /** The endpoint that an instance of the snapshot before stood for, unless it is listed still. */
  #goneWith(instance: Instance, listed: ReadonlySet<Endpoint>): readonly Endpoint[] {
    const address = this.#options.choose(instance);
    const endpoint = address === null ? undefined : this.#endpoints.get(endpointId(instance.id, address));
    return endpoint === undefined || endpoint.instance !== instance || listed.has(endpoint) ? [] : [endpoint];
  }

  /** Its instance is listed with another address, or its address with another instance: it has been started again. */
  #isReplaced({ instanceId, address }: Endpoint, ids: ReadonlySet<string>): boolean {
    return ids.has(instanceId) || this.#atAddress.has(address);
  }

  #list(endpoint: Endpoint): void {
    const { address } = endpoint;
    endpoint.isListed = true;
    this.#listed++;
    this.#atAddress.set(address, (this.#atAddress.get(address) ?? 0) + 1);
  }

  #unlist(endpoint: Endpoint): void {
    const { address } = endpoint;
    endpoint.isListed = false;
    this.#counts.update(endpoint);
    this.#listed--;
    const count = (this.#atAddress.get(address) ?? 0) - 1;
    if (count > 0) this.#atAddress.set(address, count);
    else this.#atAddress.delete(address);
  }

  #remove(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint.id);
    this.membership.forget(endpoint);
    this.#queue.delete(endpoint);
    this.#counts.remove(endpoint);
    this.#departing.add(endpoint);
    endpoint.close(true);
  }

  /** Members left, between two snapshots. */
  #takeOut(leaving: readonly Endpoint[]): void {
    if (leaving.length === 0) return;
    for (const endpoint of leaving) this.#remove(endpoint);
    this.#tellBalancer();
    this.#watchTime();
    this.#owner.membersLeft();
  }

  /** Some of what is thought of suspects depends on time. */
  #watchTime(): void {
    this.#lookTimer?.cancel();
    this.#lookTimer = null;
    for (const [endpoint, suspicion] of this.membership.suspects) endpoint.suspicion = suspicion;
    const { lookAt } = this.membership;
    if (lookAt === Number.POSITIVE_INFINITY) return;
    this.#lookTimer = this.#options.clock.setTimeout(() => {
      this.#lookTimer = null;
      this.#takeOut(this.membership.look());
      this.#watchTime();
    }, lookAt - this.#options.clock.now());
  }

  #enqueue(endpoints: Iterable<Endpoint>, wants: (endpoint: Endpoint) => boolean): void {
    const wanting: Endpoint[] = [];
    for (const endpoint of endpoints) if (endpoint.weight > 0 && wants(endpoint)) wanting.push(endpoint);
    this.#queue.add(wanting);
    this.#advance();
  }

  #advance(): void {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    this.#queue.advance(() => this.#counts.connecting);
    this.#isConnecting = false;
  }

  /** Draining endpoints get calls only while nobody else is connected. */
  #tellBalancer(): void {
    const { all } = this;
    this.#isLeavingOut = this.#counts.draining > 0 && this.#counts.readyStayers > 0;
    this.#options.balancer.update(this.#isLeavingOut ? all.filter((endpoint) => !endpoint.isDraining) : all);
  }
}

/** What a balancer may go by has changed. */
function isAltered(before: Instance, after: Instance): boolean {
  const { weight, state, zone, version } = before;
  return weight !== after.weight || state !== after.state || zone !== after.zone || version !== after.version;
}

function isIdle({ connectionState }: Endpoint): boolean {
  return connectionState === "idle";
}
