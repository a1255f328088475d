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
