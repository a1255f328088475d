import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Load } from "../../test/server/load.ts";
import { type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { collect, type TextClient, TextService } from "../../test/server/text-service.ts";
import type { ClientOptions } from "../client/client-options.ts";
import { type Client, createClient } from "../client/create-client.ts";
import { local } from "../registry/local/local.ts";
import type { ServerOptions } from "./server-options.ts";

const scenes = useScenes();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** How often each server's `say` ran: a call that is sent twice must not run twice. */
let handled = 0;

async function startServer(options: ServerOptions): Promise<ServerScene> {
  const say = (text: string): string | Promise<string> => {
    handled++;
    // Some calls take turns of the event loop, so that there is always something in flight.
    return handled % 3 === 0 ? new Promise((resolve) => setImmediate(() => resolve(text))) : text;
  };
  return scenes.start({ say }, { drainTimeoutMs: 20_000, drainAcceptMs: 20, ...options });
}

function connect(target: string, options: ClientOptions): Client<TextClient> {
  const client = createClient(TextService, target, { retry: false, timeoutMs: 10_000, ...options });
  closers.push(() => client.close());
  return client;
}

describe("a server that stops under load", () => {
  const clients: [string, ClientOptions][] = [
    ["p2c", { balancer: "p2c" }],
    ["round robin", { balancer: "round_robin" }],
  ];

  it.each(clients)("fails no call when there is another: fixed addresses, %s", async (_name, options) => {
    handled = 0;
    const [one, two] = [await startServer({}), await startServer({})];
    const load = new Load(connect(`static:///${one.server.address},${two.server.address}`, options), 40);
    await load.more(1000);
    const closed = one.server.close();
    await load.more(3000);
    await closed;
    await load.more(1000);
    const { calls, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(calls).toBeGreaterThanOrEqual(5000);
    expect(handled).toBe(calls);
  });

  it("fails no call through a rolling restart of all, found in the registry", async () => {
    handled = 0;
    const directory = mkdtempSync(join(tmpdir(), "bowline-drain-"));
    closers.push(() => rmSync(directory, { recursive: true, force: true }));
    const registry = local({ directory });
    const options = { name: "text.rpc", registry, drainAcceptMs: 100 };
    const servers = [await startServer(options), await startServer(options), await startServer(options)];
    const client = connect("text.rpc", { registry });
    const load = new Load(client, 40);
    await load.more(1000);
    // A stream of the first server, which ends when that one drains, as a stream of a real client would.
    let isStreaming = true;
    const ticks = collect(client.chat(whileTrue(() => isStreaming)));
    for (const old of servers) {
      await startServer(options);
      const closed = old.server.close();
      await load.more(1000);
      isStreaming = false;
      await closed;
    }
    const { calls, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(handled).toBe(calls);
    expect((await ticks).length).toBeGreaterThan(0);
  });

  it("fails no call that waits for ready, when it is alone and its successor takes the same port", async () => {
    handled = 0;
    const old = await startServer({ drainAcceptMs: 0 });
    const { address } = old.server;
    const load = new Load(connect(address, {}), 20, { waitForReady: true });
    await load.more(500);
    await old.server.close();
    await startServer({ listen: address });
    await load.more(500);
    const { calls, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(handled).toBe(calls);
  });
});

async function* whileTrue(isOn: () => boolean): AsyncGenerator<string> {
  while (isOn()) {
    yield "tick";
    await new Promise((resolve) => setImmediate(resolve));
  }
}
