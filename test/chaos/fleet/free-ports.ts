import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { Chance } from "../../codec/chance.ts";

/** Below the range from which systems draw the ports of those who connect: nobody takes one while its server is away. */
const FIRST = 20_000;
const LAST = 32_000;
const TRIES = 100;

/**
 * Ports that nobody listens on, for servers that come back to the same address.
 *
 * @throws Error when too many are taken
 */
export async function freePorts(count: number, chance: Chance): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries === TRIES) throw new Error(`no ${count} free ports from ${FIRST} to ${LAST}; stop what listens there`);
    const port = chance.int(FIRST, LAST);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    const listening = once(server, "listening");
    server.listen(port, "127.0.0.1");
    await listening;
    return (server.address() as AddressInfo).port === port;
  } catch {
    return false;
  } finally {
    if (server.listening) {
      server.close();
      await once(server, "close");
    }
  }
}
