import { createClient, createServer, type Server, silentLogger } from "bowline";
import { Health } from "bowline/grpc/health";
import { etcd } from "bowline/registry/etcd";
import { EtcdServer } from "../etcd-server.ts";
import { type Figures, pause, waitUntil } from "./etcd-fleet.ts";

const SERVICE = "vanishing.rpc";
const SERVERS = 3;
/** How long it is watched that nobody comes to harm, after each fault. */
const AFTER_MS = 3000;

/**
 * Experiment 15: the registry says that nobody is there, while all servers live. In each round all keys of the service are deleted in one
 * step, then etcd is restarted without its data. To pass: no call fails, and all servers are listed again.
 */
export async function vanishAll(program: string, rounds: number): Promise<Figures> {
  const backend = await EtcdServer.start({ program });
  const registry = etcd({ hosts: backend.hosts });
  const options = { name: SERVICE, listen: "127.0.0.1:0", registry, handleSignals: false, logger: silentLogger };
  const servers: Server[] = Array.from({ length: SERVERS }, () => createServer(options));
  const client = createClient(Health, SERVICE, { registry, snapshotFolder: false, logger: silentLogger });
  const over = new AbortController();
  let calls = 0;
  let failedCalls = 0;
  let slowestBackMs = 0;
  const callAll = async (): Promise<void> => {
    for (; !over.signal.aborted; calls++) await client.check({}).catch(() => failedCalls++);
  };
  const areAllListed = async (): Promise<boolean> => (await backend.list(`${SERVICE}/`)).length === SERVERS;
  const loops: Promise<void>[] = [];
  try {
    await Promise.all(servers.map((server) => server.start()));
    await client.check({}, { waitForReady: true });
    loops.push(callAll(), callAll());
    for (let round = 0; round < rounds; round++) {
      await backend.deleteAll(`${SERVICE}/`);
      slowestBackMs = Math.max(slowestBackMs, await waitUntil("all are back", areAllListed, 30_000));
      await pause(AFTER_MS);
      await backend.stop("SIGKILL");
      await backend.wipe();
      await backend.resume();
      slowestBackMs = Math.max(slowestBackMs, await waitUntil("all are back", areAllListed, 30_000));
      await pause(AFTER_MS);
    }
    return { rounds, calls, failedCalls, slowestBackMs };
  } finally {
    over.abort();
    await Promise.all(loops);
    await client.close();
    await Promise.all(servers.map((server) => server.close()));
    await backend.remove();
  }
}
