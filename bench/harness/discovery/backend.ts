import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EtcdServer } from "../../../test/registry/etcd-server.ts";
import type { RegistryText } from "./registry-text.ts";

/** A registry that runs, for one reading. */
export interface Backend {
  readonly registry: RegistryText;
  /** Streams of watches that it has open now; NaN where it does not tell. */
  streams(): Promise<number>;
  /** Ends it and removes what it has kept. */
  remove(): Promise<void>;
}

/** Starts a registry without anything in it. */
export type StartBackend = () => Promise<Backend>;

/** A real etcd of one member on the loopback. `program` is its path. */
export function etcdBackend(program: string): StartBackend {
  return async () => {
    const server = await EtcdServer.start({ program });
    const [host] = server.hosts;
    return { registry: `etcd=${host}`, streams: () => openWatchStreams(host), remove: () => server.remove() };
  };
}

/** The embedded registry in a folder of its own. */
export async function localBackend(): Promise<Backend> {
  const folder = mkdtempSync(join(tmpdir(), "bowline-bench-registry-"));
  return {
    registry: `local=${folder}`,
    streams: async () => Number.NaN,
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** As etcd's own metrics tell: calls of Watch that have begun, less those that have ended. */
async function openWatchStreams(host: string): Promise<number> {
  const text = await (await fetch(`http://${host}/metrics`)).text();
  const sum = (metric: string): number =>
    [...text.matchAll(new RegExp(`^${metric}\\{(.*)\\} ([0-9.e+]+)$`, "gm"))]
      .filter(([, labels]) => labels.includes('grpc_service="etcdserverpb.Watch"'))
      .reduce((total, [, , count]) => total + Number(count), 0);
  return sum("grpc_server_started_total") - sum("grpc_server_handled_total");
}
