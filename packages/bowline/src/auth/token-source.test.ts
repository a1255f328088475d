import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { echoNotes, NoteService } from "../../test/client/note-service.ts";
import { failure, gate } from "../../test/client/outcomes.ts";
import { CallContext, callStorage } from "../rpc/call-context.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { inMemory } from "../testing/in-memory.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { bearerCredentials } from "./call-credentials.ts";

const scene = useScene();

describe("a token source", () => {
  it("gets a token by a call that outlives the one that needed it first", async () => {
    const clock = new VirtualClock();
    const [asked, given] = [gate(), gate<string>()];
    const give = (): Promise<string> => {
      asked.open();
      return given.opened;
    };
    const tokens = await inMemory(NoteService, { ...echoNotes, say: give }, { clock });
    scene.onClose(() => tokens.close());
    const credentials = bearerCredentials({ token: () => tokens.client.say("a token, please"), allowPlaintext: true });
    const notes = await inMemory(NoteService, echoNotes, { clock, client: { credentials } });
    scene.onClose(() => notes.close());
    const served = new CallContext();
    const first = callStorage.run(served, () => notes.client.say("first"));
    await asked.opened;
    const second = notes.client.say("second");
    served.cancel(new RpcError(Code.CANCELLED, "its caller has gone"));
    expect((await failure(first)).code).toBe(Code.CANCELLED);
    given.open("t1");
    expect(await second).toBe("second");
  });

  it("is asked outside of all calls that are being served, for the first token and for the next", async () => {
    const clock = new VirtualClock();
    const within: unknown[] = [];
    const token = () => {
      within.push(callStorage.getStore());
      return { token: `t${within.length}`, expiresInMs: 10_000 };
    };
    const credentials = bearerCredentials({ token });
    await callStorage.run(new CallContext(), () => credentials.fresh(clock));
    await clock.advance(6000);
    callStorage.run(new CallContext(), () => credentials.current(clock));
    expect(within).toEqual([undefined, undefined]);
  });
});
