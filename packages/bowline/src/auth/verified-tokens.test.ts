import { describe, expect, it } from "vitest";
import { Metadata } from "../rpc/metadata.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import type { AuthenticationRequest, Identity } from "./authenticator.ts";
import { bearer, type TokenOwner } from "./bearer.ts";
import { type TokenCacheOptions, VerifiedTokens } from "./verified-tokens.ts";

const identity = (name: string): Identity => ({ scheme: "bearer", name, names: [`bearer:${name}`], claims: {} });

function remembering(options: TokenCacheOptions = {}) {
  const clock = new VirtualClock();
  const tokens = new VerifiedTokens({ clock, ...options });
  const keep = (token: string, expiresInMs?: number): void =>
    tokens.keep(tokens.keyOf(token) as string, identity(token), expiresInMs);
  const find = (token: string): string | undefined => tokens.find(tokens.keyOf(token) as string)?.name;
  return { clock, tokens, keep, find };
}

describe("tokens that were verified", () => {
  it("are known by a digest of their own, in no two caches the same", () => {
    const [one, other] = [new VerifiedTokens({}), new VerifiedTokens({})];
    const key = one.keyOf("secret") as string;
    expect(key).toHaveLength(44);
    expect(key).toBe(one.keyOf("secret"));
    expect(key).not.toBe(one.keyOf("secres"));
    expect(key).not.toBe(other.keyOf("secret"));
  });

  it("are taken until they end, to the millisecond, and are gone then", async () => {
    const { clock, tokens, keep, find } = remembering();
    keep("a", 1000);
    await clock.advance(999);
    expect(find("a")).toBe("a");
    await clock.advance(1);
    expect(find("a")).toBeUndefined();
    expect(tokens.size).toBe(0);
  });

  it("are taken for maxAgeMs at most, however often they are shown", async () => {
    const { clock, keep, find } = remembering({ maxAgeMs: 500 });
    keep("a", Number.POSITIVE_INFINITY);
    await clock.advance(499);
    expect(find("a")).toBe("a");
    await clock.advance(1);
    expect(find("a")).toBeUndefined();
  });

  it.each([undefined, 0, -1, Number.NaN])("are not remembered with %s ms to hold", (expiresInMs) => {
    const { tokens, keep } = remembering();
    keep("a", expiresInMs);
    expect(tokens.size).toBe(0);
  });

  it("are remembered without an end when that is said", async () => {
    const { clock, keep, find } = remembering({ withoutEnd: true });
    keep("a");
    await clock.advance(59_999);
    expect(find("a")).toBe("a");
    await clock.advance(1);
    expect(find("a")).toBeUndefined();
  });

  it("are maxTokens at most: the one that was not shown for longest makes room", () => {
    const { tokens, keep, find } = remembering({ maxTokens: 3 });
    for (const token of ["a", "b", "c"]) keep(token, 1000);
    expect(find("a")).toBe("a");
    keep("d", 1000);
    expect(tokens.size).toBe(3);
    expect(["a", "b", "c", "d"].map(find)).toEqual(["a", undefined, "c", "d"]);
  });

  it("take no room of others when they are verified again", () => {
    const { tokens, keep, find } = remembering({ maxTokens: 2 });
    keep("a", 1000);
    keep("b", 1000);
    keep("a", 2000);
    expect(tokens.size).toBe(2);
    expect(find("b")).toBe("b");
  });

  it("are 5000 at most by default", () => {
    const { tokens, keep, find } = remembering();
    for (let index = 0; index <= 5000; index++) keep(`t${index}`, 1000);
    expect(tokens.size).toBe(5000);
    expect([find("t0"), find("t1"), find("t5000")]).toEqual([undefined, "t1", "t5000"]);
  });

  it("are never remembered with more than 4096 characters", () => {
    const { tokens } = remembering();
    expect(tokens.keyOf("x".repeat(4096))).not.toBeNull();
    expect(tokens.keyOf("x".repeat(4097))).toBeNull();
  });
});

describe("bearer with the option cache", () => {
  const shown = (token: string): AuthenticationRequest => ({
    method: "/a.B/C",
    metadata: new Metadata({ authorization: `Bearer ${token}` }),
    peer: { remoteAddress: "", localAddress: "" },
    signal: new AbortController().signal,
  });
  function counted(owner: TokenOwner | null, cache?: TokenCacheOptions) {
    const asked: string[] = [];
    const verify = async (token: string): Promise<TokenOwner | null> => {
      asked.push(token);
      return owner;
    };
    return { asked, by: bearer({ verify, cache }) };
  }

  it("asks once for a token that says how long it holds, and gives the same identity", async () => {
    const { asked, by } = counted({ name: "alice", claims: { scope: "read" }, expiresInMs: 1000 }, {});
    const first = (await by.authenticate(shown("t"))) as Identity;
    expect(first).toMatchObject({ name: "alice", names: ["bearer:alice"], claims: { scope: "read" } });
    expect(by.authenticate(shown("t"))).toBe(first);
    expect(() => (first.names as string[]).push("bearer:root")).toThrow(TypeError);
    await by.authenticate(shown("u"));
    expect(asked).toEqual(["t", "u"]);
  });

  it("shares claims that nobody can change, and leaves alone what verify gave", async () => {
    const claims = { roles: ["read"], org: { teams: [{ name: "a" }] }, seen: new Date(0) };
    const { by } = counted({ name: "alice", claims, expiresInMs: 1000 }, {});
    const shared = (await by.authenticate(shown("t")))?.claims as typeof claims;
    expect(shared).toEqual(claims);
    expect(() => shared.roles.push("admin")).toThrow(TypeError);
    expect(() => Object.assign(shared.org.teams[0], { name: "b" })).toThrow(TypeError);
    claims.roles.push("write");
    claims.org.teams[0].name = "c";
    expect(by.authenticate(shown("t"))).toMatchObject({ claims: { roles: ["read"], org: { teams: [{ name: "a" }] } } });
    expect(shared.seen).toBe(claims.seen);
  });

  it("shares claims of any depth, and those that lead back to themselves", async () => {
    let deep: object = {};
    for (let depth = 0; depth < 100_000; depth++) deep = { deep };
    const circle: { self?: object } = {};
    circle.self = circle;
    const { by } = counted({ name: "alice", claims: { deep, circle }, expiresInMs: 1000 }, {});
    const shared = (await by.authenticate(shown("t")))?.claims.circle as typeof circle;
    expect(shared.self).toBe(shared);
    expect(Object.isFrozen(shared)).toBe(true);
  });

  it("shares claims with names that objects inherit", async () => {
    const claims = JSON.parse('{"__proto__":{"admin":true},"constructor":["a"]}') as Record<string, unknown>;
    const { by } = counted({ name: "alice", claims, expiresInMs: 1000 }, {});
    const found = (await by.authenticate(shown("t"))) as Identity;
    expect(JSON.stringify(found.claims)).toBe(JSON.stringify(claims));
    expect(found.claims.admin).toBeUndefined();
  });

  it.each<[string, TokenOwner | null, TokenCacheOptions | undefined]>([
    ["without the option", { name: "alice", expiresInMs: 1000 }, undefined],
    ["for a token without an end", { name: "alice" }, {}],
    ["for a token that is not valid", null, { withoutEnd: true }],
  ])("asks each time %s", async (_when, owner, cache) => {
    const { asked, by } = counted(owner, cache);
    for (let times = 0; times < 3; times++) await Promise.resolve(by.authenticate(shown("t"))).catch(() => {});
    expect(asked).toEqual(["t", "t", "t"]);
  });

  it("asks each time for a token that is too long to be remembered", async () => {
    const { asked, by } = counted({ name: "alice", expiresInMs: 1000 }, {});
    const long = "x".repeat(4097);
    for (let times = 0; times < 2; times++) await by.authenticate(shown(long));
    expect(asked).toEqual([long, long]);
  });

  it.each<[TokenCacheOptions, string]>([
    [{ maxTokens: 0 }, "bearer options.cache.maxTokens is 0: give a whole number of tokens from 1 to 1000000"],
    [{ maxAgeMs: 0 }, "bearer options.cache.maxAgeMs is 0: give a number of ms from 1 to 86400000"],
    [{ maxAge: 5 } as never, "bearer options.cache.maxAge is not an option; did you mean maxAgeMs?"],
    [{ clock: {} as never }, "bearer options.cache.clock"],
  ])("tells wrong options: %o", (cache, message) => {
    expect(() => bearer({ verify: () => null, cache })).toThrow(message);
  });
});
