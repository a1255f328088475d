// bowline/testing, as far as it promises an error or a default. More: src/testing/*.test.ts.
import { describe, expect, it } from "vitest";
import { memoryLinkPair, RawPeer, seededRandom, settle, VirtualClock } from "../../src/testing/index.ts";
import { thrown } from "./refusals.ts";

describe("VirtualClock", () => {
  it("starts at 0, or where it is told to", () => {
    expect([new VirtualClock().now(), new VirtualClock(500).fresh()]).toEqual([0, 500]);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("can't be moved by %d ms", async (ms) => {
    const clock = new VirtualClock();
    clock.setInterval(() => {}, 10);
    await expect(clock.advance(ms)).rejects.toThrow(new RangeError(`advance needs ms of 0 or more, not ${ms}`));
    expect(clock.now()).toBe(0);
  });

  it.each([-5, 0, Number.NaN])(
    "fires a timer of %d ms at once when it is moved, and those behind it in their time",
    async (ms) => {
      const clock = new VirtualClock();
      const fired: string[] = [];
      clock.setTimeout(() => fired.push("odd"), ms);
      clock.setTimeout(() => fired.push("later"), 10);
      await clock.advance(9);
      expect(fired).toEqual(["odd"]);
      await clock.advance(1);
      expect(fired).toEqual(["odd", "later"]);
      expect(clock.pending).toBe(0);
    },
  );

  it.each([0, -1, Number.NaN])("repeats an interval of %d ms each millisecond", async (ms) => {
    const clock = new VirtualClock();
    let count = 0;
    const timer = clock.setInterval(() => count++, ms);
    await clock.advance(5);
    timer.cancel();
    await clock.advance(5);
    expect(count).toBe(5);
  });
});

describe("memoryLinkPair", () => {
  it.each([
    [{ highWaterBytes: -1 }, "RangeError: highWaterBytes must be 0 or more, not -1"],
    [{ highWaterBytes: Number.NaN }, "RangeError: highWaterBytes must be 0 or more, not NaN"],
    [{ chunkBytes: 0 }, "RangeError: chunkBytes must be 1 or more, not 0"],
    [{ chunkBytes: Number.NaN }, "RangeError: chunkBytes must be 1 or more, not NaN"],
    [{ delayMs: -1 }, "RangeError: delayMs must be 0 or more, not -1"],
    [{ delayMs: Number.NaN }, "RangeError: delayMs must be 0 or more, not NaN"],
    [{ delayMs: 1 }, "TypeError: delayMs needs a clock: give the test's VirtualClock"],
  ])("refuses %j", (options, text) => {
    expect(thrown(() => memoryLinkPair(options))).toBe(text);
  });

  it("has ends that say they are on loopback, and delivers in a later turn", async () => {
    const [one, other] = memoryLinkPair();
    expect([one.peer, other.peer]).toEqual([
      { remoteAddress: "127.0.0.1:50002", localAddress: "127.0.0.1:50001" },
      { remoteAddress: "127.0.0.1:50001", localAddress: "127.0.0.1:50002" },
    ]);
    const heard: string[] = [];
    const handler = { linkDrain() {}, linkEnd() {}, linkClosed() {} };
    other.start({ ...handler, linkData: (chunk) => void heard.push(chunk.toString()) });
    one.start({ ...handler, linkData() {} });
    expect(one.write(Buffer.from("hello"))).toBe(true);
    expect(heard).toEqual([]);
    await settle();
    expect(heard).toEqual(["hello"]);
    expect(thrown(() => one.start({ ...handler, linkData() {} }))).toContain("a link is started once");
  });
});

describe("RawPeer", () => {
  it("waits 2000 ms for a frame by default, acknowledges nothing, and lists what came instead", async () => {
    const clock = new VirtualClock();
    const [ours, theirs] = memoryLinkPair();
    const peer = new RawPeer(ours, { role: "client", clock });
    const other = new RawPeer(theirs, { role: "server", clock });
    other.settings();
    let message = "";
    const waiting = peer.expect("PING").catch((error: unknown) => {
      message = String(error);
    });
    await clock.advance(1999);
    expect(message).toBe("");
    await clock.advance(1);
    await waiting;
    expect(message).toBe("Error: expected PING: nothing within 2000 ms; received so far: SETTINGS(0)");
    expect(other.received).toEqual([]);
  });
});

describe("seededRandom", () => {
  it("repeats itself for a seed, differs for others, and stays in [0, 1)", () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 1000 }, random);
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    for (const value of draw(9)) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(1);
    }
  });
});
