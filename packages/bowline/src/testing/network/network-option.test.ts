import { afterEach, describe, expect, it } from "vitest";
import { echoNotes, NoteService } from "../../../test/client/note-service.ts";
import { failure } from "../../../test/client/outcomes.ts";
import type { ClientOptions } from "../../client/client-options.ts";
import { createClient } from "../../client/create-client.ts";
import { type Network, socketNetwork } from "../../net/network.ts";
import { silentLogger } from "../../observe/logger.ts";
import { createServer } from "../../server/create-server.ts";
import type { ServerOptions } from "../../server/server-options.ts";
import { memoryNetwork } from "./memory-network.ts";

describe("the option network", () => {
  const open: { close(): Promise<void> }[] = [];

  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  async function serverOn(network: Network, listen: string, options: ServerOptions = {}) {
    const server = createServer({ network, listen, handleSignals: false, logger: silentLogger, ...options });
    open.push(server);
    return server.add(NoteService, { ...echoNotes, say: () => listen }).start();
  }

  function clientOf(target: string, options: ClientOptions) {
    const client = createClient(NoteService, target, options);
    open.push(client);
    return client;
  }

  it("makes a server and a client listen and dial there, and nowhere else", async () => {
    const [here, there] = [memoryNetwork(), memoryNetwork()];
    await serverOn(here, "notes:1");
    expect(await clientOf("notes:1", { network: here }).say("x")).toBe("notes:1");
    // The same target, but not the same channel.
    expect((await failure(clientOf("notes:1", { network: there }).say("x"))).text).toMatch(/nothing listens there/);
  });

  it.each(["notes:1", "dns:///notes:1", "dns://10.0.0.53/notes:1", "static:///NOTES:1"])(
    "leaves names to a network that knows them: %s",
    async (target) => {
      const network = memoryNetwork();
      await serverOn(network, "notes:1");
      expect(await clientOf(target, { network }).say("x")).toBe("notes:1");
    },
  );

  it("takes one of a user's own, which sockets of this machine may stand behind", async () => {
    const dialled: string[] = [];
    const network: Network = {
      listen: (target, options) => socketNetwork.listen(target, options),
      dial: (address, options) => {
        dialled.push(address);
        return socketNetwork.dial(address, options);
      },
    };
    const server = await serverOn(network, "127.0.0.1:0");
    expect(await clientOf(`localhost:${server.port}`, { network }).say("x")).toBe("127.0.0.1:0");
    // Such a network leaves names to DNS.
    expect(dialled).toContain(server.address);
  });

  it("is refused when it is none", () => {
    const client = { network: { listen: () => {} } as unknown as Network };
    const server = { network: { dial: () => {} } as unknown as Network };
    expect(() => createClient(NoteService, "notes:1", client)).toThrow(/createClient options\.network can't dial/);
    expect(() => createServer(server)).toThrow(/createServer options\.network can't listen/);
    expect(() => createServer({ network: "memory" as unknown as Network })).toThrow(/options\.network is "memory"/);
  });

  it("frees the address of a server that has stopped, and of one that could not start", async () => {
    const network = memoryNetwork();
    await (await serverOn(network, "notes:1")).close();
    const failing = serverOn(network, "notes:1", { ready: () => Promise.reject(new Error("no database")) });
    await expect(failing).rejects.toThrow("no database");
    await serverOn(network, "notes:1");
    await expect(serverOn(network, "notes:1")).rejects.toThrow(/cannot listen on notes:1: somebody listens there/);
  });
});
