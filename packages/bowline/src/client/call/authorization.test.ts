import { describe, expect, it } from "vitest";
import { certPair, certPath } from "../../../test/certs.ts";
import { useScene } from "../../../test/client/client-scene.ts";
import { collect, echoNotes, type NoteHandlers, NoteService } from "../../../test/client/note-service.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { appToken } from "../../auth/app-token.ts";
import { bearer } from "../../auth/bearer.ts";
import { appCredentials, bearerCredentials, type CallCredentials } from "../../auth/call-credentials.ts";
import type { ExpiringToken, TokenSource } from "../../auth/token-source.ts";
import { Code } from "../../rpc/code.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { AuthenticationOptions } from "../../server/guard.ts";
import { inMemory } from "../../testing/in-memory.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import type { ClientOptions } from "../client-options.ts";
import { createClient } from "../create-client.ts";

const scene = useScene();
const SECRET = "s3cr3t";

interface Setting {
  readonly handlers?: Partial<NoteHandlers>;
  readonly client?: ClientOptions;
  readonly authenticate?: AuthenticationOptions;
}

/** A client with credentials, joined in memory with a server that tells what it was sent, in virtual time. */
async function joined(credentials: CallCredentials, setting: Setting = {}) {
  const clock = new VirtualClock();
  const seen: unknown[] = [];
  const note = (text: string, { metadata }: { metadata: { getAll(key: string): unknown[] } }): string => {
    seen.push(...metadata.getAll("authorization"));
    return text;
  };
  const { handlers, client, authenticate } = setting;
  const memory = await inMemory(
    NoteService,
    { ...echoNotes, say: note, read: note, ...handlers },
    { clock, server: { authenticate }, client: { credentials, retry: false, ...client } },
  );
  scene.onClose(() => memory.close());
  return { ...memory, clock, seen };
}

const token = (source: string | TokenSource, more: object = {}): CallCredentials =>
  bearerCredentials({ token: source, allowPlaintext: true, ...more });

/** Gives token 1, 2, …, each of which lasts so long. */
function numbered(expiresInMs?: number): { source: () => ExpiringToken; count(): number } {
  let count = 0;
  return { source: () => ({ token: `t${++count}`, expiresInMs }), count: () => count };
}

describe("credentials of a client", () => {
  it("go with calls of all kinds", async () => {
    const authenticate = { by: bearer({ verify: (text) => (text === SECRET ? { name: "a" } : null) }) };
    const { client } = await joined(
      token(async () => SECRET),
      { authenticate },
    );
    expect(await client.say("x")).toBe("x");
    expect(await collect(client.follow("y"))).toEqual(["y", "y", "y"]);
    expect(await client.join(["a", "b"])).toBe("a b");
    expect(await collect(client.chat(["a", "b"]))).toEqual(["a", "b"]);
  });

  it("are seen by no interceptor, and add to the metadata of a call without changing it", async () => {
    const views: unknown[] = [];
    const { client, seen } = await joined(token(SECRET), {
      client: {
        interceptors: [
          (call, next) => {
            views.push(call.metadata.toJSON());
            return next(call);
          },
        ],
      },
    });
    await client.say("x", { metadata: { a: "1" } });
    expect(views).toEqual([{ a: ["1"] }]);
    expect(seen).toEqual([`Bearer ${SECRET}`]);
  });

  it("give way to what a call says itself", async () => {
    const { client, seen } = await joined(token(SECRET));
    await client.say("x", { metadata: { authorization: "Bearer own" } });
    expect(seen).toEqual(["Bearer own"]);
  });

  it("stand among the layers", async () => {
    const { client } = await joined(token(SECRET));
    const names = client
      .describe()
      .split("\n")
      .map((line) => line.split(" ")[0]);
    expect(names).toEqual(["trace", "metrics", "deadline", "retry", "credentials", "pick", "transport"]);
  });

  it("of go-zero open its servers", async () => {
    const authenticate = { by: appToken({ tokens: { billing: SECRET } }) };
    const { client } = await joined(appCredentials({ app: "billing", token: SECRET, allowPlaintext: true }), {
      authenticate,
    });
    expect(await client.say("x")).toBe("x");
    const wrong = await joined(appCredentials({ app: "billing", token: "x", allowPlaintext: true }), { authenticate });
    expect((await failure(wrong.client.say("x"))).message).toBe("[UNAUTHENTICATED] access denied");
  });
});

describe("without TLS", () => {
  const all = [bearerCredentials({ token: SECRET }), appCredentials({ app: "a", token: SECRET })];

  it.each(all)("credentials are not sent unless they say so", (credentials) => {
    for (const tls of [undefined, false] as const) {
      expect(() => createClient(NoteService, "127.0.0.1:1", { tls, credentials })).toThrow(
        new TypeError(
          "createClient options.credentials would be sent without TLS, for everybody on the way to read: set tls, or allowPlaintext: true where the credentials are made",
        ),
      );
    }
  });

  it.each(all)("they are sent with it", async (credentials) => {
    const server = await scene.server(
      { say: (_text, { metadata }) => `${metadata.get("authorization") ?? metadata.get("token")}` },
      { tls: certPair("server") },
    );
    const client = scene.client(`localhost:${server.port}`, {
      tls: { authorities: certPath("authority.crt") },
      credentials,
    });
    expect(await client.say("x")).toMatch(/^(Bearer )?s3cr3t$/);
  });
});

describe("a token that is got", () => {
  it("is got once for all calls that wait for it", async () => {
    let asked = 0;
    let give = (_token: string): void => {};
    const source = () => {
      asked++;
      return new Promise<string>((resolve) => {
        give = resolve;
      });
    };
    const { client, seen } = await joined(token(source));
    const calls = Array.from({ length: 50 }, () => client.say("x"));
    expect([asked, seen]).toEqual([1, []]);
    give("t1");
    await Promise.all(calls);
    await client.say("x");
    expect([asked, new Set(seen), seen.length]).toEqual([1, new Set(["Bearer t1"]), 51]);
  });

  it("is got anew before it ends, while calls still use the old one", async () => {
    const { source, count } = numbered(600_000);
    const { client, clock, seen } = await joined(token(source));
    await client.say("x");
    await clock.advance(539_000);
    await client.say("x");
    expect(count()).toBe(1);
    await clock.advance(2000);
    await client.say("x");
    await client.say("x");
    expect(seen).toEqual(["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2"]);
  });

  it("of a short life is got anew in the middle of it", async () => {
    const { source, count } = numbered(10_000);
    const { client, clock } = await joined(token(source));
    await client.say("x");
    await clock.advance(4000);
    await client.say("x");
    expect(count()).toBe(1);
    await clock.advance(2000);
    await client.say("x");
    expect(count()).toBe(2);
  });

  it("that has ended is never sent", async () => {
    const { source } = numbered(10_000);
    const { client, clock, seen } = await joined(token(source));
    await client.say("x");
    await clock.advance(10_001);
    await client.say("x");
    expect(seen).toEqual(["Bearer t1", "Bearer t2"]);
  });

  it("that can't be got anew is used until it ends; then calls fail", async () => {
    let isBroken = false;
    const source = () => {
      if (isBroken) throw new Error(`no token for ${SECRET}`);
      return { token: "t1", expiresInMs: 10_000 };
    };
    const { client, clock, seen } = await joined(token(source));
    await client.say("x");
    isBroken = true;
    await clock.advance(6000);
    await client.say("x");
    await clock.advance(5000);
    const error = await failure(client.say("x"));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "credentials", sent: false, attempt: 0 });
    expect(error.text).toBe("the token source failed (Error): no credentials to send");
    expect(error.cause).toMatchObject({ message: `no token for ${SECRET}` });
    expect(seen).toEqual(["Bearer t1", "Bearer t1"]);
  });

  it.each<[string, TokenSource, number, string]>([
    [
      "a rejection",
      () => Promise.reject(new TypeError(SECRET)),
      Code.UNAVAILABLE,
      "the token source failed (TypeError): no credentials to send",
    ],
    [
      "UNAUTHENTICATED",
      () => Promise.reject(new RpcError(Code.UNAUTHENTICATED, SECRET)),
      Code.UNAUTHENTICATED,
      "the token source failed (RpcError): no credentials to send",
    ],
    [
      "another code",
      () => Promise.reject(new RpcError(Code.INTERNAL, SECRET)),
      Code.UNAVAILABLE,
      "the token source failed (RpcError): no credentials to send",
    ],
    ["nothing", () => undefined as never, Code.UNAVAILABLE, "the token source gave no token"],
    ["an empty token", () => "", Code.UNAVAILABLE, "the token source gave no token"],
    [
      "one that has ended",
      () => ({ token: SECRET, expiresInMs: 0 }),
      Code.UNAVAILABLE,
      "the token source gave a token that has expired already",
    ],
    [
      "one with a line end",
      () => `${SECRET}\r\nx: y`,
      Code.UNAVAILABLE,
      "bearerCredentials options.token() is empty, or has a space or a character outside ASCII: give the text as it was issued, without a line end",
    ],
  ])("by a source that gives %s ends calls", async (_what, source, code, text) => {
    const { client } = await joined(token(source));
    const errors = await Promise.all([failure(client.say("x")), failure(collect(client.chat(["x"])))]);
    for (const error of errors) {
      expect(error).toMatchObject({ code, text, reason: "credentials", sent: false });
      expect(error.message).not.toContain(SECRET);
    }
    expect(errors[0]).not.toBe(errors[1]);
  });

  it("by a source that does not answer fails after its time, and within the call's deadline", async () => {
    let signal: AbortSignal | undefined;
    const source: TokenSource = (request) => {
      signal = request.signal;
      return new Promise(() => {});
    };
    const { client, clock } = await joined(token(source));
    const late = failure(client.say("x", { timeoutMs: 100 }));
    const patient = failure(client.say("x", { timeoutMs: 0 }));
    await clock.advance(110);
    expect((await late).text).toBe("deadline of 100 ms exceeded: the credentials have not come");
    expect(signal?.aborted).toBe(false);
    await clock.advance(9_900);
    expect((await patient).text).toBe("the token source gave nothing within 10000 ms");
    expect(signal?.aborted).toBe(true);
  });

  it("by a source that fails is not asked for more than once a second", async () => {
    let asked = 0;
    const source = () => {
      asked++;
      return Promise.reject(new Error("down"));
    };
    const { client, clock } = await joined(token(source));
    for (let i = 0; i < 5; i++) await failure(client.say("x"));
    expect(asked).toBe(1);
    await clock.advance(1001);
    await failure(client.say("x"));
    expect(asked).toBe(2);
  });
});

describe("a token that a server does not take", () => {
  const challenged = (accepts: () => string): AuthenticationOptions => ({
    by: bearer({ verify: (text) => (text === accepts() ? { name: "a" } : null) }),
  });

  it("is replaced for the next call", async () => {
    const { source, count } = numbered();
    let accepted = "t1";
    const { client, clock } = await joined(token(source), { authenticate: challenged(() => accepted) });
    await client.say("x");
    accepted = "t2";
    await clock.advance(1001);
    expect((await failure(client.say("x"))).code).toBe(Code.UNAUTHENTICATED);
    expect(await client.say("x")).toBe("x");
    expect(count()).toBe(2);
  });

  it("is not replaced while it is new: a server that takes none must not make a client ask for more and more", async () => {
    const { source, count } = numbered();
    const { client } = await joined(token(source), { authenticate: challenged(() => "other") });
    for (let i = 0; i < 5; i++) await failure(client.say("x"));
    expect(count()).toBe(1);
  });

  it("stays when it was not what the call sent", async () => {
    const { source, count } = numbered();
    const { client, clock } = await joined(token(source), { authenticate: challenged(() => "t1") });
    await client.say("x");
    await clock.advance(1001);
    const own = { metadata: { authorization: "Bearer other" } };
    expect(await failure(client.say("x", own))).toMatchObject({ code: Code.UNAUTHENTICATED, attempt: 1 });
    expect(await client.say("x")).toBe("x");
    expect(count()).toBe(1);
  });

  /** Credentials that have changed by the time that an answer comes. */
  function changing(): { credentials: CallCredentials; sent(): number } {
    const tokens = ["t1", "t2", "t3"].map((text) => token(text));
    let asked = 0;
    const next = (clock: Parameters<CallCredentials["current"]>[0]) => tokens[Math.min(asked++, 2)].current(clock);
    const credentials = { ...tokens[0], current: next };
    return { credentials, sent: () => asked };
  }

  it("makes the call anew, once, when another has come meanwhile", async () => {
    const first = await joined(changing().credentials, { authenticate: challenged(() => "t2") });
    await first.client.channel.connect();
    expect(await first.client.say("x")).toBe("x");
    expect(first.seen).toEqual(["Bearer t2"]);
    const second = await joined(changing().credentials, { authenticate: challenged(() => "t3") });
    await second.client.channel.connect();
    expect(await failure(second.client.say("x"))).toMatchObject({ code: Code.UNAUTHENTICATED, attempt: 2 });
  });

  it("does not make it anew when a handler may have run, unless the method is idempotent", async () => {
    let ran = 0;
    const refuse = (): never => {
      ran++;
      throw new RpcError(Code.UNAUTHENTICATED, "somebody further in does not know us");
    };
    const { client } = await joined(changing().credentials, { handlers: { say: refuse, read: refuse } });
    expect((await failure(client.say("x"))).attempt).toBe(1);
    expect(ran).toBe(1);
    const idempotent = await joined(changing().credentials, { handlers: { read: refuse } });
    await idempotent.client.channel.connect();
    expect((await failure(idempotent.client.read("x"))).attempt).toBe(2);
  });
});

describe("wrong credentials", () => {
  it.each<[() => unknown, string]>([
    [
      () => bearerCredentials({ token: `${SECRET}\n` }),
      "TypeError: bearerCredentials options.token is empty, or has a space or a character outside ASCII: give the text as it was issued, without a line end",
    ],
    [
      () => bearerCredentials({} as never),
      "TypeError: bearerCredentials options.token is undefined: give the text as it was issued, without a line end",
    ],
    [
      () => bearerCredentials({ token: "a", timeoutMs: 0 }),
      "RangeError: bearerCredentials options.timeoutMs is 0: give a number of ms from 1 to 600000",
    ],
    [
      () => bearerCredentials({ token: "a", refreshMs: 5 } as never),
      "TypeError: bearerCredentials options.refreshMs is not an option; known are token, refreshBeforeMs, timeoutMs, allowPlaintext",
    ],
    [
      () => appCredentials({ app: "", token: SECRET }),
      "TypeError: appCredentials options.app is empty, or has a space or a character outside ASCII: give the text as it was issued, without a line end",
    ],
    [
      () => appCredentials({ app: "a", token: `${SECRET} x` }),
      "TypeError: appCredentials options.token is empty, or has a space or a character outside ASCII: give the text as it was issued, without a line end",
    ],
    [
      () => createClient(NoteService, "a:1", { credentials: { token: SECRET } as never }),
      "TypeError: createClient options.credentials.current is missing: give bearerCredentials({ token })",
    ],
  ])("are told, without the secret: %s", (make, message) => {
    let told = "";
    try {
      make();
    } catch (error) {
      told = String(error);
    }
    expect(told).toBe(message);
    expect(told).not.toContain(SECRET);
  });
});
