import { describe, expect, it } from "vitest";
import { ChannelScene, endWith } from "../../test/client/channel-scene.ts";
import { failure } from "../../test/client/outcomes.ts";
import { CallContext, callStorage } from "../rpc/call-context.ts";
import { Code } from "../rpc/code.ts";
import { parseTraceparentText } from "../rpc/trace-context.ts";
import { settle } from "../testing/virtual-clock.ts";
import type { Interceptor } from "./interceptor.ts";

describe("a server that says how long to wait", () => {
  /** How often a call is sent whose first attempt ends with this pushback; without a deadline, within an hour. */
  async function attemptsWith(pushback: string): Promise<number> {
    const scene = new ChannelScene({ timeoutMs: 0 });
    const peer = await scene.connected();
    const call = scene.call("read", "x");
    await settle();
    endWith(peer, 1, Code.UNAVAILABLE, [["grpc-retry-pushback-ms", pushback]]);
    await scene.clock.advance(3_600_000);
    const attempts = peer.received.filter(({ type }) => type === "HEADERS").length;
    if (attempts === 1) expect((await failure(call)).code).toBe(Code.UNAVAILABLE);
    return attempts;
  }

  it.each(["0", "1", "0025", "3600000"])("has its way with %j", async (pushback) => {
    expect(await attemptsWith(pushback)).toBe(2);
  });

  it.each(["-1", "", "soon", "Infinity", "0x10", "1e3", "1.5", "1 000", "99999999999999999999"])(
    "does not get the call again with %j, which is no number of ms",
    async (pushback) => {
      expect(await attemptsWith(pushback)).toBe(1);
    },
  );
});

describe("the trace of a call", () => {
  const OWN = "00-11111111111111111111111111111111-2222222222222222-01";
  const PARENT = "00-33333333333333333333333333333333-4444444444444444-01";
  const setting: Interceptor = (call, next) => {
    call.metadata.set("traceparent", OWN);
    return next(call);
  };
  const removing: Interceptor = (call, next) => {
    call.metadata.delete("traceparent");
    return next(call);
  };

  /** All that the server is told of the trace, of a call that is made while another one is served. */
  async function sent(interceptors: Interceptor[], metadata: Record<string, string> = {}): Promise<string[]> {
    const scene = new ChannelScene({ interceptors });
    const peer = await scene.connected();
    const parent = Object.assign(new CallContext(), parseTraceparentText(PARENT), { tracestate: "theirs=1" });
    void callStorage.run(parent, () => scene.call("say", "x", { metadata }));
    const { fields = [] } = await peer.expect("HEADERS");
    return fields.filter(([name]) => name.startsWith("trace")).map(([name, value]) => `${name}: ${value}`);
  }

  it("continues that of the call that is being served", async () => {
    expect(await sent([])).toEqual([expect.stringMatching(/^traceparent: 00-3{32}-/), "tracestate: theirs=1"]);
  });

  it("is what its own metadata say, once", async () => {
    expect(await sent([], { traceparent: OWN })).toEqual([`traceparent: ${OWN}`]);
    expect(await sent([], { traceparent: OWN, tracestate: "own=1" })).toEqual([
      `traceparent: ${OWN}`,
      "tracestate: own=1",
    ]);
  });

  it("is what an interceptor says, once", async () => {
    expect(await sent([setting])).toEqual([`traceparent: ${OWN}`]);
  });

  it("is ours where an interceptor has taken another one away", async () => {
    expect(await sent([removing], { traceparent: OWN })).toEqual([
      expect.stringMatching(/^traceparent: 00-3{32}-/),
      "tracestate: theirs=1",
    ]);
  });
});
