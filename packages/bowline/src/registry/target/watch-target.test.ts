import { expect, it } from "vitest";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { memoryRegistry } from "../../testing/memory-registry.ts";
import type { Registry } from "../registry.ts";
import { type TargetWatch, watchTarget } from "./watch-target.ts";

/** Watches a target as if it were the registry's only service. */
function recorded(target: string, options: Parameters<typeof watchTarget>[2] = {}): [WatchRecorder, TargetWatch[]] {
  const made: TargetWatch[] = [];
  const registry = {
    watch(_service, handler) {
      const watch = watchTarget(target, handler, options);
      made.push(watch);
      return { refresh: () => watch.refresh(), close: () => void watch.close() };
    },
  } as Pick<Registry, "watch"> as Registry;
  return [new WatchRecorder(registry, ""), made];
}

it("a target that names its addresses is told at once", async () => {
  const [seen, [watch]] = recorded("static:///a:1,b:2");
  await seen.untilIds("a:1", "b:2");
  await watch.close();
});

it("a bare name is looked up in the registry that is given, until it is closed", async () => {
  const place = memoryRegistry();
  place.set("user.rpc", ["a:1"]);
  const [seen, [watch]] = recorded("user.rpc", { registry: place });
  await seen.untilIds("a:1");
  place.set("user.rpc", ["b:1"]);
  await seen.untilIds("b:1");
  await watch.close();
  place.set("user.rpc", ["c:1"]);
  expect(seen.ids).toEqual(["b:1"]);
});

it("what can't be watched is refused", () => {
  const handler = { snapshot: () => undefined, failed: () => undefined };
  expect(() => watchTarget("user.rpc", handler)).toThrow(/a bare service name needs a registry/);
  expect(() => watchTarget("a:b:c", handler)).toThrow(/more than one colon/);
  expect(() => watchTarget("a:1", handler, { registry: {} as never })).toThrow(/is no registry/);
});
