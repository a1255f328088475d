import { describe, expect, it } from "vitest";
import { certPair, certPath } from "../../test/certs.ts";
import { useScene } from "../../test/client/client-scene.ts";
import { collect, echoNotes, NoteService } from "../../test/client/note-service.ts";
import { failure } from "../../test/client/outcomes.ts";
import { gate, useScenes } from "../../test/server/server-scene.ts";
import { appToken } from "../auth/app-token.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { bearer } from "../auth/bearer.ts";
import { mutualTls } from "../auth/mutual-tls.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { inMemory } from "../testing/in-memory.ts";
import { grpcMessage, grpcRequestFields } from "../testing/raw-frames.ts";
import { createServer } from "./create-server.ts";
import type { AuthenticationOptions } from "./guard.ts";
import type { ServerInterceptor } from "./pipeline.ts";
import type { ServerContext } from "./server-context.ts";

const scene = useScene();
const scenes = useScenes();

const known = new Map([
  ["alpha", "alice"],
  ["beta", "bob"],
]);
const names = (token: string) => (known.has(token) ? { name: known.get(token) ?? "" } : null);
const NOW = bearer({ verify: names });
const LATER = bearer({ verify: async (token) => names(token) });
const as = (token: string) => ({ metadata: { authorization: `Bearer ${token}` } });

async function guarded(authenticate: AuthenticationOptions, handlers: Partial<typeof echoNotes> = {}) {
  const memory = await inMemory(NoteService, { ...echoNotes, ...handlers }, { server: { authenticate } });
  scene.onClose(() => memory.close());
  return memory;
}

describe.each([
  ["at once", NOW],
  ["after a while", LATER],
])("a server that finds out who calls %s", (_when, by) => {
  it("lets all kinds of calls in, and tells handlers who it is", async () => {
    const seen: unknown[] = [];
    const say = (text: string, { identity }: ServerContext): string => {
      seen.push(identity);
      return text;
    };
    const { client } = await guarded({ by }, { say });
    expect(await client.say("x", as("alpha"))).toBe("x");
    expect(seen).toEqual([{ scheme: "bearer", name: "alice", names: ["bearer:alice"], claims: {} }]);
    expect(await collect(client.follow("y", as("beta")))).toEqual(["y", "y", "y"]);
    expect(await client.join(["a", "b"], as("alpha"))).toBe("a b");
    expect(await collect(client.chat(["a", "b"], as("alpha")))).toEqual(["a", "b"]);
    const large = "x".repeat(1_000_000);
    expect(await client.say(large, as("alpha"))).toBe(large);
    expect(await client.say(large, { ...as("alpha"), compression: "gzip" })).toBe(large);
    expect(await client.join([large, large], as("alpha"))).toHaveLength(2_000_001);
  });

  it("answers UNAUTHENTICATED before it decodes anything or runs anything of the user's", async () => {
    let ran = 0;
    const count = (): string => `${++ran}`;
    const interceptor: ServerInterceptor = (call, next) => {
      count();
      return next(call);
    };
    const memory = await inMemory(
      NoteService,
      { say: count, join: count, read: count },
      { server: { authenticate: { by }, interceptors: [interceptor] } },
    );
    scene.onClose(() => memory.close());
    const { client, server } = memory;
    // "\0" can't be decoded.
    for (const options of [{}, as("gamma"), as("no good"), { metadata: { authorization: "Basic YTpi" } }]) {
      for (const call of [
        client.say("\0", options),
        client.join(["\0"], options),
        collect(client.follow("\0", options)),
      ]) {
        expect(await failure(call)).toMatchObject({ code: Code.UNAUTHENTICATED, origin: "remote" });
      }
    }
    expect(await failure(client.say("\0", as("alpha")))).toMatchObject({ code: Code.INTERNAL });
    expect(ran).toBe(0);
    const say = server.stats.find(({ method }) => method === "/note.v1.Notes/Say");
    expect(say).toMatchObject({ started: 5, inFlight: 0 });
  });

  it("answers PERMISSION_DENIED to a known caller without the right, before the body is decoded", async () => {
    const { client } = await guarded({ by, allow: { "/note.v1.Notes/Say": ["bearer:alice"], "*": "authenticated" } });
    expect(await client.say("x", as("alpha"))).toBe("x");
    const error = await failure(client.say("\0", as("beta")));
    expect(error.message).toBe('[PERMISSION_DENIED] bearer "bob" may not call /note.v1.Notes/Say');
    expect(await client.read("x", as("beta"))).toBe("x");
    expect((await failure(client.read("x"))).code).toBe(Code.UNAUTHENTICATED);
  });

  it("does not wait for a body to refuse a call", async () => {
    const test = await scenes.start({}, { authenticate: { by } });
    const peer = await test.rawPeer();
    await peer.handshake();
    peer.headers(1, grpcRequestFields("/text.v1.Text/Say"));
    const { headers, isEnd } = await peer.expect("HEADERS");
    expect([headers?.["grpc-status"], headers?.["www-authenticate"], isEnd]).toEqual(["16", "Bearer", true]);
    expect(test.server.stats.reduce((sum, { inFlight }) => sum + inFlight, 0)).toBe(0);
  });
});

describe("while it is not known who calls", () => {
  async function held() {
    const asked = gate();
    const answer = gate<{ name: string } | null>();
    let ran = 0;
    const verify = () => {
      asked.open();
      return answer.opened;
    };
    const test = await scenes.start(
      { say: (text) => `${++ran} ${text.length}` },
      { authenticate: { by: bearer({ verify }) } },
    );
    const peer = await test.rawPeer();
    await peer.handshake();
    const fields = grpcRequestFields("/text.v1.Text/Say", [["authorization", "Bearer alpha"]]);
    return { server: test.server, peer, fields, asked, answer, ran: () => ran };
  }

  it("a body gets no window beyond the first, and all of it afterwards", async () => {
    const { peer, fields, asked, answer, ran } = await held();
    const body = grpcMessage(Buffer.alloc(400_000, "x"));
    peer.headers(1, fields);
    await asked.opened;
    for (let at = 0; at < 262_144; at += 16_384) peer.data(1, body.subarray(at, Math.min(at + 16_384, 262_144)));
    await peer.roundTrip();
    const windows = () => peer.received.filter(({ type, streamId }) => type === "WINDOW_UPDATE" && streamId === 1);
    expect(windows()).toEqual([]);
    expect(ran()).toBe(0);
    answer.open({ name: "alice" });
    await peer.expect("WINDOW_UPDATE", ({ streamId }) => streamId === 1);
    for (let at = 262_144; at < body.length; at += 16_384) {
      peer.data(1, body.subarray(at, at + 16_384), { end: at + 16_384 >= body.length });
    }
    await peer.expect("HEADERS", ({ isEnd }) => isEnd);
    expect(ran()).toBe(1);
  });

  it("a second message ends the call, and a reset does; the handler does not run", async () => {
    const { peer, fields, asked, answer, ran, server } = await held();
    peer.headers(1, fields).data(1, Buffer.concat([grpcMessage(Buffer.from("a")), grpcMessage(Buffer.from("b"))]));
    expect((await peer.expect("HEADERS")).headers?.["grpc-status"]).toBe(String(Code.UNIMPLEMENTED));
    peer.headers(3, fields).data(3, grpcMessage(Buffer.from("a")), { end: true });
    await asked.opened;
    peer.rst(3, 8);
    await peer.roundTrip();
    answer.open({ name: "alice" });
    await peer.roundTrip();
    expect(ran()).toBe(0);
    expect(server.stats.reduce((sum, { inFlight }) => sum + inFlight, 0)).toBe(0);
  });
});

describe("an authenticator that fails", () => {
  const secret = "s3cr3t-value";

  it.each<[string, () => never | Promise<never> | unknown]>([
    [
      "by throwing",
      () => {
        throw new Error(`bad token ${secret}`);
      },
    ],
    ["by a rejection", () => Promise.reject(new TypeError(`bad token ${secret}`))],
    ["by giving something else", () => ({ secret })],
    ["by giving nothing", () => undefined],
    ["by giving a promise of nothing", async () => undefined],
  ])("%s lets nobody in, and shows no secret", async (_how, authenticate) => {
    const by = { scheme: "own", required: "a secret is required", authenticate } as Authenticator;
    const { client, log } = await guarded({ by });
    const error = await failure(client.say("x", as(secret)));
    expect(error.message).toBe("[UNAVAILABLE] the credentials could not be checked");
    expect(log.map(({ message }) => message)).toEqual([
      "an authenticator failed; its message is left out, it may hold the secret",
    ]);
    expect(JSON.stringify(log)).not.toContain(secret);
  });

  it("is logged with the words that it has for the log, and with no others", async () => {
    const trouble = Object.assign(new Error(secret), { safeText: "the directory can't be reached: ECONNREFUSED" });
    const { client, log } = await guarded({ by: bearer({ verify: () => Promise.reject(trouble) }) });
    const error = await failure(client.say("x", as("alpha")));
    expect(error.message).toBe("[UNAVAILABLE] the credentials could not be checked");
    expect(log.map(({ message }) => message)).toEqual([
      "an authenticator failed: the directory can't be reached: ECONNREFUSED",
    ]);
    expect(JSON.stringify(log)).not.toContain(secret);
  });

  it("logs a line a second at most", async () => {
    const { client, log } = await guarded({ by: bearer({ verify: () => Promise.reject(new Error("x")) }) });
    await Promise.all(Array.from({ length: 20 }, () => failure(client.say("x", as("alpha")))));
    expect(log).toHaveLength(1);
  });

  it("says so by an RpcError of its own: code and text reach the caller, and nothing else", async () => {
    const verify = () => {
      throw new RpcError(Code.RESOURCE_EXHAUSTED, "too many tries", { cause: new Error(secret) });
    };
    const { client } = await guarded({ by: bearer({ verify }) });
    expect((await failure(client.say("x", as("alpha")))).message).toBe("[RESOURCE_EXHAUSTED] too many tries");
  });

  it("takes no longer than timeoutMs", async () => {
    const { client } = await guarded({ by: bearer({ verify: () => new Promise(() => {}) }), timeoutMs: 5 });
    const error = await failure(client.say("x", { ...as("alpha"), timeoutMs: 0 }));
    expect(error.message).toBe("[UNAVAILABLE] the credentials could not be checked within 5 ms");
  });
});

describe("several ways", () => {
  it("are asked in order; the first that finds its credentials decides", async () => {
    const by = [LATER, appToken({ tokens: { billing: "t1" } })];
    const { client } = await guarded({ by }, { say: (_text, { identity }) => identity?.names.join() ?? "" });
    expect(await client.say("", as("alpha"))).toBe("bearer:alice");
    expect(await client.say("", { metadata: { app: "billing", token: "t1" } })).toBe("app:billing");
    const both = { metadata: { authorization: "Bearer wrong", app: "billing", token: "t1" } };
    expect((await failure(client.say("", both))).text).toBe("the bearer token is not valid");
    expect((await failure(client.say(""))).text).toMatch(/^a bearer token is required: .*, or app\/token required$/);
  });
});

describe("rules", () => {
  it("of a method go before those of its service, and those before *", async () => {
    const allow = { "*": [], "note.v1.Notes": ["bearer:alice"], "/note.v1.Notes/Read": ["bearer:bob"] };
    const { client } = await guarded({ by: NOW, allow, exempt: ["health", "reflection"] });
    const denied = { code: Code.PERMISSION_DENIED };
    expect(await client.say("x", as("alpha"))).toBe("x");
    expect(await failure(client.say("x", as("beta")))).toMatchObject(denied);
    expect(await failure(client.read("x", as("alpha")))).toMatchObject(denied);
    expect(await client.read("x", as("beta"))).toBe("x");
  });

  it("may be functions: only true lets in, and what they throw does not", async () => {
    const outcomes: unknown[] = [true, false, 1];
    const rule = () => {
      if (outcomes.length === 0) throw new Error("no rule");
      return outcomes.shift() as boolean;
    };
    const { client } = await guarded({ by: NOW, allow: { "*": rule } });
    expect(await client.say("x", as("alpha"))).toBe("x");
    const codes = [];
    for (let i = 0; i < 3; i++) codes.push((await failure(client.say("x", as("alpha")))).code);
    expect(codes).toEqual([Code.PERMISSION_DENIED, Code.PERMISSION_DENIED, Code.UNAVAILABLE]);
  });

  it("leave out what is exempt: nobody is known there", async () => {
    const { client } = await guarded(
      { by: NOW, exempt: ["/note.v1.Notes/Say"] },
      { say: (_text, { identity }) => String(identity) },
    );
    expect(await client.say("x")).toBe("null");
    expect(await client.say("x", as("alpha"))).toBe("null");
    expect((await failure(client.read("x"))).code).toBe(Code.UNAUTHENTICATED);
  });

  it.each<[Partial<AuthenticationOptions>, RegExp]>([
    [
      { allow: { "*": [], "note.v1.Note": [] } },
      /allow: this server has no "note.v1.Note"; did you mean note.v1.Notes\?$/,
    ],
    [{ exempt: ["/note.v1.Notes/say"] }, /exempt: this server has no "\/note.v1.Notes\/say"; did you mean/],
    [
      { allow: { "note.v1.Notes": [] } },
      /allow has no rule for \/grpc\.health\.v1\.Health\/Check.*"\*" for all others/,
    ],
  ])("for nothing end the start: %o", async (options, text) => {
    const server = createServer({ handleSignals: false, authenticate: { by: NOW, ...options } });
    server.add(NoteService, echoNotes);
    await expect(server.start()).rejects.toThrow(text);
    expect(server.state).toBe("closed");
  });

  it("health and reflection are guarded like others unless they are exempt", async () => {
    const call = async (exempt: readonly string[]) => {
      const test = await scenes.start({}, { authenticate: { by: NOW, exempt } });
      const peer = await test.rawPeer();
      await peer.handshake();
      peer
        .headers(1, grpcRequestFields("/grpc.health.v1.Health/Check"))
        .data(1, grpcMessage(Buffer.alloc(0)), { end: true });
      return (await peer.expect("HEADERS", ({ isEnd }) => isEnd)).headers?.["grpc-status"];
    };
    expect(await call([])).toBe("16");
    expect(await call(["health"])).toBe("0");
  });
});

describe("certificates", () => {
  const tls = { ...certPair("server"), authorities: certPath("authority.crt") };
  const identified = { say: (_text: string, context: { identity: unknown }) => JSON.stringify(context.identity) };
  const asUser = { tls: { ...certPair("client"), authorities: certPath("authority.crt") } };
  const asOdd = { tls: { ...certPair("client-odd"), authorities: certPath("authority.crt") } };

  it("say who calls, and rules go by their names", async () => {
    const allow = { "*": "authenticated", "/note.v1.Notes/Read": ["URI:spiffe://shop/user"] } as const;
    const server = await scene.server(identified, { tls, authenticate: { by: mutualTls(), allow } });
    const target = `localhost:${server.port}`;
    const user = scene.client(target, asUser);
    expect(JSON.parse(await user.say(""))).toEqual({
      scheme: "mtls",
      name: "spiffe://shop/user",
      names: ["DNS:user.internal", "URI:spiffe://shop/user"],
      claims: {},
    });
    expect(await user.read("x")).toBe("x");
    const odd = scene.client(target, asOdd);
    expect(JSON.parse(await odd.say("")).names).toEqual([
      "URI:spiffe://shop/odd, DNS:admin.internal",
      "DNS:odd.internal",
    ]);
    expect(await failure(odd.read("\0"))).toMatchObject({ code: Code.PERMISSION_DENIED });
  });

  it("are missed where a server only requests them", async () => {
    const request = { ...tls, clientCertificates: "request" } as const;
    const server = await scene.server({}, { tls: request, authenticate: { by: mutualTls() } });
    for (const own of [{}, certPair("client-untrusted")]) {
      const client = scene.client(`localhost:${server.port}`, { tls: { authorities: tls.authorities, ...own } });
      expect((await failure(client.say("\0"))).message).toBe("[UNAUTHENTICATED] a client certificate is required");
    }
  });

  it("must be asked for", () => {
    const message = /^createServer options\.authenticate\.by: mtls needs certificates of clients; set tls\.authorities/;
    expect(() => createServer({ authenticate: { by: mutualTls() } })).toThrow(message);
    expect(() => createServer({ tls: certPair("server"), authenticate: { by: [mutualTls()] } })).toThrow(message);
  });
});

describe("wrong options", () => {
  it.each<[unknown, string]>([
    [
      {},
      "TypeError: createServer options.authenticate.by is missing: give an authenticator such as bearer({ verify })",
    ],
    [
      { by: [] },
      "TypeError: createServer options.authenticate.by is missing: give an authenticator such as bearer({ verify })",
    ],
    [
      { by: {} },
      "TypeError: createServer options.authenticate.by has something that is no authenticator: give bearer(…), mutualTls(), …",
    ],
    [{ by: NOW, alow: {} }, "TypeError: createServer options.authenticate.alow is not an option; did you mean allow?"],
    [
      { by: NOW, timeoutMs: 0 },
      "RangeError: createServer options.authenticate.timeoutMs is 0: give a number of ms from 1 to 600000",
    ],
    [
      { by: NOW, allow: { "*": "anyone" } },
      'TypeError: createServer options.authenticate.allow["*"]: give a list of names, "authenticated", or a function',
    ],
    [
      { by: NOW, allow: { "*": ["alice"] } },
      'TypeError: createServer options.authenticate.allow["*"]: "alice" does not say what it is a name of; write app:NAME, jwt:NAME, URI:…, as identity.names has it',
    ],
    [
      { by: NOW, allow: { "*": ["IP Address: 10.0.0.7", " a:b"] } },
      'TypeError: createServer options.authenticate.allow["*"]: " a:b" does not say what it is a name of; write app:NAME, jwt:NAME, URI:…, as identity.names has it',
    ],
    [{ by: NOW, exempt: [1] }, "TypeError: createServer options.authenticate.exempt[0] is number: give a name"],
  ])("are told: %o", (authenticate, message) => {
    let told = "";
    try {
      createServer({ authenticate: authenticate as AuthenticationOptions });
    } catch (error) {
      told = String(error);
    }
    expect(told).toBe(message);
  });
});

it("a server that asks who calls says so among its layers", () => {
  const layers = createServer({ authenticate: { by: NOW } }).describe();
  expect(layers.split("\n").map((line) => line.split(" ")[0])).toEqual([
    "recover",
    "trace",
    "metrics",
    "deadline",
    "auth",
    "handler",
  ]);
  expect(createServer().describe()).not.toContain("auth");
});
