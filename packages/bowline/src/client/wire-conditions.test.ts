import { describe, expect, it } from "vitest";
import { answer, ChannelScene } from "../../test/client/channel-scene.ts";
import { useScene } from "../../test/client/client-scene.ts";
import { collect } from "../../test/client/note-service.ts";
import { outcomes } from "../../test/client/outcomes.ts";
import { staticRegistry } from "../registry/static.ts";
import { RawSetting } from "../testing/raw-frames.ts";
import type { RawPeer } from "../testing/raw-peer.ts";
import { settle } from "../testing/virtual-clock.ts";
import type { ClientOptions } from "./client-options.ts";

const scene = useScene();

/** Answers calls with the number of their stream, as they come, until the connection ends. */
async function serve(peer: RawPeer, between: (count: number) => void = () => {}): Promise<void> {
  for (let count = 1; ; count++) {
    const { streamId } = await peer.expect("DATA", ({ isEnd }) => isEnd);
    answer(peer, streamId, "ok");
    between(count);
  }
}

describe("a server that changes its SETTINGS under load", () => {
  it("loses no call", async () => {
    const settings = [
      [RawSetting.MAX_CONCURRENT_STREAMS, 1],
      [RawSetting.INITIAL_WINDOW_SIZE, 0],
      [RawSetting.HEADER_TABLE_SIZE, 0],
      [RawSetting.INITIAL_WINDOW_SIZE, 1_048_576],
      [RawSetting.MAX_CONCURRENT_STREAMS, 100],
      [RawSetting.HEADER_TABLE_SIZE, 65_536],
      [RawSetting.HEADER_TABLE_SIZE, 4096],
    ] as const;
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      let change = 0;
      await serve(peer, (count) => {
        if (count % 5 === 0) peer.settings([settings[change++ % settings.length]]);
        // A window of 0 is opened by the next change only, which a call must bring about.
        if (settings[(change - 1) % settings.length]?.[1] === 0) peer.settings([settings[change++ % settings.length]]);
      });
    });
    const client = scene.client(raw.address, { maxConnectionsPerEndpoint: 1 });
    const metadata = { "x-table": "a value that goes into no table" };
    const calls = Array.from({ length: 400 }, (_, i) => client.say(`${i}`, i % 3 === 0 ? { metadata } : {}));
    expect(new Set(await outcomes(calls))).toEqual(new Set(["ok"]));
  });
});

describe("a connection whose stream ids run out", () => {
  it("is followed by another one; what is on it ends", async () => {
    const s = new ChannelScene({ maxConnections: 1 });
    const first = await s.connected();
    const { connection } = s.channel.endpoints[0].transport as NonNullable<
      (typeof s.channel.endpoints)[0]["transport"]
    >;
    connection.nextId = 1_610_612_735;
    const last = s.call("say", "last");
    const next = s.call("say", "next");
    await settle();
    expect(s.dials).toHaveLength(2);
    answer(await s.lastDial.serve(), 1, "next");
    expect(await next).toBe("next");
    answer(first, 1_610_612_735, "last");
    expect(await last).toBe("last");
    expect(await first.closed).toBeUndefined();
    expect(s.channel.endpoints[0].connectionCount).toBe(1);
  });
});

describe("connections that carry a few calls each", () => {
  const ids = { limits: { maxStreamId: 21 } };

  it.each([
    ["by the client's limit of stream ids", { options: ids, server: {} }],
    ["because the server ends them by GOAWAY after a few", { options: {}, server: ids }],
  ])("follow each other without a failed call, %s", async (_how, { options, server: serverOptions }) => {
    const server = await scene.server({}, serverOptions);
    const client = scene.client(server.address, options);
    for (const count of [200, 50]) {
      const asked = Array.from({ length: count }, (_, i) => `${i}`);
      expect(await Promise.all(asked.map((text) => client.say(text)))).toEqual(asked);
    }
  });
});

describe(":authority", () => {
  const registryOf = (port: number): ClientOptions => ({ registry: staticRegistry([`127.0.0.1:${port}`]) });

  it.each<[string, (port: number) => string, (port: number) => ClientOptions, (port: number) => string]>([
    ["of an address is that address", (port) => `127.0.0.1:${port}`, () => ({}), (port) => `127.0.0.1:${port}`],
    ["of a name is the name", (port) => `dns:///localhost:${port}`, () => ({}), (port) => `localhost:${port}`],
    [
      "of a service is its name, as a URL may have it",
      () => "shop/notizbücher",
      registryOf,
      () => "shop%2Fnotizb%C3%BCcher",
    ],
    ["is what the options say", (port) => `127.0.0.1:${port}`, () => ({ authority: "notes.test" }), () => "notes.test"],
  ])("%s", async (_what, target, options, expected) => {
    const seen: unknown[] = [];
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      seen.push((await peer.expect("HEADERS")).headers?.[":authority"]);
      await serve(peer);
    });
    expect(await scene.client(target(raw.port), options(raw.port)).say("x")).toBe("ok");
    expect(seen).toEqual([expected(raw.port)]);
  });
});

describe("many streams at once", () => {
  it("of which some are left, some cancelled and some read, leave nothing behind", async () => {
    const server = await scene.server({
      async *follow(_text, { signal }) {
        for (let i = 0; !signal.aborted; i++) {
          yield `${i}`;
          await new Promise((resolve) => setImmediate(resolve));
          if (i === 20) return;
        }
      },
    });
    const client = scene.client(server.address);
    const controller = new AbortController();
    const all = Array.from({ length: 150 }, async (_, i) => {
      const stream = client.follow("x", i % 3 === 1 ? { signal: controller.signal } : {});
      if (i % 3 === 2) return (await collect(stream)).length;
      for await (const text of stream) if (text === "5" && i % 3 === 0) return "left";
      return "ended";
    });
    const cancelling = all[1].catch(() => {});
    setImmediate(() => controller.abort());
    await cancelling;
    const ends = await outcomes(all);
    expect(ends.filter((end) => end === "left")).toHaveLength(50);
    expect(ends.filter((end) => end === "21")).toHaveLength(50);
    expect(ends.filter((end) => end.startsWith("[CANCELLED]"))).toHaveLength(50);
    const { endpoints, stats, wheel } = client.channel;
    expect([endpoints[0].inFlight, stats.every(({ inFlight }) => inFlight === 0), wheel.size]).toEqual([0, true, 0]);
    expect(endpoints[0].transport?.streamCount).toBe(0);
  });
});
