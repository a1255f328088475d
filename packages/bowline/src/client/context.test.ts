import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { collect, type NoteClient } from "../../test/client/note-service.ts";
import { eventually, failure, gate } from "../../test/client/outcomes.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { ServerContext } from "../server/server-context.ts";
import type { ServerOptions } from "../server/server-options.ts";
import type { Client } from "./create-client.ts";

const scene = useScene();

/** front → back: the handler of `front.say` makes `inner` with a client of `back`. */
async function chain(
  inner: (back: Client<NoteClient>, context: ServerContext) => Promise<string>,
  atBack: (text: string, context: ServerContext) => string | Promise<string>,
  options: ServerOptions = {},
) {
  const backServer = await scene.server({ say: atBack, read: atBack });
  const back = scene.client(backServer.address);
  const frontServer = await scene.server({ say: (_text, context) => inner(back, context) }, options);
  return { front: scene.client(frontServer.address), back, backServer };
}

/** The metadata of a user's making, as JSON. */
function shown(metadata: Metadata): string {
  return JSON.stringify(new Metadata([...metadata].filter(([key]) => key.startsWith("x-"))));
}

/** A handler's promise that ends with the call it belongs to. */
function untilAborted({ signal }: ServerContext): Promise<string> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve("aborted"), { once: true }));
}

describe("a call made by a handler", () => {
  it("inherits the rest of the deadline", async () => {
    const { front } = await chain(
      async (back) => back.say("x", { timeoutMs: 60_000 }),
      (_text, context) => String(context.timeRemainingMs),
    );
    const remaining = Number(await front.say("x", { timeoutMs: 3000 }));
    expect(remaining).toBeGreaterThan(1000);
    expect(remaining).toBeLessThanOrEqual(3000);
  });

  it("keeps a shorter one of its own", async () => {
    const { front } = await chain(
      async (back) => back.say("x", { timeoutMs: 700 }),
      (_text, context) => String(context.timeRemainingMs),
    );
    expect(Number(await front.say("x", { timeoutMs: 3000 }))).toBeLessThanOrEqual(700);
  });

  it("ends when the deadline of the whole passes, at every hop", async () => {
    const backEnded = gate<string>();
    const { front, back } = await chain(
      async (back) => back.say("x", { timeoutMs: 0 }),
      async (_text, context) => {
        backEnded.open(await untilAborted(context));
        return "late";
      },
    );
    const error = await failure(front.say("x", { timeoutMs: 100 }));
    expect(error.code).toBe(Code.DEADLINE_EXCEEDED);
    expect(await backEnded.opened).toBe("aborted");
    await eventually(() => back.channel.stats.every(({ inFlight }) => inFlight === 0));
  });

  it("is cancelled with the one that it serves", async () => {
    const backBegan = gate();
    const backEnded = gate<string>();
    const { front, back, backServer } = await chain(
      async (back) => back.say("x"),
      async (_text, context) => {
        backBegan.open();
        backEnded.open(await untilAborted(context));
        return "late";
      },
    );
    const controller = new AbortController();
    const call = failure(front.say("x", { signal: controller.signal }));
    await backBegan.opened;
    controller.abort();
    expect((await call).code).toBe(Code.CANCELLED);
    expect(await backEnded.opened).toBe("aborted");
    await eventually(() => back.channel.stats[0].inFlight === 0);
    expect(back.channel.stats[0].byCode[Code.CANCELLED]).toBe(1);
    await eventually(() => backServer.stats.every(({ inFlight }) => inFlight === 0));
  });

  it("is not begun when that one has been cancelled already", async () => {
    const began = gate();
    const inner = gate<Promise<unknown>>();
    const { front, backServer } = await chain(
      async (back, context) => {
        began.open();
        await untilAborted(context);
        const call = failure(back.say("too late"));
        inner.open(call);
        await call;
        return "";
      },
      (text) => text,
    );
    const controller = new AbortController();
    const call = failure(front.say("x", { signal: controller.signal }));
    await began.opened;
    controller.abort();
    await call;
    const error = await await inner.opened;
    expect(error).toMatchObject({ code: Code.CANCELLED, reason: "cancelled", sent: false });
    expect((error as Error).message).toContain("the call that this one serves has ended");
    expect(backServer.stats.every(({ started }) => started === 0)).toBe(true);
  });

  it("continues the trace", async () => {
    const traces: number[][] = [];
    const note = (context: ServerContext): void => {
      const { traceA, traceB, traceC, traceD } = context as never as Record<string, number>;
      traces.push([traceA, traceB, traceC, traceD]);
    };
    const { front } = await chain(
      async (back, context) => {
        note(context);
        return back.say("x");
      },
      (text, context) => {
        note(context);
        return text;
      },
    );
    await front.say("x");
    expect(traces[1]).toEqual(traces[0]);
    expect(traces[0].some((part) => part !== 0)).toBe(true);
  });

  it("carries the metadata that its server propagates; explicit ones win", async () => {
    const { front } = await chain(
      async (back) => back.say("x", { metadata: { "x-user": "explicit", "x-own": "1" } }),
      (_text, context) => shown(context.metadata),
      { propagate: ["X-Tenant", "x-user"] },
    );
    const metadata = new Metadata([
      ["x-tenant", "t1"],
      ["x-user", "inherited"],
      ["x-tenant", "t2"],
      ["x-other", "stays here"],
    ]);
    expect(JSON.parse(await front.say("x", { metadata }))).toEqual({
      "x-user": ["explicit"],
      "x-own": ["1"],
      "x-tenant": ["t1", "t2"],
    });
  });

  it("carries them without any of its own", async () => {
    const { front } = await chain(
      async (back) => back.say("x"),
      (_text, context) => shown(context.metadata),
      { propagate: ["x-tenant"] },
    );
    expect(JSON.parse(await front.say("x", { metadata: { "x-tenant": "t1" } }))).toEqual({ "x-tenant": ["t1"] });
    expect(JSON.parse(await front.say("x"))).toEqual({});
  });

  it("does so from streams, too, wherever they have wandered", async () => {
    const backServer = await scene.server({ say: (_text, context) => context.metadata.get("x-tenant") ?? "none" });
    const back = scene.client(backServer.address);
    const front = scene.client(
      (
        await scene.server(
          {
            async *follow() {
              await new Promise((resolve) => setImmediate(resolve));
              yield await back.say("x");
              yield await Promise.resolve().then(() => back.say("y"));
            },
          },
          { propagate: ["x-tenant"] },
        )
      ).address,
    );
    expect(await collect(front.follow("x", { metadata: { "x-tenant": "t" } }))).toEqual(["t", "t"]);
  });

  it("has the failure of the call behind it in its own", async () => {
    const { front } = await chain(
      async (back) => back.say("x"),
      () => {
        throw new Error("secret");
      },
    );
    const error = await failure(front.say("x"));
    expect(error).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed", origin: "remote" });
  });
});
