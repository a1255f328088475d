import { expect, it } from "vitest";
import { ManualClock } from "../../../test/manual-clock.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { seededRandom } from "../../rpc/random.ts";
import type { RemoteTarget } from "../remote-target.ts";
import { isRemoteScheme, loadAdapter, remoteSchemes } from "./adapters.ts";
import { LazyRegistry } from "./lazy-registry.ts";
import { parseTarget } from "./target.ts";
import { exampleOf, isBuiltIn } from "./target-scheme.ts";

const context = { clock: new ManualClock(), random: seededRandom(1), environment: {} };

it.each(remoteSchemes())("%s:// is read by its adapter, as the example in messages shows it", async (scheme) => {
  expect(isBuiltIn(scheme)).toBe(true);
  const { fromTarget } = await loadAdapter(scheme);
  const { config, service } = fromTarget(parseTarget(exampleOf(scheme)) as RemoteTarget);
  expect(typeof config.create).toBe("function");
  expect(service).toMatch(/user/);
});

it("other schemes have no adapter", () => {
  expect(isRemoteScheme("static")).toBe(false);
  expect(() => loadAdapter("zookeeper")).toThrow(/no adapter has the scheme zookeeper/);
});

it("a target that its adapter refuses is told to whoever watches it", async () => {
  const registry = new LazyRegistry(parseTarget("k8s://shop/user?dc=a") as RemoteTarget, context);
  const seen = new WatchRecorder(registry, "user");
  await seen.untilFailure(/"dc" is no setting of k8s; known are context/);
  seen.watcher.refresh();
  seen.close();
  await expect(registry.register()).rejects.toThrow(/nothing can be registered in the target k8s:\/\/shop\/user\?dc=a/);
  await registry.close();
});

it("a watch that is closed while its adapter is loaded is never begun", async () => {
  const registry = new LazyRegistry(parseTarget("k8s://shop/user?dc=a") as RemoteTarget, context);
  const seen = new WatchRecorder(registry, "user");
  seen.close();
  await registry.close();
  expect(seen.failures).toEqual([]);
});
