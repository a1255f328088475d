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

it.each([
  [
    "a slash at the end",
    "consul://127.0.0.1:8500/user.rpc/",
    /"user\.rpc\/" can't be asked for: .*Correct: "consul:\/\//,
  ],
  ["a slash at the beginning", "consul://127.0.0.1:8500//user.rpc", /no part between slashes may be empty/],
  [
    "more than Nacos has room for",
    `nacos://127.0.0.1:8848/${"%C3%BC".repeat(255)}`,
    /takes 1530 characters in Nacos.*Correct: "nacos:\/\//,
  ],
  [
    "too many characters",
    `eureka://127.0.0.1:8761/${"x".repeat(300)}`,
    /300 characters are not allowed; use 1 to 255.*Correct: "eureka:\/\//,
  ],
])("a name of a service with %s is told to whoever watches it", async (_name, text, why) => {
  const registry = new LazyRegistry(parseTarget(text) as RemoteTarget, context);
  await new WatchRecorder(registry, "user").untilFailure(why);
  await registry.close();
});

it("a watch that the registry refuses is told so", async () => {
  const registry = new LazyRegistry(parseTarget("consul://127.0.0.1:1/user") as RemoteTarget, context);
  await expect(registry.services()).rejects.toThrow(/127\.0\.0\.1:1/);
  await registry.close();
  const late = new WatchRecorder(registry, "user");
  await late.untilFailure(/consul registry: closed/);
  late.watcher.refresh();
  late.close();
});

it("a watch that is closed while its adapter is loaded is never begun", async () => {
  const registry = new LazyRegistry(parseTarget("k8s://shop/user?dc=a") as RemoteTarget, context);
  const seen = new WatchRecorder(registry, "user");
  seen.close();
  await registry.close();
  expect(seen.failures).toEqual([]);
});
