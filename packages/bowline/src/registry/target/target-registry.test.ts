import { afterEach, describe, expect, it } from "vitest";
import { instance, LocalMachine } from "../../../test/local-machine.ts";
import { ManualClock } from "../../../test/manual-clock.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { seededRandom } from "../../rpc/random.ts";
import type { Registry } from "../registry.ts";
import { createStaticRegistry } from "../static.ts";
import { parseTarget } from "./target.ts";
import { registryOf, type TargetRegistry } from "./target-registry.ts";

describe("the registry of a target", () => {
  const made: Registry[] = [];
  const find = (text: string, configured?: Registry): TargetRegistry => {
    const context = { clock: new ManualClock(), random: seededRandom(1), environment: {} };
    const found = registryOf(parseTarget(text), context, configured);
    if (found.isOwned) made.push(found.registry);
    return found;
  };
  afterEach(() => Promise.all(made.splice(0).map((registry) => registry.close())));

  it.each([
    ["static:///a:1,b:2", ["a:1", "b:2"]],
    ["10.0.0.7:8080", ["10.0.0.7:8080"]],
    ["unix:///run/user%20name.sock", ["unix:/run/user name.sock"]],
    ["unix:user.sock", ["unix:user.sock"]],
    ["dns:///10.0.0.7:8080", ["10.0.0.7:8080"]],
    ["dns://10.0.0.2/[fd00::7]:8080", ["[fd00::7]:8080"]],
  ])("%s finds %j", async (text, addresses) => {
    const { registry, service, isOwned } = find(text);
    expect(isOwned).toBe(true);
    const { instances } = await new WatchRecorder(registry, service).untilIds(...addresses);
    expect(instances.map(({ addresses: [{ address }] }) => address)).toEqual(addresses);
  });

  it("is the configured one for bare names, and for local targets if it is local", async () => {
    const machine = new LocalMachine();
    const local = machine.registry();
    await local.register("user.rpc", instance("a"));
    for (const text of ["user.rpc", "local:///user.rpc"]) {
      const { registry, service, isOwned } = find(text, local);
      expect([registry, service, isOwned]).toEqual([local, "user.rpc", false]);
    }
    await local.close();
  });

  it("is one of its own for a local target in another namespace, or beside another kind of registry", () => {
    const machine = new LocalMachine();
    expect(find("local://green/user.rpc", machine.registry())).toMatchObject({ isOwned: true, service: "user.rpc" });
    const fixed = createStaticRegistry(["a:1"]);
    expect(find("local:///user.rpc", fixed)).toMatchObject({ isOwned: true, registry: { name: "local" } });
  });

  it("is missing for a bare name when none is configured", () => {
    expect(() => find("user.rpc")).toThrow(TypeError);
    expect(() => find("user.rpc")).toThrow(/a bare service name needs a registry; .*"user\.rpc:8080"/);
  });
});
