import { describe, expect, it } from "vitest";
import { failure, gate, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { collect, type TextHandlers } from "../../test/server/text-service.ts";
import { HEADER_SENT } from "../grpc/server-stream.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { grpcMessage, grpcRequestFields } from "../testing/raw-frames.ts";
import type { ServerInterceptor } from "./pipeline.ts";
import type { ServerCall } from "./server-call.ts";
import type { ServerContext } from "./server-context.ts";

const scenes = useScenes();

/** A scene whose `say` hands its context out and then waits for `finish`. */
async function waiting(): Promise<{
  scene: ServerScene;
  running: Promise<ServerContext>;
  finish: () => void;
}> {
  const running = gate<ServerContext>();
  const finish = gate();
  const scene = await scenes.start({
    async say(text, context) {
      running.open(context);
      await finish.opened;
      return text;
    },
  });
  return { scene, running: running.opened, finish: () => finish.open() };
}

function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

describe("a handler's context", () => {
  it("tells method, metadata and peer", async () => {
    let seen: Partial<ServerContext> = {};
    const scene = await scenes.start({
      say(text, { method, metadata, peer }) {
        seen = { method, metadata, peer };
        return text;
      },
    });
    await scene.client().say("x", {
      metadata: [
        ["a", "1"],
        ["a", "2"],
        ["b-bin", Uint8Array.of(1)],
      ],
    });
    expect(seen.method).toBe("/text.v1.Text/Say");
    expect(seen.metadata?.getAll("a")).toEqual(["1", "2"]);
    expect(seen.metadata?.getBinary("b-bin")).toEqual(Uint8Array.of(1));
    expect([...(seen.metadata ?? [])].map(([key]) => key).sort()).toEqual([
      "a",
      "a",
      "b-bin",
      "traceparent",
      "user-agent",
    ]);
    expect(seen.peer).toMatchObject({
      remoteAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      localAddress: scene.server.address,
    });
    expect(seen.peer?.tls).toBeUndefined();
  });

  it("shows of a tracestate what metadata can be, and calls carry on the same", async () => {
    const seen: [string | undefined, string | undefined][] = [];
    const scene = await scenes.start({
      say(text, context) {
        seen.push([context.metadata.get("tracestate"), (context as ServerCall).tracestate]);
        return text;
      },
    });
    const peer = await scene.rawPeer();
    await peer.handshake();
    // Tabs around members are allowed (W3C Trace Context); what is not printable makes all of it invalid.
    for (const [i, tracestate] of ["a=1,b=2", "a=1,\tb=2", "a=1,b=\u00e9", "a=\x7f"].entries()) {
      peer.headers(2 * i + 1, grpcRequestFields("/text.v1.Text/Say", [["tracestate", tracestate]]));
      peer.data(2 * i + 1, grpcMessage(Buffer.from("x")), { end: true });
      const end = await peer.expect("HEADERS", (frame) => frame.streamId === 2 * i + 1 && frame.isEnd);
      expect(end.headers).toMatchObject({ "grpc-status": "0" });
    }
    expect(seen).toEqual([
      ["a=1,b=2", "a=1,b=2"],
      ["a=1, b=2", "a=1, b=2"],
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });

  it("tells the deadline, as a time and as what is left of it", async () => {
    const seen: (readonly [number | undefined, Date | undefined])[] = [];
    const scene = await scenes.start({
      say(text, context) {
        seen.push([context.timeRemainingMs, context.deadline]);
        return text;
      },
    });
    const before = Date.now();
    await scene.client().say("x", { timeoutMs: 4000 });
    await scene.client({ timeoutMs: 0 }).say("x");
    const [[left, deadline], none] = seen;
    expect(left).toBeGreaterThan(3000);
    expect(left).toBeLessThanOrEqual(4000);
    expect(Number(deadline) - before).toBeGreaterThan(3000);
    expect(Number(deadline) - before).toBeLessThan(4500);
    expect(none).toEqual([undefined, undefined]);
  });

  it("makes no signal for a handler that does not look at it", async () => {
    const contexts: ServerContext[] = [];
    const scene = await scenes.start({
      say(text, context) {
        contexts.push(context);
        return text;
      },
    });
    await scene.client().say("x");
    (contexts[0] as ServerCall).cancel(new RpcError(Code.CANCELLED, "later"));
    // Made when read, it knows what happened before.
    expect(contexts[0].signal.aborted).toBe(true);
    expect(contexts[0].signal).toBe(contexts[0].signal);
  });
});

describe("a handler's header", () => {
  it("reaches the client before the first answer when it is sent by itself, once", async () => {
    const [answered, arrived] = [gate(), gate<string | undefined>()];
    const scene = await scenes.start({
      async say(text, context) {
        context.header.set("a", "1");
        context.sendHeader();
        context.sendHeader();
        await answered.opened;
        return text;
      },
    });
    const call = scene.client().say("x", { onHeader: (header) => arrived.open(header.get("a")) });
    expect(await arrived.opened).toBe("1");
    answered.open();
    expect(await call).toBe("x");
  });

  it("can be read and copied but not changed once it is sent", async () => {
    const refused: unknown[] = [];
    const scene = await scenes.start({
      async *chat(texts, context) {
        const [kind] = await collect(texts);
        const { header } = context;
        if (kind === "some") header.set("a", "1");
        yield new Metadata(header).set("a", "2").get("a") ?? "";
        for (const late of [header, context.header]) {
          for (const change of [() => late.set("b", "2"), () => late.append("b", "2"), () => late.delete("a")]) {
            try {
              change();
            } catch (error) {
              refused.push(String(error));
            }
          }
        }
        yield context.header.get("a") ?? "";
      },
    });
    expect(await collect(scene.client().chat(["some"]))).toEqual(["2", "1"]);
    expect(await collect(scene.client().chat(["none"]))).toEqual(["2", ""]);
    expect(refused).toEqual(Array.from({ length: 12 }, () => `Error: ${HEADER_SENT}`));
  });

  it("that was not looked at before it was sent can't be changed either", async () => {
    const scene = await scenes.start({
      async *chat(_texts, context) {
        yield "a";
        context.header.set("late", "1");
      },
    });
    const answers = scene.client().chat([])[Symbol.asyncIterator]();
    expect((await answers.next()).value).toBe("a");
    await expect(answers.next()).rejects.toMatchObject({ code: Code.UNKNOWN });
  });

  it("that is more than the client accepts is refused, and the call can go on without", async () => {
    const errors: unknown[] = [];
    const scene = await scenes.start({
      say(text, context) {
        context.header.set("a", "x".repeat(100_000));
        try {
          context.sendHeader();
        } catch (error) {
          errors.push(error);
        }
        return text;
      },
    });
    expect(await scene.client().say("x")).toBe("x");
    expect(errors).toMatchObject([{ code: Code.INTERNAL, reason: "codec" }]);
  });
});

describe("a handler's signal is aborted", () => {
  it("when the client cancels", async () => {
    const { scene, running } = await waiting();
    const controller = new AbortController();
    const call = scene.client().say("x", { signal: controller.signal });
    const { signal } = await running;
    controller.abort();
    expect(await failure(call)).toMatchObject({ code: Code.CANCELLED });
    expect(await aborted(signal)).toMatchObject({ code: Code.CANCELLED });
  });

  it("when the deadline passes, and the caller gets DEADLINE_EXCEEDED from whoever sees it first", async () => {
    const { scene, running } = await waiting();
    const peer = await scene.rawPeer();
    await peer.handshake();
    // A client that sets a deadline and does not look at it.
    peer.headers(1, grpcRequestFields("/text.v1.Text/Say", [["grpc-timeout", "30m"]]));
    peer.data(1, grpcMessage(Buffer.from("x")), { end: true });
    const { signal, timeRemainingMs } = await running;
    expect(timeRemainingMs).toBeLessThanOrEqual(30);
    expect(await aborted(signal)).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    const answer = await peer.expect("HEADERS");
    expect(answer.isEnd).toBe(true);
    expect(answer.headers).toMatchObject({ "grpc-status": "4", "grpc-message": "deadline exceeded at the server" });
  });

  it("when the connection breaks", async () => {
    const { scene, running } = await waiting();
    const peer = await scene.rawPeer();
    await peer.handshake();
    peer.headers(1, grpcRequestFields("/text.v1.Text/Say")).data(1, grpcMessage(Buffer.from("x")), { end: true });
    const { signal } = await running;
    peer.destroy();
    expect(await aborted(signal)).toMatchObject({ code: Code.CANCELLED, text: "the client's connection is lost" });
    // Clients come and go; that is nothing to write down.
    expect(scene.server.misbehaved.size).toBe(0);
    expect(scene.log.lines).toEqual([]);
  });

  it("when the client leaves a stream that the handler is sending", async () => {
    const seen = gate<AbortSignal>();
    const scene = await scenes.start({
      async *repeat(text, { signal }) {
        seen.open(signal);
        while (!signal.aborted) yield text;
      },
    });
    for await (const _text of scene.client().repeat("x")) break;
    expect(await aborted(await seen.opened)).toMatchObject({ code: Code.CANCELLED });
  });

  it("never, after the handler has answered", async () => {
    const { scene, running, finish } = await waiting();
    const client = scene.client();
    const call = client.say("x");
    const { signal } = await running;
    finish();
    await call;
    await client.close();
    await scene.eventually(() => scene.server.connectionCount === 0);
    expect(signal.aborted).toBe(false);
  });
});

describe("a call made by a handler", () => {
  /** front → middle → back, each calling the next one's `say`. */
  async function chain(
    back: Partial<TextHandlers>,
    propagate?: string[],
  ): Promise<{ front: ServerScene; timeouts: number[] }> {
    const timeouts: number[] = [];
    const last = await scenes.start({
      ...back,
      say(text, context) {
        timeouts.push(context.timeRemainingMs ?? -1);
        return back.say?.(text, context) ?? text;
      },
    });
    const hop = async (next: ServerScene): Promise<ServerScene> => {
      // The client's own limit is wide: what is inherited is narrower.
      const client = next.client({ timeoutMs: 60_000 });
      return scenes.start(
        {
          async say(text, context) {
            timeouts.push(context.timeRemainingMs ?? -1);
            return client.say(text);
          },
          chat: (texts) => client.chat(texts),
        },
        { propagate },
      );
    };
    return { front: await hop(await hop(last)), timeouts };
  }

  it("inherits the deadline", async () => {
    const { front, timeouts } = await chain({});
    expect(await front.client().say("x", { timeoutMs: 2000 })).toBe("x");
    const [first, second, third] = timeouts;
    expect(first).toBeLessThanOrEqual(2000);
    // A hop takes its time; on the wire the rest is rounded up to a millisecond at most.
    expect(second).toBeLessThanOrEqual(first + 1);
    expect(third).toBeLessThanOrEqual(second + 1);
    expect(third).toBeGreaterThan(1000);
  });

  it("ends with its parent: a cancel reaches the third server, whose handler learns of it", async () => {
    const running = gate<ServerContext>();
    const { front } = await chain({
      async say(_text, context) {
        running.open(context);
        throw await aborted(context.signal);
      },
    });
    const controller = new AbortController();
    const call = front.client().say("x", { signal: controller.signal });
    const { signal } = await running.opened;
    const startedAt = performance.now();
    controller.abort();
    expect(await failure(call)).toMatchObject({ code: Code.CANCELLED });
    expect(await aborted(signal)).toMatchObject({ code: Code.CANCELLED });
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  it("ends when the parent's deadline passes, on every hop", async () => {
    const running = gate<ServerContext>();
    const { front } = await chain({
      async say(_text, context) {
        running.open(context);
        throw await aborted(context.signal);
      },
    });
    let hasArrived = false;
    void running.opened.then(() => {
      hasArrived = true;
    });
    // A short deadline may pass on the way there.
    for (let timeoutMs = 50; !hasArrived; timeoutMs *= 2) {
      expect(await failure(front.client().say("x", { timeoutMs }))).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    }
    const { signal } = await running.opened;
    expect(await aborted(signal)).toMatchObject({ code: expect.toBeOneOf([Code.DEADLINE_EXCEEDED, Code.CANCELLED]) });
  });

  it("carries on the metadata that were chosen, unless it has its own", async () => {
    const seen: (string | undefined)[][] = [];
    const { front } = await chain(
      {
        say(text, { metadata }) {
          seen.push([metadata.get("tenant"), metadata.get("other")]);
          return text;
        },
      },
      ["Tenant"],
    );
    await front.client().say("x", { metadata: { tenant: "blue", other: "stays here" } });
    expect(seen).toEqual([["blue", undefined]]);
  });

  it("belongs to the same trace, each hop a span of its own", async () => {
    const calls: ServerCall[] = [];
    const interceptors: ServerInterceptor[] = [
      (call, next) => {
        calls.push(call.context as ServerCall);
        return next(call);
      },
    ];
    const back = await scenes.start({}, { interceptors });
    const toBack = back.client();
    const front = await scenes.start({ say: (text) => toBack.say(text) }, { interceptors });
    await front.client().say("x");
    const traces = calls.map(({ traceA, traceB, traceC, traceD }) => [traceA, traceB, traceC, traceD]);
    expect(traces).toHaveLength(2);
    expect(traces[1]).toEqual(traces[0]);
    expect(traces[0]).not.toEqual([0, 0, 0, 0]);
    expect([calls[1].spanA, calls[1].spanB]).not.toEqual([calls[0].spanA, calls[0].spanB]);
  });

  it("passes on what another server's handler said, without its trailers", async () => {
    const { front } = await chain({
      say(_text, context) {
        context.trailer.set("internal", "of the back");
        throw new RpcError(Code.ALREADY_EXISTS, "taken");
      },
    });
    const error = await failure(front.client().say("x"));
    expect(error).toMatchObject({ code: Code.ALREADY_EXISTS, text: "taken" });
    expect(error.metadata.get("internal")).toBeUndefined();
  });

  it("streams through", async () => {
    const { front } = await chain({});
    expect(await collect(front.client().chat(["a", "b", "c"]))).toEqual(["a", "b", "c"]);
  });
});
