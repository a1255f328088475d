import { describe, expect, it, onTestFinished } from "vitest";
import { failure, useScenes } from "../../test/server/server-scene.ts";
import { collect } from "../../test/server/text-service.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { nextTurn } from "../rpc/turn.ts";
import { grpcRequestFields } from "../testing/raw-frames.ts";
import type { ServedCall, ServerInterceptor } from "./pipeline.ts";

const scenes = useScenes();

/** An interceptor that writes down when it is entered and left. */
function tracing(name: string, events: string[]): ServerInterceptor {
  return async (call, next) => {
    events.push(`${name} in`);
    try {
      return await next(call);
    } finally {
      events.push(`${name} out`);
    }
  };
}

async function* shouted(texts: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const text of texts) yield `${text}!`;
}

describe("interceptors of a server", () => {
  it("run in the order of the list, the first outermost", async () => {
    const events: string[] = [];
    const interceptors = [tracing("a", events), tracing("b", events)];
    const scene = await scenes.start(
      {
        say(text) {
          events.push("handler");
          return text;
        },
      },
      { interceptors },
    );
    expect(await scene.client().say("x")).toBe("x");
    expect(events).toEqual(["a in", "b in", "handler", "b out", "a out"]);
  });

  it("see method and context, and may replace request and answer", async () => {
    const seen: unknown[] = [];
    const interceptor: ServerInterceptor = async (call, next) => {
      seen.push(call.method.name, call.context.metadata.get("k"));
      call.request = `${call.request}?`;
      return `${await next(call)}!`;
    };
    const scene = await scenes.start({}, { interceptors: [interceptor] });
    expect(await scene.client().say("x", { metadata: { k: "v" } })).toBe("x?!");
    expect(seen).toEqual(["Say", "v"]);
  });

  it("may hand on another call object", async () => {
    const interceptor: ServerInterceptor = (call, next) => next({ ...call, request: "other" } as ServedCall);
    const scene = await scenes.start({}, { interceptors: [interceptor] });
    expect(await scene.client().say("x")).toBe("other");
  });

  it("may replace streams of requests and of answers", async () => {
    const interceptor: ServerInterceptor = async (call, next) => {
      if (call.method.kind === "client-stream" || call.method.kind === "bidi-stream") {
        call.request = shouted(call.request as AsyncIterable<unknown>);
      }
      const answer = await next(call);
      const isStream = call.method.kind === "server-stream" || call.method.kind === "bidi-stream";
      return isStream ? shouted(answer as AsyncIterable<unknown>) : answer;
    };
    const client = (await scenes.start({}, { interceptors: [interceptor] })).client();
    expect(await client.join(["a", "b"])).toBe("a! b!");
    expect(await collect(client.repeat("x"))).toEqual(["x!", "x!", "x!"]);
    expect(await collect(client.chat(["x"]))).toEqual(["x!!"]);
  });

  it("may refuse a call, or answer in the handler's place", async () => {
    let handled = 0;
    const interceptor: ServerInterceptor = async (call, next) => {
      if (call.request === "no") throw new RpcError(Code.PERMISSION_DENIED, "not you");
      return call.request === "cached" ? "from the cache" : next(call);
    };
    const scene = await scenes.start(
      {
        say(text) {
          handled++;
          return text;
        },
      },
      { interceptors: [interceptor] },
    );
    const client = scene.client();
    expect(await failure(client.say("no"))).toMatchObject({ code: Code.PERMISSION_DENIED, text: "not you" });
    expect(await client.say("cached")).toBe("from the cache");
    expect(handled).toBe(0);
    expect(await client.say("x")).toBe("x");
  });

  it("may answer without waiting for the handler, whose error then ends nothing", async () => {
    const unhandled: unknown[] = [];
    const hear = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", hear);
    onTestFinished(() => void process.off("unhandledRejection", hear));
    const interceptor: ServerInterceptor = async (call, next) => {
      void next(call);
      return "from the cache";
    };
    // The one outside waits, and is told what the one inside gave.
    const scene = await scenes.start(
      {
        async say() {
          throw new Error("late");
        },
      },
      { interceptors: [(call, next) => next(call), interceptor] },
    );
    expect(await scene.client().say("x")).toBe("from the cache");
    await nextTurn();
    expect(unhandled).toEqual([]);
  });

  it("see what the handler throws, and may turn it into something else", async () => {
    const interceptor: ServerInterceptor = async (call, next) => {
      try {
        return await next(call);
      } catch (error) {
        throw new RpcError(Code.ABORTED, `it said: ${(error as Error).message}`);
      }
    };
    const scene = await scenes.start(
      {
        say: () => {
          throw new Error("boom");
        },
      },
      { interceptors: [interceptor] },
    );
    expect(await failure(scene.client().say("x"))).toMatchObject({ code: Code.ABORTED, text: "it said: boom" });
    expect(scene.log.lines).toEqual([]);
  });

  it("that throw by mistake end the call with UNKNOWN, logged once", async () => {
    const interceptor: ServerInterceptor = () => {
      throw new Error("boom");
    };
    const scene = await scenes.start({}, { interceptors: [interceptor] });
    expect(await failure(scene.client().say("x"))).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed" });
    expect(await failure(collect(scene.client().repeat("x")))).toMatchObject({ code: Code.UNKNOWN });
    expect(scene.log.lines).toHaveLength(2);
  });

  it("may call next once", async () => {
    const interceptor: ServerInterceptor = async (call, next) => {
      await next(call);
      return next(call);
    };
    const scene = await scenes.start({}, { interceptors: [interceptor] });
    expect(await failure(scene.client().say("x"))).toMatchObject({ code: Code.UNKNOWN });
    expect(String(scene.log.lines[0].fields.error)).toContain("next() was called twice");
  });

  it("do not run for calls that are refused before: unknown methods, deadlines that have passed", async () => {
    const events: string[] = [];
    const scene = await scenes.start({}, { interceptors: [tracing("a", events)] });
    const peer = await scene.rawPeer();
    await peer.handshake();
    peer.headers(1, grpcRequestFields("/text.v1.Text/Say", [["grpc-timeout", "0n"]]), { end: true });
    peer.headers(3, grpcRequestFields("/text.v1.Text/Nothing"), { end: true });
    const [late, unknown] = [await peer.expect("HEADERS"), await peer.expect("HEADERS")];
    expect(late.headers).toMatchObject({ "grpc-status": "4" });
    expect(unknown.headers).toMatchObject({
      "grpc-status": "12",
      "grpc-message": "unknown method Nothing for service text.v1.Text",
    });
    expect(events).toEqual([]);
  });
});

describe("describe()", () => {
  it("lists all layers, outermost first, each with its reason", () => {
    const named: ServerInterceptor = async function audit(call, next) {
      return next(call);
    };
    const { server } = scenes.make({}, { interceptors: [named, (call, next) => next(call)] });
    const lines = server.describe().split("\n");
    expect(lines.map((line) => line.split("  ")[0])).toEqual([
      "recover",
      "trace",
      "metrics",
      "deadline",
      "audit",
      "(interceptor)",
      "handler",
    ]);
    for (const line of lines) expect(line).toMatch(/^\S+ {2}\S.*/);
  });

  it("leaves out what was switched off", () => {
    const { server } = scenes.make({}, { without: ["trace", "metrics"] });
    expect(server.describe()).not.toMatch(/^(trace|metrics) /m);
    expect(server.describe()).toMatch(/^deadline /m);
  });
});
