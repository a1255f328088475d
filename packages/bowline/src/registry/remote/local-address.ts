import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { type HostPort, isFault, readHostPort } from "../instance/address.ts";

/** What a socket has that the system has given no address. */
const UNSPECIFIED: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/**
 * The address from which this machine would connect to the first of the hosts (`host:port`) that it has a way to: what a registry says as
 * `reachedFrom` that does not hold its sockets itself. Null if there is a way to none.
 *
 * The routing table is asked, by a UDP socket that is connected and sends nothing; so the host may as well be down.
 */
export async function localAddressTowards(hosts: readonly string[]): Promise<string | null> {
  for (const text of hosts) {
    const host = readHostPort(text);
    const found = isFault(host) ? null : await towards(host);
    if (found !== null) return found;
  }
  return null;
}

async function towards({ host, port }: HostPort): Promise<string | null> {
  try {
    const { address, family } = await lookup(host);
    const source = await sourceAddress(address, family === 6 ? "udp6" : "udp4", port);
    return UNSPECIFIED.has(source) ? null : source;
  } catch {
    return null;
  }
}

function sourceAddress(address: string, type: "udp4" | "udp6", port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type).unref();
    const fail = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once("error", fail);
    // Where there is no route the error comes here, though the types have none.
    socket.connect(port, address, (error?: Error) => {
      if (error !== undefined) return fail(error);
      resolve(socket.address().address);
      socket.close();
    });
  });
}
