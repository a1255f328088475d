import { expect, it } from "vitest";
import { answer, ChannelScene } from "../../../test/client/channel-scene.ts";
import { NoteService } from "../../../test/client/note-service.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { settle } from "../../testing/virtual-clock.ts";

const [SAY, READ] = [NoteService.methods.say.path, NoteService.methods.read.path];

it("an error that an interceptor throws for several calls tells each caller of his own", async () => {
  const same = new RpcError(Code.PERMISSION_DENIED, "no", { metadata: { a: "1" } });
  const scene = new ChannelScene({ interceptors: [() => Promise.reject(same)] });
  const first = await failure(scene.call("say", "a"));
  const second = await failure(scene.call("read", "b"));
  const third = await failure(scene.call("read", "c"));
  expect([first.method, second.method, third.method]).toEqual([SAY, READ, READ]);
  expect([second.code, second.text, second.cause, third.cause]).toEqual([Code.PERMISSION_DENIED, "no", same, same]);
  expect(second.metadata.get("a")).toBe("1");
  expect(new Set([first, second, third]).size).toBe(3);
  const { value } = await read(scene.stream("follow", "d")).catch((error: unknown) => ({ value: error }));
  expect((value as RpcError).method).toContain("Follow");
});

it("the error of a call stays itself on its way through interceptors", async () => {
  const seen: unknown[] = [];
  const look = async (call: never, next: (call: never) => Promise<unknown>): Promise<unknown> => {
    try {
      return await next(call);
    } catch (error) {
      seen.push(error);
      throw error;
    }
  };
  const scene = new ChannelScene({ interceptors: [look, look] as never });
  const call = scene.call("say", "x", { timeoutMs: 100 });
  await scene.connected();
  await scene.clock.advance(100);
  const error = await failure(call);
  expect(seen).toEqual([error, error]);
  expect(seen[0]).toBe(error);
  expect(error.sent).toBe(true);
});

it("the error of another call that an interceptor made is the cause, and what it says of that call stays", async () => {
  const inner = new RpcError(Code.NOT_FOUND, "no token", {
    method: "/auth.Tokens/Get",
    instance: "10.9.9.9:1",
    attempt: 3,
  });
  const scene = new ChannelScene({ interceptors: [() => Promise.reject(inner)] });
  const error = await failure(scene.call("say", "x"));
  expect([error.method, error.attempt, error.instance]).toEqual([expect.stringContaining("Say"), 0, undefined]);
  expect(error.cause).toBe(inner);
  expect([inner.method, inner.attempt, inner.instance]).toEqual(["/auth.Tokens/Get", 3, "10.9.9.9:1"]);
});

it("what an async onHeader rejects with ends the call, and one that comes too late is caught", async () => {
  const scene = new ChannelScene();
  const peer = await scene.connected();
  const open = scene.stream("follow", "x", { onHeader: () => Promise.reject(new Error("in onHeader")) });
  const next = read(open);
  const late = scene.call("say", "y", { onTrailer: async () => Promise.reject(new Error("in onTrailer")) });
  await settle();
  peer.headers(1, [
    [":status", "200"],
    ["content-type", "application/grpc"],
  ]);
  answer(peer, 3, "y");
  expect(await late).toBe("y");
  expect(await failure(next)).toMatchObject({ code: Code.UNKNOWN, text: "in onHeader" });
  // An unhandled rejection would fail the run.
  await new Promise((resolve) => setImmediate(resolve));
});

function read(messages: AsyncIterable<unknown>): Promise<IteratorResult<unknown>> {
  return messages[Symbol.asyncIterator]().next();
}
