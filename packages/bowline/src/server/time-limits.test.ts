import { describe, expect, it } from "vitest";
import { failure, useScenes } from "../../test/server/server-scene.ts";
import { Code } from "../rpc/code.ts";
import { createServer } from "./create-server.ts";
import type { ServerContext } from "./server-context.ts";
import type { ServerOptions } from "./server-options.ts";

const scenes = useScenes();
const SAY = "/text.v1.Text/Say";

describe("a server's own limit of time", () => {
  it.each<[string, ServerOptions]>([
    ["of all methods", { timeoutMs: 40 }],
    ["of one method", { timeoutMs: 40_000, methodTimeoutsMs: { [SAY]: 50, "/text.v1.Text/Join": 1 } }],
  ])("%s ends a unary call that takes longer, and tells its handler", async (_name, options) => {
    const contexts: ServerContext[] = [];
    const say = (_text: string, context: ServerContext): Promise<string> => {
      contexts.push(context);
      return new Promise(() => {});
    };
    const scene = await scenes.start({ say }, options);
    const error = await failure(scene.client().say("x", { timeoutMs: 0 }));
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED, origin: "remote" });
    expect([contexts[0].signal.aborted, contexts[0].timeRemainingMs]).toEqual([true, 0]);
  });

  it("is seen by the handler, and the caller's deadline counts where that is shorter", async () => {
    const left: (number | undefined)[] = [];
    const say = (text: string, context: ServerContext): string => {
      left.push(context.timeRemainingMs);
      return text;
    };
    const scene = await scenes.start({ say }, { timeoutMs: 30_000 });
    const client = scene.client();
    await client.say("x", { timeoutMs: 0 });
    await client.say("x", { timeoutMs: 10_000 });
    await client.say("x", { timeoutMs: 60_000 });
    const rounded = left.map((ms) => (ms === undefined ? undefined : Math.ceil(ms / 10_000)));
    expect(rounded).toEqual([3, 1, 3]);
  });

  it("leaves streams alone, and unary calls without it", async () => {
    const left: (number | undefined)[] = [];
    const see = (context: ServerContext): void => void left.push(context.timeRemainingMs);
    const scene = await scenes.start(
      {
        say: (text, context) => {
          see(context);
          return text;
        },
        async *repeat(text, context) {
          see(context);
          yield text;
        },
      },
      { timeoutMs: 0, methodTimeoutsMs: { "/text.v1.Text/Repeat": 10 } },
    );
    const client = scene.client();
    await client.say("x", { timeoutMs: 0 });
    for await (const each of client.repeat("x", { timeoutMs: 0 })) expect(each).toBe("x");
    expect(left).toEqual([undefined, undefined]);
  });

  it.each<[ServerOptions, string]>([
    [{ timeoutMs: -1 }, "createServer options.timeoutMs"],
    [{ methodTimeoutsMs: { Say: 5 } }, 'methodTimeoutsMs: "Say" is no method; write it as "/stock.v1.Stock/Count"'],
    [{ methodTimeoutsMs: { [SAY]: 0 } }, `methodTimeoutsMs["${SAY}"] is 0: give 1 to 2147483647 ms`],
    [{ methodTimeoutsMs: { [SAY]: Number.NaN } }, "is NaN: give 1"],
  ])("is refused where it is none: %j", (options, message) => {
    expect(() => createServer(options)).toThrow(message);
  });

  it.each([
    ["/text.v1.Text/Sy", `did you mean "${SAY}"?`],
    ["/stock.v1.Stock/Count", "add its service, or leave the entry out"],
  ])("can't be that of a method that no service has: %s", async (path, hint) => {
    const scene = scenes.make({}, { methodTimeoutsMs: { [SAY]: 50, [path]: 5 } });
    await expect(scene.server.start()).rejects.toThrow(
      `createServer options.methodTimeoutsMs["${path}"] is for a method that no service of this server has; ${hint}`,
    );
    expect(scene.server.state).toBe("closed");
  });
});
