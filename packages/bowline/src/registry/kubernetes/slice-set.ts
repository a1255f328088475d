import type { Instance } from "../registry.ts";
import { addressOf, type Slice, type SliceEndpoint, type SlicePort } from "./endpoint-slice.ts";

/** An endpoint with the port that its slice gives it. */
interface Part {
  readonly endpoint: SliceEndpoint;
  readonly address: string;
}

/**
 * The slices of one service, and the instances that they are together. A pod may stand in several slices: for its IPv4 and its IPv6
 * address, and for a moment in two when it is moved from one to another. It is one instance, and it is not lost in between.
 *
 * A changed slice costs as much as it has endpoints. Instances that stay as they are stay the same objects.
 */
export class SliceSet {
  readonly #port: string | number | undefined;
  readonly #slices: Map<string, Slice> = new Map();
  /** By key of the endpoint, then by slice. */
  readonly #parts: Map<string, Map<string, Part>> = new Map();
  readonly #instances: Map<string, Instance> = new Map();
  /** By slice, what can't be used. */
  readonly #faults: Map<string, readonly string[]> = new Map();

  /** `port`: its number or name; undefined: the only one. */
  constructor(port: string | number | undefined) {
    this.#port = port;
  }

  /** In the order in which they came. */
  get instances(): readonly Instance[] {
    return [...this.#instances.values()];
  }

  /** What can't be used, in words. */
  get faults(): readonly string[] {
    return [...this.#faults.values()].flat();
  }

  /** Takes a slice over; true if the instances are others now. An unchanged one costs nothing. */
  put(slice: Slice): boolean {
    return this.#settle(this.#place(slice));
  }

  /** Forgets a slice; true if the instances are others now. */
  delete(name: string): boolean {
    return this.#settle(this.#remove(name));
  }

  /** Takes over all slices that there are, in place of those that were: who has moved between them stays. */
  replace(slices: readonly Slice[]): boolean {
    const names = new Set(slices.map(({ name }) => name));
    const gone = [...this.#slices.keys()].filter((name) => !names.has(name));
    const touched = [...slices.map((slice) => this.#place(slice)), ...gone.map((name) => this.#remove(name))];
    return this.#settle(new Set(touched.flatMap((keys) => [...keys])));
  }

  /** The keys of instances that may be others now. */
  #place(slice: Slice): ReadonlySet<string> {
    const before = this.#slices.get(slice.name);
    if (before !== undefined && before.resourceVersion === slice.resourceVersion && slice.resourceVersion !== "") {
      return new Set();
    }
    this.#slices.set(slice.name, slice);
    const port = this.#portOf(slice);
    this.#setFaults(slice, port);
    const touched = new Set(before?.endpoints.map(({ key }) => key));
    for (const key of touched) this.#drop(key, slice.name);
    if (typeof port === "string") return touched;
    for (const endpoint of slice.endpoints) {
      if (!endpoint.isReady && !endpoint.isLeaving) continue;
      touched.add(endpoint.key);
      this.#add(endpoint.key, slice.name, { endpoint, address: addressOf(endpoint.host, port) });
    }
    return touched;
  }

  #remove(name: string): ReadonlySet<string> {
    const touched = new Set(this.#slices.get(name)?.endpoints.map(({ key }) => key));
    this.#slices.delete(name);
    this.#faults.delete(name);
    for (const key of touched) this.#drop(key, name);
    return touched;
  }

  /** The number to dial, or what is wrong. */
  #portOf({ ports }: Slice): number | string {
    const wanted = this.#port;
    if (wanted === undefined) {
      if (ports.length === 1) return ports[0].number;
      return ports.length === 0 ? "the service has no TCP port" : `the service has several ports: ${show(ports)}`;
    }
    if (typeof wanted === "number") return wanted;
    return (
      ports.find(({ name }) => name === wanted)?.number ?? `the service has no port ${wanted}; it has ${show(ports)}`
    );
  }

  #setFaults({ name, ports, endpoints, faults }: Slice, port: number | string): void {
    const all = [...faults];
    if (typeof port === "string" && endpoints.length > 0) {
      all.push(
        `${port}; write the one to call behind the service, service:${ports[0]?.name || (ports[0]?.number ?? 8080)}`,
      );
    } else if (
      typeof this.#port === "number" &&
      ports.length > 0 &&
      ports.every(({ number }) => number !== this.#port)
    ) {
      all.push(
        `port ${this.#port} is called as written, but the pods' ports are ${show(ports)}: is it the Service's own?`,
      );
    }
    if (all.length === 0) this.#faults.delete(name);
    else this.#faults.set(name, all);
  }

  #add(key: string, slice: string, part: Part): void {
    const parts = this.#parts.get(key);
    if (parts === undefined) this.#parts.set(key, new Map([[slice, part]]));
    else parts.set(slice, part);
  }

  #drop(key: string, slice: string): void {
    const parts = this.#parts.get(key);
    parts?.delete(slice);
    if (parts?.size === 0) this.#parts.delete(key);
  }

  /** Makes the instances of these keys anew; true if one of them is another now. */
  #settle(keys: ReadonlySet<string>): boolean {
    let isChanged = false;
    for (const key of keys) {
      const parts = this.#parts.get(key);
      const before = this.#instances.get(key);
      if (parts === undefined) {
        isChanged = this.#instances.delete(key) || isChanged;
        continue;
      }
      const next = instanceOf(key, [...parts.values()]);
      if (before !== undefined && isSame(before, next)) continue;
      this.#instances.set(key, next);
      isChanged = true;
    }
    return isChanged;
  }
}

/** One instance of what the slices tell of it: ready if one of them says so. */
function instanceOf(id: string, parts: readonly Part[]): Instance {
  const isReady = parts.some(({ endpoint }) => endpoint.isReady);
  const { endpoint } = parts.find((part) => part.endpoint.isReady === isReady) ?? parts[0];
  const { node, zonesHint } = endpoint;
  return {
    id,
    addresses: [...new Set(parts.map(({ address }) => address))]
      .sort(v4First)
      .map((address) => ({ address, network: "" })),
    weight: 1,
    zone: endpoint.zone,
    version: "",
    tags: { ...(node === "" ? {} : { node }), ...(zonesHint === "" ? {} : { forZones: zonesHint }) },
    state: isReady ? "ready" : "draining",
  };
}

function v4First(a: string, b: string): number {
  const order = Number(a.startsWith("[")) - Number(b.startsWith("["));
  return order === 0 ? (a < b ? -1 : 1) : order;
}

function isSame(a: Instance, b: Instance): boolean {
  return (
    a.state === b.state &&
    a.zone === b.zone &&
    a.tags.node === b.tags.node &&
    a.tags.forZones === b.tags.forZones &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every(({ address }, index) => address === b.addresses[index].address)
  );
}

function show(ports: readonly SlicePort[]): string {
  return ports.map(({ name, number }) => (name === "" ? String(number) : `${name} (${number})`)).join(", ") || "none";
}
