// Interceptors that do wrong, on both sides. What they may do: src/client/call/interception.test.ts, src/server/interceptors.test.ts.
import { describe, expect, it } from "vitest";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { createClient } from "../../src/client/create-client.ts";
import { after, before, type Interceptor } from "../../src/client/interceptor.ts";
import { Code } from "../../src/rpc/code.ts";
import { Metadata } from "../../src/rpc/metadata.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import type { ServerInterceptor } from "../../src/server/pipeline.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { useScene } from "../client/client-scene.ts";
import { collect, NoteService } from "../client/note-service.ts";
import { failure } from "../client/outcomes.ts";
import { useScenes } from "../server/server-scene.ts";
import { thrown, wrong } from "./refusals.ts";

const scene = useScene();
const scenes = useScenes();
const pass: Interceptor = (call, next) => next(call);

const refusal = (options: ClientOptions): string => thrown(() => createClient(NoteService, "127.0.0.1:1", options));

/** A client with one interceptor, of a server that answers. */
async function client(interceptor: unknown, options: ClientOptions = {}) {
  const server = await scene.server();
  return scene.client(server.address, { interceptors: [interceptor as Interceptor], ...options });
}

describe("a client's list of interceptors", () => {
  const whatItIs = 'an interceptor is an async (call, next) => …, or before("retry", one) for a place of its own';

  it.each([
    ["undefined", undefined],
    ["null", null],
    ["a number", 7],
    ["an object", {}],
    ["a place without an interceptor", before("retry", wrong(undefined))],
    ["arguments of before in the wrong order", before(wrong(pass), wrong("retry"))],
    ["neither before nor after", { interceptor: pass, side: "around", layer: "retry" }],
  ])("can't hold %s", (_what, entry) => {
    expect(refusal({ interceptors: [pass, wrong(entry)] })).toBe(`TypeError: ${whatItIs}`);
  });

  it("names a layer that there is not, with the nearest or all", () => {
    expect(refusal({ interceptors: [before("retyr", pass)] })).toBe(
      'TypeError: createClient options.interceptors: before: there is no layer "retyr"; did you mean retry?',
    );
    expect(refusal({ interceptors: [after("transport", pass)] })).toBe(
      'TypeError: createClient options.interceptors: after: there is no layer "transport"; ' +
        "layers are trace, metrics, deadline, retry",
    );
  });

  it("is not to stand inside retry: interceptors run once a call", () => {
    expect(refusal({ interceptors: [after("retry", pass)] })).toBe(
      'TypeError: interceptors run once a call: place them before("retry") or further out',
    );
  });

  it("keeps its places when the layers beside them are left out", async () => {
    const order: string[] = [];
    const named =
      (name: string): Interceptor =>
      (call, next) => {
        order.push(name);
        return next(call);
      };
    const server = await scene.server();
    const interceptors = [named("plain"), after("trace", named("traced")), before("trace", named("outermost"))];
    const one = scene.client(server.address, { interceptors, without: ["trace", "metrics", "deadline", "retry"] });
    expect(await one.say("x")).toBe("x");
    expect(order).toEqual(["outermost", "traced", "plain"]);
  });
});

describe("a client's interceptor", () => {
  it.each([
    ["returns nothing", async (call: never, next: (call: never) => unknown) => void (await next(call)), "undefined"],
    ["returns null", async () => null, "null"],
    ["is no function that waits", () => undefined, "undefined"],
  ])("that %s ends the call with INTERNAL and the fix", async (_what, interceptor, given) => {
    const error = await failure((await client(interceptor)).say("x"));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "handler", origin: "local" });
    expect(error.text).toBe(
      `an interceptor of /note.v1.Notes/Say returned ${given}: it must return what next(call) gives, or an answer`,
    );
  });

  it("of a stream that returns no stream ends the call with INTERNAL", async () => {
    const one = await client(async (call: never, next: (call: never) => unknown) => void (await next(call)));
    const text = "an interceptor must give an async iterable for the streaming method /note.v1.Notes/";
    expect(await failure(collect(one.follow("x")))).toMatchObject({ code: Code.INTERNAL, text: `${text}Follow` });
    expect(await failure(collect(one.chat(["x"])))).toMatchObject({ code: Code.INTERNAL, text: `${text}Chat` });
  });

  it.each([
    ["nothing", []],
    ["null", [null]],
    ["a call without metadata", [{ request: "x" }]],
    ["metadata that are none", [{ request: "x", metadata: { a: "b" } }]],
  ])("that calls next with %s ends the call with INTERNAL and the fix; nothing is sent", async (_what, given) => {
    const one = await client((_call: unknown, next: (...given: unknown[]) => unknown) => next(...given));
    const error = await failure(one.say("x"));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "handler", attempt: 0 });
    expect(error.text).toMatch(/^an interceptor called next\(\) with what is no call: write next\(call\), or next\(/);
  });

  it("that calls next twice ends the call with INTERNAL and says what repeats a call", async () => {
    const error = await failure(
      (
        await client(async (call: never, next: (call: never) => unknown) => {
          await next(call);
          return next(call);
        })
      ).say("x"),
    );
    expect(error).toMatchObject({
      code: Code.INTERNAL,
      text: "an interceptor called next() twice; what is to be repeated needs a call of its own",
    });
  });

  it.each<[string, unknown, Code, string]>([
    ["an RpcError", new RpcError(Code.PERMISSION_DENIED, "no"), Code.PERMISSION_DENIED, "no"],
    ["an Error", new Error("boom"), Code.UNKNOWN, "boom"],
    ["a text", "boom", Code.UNKNOWN, "boom"],
    ["null", null, Code.UNKNOWN, "null"],
    ["undefined", undefined, Code.UNKNOWN, "undefined"],
  ])("that throws %s ends the call with it, of all kinds", async (_what, value, code, text) => {
    const throws: Interceptor = () => {
      throw value;
    };
    const rejects: Interceptor = async () => {
      throw value;
    };
    for (const interceptor of [throws, rejects]) {
      const one = await client(interceptor);
      for (const call of [one.say("x"), one.join(["x"]), collect(one.follow("x")), collect(one.chat(["x"]))]) {
        expect(await failure(call)).toMatchObject({ code, text, attempt: 0, sent: false });
      }
    }
  });

  it("that never goes on with the call costs it the deadline, which says so", async () => {
    const clock = new VirtualClock();
    const call = failure((await client(() => new Promise(() => {}), { clock, timeoutMs: 100 })).say("x"));
    await clock.advance(120);
    expect(await call).toMatchObject({
      code: Code.DEADLINE_EXCEEDED,
      reason: "deadline",
      text: "deadline of 100 ms exceeded: an interceptor has not gone on with the call",
    });
  });

  it("sees what is left of the deadline, and nothing in front of the layer that sets it or without one", async () => {
    const seen: (number | undefined)[] = [];
    const look: Interceptor = (call, next) => {
      seen.push(call.timeRemainingMs);
      return next(call);
    };
    const server = await scene.server();
    const clock = new VirtualClock();
    const one = scene.client(server.address, { clock, timeoutMs: 700, interceptors: [look, before("deadline", look)] });
    await one.channel.connect();
    await one.say("x");
    await one.say("x", { timeoutMs: 0 });
    expect(seen).toEqual([undefined, 700, undefined, undefined]);
  });

  it("may change metadata until it calls next; that of the options stays as it was", async () => {
    const server = await scene.server({ say: (_text, context) => context.metadata.get("a") ?? "none" });
    const given = new Metadata({ a: "given" });
    const interceptor: Interceptor = async (call, next) => {
      call.metadata.set("a", "changed");
      const answer = next(call);
      call.metadata.set("a", "too late");
      return answer;
    };
    const one = scene.client(server.address, { interceptors: [interceptor] });
    await one.channel.connect();
    expect(await one.say("x", { metadata: given })).toBe("changed");
    expect(given.get("a")).toBe("given");
  });
});

describe("a server's interceptor", () => {
  /** What a call comes to, and the lines of the log. */
  async function served(interceptor: unknown): Promise<{ error: RpcError; lines: string[] }> {
    const one = await scenes.start({}, { interceptors: [interceptor as ServerInterceptor] });
    const error = await failure(one.client().say("x"));
    expect(await failure(collect(one.client().repeat("x")))).toMatchObject({ code: error.code });
    return { error, lines: one.log.lines.map(({ text, fields }) => `${text}: ${(fields.error as Error)?.message}`) };
  }

  it("that returns nothing ends the call with INTERNAL, logged", async () => {
    const { error, lines } = await served(
      async (call: never, next: (call: never) => unknown) => void (await next(call)),
    );
    expect(error).toMatchObject({ code: Code.INTERNAL, origin: "remote" });
    expect(error.text).toBe(
      "the handler of /text.v1.Text/Say gave undefined for a message; " +
        "so does an interceptor that does not return what next(call) gives",
    );
    expect(lines).toHaveLength(2);
  });

  it.each([
    ["nothing", []],
    ["null", [null]],
    ["an empty object", [{}]],
  ])("that calls next with %s ends the call with UNKNOWN; the log has the fix", async (_what, given) => {
    const { error, lines } = await served((_call: unknown, next: (...given: unknown[]) => unknown) => next(...given));
    expect(error).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed" });
    expect(lines[0]).toBe("a handler failed: next() was called without the call: write next(call)");
  });

  it("that calls next twice ends the call with UNKNOWN; the log says why", async () => {
    const { error, lines } = await served(async (call: never, next: (call: never) => unknown) => {
      await next(call);
      return next(call);
    });
    expect(error.code).toBe(Code.UNKNOWN);
    expect(lines[0]).toBe("a handler failed: next() was called twice; a handler serves a call once");
  });

  it.each([
    ["a text", "boom"],
    ["null", null],
    ["undefined", undefined],
  ])("that throws %s ends the call with UNKNOWN, logged", async (_what, value) => {
    const { error, lines } = await served(async () => {
      throw value;
    });
    expect(error).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed" });
    expect(lines).toHaveLength(2);
  });

  it("that never goes on with the call costs it its deadline, at the server too", async () => {
    const clock = new VirtualClock();
    const one = await scenes.start({}, { clock, interceptors: [() => new Promise(() => {})] });
    const client = one.client({ clock });
    await client.channel.connect();
    const call = failure(client.say("x", { timeoutMs: 100 }));
    await one.eventually(() => one.server.stats[0].inFlight === 1);
    await clock.advance(150);
    expect((await call).code).toBe(Code.DEADLINE_EXCEEDED);
    await one.eventually(() => one.server.stats[0].inFlight === 0);
  });
});
