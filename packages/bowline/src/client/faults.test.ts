import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { collect, type NoteClient, type NoteHandlers } from "../../test/client/note-service.ts";
import { eventually, failure, gate, outcomes } from "../../test/client/outcomes.ts";
import { Code } from "../rpc/code.ts";
import { seededRandom } from "../rpc/random.ts";
import type { RpcError } from "../rpc/rpc-error.ts";
import { type MemoryNetwork, memoryNetwork } from "../testing/network/memory-network.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { openChannelCount } from "./channel/channel-pool.ts";
import type { ClientOptions } from "./client-options.ts";
import type { Client } from "./create-client.ts";

const scene = useScene();

/** A literal address: targets of it are `static`. */
const ADDRESS = "10.0.0.1:80";

/** A server and a client over a network in memory, so that a test can cut what runs through it. */
async function joined(handlers: Partial<NoteHandlers> = {}, options: ClientOptions = {}) {
  const network = memoryNetwork();
  const server = await scene.server(handlers, { network, listen: ADDRESS });
  return { network, server, client: scene.client(ADDRESS, { network, ...options }) };
}

function cut(network: MemoryNetwork): void {
  for (const link of network.links()) link.reset();
}

/** Each call in turn until `stop`; how they ended. */
function load(client: Client<NoteClient>, callers: number) {
  let isRunning = true;
  const count = { ok: 0, failed: [] as RpcError[] };
  const caller = async (): Promise<void> => {
    while (isRunning) {
      await client.read("x").then(
        () => count.ok++,
        (error) => count.failed.push(error),
      );
      // Calls that fail at once must not starve what would end that.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const all = Array.from({ length: callers }, caller);
  return {
    count,
    async stop(): Promise<typeof count> {
      isRunning = false;
      await Promise.all(all);
      return count;
    },
  };
}

describe("a connection that is cut", () => {
  it("fails what is on it with UNAVAILABLE, and the next call works", async () => {
    const door = gate();
    const { client, server, network } = await joined({
      say: async (text) => {
        if (text === "wait") await door.opened;
        return text;
      },
    });
    await client.say("x");
    const before = network.links();
    const calls = [client.say("wait"), client.say("wait")];
    await eventually(() => server.stats[0].inFlight === 2);
    cut(network);
    for (const call of calls) {
      expect(await failure(call)).toMatchObject({
        code: Code.UNAVAILABLE,
        reason: "connection",
        sent: true,
        attempt: 1,
      });
    }
    expect(await client.say("again")).toBe("again");
    expect(network.links()).toHaveLength(1);
    expect(network.links()).not.toEqual(before);
    door.open();
  });

  it("fails streams, too: what was read stays read", async () => {
    const { client, network } = await joined({
      async *follow() {
        yield "first";
        await new Promise(() => {});
      },
    });
    const iterator = client.follow("x")[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ value: "first", done: false });
    cut(network);
    expect((await failure(iterator.next())).reason).toBe("connection");
  });

  it("in the middle of an answer gives no part of it", async () => {
    const { client, network } = await joined({ say: (text) => text.repeat(1000) });
    await client.say("x");
    network.links()[0].toClient.set({ resetAfterBytes: 500 });
    expect(await failure(client.say("y"))).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: true });
  });

  it("is made good by a retry where that is safe", async () => {
    let runs = 0;
    const read = (text: string): string => {
      if (runs++ === 0) cut(network);
      return text;
    };
    const { client, network } = await joined({ read }, { retry: {} });
    expect(await client.read("x")).toBe("x");
    expect(runs).toBe(2);
  });
});

describe("a line that is cut again and again", () => {
  it("leaves no call without an end, and nothing open", async () => {
    const { client, server, network } = await joined({}, { retry: {} });
    const running = load(client, 8);
    for (let cuts = 1; cuts <= 3; cuts++) {
      const { ok } = running.count;
      await eventually(() => running.count.ok > ok + 50);
      cut(network);
    }
    const { failed } = await running.stop();
    expect(failed.filter(({ code }) => code !== Code.UNAVAILABLE)).toEqual([]);
    const [{ started, inFlight }] = client.channel.stats.filter((each) => each.started > 0);
    expect([inFlight, started]).toEqual([0, running.count.ok + failed.length]);
    await client.close();
    await eventually(() => server.connectionCount === 0);
    expect(network.links()).toEqual([]);
  });
});

describe("a server that restarts on its port", () => {
  it("gets its clients back, and they lose no more than what was on it", async () => {
    const handlers = { read: (text: string) => text };
    const first = await scene.server(handlers);
    const client = scene.client(first.address, { retry: {} });
    const running = load(client, 8);
    await eventually(() => running.count.ok > 100);
    await first.close();
    const second = await scene.server(handlers, { listen: first.address });
    await eventually(() => second.stats[1].started > 100);
    const { failed } = await running.stop();
    expect(client.channel.state).toBe("ready");
    expect(failed.filter(({ code }) => code !== Code.UNAVAILABLE)).toEqual([]);
    for (const { text } of failed) expect(text).toContain(first.address);
  });
});

describe("a peer that takes connections and says nothing", () => {
  it("costs a call its deadline, and says what it waited for", async () => {
    const clock = new VirtualClock();
    const network = memoryNetwork({ clock });
    network.listenRaw(ADDRESS, () => {}, { acknowledges: false });
    const client = scene.client(ADDRESS, { network, clock, timeoutMs: 100 });
    const error = await failure(clock.advanceUntil(client.say("x")));
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED, sent: false });
    expect(error.text).toBe(`deadline of 100 ms exceeded: still connecting to static:///${ADDRESS}`);
    // Timers fire in slots of 5 ms.
    expect(clock.now()).toBeGreaterThanOrEqual(100);
    expect(clock.now()).toBeLessThanOrEqual(105);
  });

  it("that was connected costs no more than the deadline either", async () => {
    const clock = new VirtualClock();
    const network = memoryNetwork({ clock });
    network.listenRaw(ADDRESS, (peer) => peer.handshake());
    const client = scene.client(ADDRESS, { network, clock });
    const error = await failure(clock.advanceUntil(client.say("x", { timeoutMs: 80 })));
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED, sent: true, instance: ADDRESS });
    expect(clock.now()).toBeGreaterThanOrEqual(80);
    expect(clock.now()).toBeLessThanOrEqual(85);
  });
});

describe("nobody at the address", () => {
  it("fails a call at once, and one that waits works as soon as somebody comes", async () => {
    const { address, close } = await scene.tcpServer(() => {});
    await close();
    const client = scene.client(address);
    const error = await failure(client.say("x"));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false, attempt: 0 });
    expect(error.text).toBe(
      `no connection to static:///${address}: cannot connect to ${address}: ` +
        "nothing listens on this port; start the server or correct the address",
    );
    const waiting = client.say("x", { waitForReady: true });
    await scene.server({}, { listen: address });
    expect(await waiting).toBe("x");
  });
});

describe("two servers, one of them frozen", () => {
  it("p2c moves away from it after a few calls", async () => {
    const clock = new VirtualClock();
    const network = memoryNetwork({ clock, faults: { delayMs: 0.5 } });
    const frozen = "10.0.0.2:80";
    for (const listen of [ADDRESS, frozen]) await scene.server({}, { network, clock, listen });
    // Before the servers close, which would wait for links that are frozen.
    scene.onClose(() => network.close());
    const random = seededRandom(1);
    const client = scene.client(`static:///${ADDRESS},${frozen}`, { network, clock, random, timeoutMs: 100 });
    await clock.advanceUntil(client.channel.connect());
    await clock.advance(10);
    expect(client.channel.endpoints.every(({ isReady }) => isReady)).toBe(true);
    network.cutOff(frozen);
    const all: string[] = [];
    for (let i = 0; i < 60; i++) {
      all.push(...(await clock.advanceUntil(outcomes(Array.from({ length: 5 }, () => client.read("x"))))));
    }
    const lost = all.filter((outcome) => outcome !== "x");
    expect(lost.length).toBeGreaterThan(0);
    // Half of them would be lost by turns.
    expect(lost.length).toBeLessThanOrEqual(15);
    expect(all.slice(200).filter((outcome) => outcome !== "x").length).toBeLessThanOrEqual(2);
    expect(lost.every((text) => text.includes(`no answer from ${frozen}`))).toBe(true);
  });
});

describe("three servers", () => {
  it("get equal shares by turns, streams counted alike", async () => {
    const servers = await Promise.all([1, 2, 3].map(() => scene.server()));
    const client = scene.client(`static:///${servers.map(({ address }) => address).join(",")}`, {
      balancer: "round_robin",
    });
    await client.channel.connect();
    await eventually(() => client.channel.endpoints.filter(({ isReady }) => isReady).length === 3);
    await Promise.all(Array.from({ length: 30 }, (_, i) => (i % 2 ? client.say("x") : collect(client.follow("x")))));
    expect(servers.map(({ stats }) => stats.reduce((sum, each) => sum + each.started, 0))).toEqual([10, 10, 10]);
  });
});

describe("a server that takes one call at a time", () => {
  it("serves 20 at once by several connections and a queue, and refuses none", async () => {
    let running = 0;
    let most = 0;
    const say = async (text: string): Promise<string> => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return text;
    };
    const server = await scene.server({ say }, { limits: { maxConcurrentStreams: 1 } });
    const client = scene.client(server.address, { maxConnectionsPerEndpoint: 3 });
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`);
    expect(await outcomes(texts.map((text) => client.say(text)))).toEqual(texts);
    expect(server.connectionCount).toBe(3);
    expect(most).toBeLessThanOrEqual(3);
  });

  it("refuses what comes before its limit is known: those calls are sent again", async () => {
    let opened = 0;
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      for (;;) {
        const { streamId } = await peer.expect("HEADERS");
        if (opened++ % 3 === 0) peer.rst(streamId, 7);
        else {
          await peer.expect("DATA", (frame) => frame.streamId === streamId);
          peer
            .headers(streamId, [
              [":status", "200"],
              ["content-type", "application/grpc"],
            ])
            .data(streamId, Buffer.from([0, 0, 0, 0, 2, 111, 107]))
            .headers(streamId, [["grpc-status", "0"]], { end: true });
        }
      }
    });
    const client = scene.client(raw.address);
    const all = await outcomes(Array.from({ length: 30 }, () => client.say("x")));
    expect(all).toEqual(Array(30).fill("ok"));
  });
});

describe("a thousand clients", () => {
  it("of one target share a connection, and leave nothing behind", async () => {
    const server = await scene.server();
    const before = openChannelCount();
    const clients = Array.from({ length: 1000 }, () => scene.client(server.address));
    expect(await outcomes(clients.map((client) => client.say("x")))).toEqual(Array(1000).fill("x"));
    expect([server.connectionCount, openChannelCount()]).toEqual([1, before + 1]);
    await Promise.all(clients.map((client) => client.close()));
    expect(openChannelCount()).toBe(before);
    await eventually(() => server.connectionCount === 0);
  });

  it("one after another, each with a connection of its own, close what they opened", async () => {
    const server = await scene.server();
    const before = openChannelCount();
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((name) => name.startsWith("TCPSocket")).length;
    const open = handles();
    for (let i = 0; i < 20; i++) {
      const clients = Array.from({ length: 50 }, (_, j) =>
        scene.client(server.address, { maxWaitingCalls: 1 + i * 50 + j }),
      );
      expect(await outcomes(clients.map((client) => client.say("x")))).toEqual(Array(50).fill("x"));
      await Promise.all(clients.map((client) => client.close()));
    }
    await eventually(() => server.connectionCount === 0);
    await eventually(() => handles() <= open);
    expect(openChannelCount()).toBe(before);
  });
});
