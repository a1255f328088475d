import { describe, expect, it } from "vitest";
import { useScene } from "../../../test/client/client-scene.ts";
import { collect, echoNotes, NoteService } from "../../../test/client/note-service.ts";
import { failure, gate } from "../../../test/client/outcomes.ts";
import { bearer } from "../../auth/bearer.ts";
import type { CallCredentials, Credential } from "../../auth/call-credentials.ts";
import { CallContext, callStorage } from "../../rpc/call-context.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { inMemory } from "../../testing/in-memory.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";

const scene = useScene();
const SECRET = "s3cr3t";
const credential = (token: string): Credential => ({ metadata: new Metadata({ authorization: `Bearer ${token}` }) });
const [good, bad] = [credential("good"), credential("bad")];

function threw(error: unknown = new TypeError(`no ${SECRET}`)): () => never {
  return () => {
    throw error;
  };
}

/**
 * A client with credentials that begin to do what `own` does once a call of somebody else runs on the connection. The server takes one
 * token.
 */
async function joined(own: object) {
  const held = gate();
  const credentials: CallCredentials = {
    allowPlaintext: true,
    current: () => good,
    fresh: async () => good,
    refused: () => {},
  };
  const memory = await inMemory(
    NoteService,
    { ...echoNotes, join: () => held.opened.then(() => "done") },
    {
      clock: new VirtualClock(),
      server: { authenticate: { by: bearer({ verify: (text) => (text === "good" ? { name: "a" } : null) }) } },
      client: { retry: false, credentials },
    },
  );
  scene.onClose(() => memory.close());
  const { client } = memory;
  const other = client.join([]);
  await settle();
  Object.assign(credentials, own);
  /** The call of somebody else has gone on, and nothing is counted that has ended. */
  const isUntouched = async (): Promise<void> => {
    held.open();
    expect(await other).toBe("done");
    const { stats, endpoints } = client.channel;
    expect([...stats, ...endpoints].map(({ inFlight }) => inFlight)).toEqual(Array(stats.length + 1).fill(0));
  };
  return { client, isUntouched };
}

describe("credentials of one's own", () => {
  const notReached = { reason: "credentials", sent: false, attempt: 0 };
  const what = "gave what is none: give { metadata: new Metadata({ … }) }";

  it.each<[string, object, object]>([
    [
      "current() throws",
      { current: threw() },
      { ...notReached, code: Code.INTERNAL, text: "the credentials threw in current (TypeError)" },
    ],
    [
      "current() gives nothing",
      { current: () => undefined },
      { ...notReached, code: Code.INTERNAL, text: `current() of the credentials ${what}` },
    ],
    [
      "current() throws an RpcError",
      { current: threw(new RpcError(Code.UNAUTHENTICATED, "signed out")) },
      { ...notReached, code: Code.UNAUTHENTICATED, text: "signed out" },
    ],
    [
      "fresh() throws",
      { current: () => null, fresh: threw() },
      { ...notReached, code: Code.UNAVAILABLE, text: "the credentials could not be got (TypeError)" },
    ],
    [
      "fresh() rejects",
      { current: () => null, fresh: () => Promise.reject(new TypeError(`no ${SECRET}`)) },
      { ...notReached, code: Code.UNAVAILABLE, text: "the credentials could not be got (TypeError)" },
    ],
    [
      "fresh() rejects with an RpcError",
      { current: () => null, fresh: () => Promise.reject(new RpcError(Code.UNAUTHENTICATED, "signed out")) },
      { ...notReached, code: Code.UNAUTHENTICATED, text: "signed out" },
    ],
    [
      "fresh() rejects with an RpcError that says OK",
      { current: () => null, fresh: () => Promise.reject(new RpcError(Code.OK, "signed out")) },
      { ...notReached, code: Code.UNAVAILABLE, text: "the credentials could not be got (RpcError)" },
    ],
    [
      "fresh() gives nothing",
      { current: () => null, fresh: async () => undefined },
      { ...notReached, code: Code.INTERNAL, text: `fresh() of the credentials ${what}` },
    ],
    [
      "fresh() gives what is no Metadata",
      { current: () => null, fresh: async () => ({ metadata: { authorization: SECRET } }) },
      { ...notReached, code: Code.INTERNAL, text: `fresh() of the credentials ${what}` },
    ],
  ])("end the call that asks, and no other, when %s", async (_when, own, error) => {
    const { client, isUntouched } = await joined(own);
    const errors = await Promise.all([failure(client.say("x")), failure(collect(client.follow("x")))]);
    for (const each of errors) {
      expect(each).toMatchObject(error);
      expect(each.message).not.toContain(SECRET);
    }
    expect(errors[0]).not.toBe(errors[1]);
    await isUntouched();
  });

  it("end the call that a server has refused, and no other, when current() throws then", async () => {
    let asked = 0;
    const { client, isUntouched } = await joined({ current: () => (asked++ === 0 ? bad : threw()()) });
    expect(await failure(client.say("x"))).toMatchObject({
      code: Code.INTERNAL,
      text: "the credentials threw in current (TypeError)",
      attempt: 1,
    });
    await isUntouched();
  });

  it("end the next call, and no other, when refused() throws: the one that was refused has its answer", async () => {
    const { client, isUntouched } = await joined({ current: () => bad, refused: threw() });
    expect(await failure(client.say("x"))).toMatchObject({ code: Code.UNAUTHENTICATED, origin: "remote" });
    expect(await failure(client.say("x"))).toMatchObject({
      ...notReached,
      code: Code.INTERNAL,
      text: "the credentials threw in refused (TypeError)",
    });
    expect(await failure(client.say("x"))).toMatchObject({ code: Code.UNAUTHENTICATED, origin: "remote" });
    await isUntouched();
  });

  it("are got for all calls: not as part of the one that is being served where they were needed first", async () => {
    const within: unknown[] = [];
    const fresh = async () => {
      within.push(callStorage.getStore());
      return good;
    };
    const { client, isUntouched } = await joined({ current: () => null, fresh });
    expect(await callStorage.run(new CallContext(), () => client.say("x"))).toBe("x");
    expect(within).toEqual([undefined]);
    await isUntouched();
  });
});
