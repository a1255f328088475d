import type { ServerOptions } from "bowline";

/** What server.ts gets on its command line, as JSON. */
export interface ServerPlan {
  /** In every answer, and the instance's id in etcd. */
  readonly id: string;
  /** The service's name in etcd. */
  readonly name: string;
  /** Of etcd: `203.0.113.100:2379`. */
  readonly registry: string;
  readonly listen: string;
  readonly advertise?: ServerOptions["advertise"];
}

/** What the server prints once it is registered. */
export interface ServerReady {
  /** What it tells others to connect to, as `network=address`, or the address where it has no label. */
  readonly registered: readonly string[];
}
