import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { echoNotes, NoteService } from "../../test/client/note-service.ts";
import { failure, gate } from "../../test/client/outcomes.ts";
import { CallContext, callStorage } from "../rpc/call-context.ts";
import type { Timer } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { inMemory } from "../testing/in-memory.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { bearerCredentials } from "./call-credentials.ts";
import type { ExpiringToken } from "./token-source.ts";

const scene = useScene();

/** Tells who wants the process to live on. */
class HoldingClock extends VirtualClock {
  held = 0;

  hold(): Timer {
    this.held++;
    return { cancel: () => void this.held-- };
  }
}

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

  it("keeps the process alive while calls wait for it, and not for what is got in the background", async () => {
    const clock = new HoldingClock();
    const answers: ((token: ExpiringToken) => void)[] = [];
    const token = () => new Promise<ExpiringToken>((resolve) => answers.push(resolve));
    const credentials = bearerCredentials({ token, allowPlaintext: true, timeoutMs: 1000 });
    const calls = [credentials.fresh(clock), credentials.fresh(clock)];
    expect(clock.held).toBe(1);
    answers[0]({ token: "t1", expiresInMs: 10_000 });
    await Promise.all(calls);
    expect(clock.held).toBe(0);
    await clock.advance(6000);
    credentials.current(clock);
    expect([answers.length, clock.held]).toEqual([2, 0]);
    const late = failure(credentials.fresh(clock));
    expect(clock.held).toBe(1);
    await clock.advance(1000);
    expect((await late).message).toBe("[UNAVAILABLE] the token source gave nothing within 1000 ms");
    await failure(credentials.fresh(clock));
    expect(clock.held).toBe(0);
  });
});
