import { createPublicKey, generateKeyPairSync, type JsonWebKey, sign, verify as verifySignature } from "node:crypto";
import { createServer as createHttpServer } from "node:http";
import * as installed from "jose";
import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { echoNotes, NoteService } from "../../test/client/note-service.ts";
import { failure } from "../../test/client/outcomes.ts";
import { type Logger, silentLogger } from "../observe/logger.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { ServerContext } from "../server/server-context.ts";
import { inMemory } from "../testing/in-memory.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import type { AuthenticationRequest, Identity } from "./authenticator.ts";
import { type Jose, type JoseVerifyOptions, type JsonWebKeySet, type JwtOptions, jwt } from "./jwt.ts";
import type { FindKey } from "./published-keys.ts";

const scene = useScene();
const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = { ...own.publicKey.export({ format: "jwk" }), kid: "1", alg: "ES256", use: "sig" };
const options: JwtOptions = { jwks: { keys: [jwk] }, issuer: "https://id.shop", audience: "orders" };
const nowSeconds = (): number => Math.floor(Date.now() / 1000);

const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token; what is undefined in `claims` is left out. */
function token(
  claims: object = {},
  {
    key = own.privateKey,
    alg = "ES256",
    kid = "1",
  }: { key?: typeof own.privateKey; alg?: string; kid?: string | null } = {},
): string {
  const now = nowSeconds();
  const all = { iss: "https://id.shop", aud: "orders", sub: "user-7", iat: now, exp: now + 600, ...claims };
  const signed = `${base64({ alg, ...(kid === null ? {} : { kid }), typ: "JWT" })}.${base64(all)}`;
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${alg === "none" ? "" : signature.toString("base64url")}`;
}

/** A call that shows it. */
function shown(text: string): AuthenticationRequest {
  return {
    method: "/a.B/C",
    metadata: new Metadata({ authorization: `Bearer ${text}` }),
    peer: { remoteAddress: "", localAddress: "" },
    signal: new AbortController().signal,
  };
}

function joseError(code: string, claim?: string): Error {
  return Object.assign(new Error(`${code} of a token`), { code, claim });
}

/** What is used of jose, made of node:crypto: the same errors by code. */
const verifier: Jose = {
  createLocalJWKSet: (jwks) => async () => (jwks as JsonWebKeySet).keys[0],
  async jwtVerify(text, find, expected) {
    const found = await (find as FindKey)({}, {});
    const parts = text.split(".");
    if (parts.length !== 3) throw joseError("ERR_JWS_INVALID");
    const [header, payload] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
    if (!expected.algorithms.includes(header.alg)) throw joseError("ERR_JOSE_ALG_NOT_ALLOWED");
    const key = createPublicKey({ key: found as JsonWebKey, format: "jwk" });
    const signature = Buffer.from(parts[2], "base64url");
    const isSigned = verifySignature(
      "sha256",
      Buffer.from(`${parts[0]}.${parts[1]}`),
      { key, dsaEncoding: "ieee-p1363" },
      signature,
    );
    if (!isSigned) throw joseError("ERR_JWS_SIGNATURE_VERIFICATION_FAILED");
    checkClaims(payload, expected);
    return { payload };
  },
};

function checkClaims(payload: Record<string, unknown>, expected: JoseVerifyOptions): void {
  for (const claim of expected.requiredClaims) {
    if (payload[claim] === undefined) throw joseError("ERR_JWT_CLAIM_VALIDATION_FAILED", claim);
  }
  if (!expected.issuer.includes(String(payload.iss))) throw joseError("ERR_JWT_CLAIM_VALIDATION_FAILED", "iss");
  if (![payload.aud].flat().some((each) => expected.audience.includes(String(each)))) {
    throw joseError("ERR_JWT_CLAIM_VALIDATION_FAILED", "aud");
  }
  if (Number(payload.exp) <= nowSeconds() - expected.clockTolerance) throw joseError("ERR_JWT_EXPIRED", "exp");
}

const verifiers: [string, Jose][] = [
  ["a verifier of the test's own", verifier],
  ["jose", installed as unknown as Jose],
];

describe.each(verifiers)("jwt with %s", (_name, jose) => {
  const identify = async (text: string, more: Partial<JwtOptions> = {}): Promise<Identity | null> =>
    jwt({ ...options, ...more }, async () => jose).authenticate(shown(text));
  const refusal = async (text: string, more?: Partial<JwtOptions>): Promise<string> => {
    const error: unknown = await identify(text, more).then(
      () => new Error("it was taken"),
      (thrown: unknown) => thrown,
    );
    if (!RpcError.is(error)) throw error;
    expect(error.code).toBe(Code.UNAUTHENTICATED);
    expect(error.cause).toBeUndefined();
    expect(error.message).not.toContain(text);
    return error.text;
  };

  it("takes a token that is signed, in time, by the issuer and for this service", async () => {
    expect(await identify(token({ scope: "read" }))).toMatchObject({
      scheme: "jwt",
      name: "user-7",
      names: ["jwt:user-7"],
      claims: { iss: "https://id.shop", scope: "read" },
    });
    const several = { issuer: ["https://old", "https://id.shop"], audience: ["x", "orders"] };
    expect(
      (await identify(token({ aud: ["a", "orders"], client_id: "c1" }), { ...several, nameClaim: "client_id" }))?.name,
    ).toBe("c1");
    expect((await identify(token({ exp: nowSeconds() - 2 })))?.name).toBe("user-7");
  });

  it.each<[string, () => string, string]>([
    ["expired", () => token({ exp: nowSeconds() - 60 }), "the token has expired"],
    ["without an end", () => token({ exp: undefined }), "the token's exp is missing or not the right one"],
    ["of another issuer", () => token({ iss: "https://evil" }), "the token's iss is missing or not the right one"],
    ["for another service", () => token({ aud: "payments" }), "the token's aud is missing or not the right one"],
    ["for nobody", () => token({ aud: undefined }), "the token's aud is missing or not the right one"],
    ["of nobody", () => token({ sub: undefined }), "the token's sub is missing or not the right one"],
    ["with an empty name", () => token({ sub: "" }), "the token's sub is no name"],
    ["signed by somebody else", () => token({}, { key: other.privateKey }), "the token is not valid"],
    ["without a signature", () => token({}, { alg: "none" }), "the token is not valid"],
    ["of an algorithm that is not taken", () => token({}, { alg: "HS256" }), "the token is not valid"],
    ["that is none", () => "abc", "the token is not valid"],
    ["that is changed", () => token().replace(/\.[^.]*\./, `.${base64({ sub: "admin" })}.`), "the token is not valid"],
  ])("refuses one %s", async (_what, make, text) => {
    expect(await refusal(make())).toBe(text);
  });

  it("does not take algorithms that its option leaves out", async () => {
    expect(await refusal(token(), { algorithms: ["EdDSA"] })).toBe("the token is not valid");
  });

  it("blames no token while the keys can't be had", async () => {
    const gone = createHttpServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const jwksUrl = `http://127.0.0.1:${(gone.address() as { port: number }).port}/keys`;
    await new Promise((resolve) => gone.close(resolve));
    const error = await identify(token(), { jwks: undefined, jwksUrl }).catch((thrown: unknown) => thrown);
    expect(RpcError.is(error)).toBe(false);
    expect(error).toMatchObject({ safeText: `the keys of ${jwksUrl} can't be had: ECONNREFUSED` });
  });
});

describe("jwt", () => {
  it("lets callers of a server in by keys that the issuer publishes", async () => {
    const issuer = createHttpServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
    await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
    const { port } = issuer.address() as { port: number };
    const by = jwt({ jwksUrl: `http://127.0.0.1:${port}/keys`, issuer: "https://id.shop", audience: "orders" });
    const handlers = { ...echoNotes, say: (_text: string, context: ServerContext) => context.identity?.name ?? "" };
    const rules = { "*": "authenticated", "/note.v1.Notes/Read": ["jwt:user-1"] } as const;
    const memory = await inMemory(NoteService, handlers, { server: { authenticate: { by, allow: rules } } });
    try {
      const as = (text: string) => ({ metadata: { authorization: `Bearer ${text}` } });
      expect(await memory.client.say("x", as(token()))).toBe("user-7");
      expect(await memory.client.read("x", as(token({ sub: "user-1" })))).toBe("x");
      expect((await failure(memory.client.read("\0", as(token())))).code).toBe(Code.PERMISSION_DENIED);
      const forged = as(token({}, { key: other.privateKey }));
      expect((await failure(memory.client.say("\0", forged))).message).toBe("[UNAUTHENTICATED] the token is not valid");
    } finally {
      await memory.close();
      issuer.close();
    }
  });

  describe("with keys that an issuer publishes", () => {
    /** The name of the caller, or the error; cached are only keys. */
    async function published(first: object) {
      const state = { keys: [first], asked: 0, status: 200 };
      const issuer = createHttpServer((_request, response) => {
        state.asked++;
        response.statusCode = state.status;
        response.end(JSON.stringify({ keys: state.keys }));
      });
      scene.onClose(() => {
        issuer.closeAllConnections();
        issuer.close();
      });
      await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
      const jwksUrl = `http://127.0.0.1:${(issuer.address() as { port: number }).port}/keys`;
      const clock = new VirtualClock();
      const by = jwt({ ...options, jwks: undefined, jwksUrl, cache: false, keys: { clock } });
      const show = async (text: string): Promise<unknown> => {
        try {
          return (await by.authenticate(shown(text)))?.name;
        } catch (error) {
          return (error as { safeText?: string }).safeText ?? (error as Error).message;
        }
      };
      return { state, clock, show, jwksUrl, by };
    }

    it("are used on when they can't be got anew, and the server's log says so", async () => {
      const { state, clock, jwksUrl, by } = await published(jwk);
      const lines: unknown[] = [];
      const warn = (fields: object, text: string): void => void lines.push([fields, text]);
      const logger = { ...silentLogger, warn } as Logger;
      const server = await scene.server({}, { authenticate: { by }, logger });
      const client = scene.client(server.address);
      const call = (): Promise<string> => client.say("", { metadata: { authorization: `Bearer ${token()}` } });
      await call();
      state.status = 503;
      await clock.advance(300_000);
      await call();
      const why = `the keys of ${jwksUrl} can't be had: it answered with status 503`;
      const text = `${why}; those that were got 300 s ago are used, for 3300 s more at most`;
      expect(lines).toEqual([[{ scheme: "jwt" }, text]]);
    });

    it("takes a new key after 5 s, and a withdrawn one for 5 minutes at most", async () => {
      const { state, clock, show } = await published(jwk);
      const next = { ...other.publicKey.export({ format: "jwk" }), kid: "2", alg: "ES256" };
      const [old, young] = [token(), token({}, { key: other.privateKey, kid: "2" })];
      expect(await show(old)).toBe("user-7");
      state.keys = [jwk, next];
      expect(await show(young)).toBe("[UNAUTHENTICATED] the token is not valid");
      await clock.advance(5000);
      expect([await show(young), await show(old), state.asked]).toEqual(["user-7", "user-7", 2]);
      state.keys = [next];
      await clock.advance(300_000);
      expect([await show(old), await show(young)]).toEqual(["[UNAUTHENTICATED] the token is not valid", "user-7"]);
    });

    it("says which keys can't be used, and blames no token", async () => {
      const { show, jwksUrl } = await published({ ...own.privateKey.export({ format: "jwk" }), kid: "1" });
      expect(await show(token())).toBe(`the keys of ${jwksUrl} can't be used: ERR_JWKS_INVALID`);
      const none = await published(jwk);
      none.state.keys = "none" as never;
      expect(await none.show(token())).toBe(`the keys of ${none.jwksUrl} can't be used: ERR_JWKS_INVALID`);
    });
  });

  describe("while the issuer changes keys, of a token that does not name its own", () => {
    const jwks = {
      keys: [
        { ...other.publicKey.export({ format: "jwk" }), use: "sig" },
        { ...jwk, kid: undefined },
      ],
    };
    const show = (text: string) => jwt({ ...options, jwks }).authenticate(shown(text));

    it.each([
      ["the old key", other],
      ["the new key", own],
    ])("takes one that %s has signed", async (_which, { privateKey }) => {
      expect(await show(token({}, { key: privateKey, kid: null }))).toMatchObject({ name: "user-7" });
    });

    it("refuses one that none of them has signed, or that says the wrong things", async () => {
      const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      await expect(show(token({}, { key, kid: null }))).rejects.toThrow("[UNAUTHENTICATED] the token is not valid");
      await expect(show(token({ aud: "payments" }, { kid: null }))).rejects.toThrow(
        "[UNAUTHENTICATED] the token's aud is missing or not the right one",
      );
    });
  });

  describe("remembers tokens that have passed", () => {
    function counted(cache?: JwtOptions["cache"], clock: VirtualClock = new VirtualClock()) {
      let verified = 0;
      const jose: Jose = {
        ...verifier,
        jwtVerify: (...given) => {
          verified++;
          return verifier.jwtVerify(...given);
        },
      };
      const by = jwt({ ...options, cache: cache === undefined ? { clock } : cache }, async () => jose);
      const show = (text: string) => by.authenticate(shown(text));
      return { clock, show, verified: () => verified };
    }

    it("gives the same identity at once, which nobody can change", async () => {
      const { show, verified } = counted();
      const text = token({ roles: [{ name: "admin" }] });
      const first = (await show(text)) as Identity;
      expect(show(text)).toBe(first);
      expect(verified()).toBe(1);
      const { roles } = first.claims as { roles: { name: string }[] };
      expect(() => roles.push({ name: "root" })).toThrow(TypeError);
      expect(() => Object.assign(roles[0], { name: "root" })).toThrow(TypeError);
    });

    it("until they end, and never longer than a minute", async () => {
      const { clock, show, verified } = counted();
      const [short, long] = [token({ exp: nowSeconds() + 30 }), token({ exp: nowSeconds() + 3600 })];
      await show(short);
      await show(long);
      await clock.advance(28_000);
      expect([await show(short), await show(long), verified()]).toMatchObject([{}, {}, 2]);
      await clock.advance(3000);
      expect([await show(short), await show(long), verified()]).toMatchObject([{}, {}, 3]);
      await clock.advance(29_000);
      await show(long);
      expect(verified()).toBe(4);
    });

    it("neither those that were refused, nor those whose end has passed within the tolerance", async () => {
      const { show, verified } = counted();
      const forged = token({}, { key: other.privateKey });
      for (let times = 0; times < 2; times++) await expect(show(forged)).rejects.toThrow("the token is not valid");
      for (let times = 0; times < 2; times++) await show(token({ exp: nowSeconds() - 2, jti: "1" }));
      expect(verified()).toBe(4);
    });

    it("not at all when it is told so", async () => {
      const { show, verified } = counted(false);
      const text = token();
      await show(text);
      await show(text);
      expect(verified()).toBe(2);
    });
  });

  it("names the command that installs what is missing, when the server starts", async () => {
    const by = jwt(options, () => Promise.reject(new Error("Cannot find package 'jose'")));
    await expect(by.open?.({ warn: () => {} })).rejects.toThrow(
      "bowline/auth/jwt needs the package jose, which is not installed: npm install jose",
    );
  });

  it.each<[Partial<JwtOptions>, string]>([
    [{ jwks: undefined }, "jwt options: give jwksUrl or jwks, where the issuer's public keys are, and not both"],
    [{ jwksUrl: "https://a" }, "jwt options: give jwksUrl or jwks, where the issuer's public keys are, and not both"],
    [
      { jwks: undefined, jwksUrl: "http://id.shop/keys" },
      "jwt options.jwksUrl must begin with https://, or be http:// on this machine",
    ],
    [
      { jwks: undefined, jwksUrl: "keys" },
      "jwt options.jwksUrl must begin with https://, or be http:// on this machine",
    ],
    [
      { issuer: undefined },
      "jwt options.issuer is missing: say whose tokens are taken, and for whom they must be issued",
    ],
    [{ audience: [] }, "jwt options.audience is missing: say whose tokens are taken, and for whom they must be issued"],
    [{ algorithms: ["none"] }, 'jwt options.algorithms has "none": only signatures by private keys are taken, '],
    [{ algorithms: ["HS256"] }, 'jwt options.algorithms has "HS256": only signatures by private keys are taken, '],
    [{ algorithms: [] }, "jwt options.algorithms is empty: name one, or leave it out"],
    [{ clockToleranceMs: -1 }, "jwt options.clockToleranceMs is -1: give a number of ms from 0 to 600000"],
    [{ cache: { maxTokens: 0 } }, "jwt options.cache.maxTokens is 0: give a whole number of tokens from 1 to 1000000"],
    [{ cache: true as never }, "jwt options.cache: give an object of options, not true"],
    [
      { jwks: undefined, jwksUrl: "https://me:s3cr3t@id.shop/keys" },
      "jwt options.jwksUrl has a user or a password, which are not sent: leave them out",
    ],
    [{ keys: {} }, "jwt options.keys is about the keys of jwksUrl: leave it out beside jwks"],
    [
      { jwks: undefined, jwksUrl: "https://a", keys: { maxAgeMs: 0 } },
      "jwt options.keys.maxAgeMs is 0: give a number of ms from 1 to 86400000",
    ],
    [{ isuer: "x" } as never, "jwt options.isuer is not an option; did you mean issuer?"],
  ])("tells wrong options: %o", (more, message) => {
    expect(() => jwt({ ...options, ...more })).toThrow(message);
  });
});
