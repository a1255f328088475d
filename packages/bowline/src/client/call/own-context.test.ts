import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, it } from "vitest";
import { answer, ChannelScene } from "../../../test/client/channel-scene.ts";
import { CallContext, callStorage } from "../../rpc/call-context.ts";
import { settle } from "../../testing/virtual-clock.ts";

/** What a user keeps for each of his requests. */
const request = new AsyncLocalStorage<string>();

describe("what a call calls back", () => {
  it("runs where the call was begun, though it waited for a connection that was made for another", async () => {
    const scene = new ChannelScene();
    const seen: string[] = [];
    const here = (what: string) => seen.push(`${what}: ${request.getStore()}`);
    const requests = function* (): Generator<string> {
      here("requests");
      try {
        yield "x";
        yield "y";
      } finally {
        here("finally");
      }
    };
    const first = request.run("first", () => scene.call("say", "x"));
    const second = request.run("second", () =>
      scene.call("join", requests(), { onHeader: () => here("header"), onTrailer: () => here("trailer") }),
    );
    await scene.instances("10.0.0.1:80");
    const peer = await scene.lastDial.serve();
    await settle();
    answer(peer, 1, "1");
    answer(peer, 3, "2");
    expect(await Promise.all([first, second])).toEqual(["1", "2"]);
    expect(seen).toEqual(["requests: second", "finally: second", "header: second", "trailer: second"]);
  });

  it("belongs to the request that is served there, and not to the one that a connection was made for", async () => {
    const scene = new ChannelScene();
    const contexts = [new CallContext(), new CallContext()];
    const served: unknown[] = [];
    const requests = function* (): Generator<string> {
      served.push(callStorage.getStore());
      yield "x";
    };
    void callStorage.run(contexts[0], () => scene.call("say", "x"));
    void callStorage.run(contexts[1], () => scene.call("join", requests()));
    await scene.instances("10.0.0.1:80");
    await scene.lastDial.serve();
    await settle();
    expect(served).toHaveLength(1);
    expect(served[0]).toBe(contexts[1]);
  });
});

describe("what outlives a call", () => {
  it("is made outside of it: watches, connections, and the timer of all deadlines", async () => {
    const stores: Record<string, unknown> = {};
    const scene = new ChannelScene({
      watch: (handler) => {
        stores.watch = request.getStore();
        handler.snapshot({ instances: [], revision: 0, freshness: "live" });
        return { refresh: () => {}, close: () => {} };
      },
    });
    const { setInterval } = scene.clock;
    scene.clock.setInterval = (callback, periodMs) => {
      stores.timer = request.getStore() ?? "none";
      return setInterval.call(scene.clock, callback, periodMs);
    };
    request.run("a request", () => void scene.call("say", "x").catch(() => {}));
    await settle();
    expect(stores).toEqual({ watch: undefined, timer: "none" });
  });
});
