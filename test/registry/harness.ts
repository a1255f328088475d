import type { Instance, Registry } from "../../packages/bowline/src/registry/registry.ts";
import type { RegistryContext } from "../../packages/bowline/src/registry/registry-config.ts";

/** What of an {@link Instance} a registry may keep or lose on the way. */
export type KeptField = "id" | "networks" | "weight" | "zone" | "version" | "tags" | "state";

/** All fields; the default of {@link RegistryCapabilities.keeps}. */
export const ALL_FIELDS: readonly KeptField[] = ["id", "networks", "weight", "zone", "version", "tags", "state"];

/** Names of services that make trouble where a name becomes a path, a key, a query or a host. */
export const ODD_NAMES: readonly string[] = [
  "user",
  "user.rpc",
  "user/rpc",
  "user%2Frpc",
  "user rpc?dc=x&tag=y#z",
  "..",
  ".hidden",
  "con",
  "käse 🧀",
  "x".repeat(255),
];

/** Ids of instances that make trouble in the same places. */
export const ODD_IDS: readonly string[] = ["a/b", "../escape", "10.0.0.7:8080", "ü", "%41", "A", "a", "b".repeat(255)];

/** What a product can do; whatever it can do, the suite asks for. */
export interface RegistryCapabilities {
  /** Takes registrations. Default true; false: the harness has `set`. */
  readonly writes: boolean;
  /** Fields that others see as they were registered. Without `id` the first address tells instances apart. Default all. */
  readonly keeps: readonly KeptField[];
  /** What a watch of an unknown service is told: an empty live `snapshot`, or a `failure`, as of DNS. Default `snapshot`. */
  readonly unknownService: "snapshot" | "failure";
  /** Instances that did not change are the same objects in the next snapshot. Default true. */
  readonly keepsObjects: boolean;
  /** A set may change while it is stale: a part of several that can be reached goes on. Default false. */
  readonly changesWhileStale: boolean;
  /** What was registered is still there after `stop` and `start`. Default true. */
  readonly keepsData: boolean;
  /** Has a list of its services. Default true. */
  readonly lists: boolean;
  /** What it leaves out of names in that list: a namespace that is asked for. Default nothing. */
  readonly listsWithout: string;
  /** A service without entries is not in that list any more, at once. Default true. */
  readonly forgetsServices: boolean;
  /** Odd names of services that it takes. Default {@link ODD_NAMES}. */
  readonly serviceNames: readonly string[];
  /** Odd ids that it takes. Default {@link ODD_IDS}; none where ids are not kept. */
  readonly instanceIds: readonly string[];
  /** Instances of the one large service. Default 1,000. */
  readonly manyInstances: number;
}

/**
 * A product, or something that speaks as it does, behind an adapter: what {@link registryContract} needs of it. All tests of a suite
 * use one backend, each with services of its own.
 */
export interface RegistryHarness {
  readonly capabilities?: Partial<RegistryCapabilities>;
  /** How long the suite waits for what has to come, in ms of the adapter's clock. Default 10,000; above the longest lease and retry. */
  readonly patienceMs?: number;
  /** Starts the backend, once before all tests. */
  open?(): Promise<void> | void;
  /** Stops it and removes what it left, once after all tests. */
  close?(): Promise<void> | void;
  /** A registry of its own on the backend, as another process would have it, with equal options. The suite closes it. */
  create(context: RegistryContext): Registry | Promise<Registry>;
  /** The adapters run in virtual time: moves it on. */
  readonly clock?: RegistryContext["clock"] & { advance(ms: number): Promise<void> };
  /** The name of a service that nobody has used; `label` is unique in the process. Default `contract-<label>`. */
  service?(label: string): string;
  /** The `number`-th instance (from 1) of a service, as the product can hold it. Default: something in each field. */
  instance?(number: number, service: string): Instance;
  /** Where the adapter only reads: makes these the instances of a service, in place of all that it had. */
  set?(service: string, instances: readonly Instance[]): Promise<void> | void;
  /** Makes the backend unreachable for all registries, as by a stop of the server; resolves when it is. With `start`. */
  stop?(): Promise<void> | void;
  /** Makes it reachable again, under the same address; nothing happens if it is. Called after each test too. */
  start?(): Promise<void> | void;
  /**
   * Takes the entry of an instance out of the product, behind its owner's back; waited for. Comes to true if it was seen to be back
   * already: who watches its own entry is quicker than a test that looks for the gap.
   */
  lose?(service: string, instance: Instance): unknown;
  /** Writes entries below the service that no adapter would write: JSON, nothing, a port out of range, too long. Resolves to how many. */
  writeBad?(service: string): Promise<number> | number;
}

/** The capabilities with their defaults. */
export function capabilitiesOf(harness: RegistryHarness): RegistryCapabilities {
  const { keeps = ALL_FIELDS, ...rest } = harness.capabilities ?? {};
  return {
    writes: true,
    keeps,
    unknownService: "snapshot",
    keepsObjects: true,
    changesWhileStale: false,
    keepsData: true,
    lists: true,
    listsWithout: "",
    forgetsServices: true,
    serviceNames: ODD_NAMES,
    instanceIds: keeps.includes("id") ? ODD_IDS : [],
    manyInstances: 1000,
    ...rest,
  };
}

/** An instance with something in each field; numbers up to 65,535 give different addresses. */
export function fullInstance(number: number): Instance {
  return {
    id: `instance-${number}`,
    addresses: [
      { address: `10.7.${number >> 8}.${number & 255}:8080`, network: "vpc-a" },
      { address: `[fd00::${number.toString(16)}]:8080`, network: "" },
    ],
    weight: 2.5,
    zone: "zone-1",
    version: "1.2.3",
    tags: { canary: "yes", "with space": 'and "quotes" ü' },
    state: "ready",
  };
}
