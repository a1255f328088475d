import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { cachedToken } from "./token.ts";

describe("a token that is kept", () => {
  it("is read once for all who ask at the same time, at first and after its life", async () => {
    const clock = new VirtualClock();
    let reads = 0;
    const source = cachedToken(clock, async () => ({ token: `t${++reads}`, lifeMs: 1000 }));
    const ask = (): Promise<Set<string>> =>
      Promise.all(Array.from({ length: 50 }, () => source.get())).then((tokens) => new Set(tokens));
    expect(await ask()).toEqual(new Set(["t1"]));
    expect(await ask()).toEqual(new Set(["t1"]));
    await clock.advance(1000);
    expect(await ask()).toEqual(new Set(["t2"]));
    source.forget();
    expect(await ask()).toEqual(new Set(["t3"]));
    expect(reads).toBe(3);
  });

  it("is asked for again when it could not be read", async () => {
    let reads = 0;
    const source = cachedToken(new VirtualClock(), async () => {
      if (++reads === 1) throw new Error("no such file");
      return { token: "t", lifeMs: 1000 };
    });
    const asked = await Promise.allSettled([source.get(), source.get()]);
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await source.get()).toBe("t");
    expect(reads).toBe(2);
  });
});
