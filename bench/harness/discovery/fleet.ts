import { type Client, createClient, silentLogger } from "bowline";
import { Child } from "../../../test/peers/child.ts";
import { WhoAmI, type WhoAmIClient } from "../../peers/bowline/whoami-service.ts";
import { nodeProgram } from "../../peers/contestants.ts";
import { type RegistryText, registryOf } from "./registry-text.ts";

/** Servers of one service, some in each process, and a client in this one that has all of them from the registry. */
export interface Fleet {
  /** The processes. */
  readonly servers: readonly Child[];
  readonly client: Client<WhoAmIClient>;
  close(): Promise<void>;
}

const MESSAGE = Buffer.from("who are you?");
/** Longest wait for one to answer. */
const PATIENCE_MS = 30_000;

/** Starts a process for each list of ids; resolves when calls reach all servers. */
export async function startFleet(
  registry: RegistryText,
  service: string,
  processes: readonly (readonly string[])[],
): Promise<Fleet> {
  const servers = processes.map(
    (ids) => new Child(nodeProgram("bowline", "registered-server", [registry, service, ids.join(",")])),
  );
  const client = createClient(WhoAmI, service, {
    registry: registryOf(registry),
    snapshotFolder: false,
    logger: silentLogger,
  });
  const fleet: Fleet = {
    servers,
    client,
    close: async () => {
      await client.close();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
  try {
    await Promise.all(servers.map((server) => server.next("ready")));
    await untilAll(client, processes.flat());
  } catch (error) {
    await fleet.close();
    throw error;
  }
  return fleet;
}

/** One call; gives the id of who answered. */
export async function ask(client: Client<WhoAmIClient>): Promise<string> {
  return Buffer.from(await client.ask(MESSAGE, { waitForReady: true })).toString();
}

/** Calls, one after the other, until each of these has answered. */
export async function untilAll(client: Client<WhoAmIClient>, ids: readonly string[]): Promise<void> {
  const missing = new Set(ids);
  const end = performance.now() + PATIENCE_MS;
  while (missing.size > 0) {
    if (performance.now() > end) throw new Error(`no call reached ${[...missing].join(" or ")} in ${PATIENCE_MS} ms`);
    missing.delete(await ask(client));
  }
}
