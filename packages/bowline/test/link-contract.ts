import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Link } from "../src/http2/link.ts";
import { seededRandom } from "../src/rpc/random.ts";
import { LinkRecorder } from "./link-recorder.ts";

/** Two ends that are connected, neither started. */
export interface LinkPair {
  readonly near: Link;
  readonly far: Link;
  /** Lets go of what is behind them. */
  close(): Promise<void>;
}

/** A recorder that notices when it is called from inside a call to its link. */
class OutsideRecorder extends LinkRecorder {
  isInside: boolean = false;
  readonly violations: string[] = [];

  /** Runs a call to the link. */
  during<T>(call: () => T): T {
    this.isInside = true;
    const result = call();
    this.isInside = false;
    return result;
  }

  override linkData(chunk: Buffer): void {
    this.#check("linkData");
    super.linkData(chunk);
  }

  override linkDrain(): void {
    this.#check("linkDrain");
    super.linkDrain();
  }

  override linkEnd(): void {
    this.#check("linkEnd");
    super.linkEnd();
  }

  override linkClosed(error: Error | undefined): void {
    this.#check("linkClosed");
    super.linkClosed(error);
  }

  #check(event: string): void {
    if (this.isInside) this.violations.push(event);
    if (this.has("closed")) this.violations.push(`${event} after linkClosed`);
  }
}

/** The promises of `Link` (http2/link.ts), for every implementation. `connect` makes a new pair for each test. */
export function linkContract(name: string, connect: () => Promise<LinkPair>): void {
  describe(`${name} keeps the contract of a link`, () => {
    let pair: LinkPair;
    let near: Link;
    let far: Link;
    let atNear: OutsideRecorder;
    let atFar: OutsideRecorder;

    beforeEach(async () => {
      pair = await connect();
      ({ near, far } = pair);
      atNear = new OutsideRecorder();
      atFar = new OutsideRecorder();
    });

    afterEach(async () => {
      near.destroy();
      far.destroy();
      await pair.close();
      expect(atNear.violations).toEqual([]);
      expect(atFar.violations).toEqual([]);
    });

    function start(): void {
      atNear.during(() => near.start(atNear));
      atFar.during(() => far.start(atFar));
    }

    /** Writes until the link has enough; returns how many bytes that were. */
    function fill(chunkBytes: number): number {
      let written = 0;
      do written += chunkBytes;
      while (atNear.during(() => near.write(Buffer.alloc(chunkBytes, written / chunkBytes))));
      return written;
    }

    /** Both ends end as connections do: one first, the other when it hears of it. */
    async function endBoth(): Promise<void> {
      atNear.during(() => near.end());
      await atFar.untilEvent("end");
      atFar.during(() => far.end());
      await Promise.all([atNear.untilEvent("closed"), atFar.untilEvent("closed")]);
    }

    it("says who is at the other end", () => {
      expect(near.peer.remoteAddress).not.toBe("");
      expect(far.peer.localAddress).not.toBe("");
    });

    it("delivers nothing before start, then all of it in order", async () => {
      near.write(Buffer.from("one "));
      near.write(Buffer.from("two"));
      await new Promise((resolve) => setImmediate(resolve));
      expect(atFar.events).toEqual([]);
      start();
      expect(atFar.events).toEqual([]);
      await atFar.untilText("one two");
      expect(atFar.text).toBe("one two");
    });

    it("refuses a second handler", () => {
      start();
      expect(() => near.start(new LinkRecorder())).toThrow(TypeError);
    });

    it("carries bytes of any size both ways at once, single chunks and lists", async () => {
      const seed = 20_260_101;
      const random = seededRandom(seed);
      start();
      const pieces = Array.from({ length: 200 }, (_, index) => Buffer.alloc(Math.floor(random() ** 4 * 20_000), index));
      const sent = Buffer.concat(pieces);
      for (let at = 0; at < pieces.length; at += 4) {
        near.write(pieces[at]);
        near.writeAll(pieces.slice(at + 1, at + 4));
        far.writeAll(pieces.slice(at, at + 4));
      }
      await Promise.all([atNear, atFar].map((end) => end.until(() => end.bytes.length >= sent.length)));
      expect(atNear.bytes.equals(sent), `seed ${seed}`).toBe(true);
      expect(atFar.bytes.equals(sent), `seed ${seed}`).toBe(true);
    });

    it("lets a chunk be reused as soon as it is idle or has drained", async () => {
      start();
      const arena = Buffer.alloc(32_768);
      const sent: Buffer[] = [];
      for (let round = 0; round < 20; round++) {
        arena.fill(65 + round);
        sent.push(Buffer.from(arena));
        atNear.during(() => near.write(arena));
        while (!near.isIdle) await new Promise((resolve) => setImmediate(resolve));
        arena.fill(0);
      }
      const all = Buffer.concat(sent);
      await atFar.until(() => atFar.bytes.length >= all.length);
      expect(atFar.bytes.equals(all)).toBe(true);
    });

    it("refuses more while the peer does not read, and tells once when everything is taken", async () => {
      start();
      atFar.during(() => far.pause());
      const written = fill(65_536);
      expect(near.isIdle).toBe(false);
      expect(atNear.has("drain")).toBe(false);
      atFar.during(() => far.resume());
      await atNear.untilEvent("drain");
      expect(near.isIdle).toBe(true);
      await atFar.until(() => atFar.bytes.length >= written);
      expect(atFar.bytes.length).toBe(written);
      expect(atNear.events).toEqual(["drain"]);
    });

    it("delivers nothing while paused and loses nothing, by single bytes too", async () => {
      start();
      atFar.onData = () => far.pause();
      for (const letter of "abcdefgh") near.write(Buffer.from(letter));
      await atFar.untilEvent("data");
      const soFar = atFar.text;
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(atFar.text).toBe(soFar);
      atFar.onData = () => {};
      atFar.during(() => far.resume());
      await atFar.untilText("h");
      expect(atFar.text).toBe("abcdefgh");
    });

    it("ends in order: all bytes, the end, and a close without error when both have ended", async () => {
      start();
      const bytes = Buffer.alloc(300_000, 7);
      near.write(bytes);
      await endBoth();
      expect(atFar.bytes.equals(bytes)).toBe(true);
      expect(atFar.events.filter((event) => event !== "drain")).toEqual(["data", "end", "closed"]);
      expect(atNear.events.at(-1)).toBe("closed");
      expect([atNear.error, atFar.error]).toEqual([undefined, undefined]);
    });

    it("still delivers to an end that has ended", async () => {
      start();
      atNear.during(() => near.end());
      await atFar.untilEvent("end");
      far.write(Buffer.from("an answer"));
      atFar.during(() => far.end());
      await atNear.untilEvent("closed");
      expect(atNear.text).toBe("an answer");
      expect(atNear.error).toBeUndefined();
    });

    it("takes nothing more after end, without an error", async () => {
      start();
      near.write(Buffer.from("last"));
      near.end();
      expect(near.write(Buffer.from("late"))).toBe(false);
      expect(near.writeAll([Buffer.from("late")])).toBe(false);
      await atFar.untilEvent("end");
      expect(atFar.text).toBe("last");
    });

    it("tells the error of destroy at this end only, and the other that nothing more comes", async () => {
      start();
      const error = new Error("enough");
      atNear.during(() => near.destroy(error));
      await atNear.untilEvent("closed");
      expect(atNear.error).toBe(error);
      await atFar.until(() => atFar.has("end") || atFar.has("closed"));
      atFar.during(() => far.end());
      await atFar.untilEvent("closed");
      expect(atFar.error).not.toBe(error);
    });

    it("is idle, silent and harmless once it is closed", async () => {
      start();
      await endBoth();
      const events = [...atNear.events];
      expect(near.write(Buffer.from("late"))).toBe(false);
      near.pause();
      near.resume();
      near.end();
      near.destroy(new Error("late"));
      expect(near.isIdle).toBe(true);
      await new Promise((resolve) => setImmediate(resolve));
      expect(atNear.events).toEqual(events);
    });

    it("tells an end that is started late that it was closed", async () => {
      atFar.during(() => far.start(atFar));
      near.destroy();
      atNear.during(() => near.start(atNear));
      await atNear.untilEvent("closed");
      expect(atNear.events).toEqual(["closed"]);
    });
  });
}
