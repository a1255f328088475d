import { describe, expect, it } from "vitest";
import { useScene } from "../../../test/client/client-scene.ts";
import { echoNotes, NoteService } from "../../../test/client/note-service.ts";
import { bearer } from "../../auth/bearer.ts";
import { bearerCredentials } from "../../auth/call-credentials.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { inMemory } from "../../testing/in-memory.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";

const scene = useScene();

/** A client whose tokens 1, 2, … last 10 s each, and a server that notes them; `read` can't be served the first time. */
async function joined() {
  const clock = new VirtualClock();
  const seen: string[] = [];
  let asked = 0;
  let reads = 0;
  const verify = (token: string) => {
    seen.push(token);
    return { name: "a" };
  };
  const read = (text: string): string => {
    if (reads++ > 0) return text;
    throw new RpcError(Code.UNAVAILABLE, "later", { metadata: new Metadata({ "retry-after": "20" }) });
  };
  const source = () => ({ token: `t${++asked}`, expiresInMs: 10_000 });
  const memory = await inMemory(
    NoteService,
    { ...echoNotes, read },
    {
      clock,
      server: { authenticate: { by: bearer({ verify }) } },
      client: {
        credentials: bearerCredentials({ token: source, allowPlaintext: true }),
        retry: { baseMs: 60_000, maxMs: 60_000 },
        timeoutMs: 0,
      },
    },
  );
  scene.onClose(() => memory.close());
  return { ...memory, clock, seen };
}

describe("a token that ends while its call waits", () => {
  it.each([["a call"], ["two calls"]])("for a connection gives way to a new one: %s", async (which) => {
    const { client, network, address, clock, seen } = await joined();
    await client.say("first");
    network.refuse(address);
    for (const link of network.links(address)) link.reset();
    await clock.advance(100);
    const texts = which === "a call" ? ["x"] : ["x", "y"];
    const calls = texts.map((text) => client.say(text, { waitForReady: true }));
    await clock.advance(20_000);
    network.accept(address);
    await clock.advance(20_000);
    expect(await Promise.all(calls)).toEqual(texts);
    expect(new Set(seen)).toEqual(new Set(["t1", "t2"]));
    expect(seen).toHaveLength(1 + texts.length);
  });

  it("for its next attempt gives way to a new one", async () => {
    const { client, clock, seen } = await joined();
    const call = client.read("x");
    await clock.advance(60_000);
    expect(await call).toBe("x");
    expect(seen).toEqual(["t1", "t2"]);
  });
});

describe("a call that is made anew because its credentials were refused", () => {
  it("has its retries left", async () => {
    const [first, second] = ["t1", "t2"].map((token) => ({
      metadata: new Metadata({ authorization: `Bearer ${token}` }),
    }));
    let asked = 0;
    let ran = 0;
    const read = (text: string): string => {
      if (ran++ > 0) return text;
      throw new RpcError(Code.UNAVAILABLE, "restarting");
    };
    const memory = await inMemory(
      NoteService,
      { ...echoNotes, read },
      {
        server: { authenticate: { by: bearer({ verify: (token) => (token === "t2" ? { name: "a" } : null) }) } },
        client: {
          credentials: {
            allowPlaintext: true,
            current: () => (asked++ === 0 ? first : second),
            fresh: async () => second,
            refused: () => {},
          },
          retry: { maxAttempts: 2, baseMs: 1, maxMs: 1 },
        },
      },
    );
    scene.onClose(() => memory.close());
    await memory.client.channel.connect();
    expect(await memory.client.read("x")).toBe("x");
    expect(ran).toBe(2);
  });
});
