import { describe, expect, it } from "vitest";
import { systemClock } from "../../rpc/clock.ts";
import type { RawPeerOptions } from "../raw-peer.ts";
import { settle } from "../virtual-clock.ts";
import { memoryNetwork } from "./memory-network.ts";

describe("scripted peers", () => {
  it("play a server on each connection", async () => {
    const network = memoryNetwork();
    const raw = network.listenRaw("raw:1", async (peer, index) => {
      await peer.handshake();
      peer.goaway(0, index, "closed for today");
    });
    for (const index of [0, 1]) {
      const client = await network.dialRaw("raw:1");
      await client.handshake();
      expect(await client.expect("GOAWAY")).toMatchObject({ errorCode: index, debug: "closed for today" });
    }
    expect(raw.peers).toHaveLength(2);
    await raw.close();
    await expect(network.dial("raw:1", { clock: systemClock })).rejects.toMatchObject({ kind: "refused" });
  });

  it("are refused options that there are not, before anybody connects", async () => {
    const network = memoryNetwork();
    const misspelt = { acknowledge: false } as Partial<RawPeerOptions>;
    expect(() => network.listenRaw("raw:1", () => {}, misspelt)).toThrow(/did you mean acknowledges\?/);
    network.listenRaw("raw:1");
    await expect(network.dialRaw("raw:1", misspelt)).rejects.toThrow(/did you mean acknowledges\?/);
    expect(network.links()).toEqual([]);
  });

  it("hand over each connection in turn, there already or still to come", async () => {
    const network = memoryNetwork();
    const raw = network.listenRaw("raw:1");
    const coming = raw.next();
    await network.dialRaw("raw:1");
    await network.dialRaw("raw:1");
    expect([await coming, await raw.next()]).toEqual(raw.peers);
    expect(() => network.listenRaw("raw:1")).toThrow(/somebody listens there already/);
    await raw.close();
  });

  it("say that no further connection comes once they are closed, but hand over those that came", async () => {
    const network = memoryNetwork();
    const raw = network.listenRaw("raw:1");
    await network.dialRaw("raw:1");
    const [, coming] = [raw.next(), raw.next()];
    void raw.next();
    await raw.close();
    const text = "listenRaw: raw:1 was closed, and no further connection comes";
    await expect(coming).rejects.toThrow(text);
    await expect(raw.next()).rejects.toThrow(text);
    const other = network.listenRaw("raw:2");
    await network.dialRaw("raw:2");
    network.close();
    expect(await other.next()).toBe(other.peers[0]);
    await expect(other.next()).rejects.toThrow(/raw:2 was closed/);
  });

  it("tell on close what a script threw while its connection stood, and nothing else", async () => {
    const network = memoryNetwork();
    const failing = network.listenRaw("failing:1", () => {
      throw new Error("expected 1 to be 2");
    });
    await network.dialRaw("failing:1");
    await settle();
    await expect(failing.close()).rejects.toThrow("expected 1 to be 2");
    const waiting = network.listenRaw("waiting:1", (peer) => peer.expect("HEADERS"));
    const client = await network.dialRaw("waiting:1");
    client.destroy();
    await settle();
    await waiting.close();
  });
});
