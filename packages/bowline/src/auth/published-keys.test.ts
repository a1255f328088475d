import { describe, expect, it } from "vitest";
import { CallContext, callStorage } from "../rpc/call-context.ts";
import { settle, VirtualClock } from "../testing/virtual-clock.ts";
import { type FindKey, type PublishedKeyOptions, PublishedKeys } from "./published-keys.ts";

const UNKNOWN = Object.assign(new Error("no key"), { code: "ERR_JWKS_NO_MATCHING_KEY" });
const MINUTE_MS = 60_000;

/** An issuer that publishes keys by name; the header of a token is the name of its key. */
function issuer(options: PublishedKeyOptions = {}) {
  const clock = new VirtualClock();
  const state = { keys: ["a"], failure: null as Error | null, asked: 0, answer: null as Promise<void> | null };
  const get = async (): Promise<FindKey> => {
    state.asked++;
    await state.answer;
    if (state.failure !== null) throw state.failure;
    const keys = [...state.keys];
    return async (header) => {
      if (keys.includes(header as string)) return header;
      throw UNKNOWN;
    };
  };
  const told: string[] = [];
  const onStale = (error: unknown, ageMs: number, leftMs: number): void =>
    void told.push(`${error} at ${ageMs}, left ${leftMs}`);
  const published = new PublishedKeys(get, { clock, ...options }, onStale);
  /** The key of a token, or why there is none. */
  const find = (name: string): Promise<unknown> => published.find(name, {}).catch((error: unknown) => error);
  return { clock, state, find, told };
}

describe("keys that an issuer publishes", () => {
  it("are got once for all who need them, and when they are needed", async () => {
    const { state, find } = issuer();
    expect(state.asked).toBe(0);
    expect(await Promise.all([find("a"), find("a"), find("a")])).toEqual(["a", "a", "a"]);
    expect(await find("a")).toBe("a");
    expect(state.asked).toBe(1);
  });

  it("are got outside of the call that needs them", async () => {
    let within: unknown = "not asked";
    const published = new PublishedKeys(async () => {
      within = callStorage.getStore();
      return async () => "a";
    });
    await callStorage.run(new CallContext(), () => published.find("a", {}));
    expect(within).toBeUndefined();
  });

  it("are got in the background from half of their age on, while calls use those that are there", async () => {
    const { clock, state, find } = issuer();
    await find("a");
    state.keys = ["b"];
    await clock.advance(2.5 * MINUTE_MS - 1);
    await find("a");
    expect(state.asked).toBe(1);
    await clock.advance(1);
    expect(await find("a")).toBe("a");
    await settle();
    expect(state.asked).toBe(2);
    expect([await find("a"), await find("b")]).toEqual([UNKNOWN, "b"]);
  });

  it("open for maxAgeMs at most when they are withdrawn, however long nobody called", async () => {
    const { clock, state, find } = issuer({ maxAgeMs: 1000 });
    await find("a");
    state.keys = ["b"];
    await clock.advance(1000);
    expect(await find("a")).toBe(UNKNOWN);
    expect(state.asked).toBe(2);
  });

  it("are used on while the issuer fails, until they are too old; it is asked once a second then", async () => {
    const { clock, state, find } = issuer({ maxAgeInOutageMs: 10 * MINUTE_MS });
    await find("a");
    state.failure = new Error("down");
    await clock.advance(10 * MINUTE_MS - 1000);
    for (let calls = 0; calls < 20; calls++) expect(await find("a")).toBe("a");
    expect(state.asked).toBe(2);
    await clock.advance(1000);
    for (let calls = 0; calls < 20; calls++) expect(await find("a")).toBe(state.failure);
    expect(state.asked).toBe(3);
    state.failure = null;
    await clock.advance(999);
    expect(await find("a")).toBeInstanceOf(Error);
    await clock.advance(1);
    expect([await find("a"), state.asked]).toEqual(["a", 4]);
  });

  it("have it told when they can't be got anew: at once, each five minutes, and in the next outage", async () => {
    const { clock, state, find, told } = issuer();
    const call = async (): Promise<void> => {
      await find("a");
      await settle();
    };
    state.failure = new Error("down");
    await call();
    expect(told).toEqual([]);
    state.failure = null;
    await clock.advance(1000);
    await call();
    state.failure = new Error("down");
    await clock.advance(2.5 * MINUTE_MS);
    await call();
    expect(told).toEqual(["Error: down at 150000, left 3450000"]);
    for (let i = 0; i < 10; i++) {
      await clock.advance(MINUTE_MS - 1);
      await call();
    }
    expect(told.slice(1)).toEqual(["Error: down at 509994, left 3090006"]);
    state.failure = null;
    await clock.advance(1000);
    await call();
    state.failure = new Error("down again");
    await clock.advance(2.5 * MINUTE_MS);
    await call();
    expect(told.slice(2)).toEqual(["Error: down again at 150000, left 3450000"]);
    // Too old to be used: calls fail, and that is logged of them.
    await clock.advance(60 * MINUTE_MS);
    await call();
    expect(told).toHaveLength(3);
  });

  it("have calls wait for an issuer that hangs once only", async () => {
    const { clock, state, find } = issuer();
    await find("a");
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    state.answer = answered;
    state.failure = new Error("down");
    await clock.advance(5 * MINUTE_MS);
    const first = find("a");
    await settle();
    answer();
    expect(await first).toBe("a");
    state.answer = new Promise(() => {});
    await clock.advance(1000);
    expect([await find("a"), state.asked]).toEqual(["a", 3]);
  });

  it("open no longer for an outage that is over", async () => {
    const { clock, state, find } = issuer({ cooldownMs: 1 });
    await find("a");
    state.failure = new Error("down");
    await clock.advance(4 * MINUTE_MS);
    await find("b");
    state.failure = null;
    state.keys = ["b"];
    await clock.advance(MINUTE_MS);
    expect([await find("a"), await find("b")]).toEqual([UNKNOWN, "b"]);
  });

  it("are got anew for a key that is new, when those that are there are older than cooldownMs", async () => {
    const { clock, state, find } = issuer();
    await find("a");
    state.keys = ["a", "b"];
    await clock.advance(4999);
    for (let calls = 0; calls < 20; calls++) expect(await find("b")).toBe(UNKNOWN);
    expect(state.asked).toBe(1);
    await clock.advance(1);
    expect(await Promise.all([find("b"), find("b"), find("forged")])).toEqual(["b", "b", UNKNOWN]);
    expect(state.asked).toBe(2);
    expect([await find("forged"), state.asked]).toEqual([UNKNOWN, 2]);
  });

  it("say nothing of a token whose key they lack while the issuer fails", async () => {
    const { clock, state, find } = issuer();
    await find("a");
    state.failure = new Error("down");
    await clock.advance(5000);
    for (let calls = 0; calls < 20; calls++) expect(await find("b")).toBe(state.failure);
    expect([await find("a"), state.asked]).toEqual(["a", 2]);
  });
});
