import { createServer, type Server } from "node:net";

/** Below the ports that systems lend to clients, so that a connection does not take one meanwhile. */
const LOWEST = 20_000;
const HIGHEST = 29_999;

/** The first of `count` ports in a row that are all free on loopback just now. For programs that can't choose one themselves. */
export async function findFreePorts(count: number): Promise<number> {
  const step = count + 1;
  const start = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST - count));
  for (let tries = 0; tries < 100; tries++) {
    const first = LOWEST + ((start - LOWEST + tries * step) % (HIGHEST - LOWEST - count));
    if (await areFree(first, count)) return first;
  }
  throw new Error(`no ${count} free ports in a row between ${LOWEST} and ${HIGHEST}`);
}

async function areFree(first: number, count: number): Promise<boolean> {
  const servers = await Promise.all(Array.from({ length: count }, (_, i) => listen(first + i)));
  for (const server of servers) server?.close();
  return servers.every((server) => server !== undefined);
}

function listen(port: number): Promise<Server | undefined> {
  const { promise, resolve } = Promise.withResolvers<Server | undefined>();
  const server = createServer();
  server.once("error", () => resolve(undefined));
  server.listen(port, "127.0.0.1", () => resolve(server));
  return promise;
}
