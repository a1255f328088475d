import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { failure, gate, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { collect } from "../../test/server/text-service.ts";
import { HEADER_SENT } from "../grpc/server-stream.ts";
import { Code } from "../rpc/code.ts";
import type { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";

const scenes = useScenes();

function handledCodes(scene: ServerScene, method: string): Record<string, number> {
  const stats = scene.server.stats.find((each) => each.method === `/text.v1.Text/${method}`);
  const codes = [...(stats?.byCode ?? [])].flatMap((count, code) => (count > 0 ? [[code, count]] : []));
  return Object.fromEntries(codes);
}

describe("a call that ends before its handler", () => {
  const LATE = "a handler failed after its call had ended";

  it("hears nothing more of its handler, whose bug is logged", async () => {
    const running = gate();
    const finish = gate();
    const done = gate();
    const scene = await scenes.start({
      async say() {
        running.open();
        await finish.opened;
        queueMicrotask(done.open);
        throw new Error("nobody hears this");
      },
    });
    const controller = new AbortController();
    const call = scene.client().say("x", { signal: controller.signal });
    await running.opened;
    controller.abort();
    expect(await failure(call)).toMatchObject({ code: Code.CANCELLED });
    await scene.eventually(() => handledCodes(scene, "Say")[Code.CANCELLED] === 1);
    finish.open();
    await done.opened;
    await scene.eventually(() => scene.log.lines.length > 0);
    expect(handledCodes(scene, "Say")).toEqual({ [Code.CANCELLED]: 1 });
    expect(scene.log.lines).toMatchObject([
      { level: "error", text: LATE, fields: { method: "/text.v1.Text/Say", error: { message: "nobody hears this" } } },
    ]);
  });

  it("has the bug of a generator's finally logged, too", async () => {
    const scene = await scenes.start({
      async *repeat(text) {
        try {
          for (;;) yield text;
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: the case
          throw new Error("in finally");
        }
      },
    });
    for await (const _ of scene.client().repeat("x")) break;
    await scene.eventually(() => scene.log.lines.length > 0);
    expect(scene.log.lines).toMatchObject([{ text: LATE, fields: { error: { message: "in finally" } } }]);
  });

  it("has nothing logged when what its handler gave is a stream that waits for more", async () => {
    const stream = new Readable({ objectMode: true, read() {} });
    stream.push("x");
    const closed = new Promise((resolve) => stream.once("close", resolve));
    const scene = await scenes.start({ repeat: () => stream });
    for await (const _ of scene.client().repeat("x")) break;
    await closed;
    await new Promise((resolve) => setImmediate(resolve));
    expect(scene.log.lines).toEqual([]);
  });

  it.each<[string, (reason: unknown) => unknown]>([
    ["the signal's reason", (reason) => reason],
    ["an AbortError", () => new DOMException("aborted", "AbortError")],
    ["an error because of an AbortError", () => new Error("no", { cause: new DOMException("", "AbortError") })],
    ["a status", () => new RpcError(Code.NOT_FOUND, "nobody")],
  ])("has nothing logged when its handler throws %s", async (_name, thrown) => {
    const running = gate();
    const ended = gate();
    const scene = await scenes.start({
      say: (_text, { signal }) =>
        new Promise((_resolve, reject) => {
          running.open();
          signal.addEventListener("abort", () => {
            reject(thrown(signal.reason));
            setImmediate(ended.open);
          });
        }),
    });
    const controller = new AbortController();
    const call = scene.client().say("x", { signal: controller.signal });
    await running.opened;
    controller.abort();
    expect(await failure(call)).toMatchObject({ code: Code.CANCELLED });
    await ended.opened;
    expect(scene.log.lines).toEqual([]);
  });

  it("lets a generator run its finally, at once when it waits in a yield", async () => {
    const left = gate<string>();
    const scene = await scenes.start({
      async *repeat(text, context) {
        try {
          for (;;) yield text;
        } finally {
          left.open(context.signal.aborted ? "aborted" : "left");
        }
      },
    });
    for await (const text of scene.client().repeat("x")) {
      expect(text).toBe("x");
      break;
    }
    expect(await left.opened).toBe("aborted");
  });

  it("gives others their turn while it streams without waiting for anything", async () => {
    let inRow = 0;
    let mostInRow = 0;
    const scene = await scenes.start({
      *repeat(text) {
        for (let i = 0; i < 5000; i++) {
          mostInRow = Math.max(mostInRow, ++inRow);
          yield text;
        }
      },
    });
    const turn = (): void => {
      inRow = 0;
      if (isCounting) setImmediate(turn);
    };
    let isCounting = true;
    setImmediate(turn);
    expect(await collect(scene.client().repeat("x"))).toHaveLength(5000);
    isCounting = false;
    expect(mostInRow).toBeLessThanOrEqual(1100);
  });

  it("may be answered before all requests were read", async () => {
    const scene = await scenes.start({ join: async (texts) => (await texts[Symbol.asyncIterator]().next()).value });
    const endless = async function* (): AsyncGenerator<string> {
      for (let i = 0; ; i++) yield String(i);
    };
    expect(await scene.client().join(endless())).toBe("0");
    expect(scene.log.lines).toEqual([]);
  });
});

it("a call that is answered takes no header metadata any more", async () => {
  const headers: Metadata[] = [];
  const scene = await scenes.start({
    say(text, { header }) {
      headers.push(header.set("a", "1"));
      return text;
    },
  });
  expect(await scene.client().say("x")).toBe("x");
  expect(() => headers[0].set("late", "1")).toThrow(HEADER_SENT);
});
