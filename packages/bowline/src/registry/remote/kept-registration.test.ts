import { describe, expect, it, vi } from "vitest";
import { seededRandom } from "../../rpc/random.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { instanceAt } from "../instance/instance.ts";
import type { Instance } from "../registry.ts";
import { KeptRegistration, type RemoteEntry } from "./kept-registration.ts";

class Fault extends Error {
  readonly isFinal: boolean;
  constructor(message: string, isFinal: boolean = false) {
    super(message);
    this.isFinal = isFinal;
  }
}

/** A product with room for one entry; a test may make it fail. */
class Product implements RemoteEntry {
  entry: Instance | null = null;
  fault: Error | null = null;
  isHidden = false;
  onBack: (isDoubtful?: boolean) => void = () => {};
  /** What was asked for, with the time. */
  readonly log: string[] = [];
  readonly clock = new VirtualClock();
  readonly reports: string[] = [];
  closed = 0;

  async put(instance: Instance): Promise<void> {
    this.#answer("put");
    this.entry = instance;
  }

  async renew(): Promise<boolean> {
    this.#answer("renew");
    return this.entry !== null;
  }

  async remove(): Promise<void> {
    this.#answer("remove");
    this.entry = null;
  }

  registration(seed: number = 1): KeptRegistration {
    return new KeptRegistration(this, instanceAt("10.0.0.7:8080"), {
      owner: "test registry",
      clock: this.clock,
      random: seed === 0 ? () => 0.5 : seededRandom(seed),
      renewMs: 3000,
      expiryMs: 10_000,
      isFinal: (error) => error instanceof Fault && error.isFinal,
      report: (error) => this.reports.push(error.message),
      onClose: () => this.closed++,
    });
  }

  #answer(what: string): void {
    this.log.push(what);
    if (this.fault !== null) throw this.fault;
  }
}

describe("a kept registration", () => {
  it("is written once and renewed from then on, at a distance that differs", async () => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    expect(registration.state).toBe("registered");
    await product.clock.advance(30_000);
    expect(product.log[0]).toBe("put");
    expect(product.log.slice(1).every((each) => each === "renew")).toBe(true);
    expect(product.log.length).toBeGreaterThanOrEqual(11);
    expect(product.log.length).toBeLessThanOrEqual(13);
  });

  it("puts back what the product has lost, as it was changed last", async () => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    await registration.update({ weight: 5, state: "draining" });
    product.entry = null;
    await product.clock.advance(3000);
    expect(product.entry).toMatchObject({ weight: 5, state: "draining" });
    expect([registration.state, registration.losses]).toEqual(["registered", 1]);
    expect(product.reports).toEqual([]);
  });

  it("goes on trying with full jitter while the product is away, and says so once", async () => {
    const product = new Product();
    product.fault = new Fault("away");
    const registration = product.registration(0);
    await registration.start();
    expect(registration.state).toBe("pending");
    await product.clock.advance(60_000);
    // Half of 0.5 s, 1, 2, 4 and then of 5 s each.
    expect(product.log.length).toBeGreaterThanOrEqual(26);
    expect(product.log.length).toBeLessThanOrEqual(28);
    expect(product.reports).toEqual(["away"]);
    product.fault = null;
    await product.clock.advance(15_000);
    expect(registration.state).toBe("registered");
    product.fault = new Fault("away");
    await product.clock.advance(3000);
    expect(registration.state).toBe("pending");
    expect(product.reports).toEqual(["away", "away"]);
    // It may be there all the time.
    expect(registration.losses).toBe(0);
  });

  it("spreads the attempts of many that were cut off together", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const times: number[] = [];
    for (let each = 0; each < 200; each++) {
      const product = new Product();
      product.fault = new Fault("away");
      await product.registration(seed + each).start();
      while (product.log.length < 6) await product.clock.advance(50);
      times.push(product.clock.now());
    }
    const busiest = Math.max(
      ...Array.from({ length: 200 }, (_, slot) => times.filter((at) => Math.floor(at / 500) === slot).length),
    );
    expect(busiest, `seed ${seed}`).toBeLessThan(60);
  }, 30_000);

  it("rejects what trying again can't mend, and is closed then", async () => {
    const product = new Product();
    product.fault = new Fault("no right", true);
    const registration = product.registration();
    await expect(registration.start()).rejects.toThrow("no right");
    expect([registration.state, product.closed, product.clock.pending]).toEqual(["closed", 1, 0]);
    await expect(registration.update({ weight: 2 })).rejects.toThrow(
      /is closed and can't be updated; register it again/,
    );
    await registration.close();
    expect(product.log).toEqual(["put"]);
  });

  it("goes on when a right is lost later", async () => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    product.fault = new Fault("no right", true);
    await product.clock.advance(3000);
    expect([registration.state, product.reports]).toEqual(["pending", ["no right"]]);
    product.fault = null;
    await product.clock.advance(15_000);
    expect(registration.state).toBe("registered");
  });

  it("rejects a change that can't be written now, and makes it true later", async () => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    product.fault = new Fault("away");
    await expect(registration.update({ weight: 3 })).rejects.toThrow("away");
    product.fault = null;
    await product.clock.advance(15_000);
    expect(product.entry?.weight).toBe(3);
    await expect(registration.update({ weight: -1 })).rejects.toThrow(/instance\.weight: -1/);
    expect(product.entry?.weight).toBe(3);
  });

  it("writes the last of many changes, not each", async () => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    await Promise.all([2, 3, 4, 5].map((weight) => registration.update({ weight })));
    expect(product.entry?.weight).toBe(5);
    expect(product.log.filter((each) => each === "put").length).toBe(2);
  });

  it("is taken out when it is closed, and nothing is left running", async () => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    await Promise.all([registration.close(), registration.close()]);
    expect([product.entry, product.log, product.closed, product.clock.pending]).toEqual([
      null,
      ["put", "remove"],
      1,
      0,
    ]);
  });

  it("does not wait for a product that is away when it is closed, and takes it out as soon as it can", async () => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    product.fault = new Fault("away");
    await registration.close();
    expect([registration.state, product.closed]).toEqual(["closed", 0]);
    product.fault = null;
    await product.clock.advance(10_000);
    expect([product.entry, product.closed, product.clock.pending]).toEqual([null, 1, 0]);
  });

  it("tries again at once when the entry says that it can be done now", async () => {
    const product = new Product();
    product.fault = new Fault("away");
    const registration = product.registration(0);
    await registration.start();
    await product.clock.advance(30_000);
    product.fault = null;
    product.onBack();
    await product.clock.advance(1);
    expect(registration.state).toBe("registered");
    const asked = product.log.length;
    product.onBack();
    await product.clock.advance(1);
    expect(product.log.length).toBe(asked);
    product.entry = null;
    product.onBack(true);
    await product.clock.advance(1);
    expect([product.log.slice(asked), registration.losses]).toEqual([["renew", "put"], 1]);
    await registration.close();
    for (const isDoubtful of [false, true]) product.onBack(isDoubtful);
    expect(product.clock.pending).toBe(0);
  });

  it("is renewed once more, at once, if the product may have lost it after a renewal under way has looked", async () => {
    const product = new Product();
    const registration = product.registration(0);
    await registration.start();
    const renewing = Promise.withResolvers<boolean>();
    const renew = vi.spyOn(product, "renew").mockReturnValueOnce(renewing.promise);
    await product.clock.advance(3000);
    product.entry = null;
    product.onBack(true);
    renewing.resolve(true);
    await product.clock.advance(1);
    expect([renew.mock.calls.length, product.entry === null, registration.losses]).toEqual([2, false, 1]);
    await product.clock.advance(2500);
    expect(renew).toHaveBeenCalledTimes(2);
    await registration.close();
  });

  it("is taken out within the grace that is given to it, if those who watch still see it", async () => {
    for (const [isHidden, isBack] of [
      [false, true],
      [false, false],
      [true, false],
    ]) {
      const product = new Product();
      const registration = product.registration();
      await registration.start();
      product.fault = new Fault("away");
      await registration.close();
      product.isHidden = isHidden;
      let isDone = false;
      void registration.abandon(2000).then(() => (isDone = true));
      await product.clock.advance(1000);
      expect(isDone).toBe(isHidden);
      if (isBack) product.fault = null;
      await product.clock.advance(1000);
      expect([isDone, product.entry === null, product.clock.pending]).toEqual([true, isBack, 0]);
    }
  });

  it.each([
    ["it must have expired", null, false, true],
    ["there is no more time for it", 2000, false, true],
    ["nobody sees it any more", 2000, true, false],
    ["another takes its place", 0, false, false],
  ])("reports once that it could not be taken out when %s: %s, %s", async (_why, graceMs, isHidden, isReported) => {
    const product = new Product();
    const registration = product.registration();
    await registration.start();
    product.fault = new Fault("away");
    await registration.close();
    product.isHidden = isHidden;
    if (graceMs !== null) void registration.abandon(graceMs);
    await product.clock.advance(60_000);
    const { id } = instanceAt("10.0.0.7:8080");
    const report = `test registry: ${id} could not be taken out, and expires by itself: away`;
    expect([product.reports, product.clock.pending]).toEqual([isReported ? [report] : [], 0]);
  });

  it("gives up taking it out when it must have expired, or when it is told to", async () => {
    for (const isAbandoned of [false, true]) {
      const product = new Product();
      const registration = product.registration();
      await registration.start();
      product.fault = new Fault("away");
      await registration.close();
      if (isAbandoned) await registration.abandon();
      else await product.clock.advance(10_000);
      expect([product.clock.pending, product.closed > 0]).toEqual([0, true]);
      product.fault = null;
      await product.clock.advance(60_000);
      expect(product.entry).not.toBeNull();
    }
  });
});
