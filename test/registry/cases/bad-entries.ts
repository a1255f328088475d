import { expect, it } from "vitest";
import type { RegistryHarness } from "../harness.ts";
import type { ContractScene } from "../scene.ts";

/** What a registry does about entries that are none. `scene` is that of the test that runs. */
export function badEntryCases(scene: () => ContractScene, harness: RegistryHarness): void {
  const writeBad = (service: string): Promise<number> =>
    scene().done("bad entries are written", Promise.resolve(harness.writeBad?.(service) ?? 0));

  it("uses the good ones, and says once of each bad one what is wrong with it", async () => {
    const service = scene().service();
    const good = scene().instances(service, 1, 2);
    await scene().set(service, good.slice(0, 1));
    const written = await writeBad(service);
    expect(written).toBeGreaterThan(0);
    const seen = await scene().watch(service);
    await scene().until(seen, good.slice(0, 1));
    const messages = (): string[] => [...seen.messages, ...scene().reports.map(({ message }) => message)];
    await scene().eventually("the bad entries are told", () => messages().length > 0);
    expect(seen.watcher.skipped).toBeGreaterThan(0);
    expect(seen.watcher.skipped).toBeLessThanOrEqual(written);
    seen.watcher.refresh();
    await scene().set(service, good);
    await scene().until(seen, good);
    expect(messages()).toEqual([...new Set(messages())]);
    expect(messages().length).toBeLessThanOrEqual(written);
  });

  it("goes on when bad entries come to a service that is watched", async () => {
    const service = scene().service();
    const good = scene().instances(service, 1, 2);
    const seen = await scene().watch(service);
    await scene().set(service, good.slice(0, 1));
    await scene().until(seen, good.slice(0, 1));
    await writeBad(service);
    await scene().set(service, good);
    await scene().until(seen, good);
  });
}
