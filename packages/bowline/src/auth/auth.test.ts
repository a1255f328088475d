import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { LinkPeer } from "../http2/link.ts";
import { Code } from "../rpc/code.ts";
import { Metadata, type MetadataInit } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { type AppTokenOptions, appToken } from "./app-token.ts";
import type { AuthenticationRequest, Authenticator } from "./authenticator.ts";
import { bearer } from "./bearer.ts";
import { type MutualTlsOptions, mutualTls } from "./mutual-tls.ts";
import { sameSecret } from "./same-secret.ts";

function request(metadata: MetadataInit, tls?: LinkPeer["tls"]): AuthenticationRequest {
  const peer = { remoteAddress: "10.0.0.7:1", localAddress: "10.0.0.8:2", tls };
  return { method: "/a.B/C", metadata: new Metadata(metadata), peer, signal: new AbortController().signal };
}

/** Scheme and name of who calls, null, or code and text of the refusal. */
async function outcome(by: Authenticator, asked: AuthenticationRequest): Promise<string | null> {
  try {
    const found = await by.authenticate(asked);
    return found === null ? null : `${found.names.join(" ")} = ${found.name}`;
  } catch (error) {
    if (!RpcError.is(error)) throw error;
    expect(error).toMatchObject({ code: Code.UNAUTHENTICATED, reason: "credentials" });
    expect(error.cause).toBeUndefined();
    return error.text;
  }
}

/** A promise as other libraries have them: of another realm, or a query that is sent when somebody waits for it. */
const promises: [string, <T>(value: T) => Promise<T>][] = [
  ["its own realm", (value) => Promise.resolve(value)],
  ["another realm", (value) => (runInNewContext("Promise") as PromiseConstructor).resolve(value)],
  // biome-ignore lint/suspicious/noThenProperty: that is what it is about
  ["a library", (value) => ({ then: (...given: never[]) => Promise.resolve(value).then(...given) }) as never],
];

describe.each(promises)("a promise of %s", (_whose, promised) => {
  it("may say whose a token is", async () => {
    const by = bearer({ verify: (token) => promised(token === "t" ? { name: "alice" } : null) });
    expect(await outcome(by, request({ authorization: "Bearer t" }))).toBe("bearer:alice = alice");
    expect(await outcome(by, request({ authorization: "Bearer u" }))).toBe("the bearer token is not valid");
  });

  it("may say which tokens an app has", async () => {
    const by = appToken({ tokens: (app) => promised(app === "billing" ? "t1" : undefined) });
    expect(await outcome(by, request({ app: "billing", token: "t1" }))).toBe("app:billing = billing");
    expect(await outcome(by, request({ app: "nobody", token: "t1" }))).toBe("access denied");
  });
});

describe("sameSecret", () => {
  it.each([
    ["", "", true],
    ["a", "a", true],
    ["ä€", "ä€", true],
    ["a", "b", false],
    ["a", "aa", false],
    ["", "a", false],
  ])("%j and %j: %s", (a, b, isSame) => {
    expect(sameSecret(a, b)).toBe(isSame);
  });
});

describe("bearer", () => {
  const by = bearer({ verify: (token) => (sameSecret(token, "good.token-1_~+/==") ? { name: "alice" } : null) });
  const TOKEN = "good.token-1_~+/==";

  it.each<[MetadataInit, string | null]>([
    [{}, null],
    [{ authorization: "Basic YTpi" }, null],
    [{ authorization: "" }, null],
    [{ authorization: "Bearer" }, null],
    [{ authorization: `Bearer ${TOKEN}` }, "bearer:alice = alice"],
    [{ authorization: `bEARER    ${TOKEN}  ` }, "bearer:alice = alice"],
    // Metadata have no spaces at their ends.
    [{ authorization: "Bearer " }, null],
    [{ authorization: `Bearer ${TOKEN} ${TOKEN}` }, "the bearer token is malformed"],
    [{ authorization: `Bearer ${TOKEN},${TOKEN}` }, "the bearer token is malformed"],
    [{ authorization: `Bearer =${TOKEN}` }, "the bearer token is malformed"],
    [{ authorization: `Bearer ${"a".repeat(1_000_000)}` }, "the bearer token is not valid"],
    [{ authorization: `Bearer ${"=".repeat(1_000_000)}` }, "the bearer token is malformed"],
    [{ authorization: `Bearer ${"a=".repeat(500_000)}` }, "the bearer token is malformed"],
    [{ authorization: `Bearer${" ".repeat(1_000_000)}x` }, "the bearer token is not valid"],
    [{ authorization: [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`] }, "authorization was sent more than once"],
    [{ authorization: Array(10_000).fill("Basic x") }, "authorization was sent more than once"],
    [{ "authorization-bin": Buffer.from(TOKEN) }, null],
  ])("case %#", async (metadata, expected) => {
    expect(await outcome(by, request(metadata))).toBe(expected);
  });

  it("takes undefined for a token that is not known, and hands on what a token says", async () => {
    const tokens = new Map([["t", { name: "alice", claims: { scope: "read" } }]]);
    const known = bearer({ verify: async (token) => tokens.get(token), scheme: "session" });
    expect(await outcome(known, request({ authorization: "Bearer u" }))).toBe("the bearer token is not valid");
    expect(await known.authenticate(request({ authorization: "Bearer t" }))).toEqual({
      scheme: "session",
      name: "alice",
      names: ["session:alice"],
      claims: { scope: "read" },
    });
  });

  it("tells wrong options", () => {
    expect(() => bearer({} as never)).toThrow("bearer options.verify is missing: give a function from token to");
    expect(() => bearer({ verify: () => null, scheme: "a b" })).toThrow('bearer options.scheme is "a b": give a word');
  });
});

describe("appToken", () => {
  const tokens = { billing: "t1", shop: ["old", "new"] };
  const ways: [string, AppTokenOptions["tokens"]][] = [
    ["a list", tokens],
    ["a function", (app) => new Map(Object.entries(tokens)).get(app)],
    ["a promise", async (app) => new Map(Object.entries(tokens)).get(app)],
  ];

  describe.each(ways)("with %s", (_way, given) => {
    it.each<[MetadataInit, string | null]>([
      [{}, null],
      [{ app: "billing", token: "t1" }, "app:billing = billing"],
      [{ app: "shop", token: "old" }, "app:shop = shop"],
      [{ app: "shop", token: "new" }, "app:shop = shop"],
      [{ app: "billing" }, "app/token required"],
      [{ token: "t1" }, "app/token required"],
      [{ app: "", token: "t1" }, "app/token required"],
      [{ app: "billing", token: "" }, "app/token required"],
      [{ app: "billing", token: "t2" }, "access denied"],
      [{ app: "billing", token: "t1 " }, "app:billing = billing"],
      [{ app: "billing", token: "t 1" }, "access denied"],
      [{ app: "shop", token: "old,new" }, "access denied"],
      [{ app: "nobody", token: "t1" }, "access denied"],
      [{ app: "__proto__", token: "t1" }, "access denied"],
      [{ app: "constructor", token: "t1" }, "access denied"],
      [{ app: "billing", token: ["t1", "t1"] }, "access denied"],
      [{ app: ["billing", "shop"], token: "t1" }, "access denied"],
      [{ app: "billing", token: "t".repeat(1_000_000) }, "access denied"],
    ])("case %#", async (metadata, expected) => {
      expect(await outcome(appToken({ tokens: given }), request(metadata))).toBe(expected);
    });
  });

  it("lets nobody in by an empty token that a function gave", async () => {
    const by = appToken({ tokens: () => ["", "x"] });
    expect(await outcome(by, request({ app: "a", token: "" }))).toBe("app/token required");
    expect(await outcome(appToken({ tokens: () => "" }), request({ app: "a", token: "x" }))).toBe("access denied");
  });

  it("tells wrong options without showing a token", () => {
    expect(() => appToken({} as never)).toThrow("appToken options.tokens is missing");
    expect(() => appToken({ tokens: { a: "" } })).toThrow('appToken options.tokens["a"] has an empty name or token');
    expect(() => appToken({ tokens: { a: ["x", 5 as never] } })).toThrow("has an empty name or token");
  });
});

describe("mutualTls", () => {
  const tls = (...subjectAltNames: string[]) => ({
    alpn: "h2",
    authorized: true,
    commonName: "admin",
    subjectAltNames,
  });
  const user = "URI:spiffe://shop/user";

  it.each<[MutualTlsOptions, LinkPeer["tls"], string | null]>([
    [{}, undefined, null],
    [{}, { ...tls(user), authorized: false }, null],
    [{}, tls(user), `${user} = spiffe://shop/user`],
    [{}, tls("DNS:user.internal", user), `DNS:user.internal ${user} = spiffe://shop/user`],
    [{}, tls("DNS:a", "DNS:b"), "DNS:a DNS:b = a"],
    [{}, tls(), "the client certificate has no subject alternative name"],
    [
      {},
      tls(user, "URI:spiffe://shop/admin"),
      "the client certificate has more than one URI: which of them is its SPIFFE id is not clear",
    ],
    [
      {},
      tls("URI:https://a", user),
      "the client certificate has more than one URI: which of them is its SPIFFE id is not clear",
    ],
    [{ trustDomains: ["shop"] }, tls(user), `${user} = spiffe://shop/user`],
    [
      { trustDomains: ["shop"] },
      tls("URI:spiffe://shop.evil/user"),
      "the client certificate has no SPIFFE id of a trust domain of this server",
    ],
    [
      { trustDomains: ["shop"] },
      tls("DNS:shop"),
      "the client certificate has no SPIFFE id of a trust domain of this server",
    ],
    [{ trustDomains: [] }, tls(user), "the client certificate has no SPIFFE id of a trust domain of this server"],
  ])("case %#", async (options, peer, expected) => {
    expect(await outcome(mutualTls(options), request({}, peer))).toBe(expected);
  });

  it("tells a trust domain that is none", () => {
    const message = 'mutualTls options.trustDomains[0] is "spiffe://shop": give the name alone, in lower case';
    expect(() => mutualTls({ trustDomains: ["spiffe://shop"] })).toThrow(message);
  });
});
