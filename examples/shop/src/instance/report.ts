import type { Channel, MethodStats } from "bowline";

/** Counts of one method since the instance has started. */
export interface MethodReport {
  /** `/shop.user.v1.UserService/GetUser` */
  readonly method: string;
  readonly started: number;
  readonly inFlight: number;
  /** Calls that have ended, by status code. */
  readonly byCode: readonly number[];
  /** Of the durations; see `quantileMs` of bowline. */
  readonly histogram: readonly number[];
}

/** What a client of an instance believes of the service that it calls. */
export interface ChannelReport {
  /** Whom it calls, `inventory`. */
  readonly service: string;
  readonly state: string;
  /** How sure it is of them: `live`, or `stale` and `disk` while the registry can't be reached. */
  readonly freshness: string;
  /** Names of the instances that it knows. */
  readonly instances: readonly string[];
}

/** What an instance tells the process that has started it. */
export type FromInstance =
  | { readonly kind: "ready"; readonly address: string }
  | { readonly kind: "stopping" }
  | { readonly kind: "report"; readonly methods: readonly MethodReport[]; readonly channels: readonly ChannelReport[] };

/** What it is told. */
export interface ToInstance {
  /** If you find yourself alone, remove these files and folders. */
  readonly removeWhenAlone: readonly string[];
}

/** A copy of a method's counts that can be sent. */
export function reportOf(stats: MethodStats): MethodReport {
  const { method, started, inFlight } = stats;
  return { method, started, inFlight, byCode: [...stats.byCode], histogram: [...stats.histogram()] };
}

/** What a channel believes, as it can be sent. */
export function channelReport(service: string, { state, endpoints, discovery }: Channel): ChannelReport {
  return {
    service,
    state,
    freshness: discovery.freshness,
    instances: endpoints.map((endpoint) => endpoint.instanceId),
  };
}
