import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { instanceAt } from "../../packages/bowline/src/registry/instance/instance.ts";
import type { Registry } from "../../packages/bowline/src/registry/registry.ts";
import { badEntryCases } from "./cases/bad-entries.ts";
import { listingCases } from "./cases/listing.ts";
import { outageCases } from "./cases/outages.ts";
import { registeringCases } from "./cases/registering.ts";
import { watchingCases } from "./cases/watching.ts";
import { capabilitiesOf, type RegistryHarness } from "./harness.ts";
import { Recording } from "./recording.ts";
import { ContractScene } from "./scene.ts";

/** A test may have to wait this often for what takes the harness's whole patience. */
const WAITS = 4;

/**
 * What every registry promises, as tests: each adapter runs them all, with a peer in the test and with the real product. The harness says
 * what the product can do; what it can't is left out.
 */
export function registryContract(name: string, harness: RegistryHarness): void {
  const can = capabilitiesOf(harness);
  if (!can.writes && harness.set === undefined)
    throw new TypeError(`${name}: a harness that does not write needs set()`);
  const timeout = WAITS * (harness.patienceMs ?? 10_000);
  describe(`${name} keeps the contract of a registry`, { timeout }, () => {
    let current: ContractScene;
    const scene = (): ContractScene => current;
    beforeAll(() => harness.open?.(), timeout);
    afterAll(() => harness.close?.(), timeout);
    beforeEach(() => {
      current = new ContractScene(harness);
    });
    afterEach(async () => {
      await harness.start?.();
      await current.close();
    }, timeout);

    describe("a watch", () => watchingCases(scene, can));
    if (can.lists) describe("the list of services", () => listingCases(scene, can, harness));
    if (can.writes) describe("a registration", () => registeringCases(scene, can, harness));
    if (harness.stop !== undefined) describe("an outage", () => outageCases(scene, can, harness));
    if (harness.writeBad !== undefined) describe("bad entries", () => badEntryCases(scene, harness));
  });
}

/** A registry whose instances never change, and what it has to tell. */
export interface FixedRegistry {
  create(): Registry;
  readonly service: string;
  /** In any order. */
  readonly addresses: readonly string[];
}

/** What a registry promises whose instances are written in its options. */
export function fixedRegistryContract(name: string, { create, service, addresses }: FixedRegistry): void {
  describe(`${name} keeps the contract of a registry of fixed instances`, () => {
    const open: Registry[] = [];
    const registry = (): Registry => {
      const made = create();
      open.push(made);
      return made;
    };
    const told = (seen: Recording): Promise<void> =>
      expect.poll(() => seen.keys, { timeout: 30_000 }).toEqual([...addresses].sort()) as unknown as Promise<void>;
    const watch = (of: Registry): Recording => new Recording(of, service, ({ id }) => id);
    afterEach(async () => {
      for (const each of open.splice(0)) await each.close();
    });

    it("tells each address as a plain instance, live, not at once but soon, and once", async () => {
      const seen = watch(registry());
      await told(seen);
      seen.watcher.refresh();
      const later = watch(open[0]);
      await told(later);
      const instances = [...addresses].sort().map(instanceAt);
      const byId = [...(seen.last?.instances ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
      expect([byId, seen.last?.freshness, seen.snapshots.length]).toEqual([instances, "live", 1]);
      expect([seen.violations, later.violations]).toEqual([[], []]);
    });

    it("tells nothing to a watch that was closed before", async () => {
      const closed = watch(registry());
      closed.close();
      closed.watcher.refresh();
      await told(watch(open[0]));
      expect([closed.snapshots, closed.violations]).toEqual([[], []]);
    });

    it("refuses registrations with a word on what takes them", async () => {
      const refused = registry().register("user.rpc", instanceAt("10.0.0.7:8080"));
      await expect(refused).rejects.toThrow(/registry: "user\.rpc" can't be registered, .*local\(\)/);
    });

    it("serves nobody after it was closed", async () => {
      const made = registry();
      const seen = watch(made);
      await made.close();
      expect(() => watch(made)).toThrow(/closed/);
      await told(watch(registry()));
      expect(seen.snapshots).toEqual([]);
    });
  });
}
