import { describe, expect, it } from "vitest";
import { fixedRegistryContract } from "../../../../test/registry/contract.ts";
import { WatchRecorder } from "../../test/watch-recorder.ts";
import { createStaticRegistry, staticRegistry } from "./static.ts";

const ADDRESSES = ["10.0.0.7:8080", "user.internal:8080", "[fd00::7]:80", "unix:/run/user.sock"];
fixedRegistryContract("static", {
  create: () => createStaticRegistry(ADDRESSES),
  service: "user.rpc",
  addresses: ADDRESSES,
});

describe("a static registry", () => {
  it("writes the path of a socket in one way", async () => {
    const registry = createStaticRegistry(["unix:///run/user.sock", "unix:user.sock"]);
    await new WatchRecorder(registry, "any").untilIds("unix:/run/user.sock", "unix:user.sock");
    expect(() => createStaticRegistry(["unix:///a", "unix:/a"])).toThrow(/unix:\/a is listed twice/);
    expect(() => createStaticRegistry(["unix://////a", "unix:/a"])).toThrow(/unix:\/a is listed twice/);
  });

  it("takes what is known of an address", async () => {
    const registry = createStaticRegistry([{ address: "A:1", weight: 3, zone: "z", tags: { a: "b" } }, "b:2"]);
    const { instances } = await new WatchRecorder(registry, "any").untilIds("a:1", "b:2");
    expect(instances[0]).toEqual({
      id: "a:1",
      addresses: [{ address: "a:1", network: "" }],
      weight: 3,
      zone: "z",
      version: "",
      tags: { a: "b" },
      state: "ready",
    });
  });

  it("refuses what is no address, with its place in the list", () => {
    expect(() => staticRegistry([])).toThrow(/addresses: at least one is needed/);
    expect(() => staticRegistry(["a:1", "b"])).toThrow(/addresses\[1\]: "b" has no port; a port is required/);
    expect(() => staticRegistry(["a:1", "A:1"])).toThrow(/addresses\[1\]: a:1 is listed twice/);
    expect(() => staticRegistry(["unix:"])).toThrow(/"unix:" has no path/);
    expect(() => staticRegistry([{ address: "a:1", weight: -1 }])).toThrow(RangeError);
    expect(() => staticRegistry([7 as unknown as string])).toThrow(TypeError);
  });
});
