/** One address of an instance, with the network that it is reachable from. */
export interface Address {
  /** `10.0.0.7:8080`, `[fd00::7]:8080`, `unix:/run/user.sock`. */
  readonly address: string;
  /** Label of a network, `vpc-a`; empty means reachable from anywhere. */
  readonly network: string;
}

/** One registered process of a service. */
export interface Instance {
  /** Unique among the service's instances and stable while the process lives. */
  readonly id: string;
  /** At least one. */
  readonly addresses: readonly Address[];
  /** Share of the load relative to the others; default 1, 0 = none. */
  readonly weight: number;
  readonly zone: string;
  readonly version: string;
  readonly tags: Readonly<Record<string, string>>;
  /** `draining` instances finish what they have and get nothing new. */
  readonly state: "ready" | "draining";
}

/** All that a registry knows of one service at one time. */
export interface Snapshot {
  readonly instances: readonly Instance[];
  /** Grows with each change that this watcher sees. */
  readonly revision: number;
  /** `live`: the registry said so now; `stale`: it can't be reached, this is the last known; `disk`: read from a file after a start. */
  readonly freshness: "live" | "stale" | "disk";
}

/** Where a watcher delivers. */
export interface WatchHandler {
  /** A full set, at once after the start where possible and after each change. */
  snapshot(snapshot: Snapshot): void;
  /**
   * Something failed; the watcher goes on trying. `error` says what to change. `isFinal`: as it is configured this can't succeed (a target with
   * an unknown setting, no cluster to ask), so that calls are told at once instead of waiting. Default false.
   */
  failed(error: Error, isFinal?: boolean): void;
}

/** A running watch. */
export interface Watcher {
  /** Entries that the last read had to leave out because they can't be used. Missing where there can be none. */
  readonly skipped?: number;
  /** Asks for a fresh look now, because connections to known instances failed; may be ignored. */
  refresh(): void;
  close(): void;
}

/** A state that is kept true until it is closed: put again after any loss. */
export interface Registration {
  readonly state: "pending" | "registered" | "closed";
  /** How often the entry was found to be gone, or changed by others, and was put again. Missing where that is not known. */
  readonly losses?: number;
  /** Changes what others see: `draining` before a stop, another weight. */
  update(change: Partial<Pick<Instance, "weight" | "state" | "tags">>): Promise<void>;
  /** Takes the instance out, at once for all who watch. */
  close(): Promise<void>;
}

/** A place where instances of services are written down and looked up. */
export interface Registry {
  /** For messages: `local`, `etcd`. */
  readonly name: string;
  /**
   * What tells it from others of its name: hosts and what is chosen there, never a secret. What a client keeps on disk of one registry is
   * not used for another. Where it is missing, nothing is kept for bare names unless the client says where.
   */
  readonly place?: string;
  /**
   * Resolves when the first attempt has ended: `registered`, so that others can see the instance, or `pending` while the registry can't be
   * reached; then it goes on trying by itself. Rejects for what trying again can't mend: a wrong password or path, no right to write.
   */
  register(service: string, instance: Instance): Promise<Registration>;
  watch(service: string, handler: WatchHandler): Watcher;
  /**
   * Names of the services that have entries, sorted, as `watch` takes them. Rejects while the registry can't be reached, and where the list
   * may not be read. A product that remembers services may name some that have no entries any more. Missing where nobody has such a list.
   */
  services?(): Promise<readonly string[]>;
  /** True: only processes of this machine see it, so that loopback is an address for all of them. Default false. */
  readonly isMachineOnly?: boolean;
  /**
   * The local address, without port, of the connection to the registry: what others can most likely reach this process by. Connects where
   * there is no connection yet; null if that fails.
   */
  reachedFrom?(): Promise<string | null>;
  close(): Promise<void>;
}
