import { EventEmitter } from "node:events";
import { beforeEach, describe, expect, it } from "vitest";
import { gate } from "../../../test/server/server-scene.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import { SignalStop } from "./shutdown.ts";

class FakeProcess extends EventEmitter {
  readonly exits: (number | undefined)[] = [];

  exit(code?: number): void {
    this.exits.push(code);
  }

  get listening(): number {
    return this.listenerCount("SIGTERM") + this.listenerCount("SIGINT");
  }
}

let fake: FakeProcess;
let clock: VirtualClock;
let signals: SignalStop;
beforeEach(() => {
  fake = new FakeProcess();
  clock = new VirtualClock();
  signals = new SignalStop(fake, clock);
});

describe("SignalStop", () => {
  it("stops all, once, and then ends the process with the exit code that it has", async () => {
    const [one, two] = [gate(), gate()];
    let stops = 0;
    for (const { opened } of [one, two]) {
      const stop = (): Promise<void> => {
        stops++;
        return opened;
      };
      signals.add({ stop });
    }
    fake.emit("SIGINT", "SIGINT");
    expect(stops).toBe(2);
    one.open();
    await settle();
    expect(fake.exits).toEqual([]);
    two.open();
    await settle();
    // Without an argument: process.exitCode counts.
    expect(fake.exits).toEqual([undefined]);
  });

  it("ends the process though a stop fails", async () => {
    signals.add({ stop: () => Promise.reject(new Error("stuck")) });
    fake.emit("SIGTERM", "SIGTERM");
    await settle();
    expect(fake.exits).toEqual([undefined]);
  });

  it("ends the process at once by a second signal, but not by the echo of the first", async () => {
    signals.add({ stop: () => new Promise(() => {}) });
    fake.emit("SIGINT", "SIGINT");
    await clock.advance(200);
    fake.emit("SIGINT", "SIGINT");
    expect(fake.exits).toEqual([]);
    await clock.advance(100);
    fake.emit("SIGINT", "SIGINT");
    fake.emit("SIGTERM", "SIGTERM");
    expect(fake.exits).toEqual([130, 143]);
  });

  it("listens only while there is something to stop, and until the end once it stops", () => {
    expect(fake.listening).toBe(0);
    const [takeOne, takeTwo] = [signals.add({ stop: async () => {} }), signals.add({ stop: async () => {} })];
    expect(fake.listening).toBe(2);
    takeOne();
    takeOne();
    expect(fake.listening).toBe(2);
    takeTwo();
    expect(fake.listening).toBe(0);
    const takeThree = signals.add({ stop: () => new Promise(() => {}) });
    fake.emit("SIGTERM", "SIGTERM");
    takeThree();
    expect(fake.listening).toBe(2);
  });

  it("ends by a second signal what would outlive the process", async () => {
    const aborted: string[] = [];
    signals.add({ stop: () => new Promise(() => {}), abort: () => aborted.push("first") });
    signals.add({ stop: () => new Promise(() => {}) });
    fake.emit("SIGTERM", "SIGTERM");
    await clock.advance(300);
    expect(aborted).toEqual([]);
    fake.emit("SIGTERM", "SIGTERM");
    expect(aborted).toEqual(["first"]);
    expect(fake.exits).toEqual([143]);
  });

  it("ignores signals in a worker, and stops when its primary says so", async () => {
    let stops = 0;
    signals.leaveToPrimary();
    signals.leaveToPrimary();
    expect(fake.listening).toBe(2);
    const take = signals.add({ stop: async () => void stops++ });
    const takeOther = signals.add({ stop: async () => {} });
    takeOther();
    fake.emit("SIGINT", "SIGINT");
    await clock.advance(300);
    fake.emit("SIGTERM", "SIGTERM");
    await settle();
    expect([stops, fake.exits]).toEqual([0, []]);
    signals.stop();
    signals.stop();
    await settle();
    expect([stops, fake.exits]).toEqual([1, [undefined]]);
    take();
    // A signal must not end it before the primary does.
    expect(fake.listening).toBe(2);
  });
});
