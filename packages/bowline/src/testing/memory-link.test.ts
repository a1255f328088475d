import { describe, expect, it } from "vitest";
import { linkContract } from "../../test/link-contract.ts";
import { LinkRecorder } from "../../test/link-recorder.ts";
import { seededRandom } from "../rpc/random.ts";
import { type MemoryLink, type MemoryLinkOptions, memoryLinkPair } from "./memory-link.ts";
import { settle, VirtualClock } from "./virtual-clock.ts";

function contract(name: string, options: () => MemoryLinkOptions): void {
  linkContract(name, async () => {
    const [near, far] = memoryLinkPair(options());
    return { near, far, close: () => settle() };
  });
}

contract("a memory link", () => ({}));
contract("a memory link that takes slowly and in splinters", () => {
  const random = seededRandom(7);
  return { isSlowToTake: true, chunkBytes: () => 1 + Math.floor(random() * 5000) };
});

function started(options?: MemoryLinkOptions): {
  near: MemoryLink;
  far: MemoryLink;
  atNear: LinkRecorder;
  atFar: LinkRecorder;
} {
  const [near, far] = memoryLinkPair(options);
  const atNear = new LinkRecorder();
  const atFar = new LinkRecorder();
  near.start(atNear);
  far.start(atFar);
  return { near, far, atNear, atFar };
}

describe("memoryLinkPair", () => {
  it("splits deliveries to the size asked for", async () => {
    const { near, atFar } = started({ chunkBytes: 3 });
    near.writeAll([Buffer.from("ab"), Buffer.from("cdefgh")]);
    await atFar.untilText("h");
    expect(atFar.chunks.map(String)).toEqual(["abc", "def", "gh"]);
  });

  it("counts whole bytes only, whatever fraction of one it is given", async () => {
    const { near, atFar } = started({ chunkBytes: 2.7, resetAfterBytes: 5.5 });
    near.write(Buffer.from("abcdefgh"));
    await atFar.untilEvent("closed");
    expect(atFar.chunks.map(String)).toEqual(["ab", "cd", "e"]);
  });

  it.each<[string, () => number, RegExp]>([
    ["gives NaN", () => Number.NaN, /^what the function chunkBytes gives must be 1 or more, not NaN$/],
    ["gives nothing", () => undefined as unknown as number, /chunkBytes gives must be 1 or more, not undefined$/],
    ["gives 0", () => 0, /chunkBytes gives must be 1 or more, not 0$/],
    [
      "throws",
      () => {
        throw new Error("no more sizes");
      },
      /^no more sizes$/,
    ],
  ])("breaks with a word on why when the function of sizes %s", async (_, chunkBytes, message) => {
    const { near, atNear, atFar } = started({ chunkBytes });
    near.write(Buffer.from("never arrives"));
    await Promise.all([atNear.untilEvent("closed"), atFar.untilEvent("closed")]);
    expect(atFar.events).toEqual(["closed"]);
    expect(atNear.error?.message).toMatch(message);
    expect(atFar.error).toBe(atNear.error);
  });

  it("delivers after the delay of its clock, in order and not before", async () => {
    const clock = new VirtualClock();
    const { near, atFar } = started({ clock, delayMs: 25 });
    near.write(Buffer.from("first"));
    await clock.advance(10);
    near.write(Buffer.from("second"));
    near.end();
    await clock.advance(14);
    expect(atFar.events).toEqual([]);
    await clock.advance(1);
    expect(atFar.text).toBe("first");
    await clock.advance(9);
    expect(atFar.text).toBe("first");
    await clock.advance(1);
    expect(atFar.text).toBe("firstsecond");
    expect(atFar.events).toEqual(["data", "end"]);
  });

  it("counts bytes on their way against the high-water mark", async () => {
    const { near, far, atNear, atFar } = started({ highWaterBytes: 10 });
    far.pause();
    expect(near.write(Buffer.alloc(10))).toBe(true);
    expect(near.isIdle).toBe(true);
    expect(near.write(Buffer.alloc(1))).toBe(false);
    expect(near.isIdle).toBe(false);
    expect(near.undeliveredBytes).toBe(11);
    far.resume();
    await atNear.untilEvent("drain");
    expect(atFar.bytes.length).toBe(11);
  });

  it("is not idle before delivery when it is slow to take", async () => {
    const { near, atFar } = started({ isSlowToTake: true });
    expect(near.write(Buffer.from("a"))).toBe(true);
    expect(near.isIdle).toBe(false);
    await atFar.untilText("a");
    expect(near.isIdle).toBe(true);
  });

  it("overwrites a chunk when the handler has returned", async () => {
    const [near, far] = memoryLinkPair();
    const kept: Buffer[] = [];
    const seen: string[] = [];
    const handler = new LinkRecorder();
    handler.linkData = (chunk) => {
      seen.push(chunk.toString());
      kept.push(chunk);
    };
    far.start(handler);
    near.write(Buffer.from("lent"));
    await settle();
    expect(seen).toEqual(["lent"]);
    expect(kept[0]).toEqual(Buffer.alloc(4, 0xdb));
  });

  it("breaks when a chunk was changed before it was taken, and delivers what was written", async () => {
    const { near, atNear, atFar } = started({ isSlowToTake: true });
    const arena = Buffer.from("good");
    near.write(arena);
    arena.fill(0);
    await atNear.untilEvent("closed");
    expect(atFar.text).toBe("good");
    expect(atNear.error?.message).toMatch(/changed after write/);
  });

  it("does neither without poison", async () => {
    const [near, far] = memoryLinkPair({ isSlowToTake: true, poison: false });
    const kept: Buffer[] = [];
    const handler = new LinkRecorder();
    handler.linkData = (chunk) => void kept.push(chunk);
    far.start(handler);
    const arena = Buffer.from("good");
    near.write(arena);
    arena.fill(0);
    await settle();
    expect(kept.map(String)).toEqual(["good"]);
    expect(handler.events).toEqual([]);
  });

  it("holds everything up while frozen, one way only", async () => {
    const { near, far, atNear, atFar } = started();
    near.freeze();
    near.write(Buffer.from("held up"));
    near.end();
    far.write(Buffer.from("passes"));
    await atNear.untilText("passes");
    await settle();
    expect(atFar.events).toEqual([]);
    near.thaw();
    await atFar.untilEvent("end");
    expect(atFar.text).toBe("held up");
  });

  it("is held up until everybody has let go who did it, frozen or not", async () => {
    const { near, atFar } = started();
    const [one, other] = [{}, {}];
    near.hold(one);
    near.hold(other);
    near.freeze();
    near.write(Buffer.from("held up"));
    for (const letGo of [() => near.release(one), () => near.release(one), () => near.thaw()]) {
      letGo();
      await settle();
      expect(atFar.events).toEqual([]);
    }
    near.release(other);
    await atFar.untilText("held up");
  });

  it("resets both ends, frozen or not, and loses what was on its way", async () => {
    const { near, atNear, atFar } = started();
    near.freeze();
    near.write(Buffer.from("lost"));
    near.reset();
    await Promise.all([atNear.untilEvent("closed"), atFar.untilEvent("closed")]);
    expect(atFar.events).toEqual(["closed"]);
    expect([atNear.error, atFar.error]).toMatchObject([{ code: "ECONNRESET" }, { code: "ECONNRESET" }]);
  });

  it("resets an end that writes to one that was destroyed", async () => {
    const { near, far, atFar } = started();
    near.destroy();
    await atFar.untilEvent("end");
    expect(far.write(Buffer.from("hello?"))).toBe(false);
    await atFar.untilEvent("closed");
    expect(atFar.error).toMatchObject({ code: "ECONNRESET" });
  });

  it.each(["after", "before"])(
    "closes the end that has ended when the other is destroyed %s it heard of it",
    async (when) => {
      const { near, far, atNear, atFar } = started();
      far.end();
      if (when === "after") await atNear.untilEvent("end");
      near.destroy();
      await atFar.untilEvent("closed");
      expect(atFar.events).toEqual(["end", "closed"]);
      expect(atFar.error).toBeUndefined();
    },
  );

  it("closes when an end that reads no more has ended and so has the other", async () => {
    const { near, far, atNear, atFar } = started();
    near.pause();
    near.end();
    far.write(Buffer.from("nobody reads this"));
    far.end();
    await Promise.all([atNear.untilEvent("closed"), atFar.untilEvent("closed")]);
    expect(atNear.text).toBe("");
    expect([atNear.error, atFar.error]).toEqual([undefined, undefined]);
  });

  it("runs tasks by the schedule it is given", () => {
    const tasks: (() => void)[] = [];
    const { near, atFar } = started({ schedule: (task) => void tasks.push(task) });
    near.write(Buffer.from("when told"));
    expect(atFar.events).toEqual([]);
    while (tasks.length > 0) tasks.shift()?.();
    expect(atFar.text).toBe("when told");
  });

  it("refuses options that make no sense", () => {
    expect(() => memoryLinkPair({ delayMs: 1 })).toThrow(/delayMs needs a clock/);
    expect(() => memoryLinkPair({ delayMs: -1 })).toThrow(RangeError);
    expect(() => memoryLinkPair({ chunkBytes: 0 })).toThrow(RangeError);
    expect(() => memoryLinkPair({ highWaterBytes: Number.NaN })).toThrow(RangeError);
    expect(() => memoryLinkPair({ chunkBytes: "7" as unknown as number })).toThrow(
      'chunkBytes must be 1 or more, not "7"',
    );
    const misspelt = { delay: 1 } as MemoryLinkOptions;
    expect(() => memoryLinkPair(misspelt)).toThrow(
      new TypeError("memoryLinkPair options.delay is not an option; did you mean delayMs?"),
    );
    expect(() => memoryLinkPair()[0].line.set(misspelt)).toThrow(/^faults\.delay is not an option/);
  });
});
