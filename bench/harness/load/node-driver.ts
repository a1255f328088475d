import { Child, type PeerLine } from "../../../test/peers/child.ts";
import type { StartDriver } from "./load-driver.ts";
import type { LoadResult } from "./load-result.ts";
import { type LoadCpu, readingOf } from "./reading.ts";

/** A client program of ours (load-client.ts): one process for all loads, so that it stays warm. */
export function nodeDriver(path: string, args: readonly string[] = []): StartDriver {
  return async (server, address, core) => {
    const client = new Child({ command: process.execPath, args: [path, address, ...args] }, core);
    await client.next("ready");
    return {
      run: async (load, seconds) => {
        const begin = client.next("begin");
        const end = client.next("calls", seconds * 1000);
        client.send({ load, seconds });
        await begin;
        const before = await cpuOf(client, server);
        const result = (await end) as PeerLine & LoadResult;
        const after = await cpuOf(client, server);
        return readingOf(load, result, {
          clientUs: after.clientUs - before.clientUs,
          serverUs: after.serverUs - before.serverUs,
        });
      },
      close: () => client.stop(),
    };
  };
}

async function cpuOf(client: Child, server: Child): Promise<Required<LoadCpu>> {
  const [clientUs, serverUs] = await Promise.all([client.cpuMicroseconds(), server.cpuMicroseconds()]);
  return { clientUs, serverUs };
}
