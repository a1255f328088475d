import { describe, expect, it, onTestFinished } from "vitest";
import { NoteService } from "../../test/client/note-service.ts";
import { memoryNetwork } from "../testing/network/memory-network.ts";
import { rawSettings } from "../testing/raw-frames.ts";
import type { RawPeer } from "../testing/raw-peer.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { createClient } from "./create-client.ts";

describe("a link that breaks while the server's first frame is on its way", () => {
  it.each([1, 3, 4, 8])("is told as what it is when %i octets came", async (octets) => {
    const clock = new VirtualClock();
    const network = memoryNetwork({ clock });
    const greet = (peer: RawPeer): void => void peer.send(rawSettings([[3, 100]]).subarray(0, octets));
    network.listenRaw("notes:1", greet, { acknowledges: false });
    const client = createClient(NoteService, "notes:1", { network, clock });
    onTestFinished(() => client.close());
    const call = client.say("hello");
    void clock.setTimeout(() => network.links("notes:1")[0].reset(), 10);
    const error = await clock.advanceUntil(call.catch((thrown: unknown) => thrown));
    expect(String(error)).toContain("ECONNRESET");
    expect(String(error)).not.toContain("does not speak HTTP/2");
  });
});

describe("a server that takes connections and says nothing", () => {
  it("is given up after connectTimeoutMs, and tried again", async () => {
    const clock = new VirtualClock();
    const network = memoryNetwork({ clock });
    network.listenRaw("notes:1", () => {}, { acknowledges: false });
    const client = createClient(NoteService, "notes:1", { network, clock, connectTimeoutMs: 300 });
    onTestFinished(() => client.close());
    const error = await clock.advanceUntil(client.say("hello").catch((thrown: unknown) => thrown));
    expect(String(error)).toMatch(
      /no connection to .*: cannot connect to notes:1: it took the connection but sent nothing of HTTP\/2; .* \(gave up after 300 ms\)$/,
    );
    expect(clock.now()).toBe(300);
    expect(client.channel.endpoints[0].connectionCount).toBe(0);
  });

  it("is not taken for one when it has greeted, or when the client has left", async () => {
    const clock = new VirtualClock();
    const network = memoryNetwork({ clock });
    network.listenRaw("notes:1", (peer) => peer.send(rawSettings([])));
    network.listenRaw("notes:2", () => {}, { acknowledges: false });
    const [first, second] = ["notes:1", "notes:2"].map((target) =>
      createClient(NoteService, target, { network, clock, idleTimeoutMs: 0 }),
    );
    await clock.advanceUntil(first.channel.connect());
    void second.channel.connect().catch(() => {});
    await clock.advance(10);
    await second.close();
    await clock.advance(60_000);
    expect(second.channel.endpoints).toEqual([]);
    expect(first.channel.endpoints[0].connectionCount).toBe(1);
    await first.close();
  });
});
