import { describe, expect, it } from "vitest";
import { TurnTaking } from "./turn-taking.ts";

const never = new AbortController().signal;

describe("taking turns", () => {
  it("lets so many in at a time, and the others in their order", async () => {
    const turns = new TurnTaking(2);
    const order: string[] = [];
    const [one, two] = [await turns.take(never), await turns.take(never)];
    const rest = ["c", "d", "e"].map(async (name) => {
      const turn = await turns.take(never);
      order.push(name);
      return turn;
    });
    await null;
    expect(order).toEqual([]);
    one?.end();
    one?.end();
    const third = await rest[0];
    two?.end();
    third?.end();
    await Promise.all(rest);
    expect(order).toEqual(["c", "d", "e"]);
  });

  it("forgets those who give up", async () => {
    const turns = new TurnTaking(1);
    const first = await turns.take(never);
    const giveUp = new AbortController();
    const second = turns.take(giveUp.signal);
    const third = turns.take(never);
    giveUp.abort();
    expect(await second).toBeUndefined();
    first?.end();
    expect(await third).toBeDefined();
    expect(await turns.take(AbortSignal.abort())).toBeUndefined();
  });

  it("asks for shorter waits when there are more who ask than places", () => {
    const turns = new TurnTaking(10);
    expect([1, 10, 50, 1000].map((askers) => turns.waitMs(30_000, askers))).toEqual([30_000, 30_000, 2000, 500]);
    expect(turns.waitMs(1000, 50)).toBe(1000);
  });
});
