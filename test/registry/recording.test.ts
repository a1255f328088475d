import { expect, it } from "vitest";
import { instanceAt } from "../../packages/bowline/src/registry/instance/instance.ts";
import type { Instance, Registry, Snapshot, WatchHandler } from "../../packages/bowline/src/registry/registry.ts";
import { Recording } from "./recording.ts";

/** A recording, and what tells it something. */
function make(inside: (handler: WatchHandler) => void = () => {}): {
  readonly recording: Recording;
  readonly tell: (revision: number, freshness: Snapshot["freshness"], ...addresses: readonly string[]) => void;
  readonly fail: (error: Error) => void;
} {
  const handlers: WatchHandler[] = [];
  const registry = {
    watch: (_service: string, handler: WatchHandler) => {
      handlers.push(handler);
      inside(handler);
      return { refresh() {}, close() {} };
    },
  } as unknown as Registry;
  const recording = new Recording(registry, "user.rpc", ({ id }: Instance) => id);
  return {
    recording,
    tell: (revision, freshness, ...addresses) =>
      handlers[0].snapshot({ revision, freshness, instances: addresses.map(instanceAt) }),
    fail: (error) => handlers[0].failed(error),
  };
}

it("finds nothing wrong with a watch that tells each change once", () => {
  const { recording, tell, fail } = make();
  tell(1, "live", "a:1");
  tell(2, "live", "a:1", "b:1");
  fail(new Error("out of reach"));
  tell(2, "stale", "a:1", "b:1");
  tell(2, "live", "a:1", "b:1");
  tell(5, "live");
  expect(recording.violations).toEqual([]);
});

it.each<[string, (told: ReturnType<typeof make>) => void, string]>([
  ["a revision that goes back", ({ tell }) => tell(1, "live"), "(revision 1, live): goes back behind revision 2"],
  ["nothing new", ({ tell }) => tell(3, "live", "a:1"), "tells nothing new"],
  [
    "another set under one revision",
    ({ tell }) => tell(2, "live", "b:1"),
    "differs from the one before under the same revision",
  ],
  ["another set that is stale", ({ tell }) => tell(3, "stale", "b:1"), "is stale, but no longer what was known"],
  ["an instance twice", ({ tell }) => tell(3, "live", "b:1", "b:1"), "has an instance twice"],
  ["an error without words", ({ fail }) => fail(new Error("")), "failed with no error that says anything"],
  [
    "something after it was closed",
    ({ recording, tell }) => {
      recording.close();
      tell(3, "live", "b:1");
    },
    "came after close()",
  ],
  [
    "a failure after it was closed",
    ({ recording, fail }) => {
      recording.close();
      fail(new Error("late"));
    },
    "failed after close(): late",
  ],
])("finds a watch that tells %s", (_name, fault, violation) => {
  const told = make();
  told.tell(2, "live", "a:1");
  fault(told);
  expect(told.recording.violations).toEqual([expect.stringContaining(violation)]);
});

it("finds a watch that tells something before it has returned", () => {
  const { recording } = make((handler) => handler.snapshot({ instances: [], revision: 1, freshness: "live" }));
  expect(recording.violations).toEqual([expect.stringContaining("came inside of watch()")]);
});
