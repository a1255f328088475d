import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { localAddressTowards } from "./local-address.ts";

const OUTER = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

describe("the local address towards a host", () => {
  it.each([
    ["127.0.0.1:1", "127.0.0.1"],
    ["127.0.0.2:2379", "127.0.0.1"],
  ])("%s is %s, whether or not something listens there", async (host, address) => {
    expect(await localAddressTowards([host])).toBe(address);
  });

  it("of a name is that towards its address", async () => {
    expect(await localAddressTowards(["localhost:2379"])).toMatch(/^(127\.0\.0\.1|::1)$/);
  });

  it.runIf(OUTER !== undefined)("of this machine on a network is that of the network", async () => {
    expect(await localAddressTowards([`${OUTER}:2379`])).toBe(OUTER);
  });

  it("is that of the first to which there is a way", async () => {
    expect(await localAddressTowards(["nothing.invalid:2379", "no port", "127.0.0.1:2379"])).toBe("127.0.0.1");
    expect(await localAddressTowards(["nothing.invalid:2379"])).toBeNull();
    // Nobody may connect to the broadcast address: it stands for any to which there is no route.
    expect(await localAddressTowards(["255.255.255.255:2379", "127.0.0.1:2379"])).toBe("127.0.0.1");
    expect(await localAddressTowards(["255.255.255.255:2379"])).toBeNull();
    expect(await localAddressTowards([])).toBeNull();
  });
});
