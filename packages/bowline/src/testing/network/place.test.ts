import { describe, expect, it } from "vitest";
import type { Listener } from "../../net/listener.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { memoryNetwork } from "./memory-network.ts";

describe("an address that a wildcard listens for", () => {
  function scene() {
    const clock = new VirtualClock();
    const network = memoryNetwork({ clock });
    const serve = (address = "0.0.0.0:1"): Promise<Listener> => network.listen(address, { clock, onHttp2: () => {} });
    const connects = (address: string): Promise<string> =>
      network.dial(address, { clock }).then(
        () => "connected",
        (error: { kind: string }) => error.kind,
      );
    return { clock, network, serve, connects };
  }

  it("is refused from before the wildcard listens until it is accepted, and no other is", async () => {
    const { network, serve, connects } = scene();
    network.refuse("notes:1");
    await serve();
    expect([await connects("notes:1"), await connects("other:1")]).toEqual(["refused", "connected"]);
    network.accept("notes:1");
    network.refuse("0.0.0.0:1");
    expect([await connects("notes:1"), await connects("other:1")]).toEqual(["refused", "refused"]);
    network.accept("0.0.0.0:1");
    expect(await connects("notes:1")).toBe("connected");
  });

  it("is cut off and restored whoever listens meanwhile", async () => {
    const { network, serve, connects, clock } = scene();
    const listener = await serve();
    network.cutOff("notes:1");
    await listener.close();
    network.restore("notes:1");
    await serve();
    expect(await connects("notes:1")).toBe("connected");
    network.cutOff("notes:1");
    network.cutOff("0.0.0.0:1");
    const dialling = connects("notes:1");
    await clock.advance(1);
    network.restore("notes:1");
    await clock.advance(1);
    network.restore("0.0.0.0:1");
    expect(await dialling).toBe("connected");
    expect(clock.pending).toBe(0);
  });

  it("has the links that were dialled by it, also when the wildcard listens no more", async () => {
    const { network, serve, connects } = scene();
    await serve("users:1");
    const listener = await serve();
    for (const address of ["notes:1", "other:1", "users:1"]) await connects(address);
    listener.stopAccepting();
    const count = (address?: string): number => network.links(address).length;
    expect([count("notes:1"), count("other:1"), count("0.0.0.0:1"), count()]).toEqual([1, 1, 2, 3]);
    const [link] = network.links("notes:1");
    expect([link.address, network.links("0.0.0.0:1")[0]]).toEqual(["0.0.0.0:1", link]);
    link.reset();
    await link.closed;
    expect([count("notes:1"), count("0.0.0.0:1"), count()]).toEqual([0, 1, 2]);
  });

  it("has faults of its own before those of the wildcard", async () => {
    const { network, serve, clock } = scene();
    network.setFaults("notes:1", { delayMs: 2 });
    network.setFaults("0.0.0.0:1", { delayMs: 3, jitterMs: 1 });
    await serve();
    for (const address of ["notes:1", "other:1"]) await clock.advanceUntil(network.dial(address, { clock }));
    expect(network.links("0.0.0.0:1").map(({ delayMs }) => delayMs)).toEqual([2, 3]);
  });
});
