import { describe, expect, it } from "vitest";
import { seededRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { Outage } from "./outage.ts";

describe("an outage", () => {
  function begin() {
    const clock = new VirtualClock();
    const told: string[] = [];
    const consul = { isUp: false, questions: 0 };
    const isOver = (): Promise<boolean> => {
      consul.questions++;
      return consul.isUp ? Promise.resolve(true) : Promise.reject(new Error("away"));
    };
    const outage = new Outage({ clock, random: seededRandom(1), isOver });
    const waiters = ["a", "b"].map((name) => (): void => void told.push(name));
    return { clock, consul, outage, told, waiters };
  }

  it("is looked at by one question for all who wait, who are called once soon after it is over", async () => {
    const { clock, consul, outage, told, waiters } = begin();
    for (const back of [...waiters, ...waiters]) outage.wait(back);
    await clock.advance(60_000);
    expect(consul.questions).toBeGreaterThan(180);
    expect(consul.questions).toBeLessThan(320);
    expect(told).toEqual([]);
    consul.isUp = true;
    await clock.advance(500);
    expect(told).toEqual(["a", "b"]);
    const { questions } = consul;
    await clock.advance(60_000);
    expect([told.length, consul.questions]).toEqual([2, questions]);
  });

  it("is none where the first question is answered: nobody is called, and each keeps its own pace", async () => {
    const { clock, consul, outage, told, waiters } = begin();
    consul.isUp = true;
    outage.wait(waiters[0]);
    await clock.advance(60_000);
    expect([told, consul.questions]).toEqual([[], 1]);
  });

  it("is one for all who wait where one of them has seen it, however soon the first question is answered", async () => {
    const { clock, consul, outage, told, waiters } = begin();
    consul.isUp = true;
    outage.wait(waiters[0]);
    outage.wait(waiters[1], true);
    outage.wait(waiters[0]);
    await clock.advance(500);
    expect([told, consul.questions]).toEqual([["a", "b"], 1]);
    outage.wait(waiters[0]);
    await clock.advance(500);
    expect([told.length, consul.questions]).toEqual([2, 2]);
  });

  it("is not looked at any more when nobody waits, and after the end", async () => {
    const { clock, consul, outage, told, waiters } = begin();
    outage.wait(waiters[0]);
    await clock.advance(1000);
    outage.forget(waiters[0]);
    await clock.advance(1000);
    expect(clock.pending).toBe(0);
    for (const back of waiters) outage.wait(back);
    outage.close();
    outage.wait(waiters[0]);
    consul.isUp = true;
    await clock.advance(1000);
    expect([told, clock.pending]).toEqual([[], 0]);
  });
});
