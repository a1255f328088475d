import { describe, expect, it } from "vitest";
import { type NoteClient, NoteService } from "../../../test/client/note-service.ts";
import { type Client, createClient } from "../../client/create-client.ts";
import { Code } from "../../rpc/code.ts";
import { type Random, seededRandom } from "../../rpc/random.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { type InMemory, inMemory } from "../in-memory.ts";
import { settle, VirtualClock } from "../virtual-clock.ts";
import type { FaultLink } from "./fault-link.ts";
import { type MemoryNetwork, memoryNetwork } from "./memory-network.ts";

const RUN_MS = 20_000;
const CALLS = 200;
const ADDRESSES = ["notes:1", "notes:2", "notes:3"];
/** Timers fire in slots of 5 ms, and their wheel looks each 5 ms. */
const TIMER_MS = 15;

interface Tried {
  readonly text: string;
  readonly deadlineAt: number;
  ends: number;
  endedAt: number;
  outcome: string;
  sent: boolean;
}

/** Three servers and two clients as users make them, over a network that goes wrong: 20 s, all of it decided by a seed. */
class Run {
  readonly clock: VirtualClock = new VirtualClock();
  readonly network: MemoryNetwork;
  readonly calls: Tried[] = [];
  readonly handled: Map<string, number> = new Map();
  readonly #random: Random;
  #servers: readonly InMemory<NoteClient>[] = [];
  #clients: readonly Client<NoteClient>[] = [];

  constructor(seed: number) {
    const { clock } = this;
    this.#random = seededRandom(seed);
    const faults = (_address: string, random: Random) => ({
      delayMs: random() * 5,
      jitterMs: random() * 20,
      chunkBytes: random() < 0.5 ? 65_536 : () => 1 + random() * 50,
      resetAfterBytes: random() < 0.3 ? Math.floor(random() * 20_000) : Number.POSITIVE_INFINITY,
      refusedShare: 0.1,
    });
    this.network = memoryNetwork({ clock, random: this.#random, faults });
  }

  async play(): Promise<void> {
    const { clock, network } = this;
    const random = this.#random;
    const handle = (text: string): Promise<string> => this.#handle(text);
    this.#servers = await Promise.all(
      ADDRESSES.map((address) => {
        return inMemory(NoteService, { say: handle, read: handle }, { network, clock, random, address });
      }),
    );
    const target = `static:///${ADDRESSES.join(",")}`;
    const keepalive = { timeMs: 10_000, timeoutMs: 1000 };
    this.#clients = [1, 2].map((maxWaitingCalls) => {
      return createClient(NoteService, target, {
        network,
        clock,
        random,
        keepalive,
        maxWaitingCalls: 1000 * maxWaitingCalls,
      });
    });
    for (let i = 0; i < CALLS; i++) clock.setTimeout(() => this.#call(i), random() * RUN_MS);
    for (let i = 0; i < 30; i++) clock.setTimeout(() => this.#fault(), random() * RUN_MS);
    await clock.advance(RUN_MS + 1000 + TIMER_MS);
  }

  /** Ends all, and tells how many timers are left. */
  async close(): Promise<number> {
    await Promise.all([...this.#clients, ...this.#servers].map((each) => each.close()));
    this.network.close();
    // Faults that were to end later, and wheels of timers, which stop with their next tick.
    await this.clock.advance(2000);
    return this.clock.pending;
  }

  #call(index: number): void {
    const { clock } = this;
    const timeoutMs = 50 + this.#random() * 950;
    const tried: Tried = {
      text: `call ${index}`,
      deadlineAt: clock.now() + timeoutMs,
      ends: 0,
      endedAt: 0,
      outcome: "",
      sent: true,
    };
    this.calls.push(tried);
    const client = this.#clients[index % 2];
    const method = index % 3 === 0 ? "read" : "say";
    const ended = (outcome: string, sent: boolean): void =>
      void Object.assign(tried, { ends: tried.ends + 1, endedAt: clock.now(), outcome, sent });
    client[method](tried.text, { timeoutMs, waitForReady: index % 2 === 0 }).then(
      (text) => ended(text, true),
      (error: unknown) => ended(String(error), RpcError.is(error) && error.sent),
    );
  }

  async #handle(text: string): Promise<string> {
    this.handled.set(text, (this.handled.get(text) ?? 0) + 1);
    const chance = this.#random();
    if (chance < 0.05) throw new RpcError(Code.UNAVAILABLE, "by chance");
    if (chance < 0.1) await new Promise(() => {});
    if (chance < 0.5) await new Promise<void>((resolve) => this.clock.setTimeout(resolve, this.#random() * 200));
    return text;
  }

  #fault(): void {
    const { network, clock } = this;
    const address = ADDRESSES[Math.floor(this.#random() * ADDRESSES.length)];
    const links = network.links(address);
    const link = links[Math.floor(this.#random() * links.length)];
    const forAWhile = (begin: () => void, end: () => void): void => {
      begin();
      clock.setTimeout(end, this.#random() * 2000);
    };
    const onLink = (fault: (link: FaultLink) => void) => () => void (link !== undefined && fault(link));
    const faults: readonly (() => void)[] = [
      onLink((each) => each.reset()),
      onLink((each) => each.lose("server")),
      onLink((each) => each.toClient.freeze()),
      onLink((each) =>
        forAWhile(
          () => each.freeze(),
          () => each.thaw(),
        ),
      ),
      () =>
        forAWhile(
          () => network.cutOff(address),
          () => network.restore(address),
        ),
      () =>
        forAWhile(
          () => network.refuse(address),
          () => network.accept(address),
        ),
      () => network.setFaults(address, { bytesPerSecond: 1000 + this.#random() * 100_000 }),
    ];
    faults[Math.floor(this.#random() * faults.length)]();
  }
}

describe("servers and clients over a network that goes wrong by chance", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])("end each call once, in time, with the truth: seed %i", async (seed) => {
    const run = new Run(seed);
    await run.play();
    expect(run.calls).toHaveLength(CALLS);
    for (const { text, ends, endedAt, deadlineAt, outcome, sent } of run.calls) {
      const runs = run.handled.get(text) ?? 0;
      const isIdempotent = Number(text.slice(5)) % 3 === 0;
      expect(ends, `${text} ends once`).toBe(1);
      expect(endedAt - deadlineAt, `${text} ends by its deadline`).toBeLessThanOrEqual(TIMER_MS);
      expect(
        outcome === text || /^RpcError: \[(UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED)\]/.test(outcome),
        outcome,
      ).toBe(true);
      expect(runs, `${text} is not run too often`).toBeLessThanOrEqual(isIdempotent ? 2 : 1);
      if (outcome === text) expect(runs).toBeGreaterThan(0);
      if (!sent) expect(runs, `${outcome} says that ${text} was never processed`).toBe(0);
    }
    const outcomes = run.calls.map(({ outcome, text }) => outcome === text);
    expect(outcomes).toContain(true);
    expect(outcomes).toContain(false);
    expect(await run.close(), "timers after the end").toBe(0);
    expect(run.network.links()).toEqual([]);
  });

  it("do the same again for the same seed", async () => {
    const results: string[] = [];
    for (let i = 0; i < 2; i++) {
      const run = new Run(99);
      await run.play();
      results.push(JSON.stringify(run.calls.map(({ text, endedAt, outcome }) => [text, endedAt, outcome])));
      await run.close();
      await settle();
    }
    expect(results[0]).toBe(results[1]);
  });
});
