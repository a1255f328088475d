import { describe, expect, it } from "vitest";
import { StreamCall } from "../../src/client/call/stream-call.ts";
import { UnaryCall } from "../../src/client/call/unary-call.ts";
import type { CallOptions } from "../../src/client/call-options.ts";
import { Channel } from "../../src/client/channel/channel.ts";
import { channelOptions } from "../../src/client/channel/channel-options.ts";
import { type ClientPipeline, clientPipeline } from "../../src/client/pipeline.ts";
import { parseTarget } from "../../src/registry/target/target.ts";
import { Code } from "../../src/rpc/code.ts";
import { type Random, seededRandom } from "../../src/rpc/random.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { FaultyFleet, tightLimits } from "./faulty-fleet.ts";
import { WIRE, type WireHandlers } from "./wire-service.ts";

const SEEDS = 200;
const CALLS = 50;
/** Timers fire in slots of 5 ms, and the wheel looks at them each 5 ms. */
const TIMER_MS = 15;

type MethodName = keyof WireHandlers;
const METHODS: readonly MethodName[] = ["unary", "unary", "read", "serverStream", "clientStream", "bidiStream"];

/** A call of a run and what became of it. */
interface Tried {
  readonly id: number;
  readonly method: MethodName;
  readonly payload: Buffer;
  readonly deadlineAt: number;
  /** How often it ended: must be 1 in the end. */
  ends: number;
  endedAt: number;
  error: RpcError | null;
  readonly messages: Buffer[];
}

/** One client and a faulty fleet, all of it decided by one seed. */
class Run {
  readonly clock = new VirtualClock(1000);
  readonly calls: Tried[] = [];
  /** How often a handler was run, by call. */
  readonly handled = new Map<number, number>();
  readonly channel: Channel;
  readonly fleet: FaultyFleet;
  readonly #random: Random;
  readonly #pipeline: ClientPipeline;

  constructor(seed: number) {
    const { clock } = this;
    this.#random = seededRandom(seed);
    this.fleet = new FaultyFleet(this.#handlers(), clock, this.#random);
    const options = channelOptions(parseTarget("static:///a:1,b:1,c:1"), {
      clock,
      random: this.#random,
      limits: tightLimits,
    });
    this.channel = new Channel({ ...options, endpoint: { ...options.endpoint, dial: () => this.fleet.dial() } });
    this.#pipeline = clientPipeline({
      clock,
      random: this.#random,
      timeoutMs: 200,
      streamTimeoutMs: 200,
      retry: { maxAttempts: 2, baseMs: 5, maxMs: 20 },
      interceptors: [],
      without: [],
    });
  }

  async play(): Promise<void> {
    for (let id = 0; id < CALLS; id++) this.clock.setTimeout(() => this.#call(id), this.#upTo(250));
    await this.clock.advance(250 + 300 + TIMER_MS);
  }

  /** Ends all; what still holds a timer afterwards has leaked. */
  async close(): Promise<void> {
    const closed = this.channel.close();
    this.fleet.close();
    await this.clock.advance(300);
    await closed;
  }

  #call(id: number): void {
    const random = this.#random;
    const method = METHODS[Math.floor(random() * METHODS.length)];
    const timeoutMs = 20 + this.#upTo(280);
    const size = random() < 0.1 ? 20_000 : random() < 0.5 ? 40 : 400;
    const payload = Buffer.alloc(8 + Math.floor(random() * size), id & 0xff);
    payload.writeUInt32BE(id);
    const tried: Tried = {
      id,
      method,
      payload,
      deadlineAt: this.clock.now() + timeoutMs,
      ends: 0,
      endedAt: 0,
      error: null,
      messages: [],
    };
    this.calls.push(tried);
    const options: CallOptions = { timeoutMs, waitForReady: random() < 0.5 };
    if (random() < 0.2) {
      const controller = new AbortController();
      options.signal = controller.signal;
      this.clock.setTimeout(() => controller.abort(), this.#upTo(timeoutMs));
    }
    this.#start(tried, options).then(
      () => this.#ended(tried, null),
      (error: unknown) => this.#ended(tried, error as RpcError),
    );
  }

  async #start(tried: Tried, options: CallOptions): Promise<void> {
    const { method, payload, messages } = tried;
    const target = this.channel.method(WIRE.methods[method]);
    const request = method === "clientStream" || method === "bidiStream" ? [payload, payload, payload] : payload;
    if (method === "serverStream" || method === "bidiStream") {
      const call = new StreamCall(this.channel, target, this.#pipeline, options, request);
      call.begin();
      for await (const each of call.messages) messages.push(Buffer.from(each as Uint8Array));
      return;
    }
    const answer = await new Promise((resolve, reject) => {
      new UnaryCall(this.channel, target, this.#pipeline, options, request, resolve, reject).begin();
    });
    messages.push(Buffer.from(answer as Uint8Array));
  }

  #ended(tried: Tried, error: RpcError | null): void {
    tried.ends++;
    tried.endedAt = this.clock.now();
    tried.error = error;
  }

  /** Answers at once or later, with the same or an error; some calls never. */
  #handlers(): WireHandlers {
    const serve = async (request: Uint8Array): Promise<Uint8Array> => {
      const id = Buffer.from(request).readUInt32BE();
      this.handled.set(id, (this.handled.get(id) ?? 0) + 1);
      const chance = this.#random();
      if (chance < 0.3) await new Promise<void>((resolve) => this.clock.setTimeout(resolve, this.#upTo(150)));
      else if (chance < 0.35) await new Promise(() => {});
      if (chance > 0.95) throw new RpcError(Code.UNAVAILABLE, "by chance");
      if (chance > 0.9) throw new RpcError(Code.FAILED_PRECONDITION, "by chance");
      return request;
    };
    return {
      unary: serve,
      read: serve,
      async *serverStream(request) {
        const answer = await serve(request);
        for (let i = 0; i < 5; i++) yield answer;
      },
      async clientStream(requests) {
        let first: Uint8Array | null = null;
        for await (const each of requests) first ??= each;
        return serve(first as Uint8Array);
      },
      async *bidiStream(requests) {
        let isFirst = true;
        for await (const each of requests) {
          yield isFirst ? await serve(each) : each;
          isFirst = false;
        }
      },
    };
  }

  #upTo(most: number): number {
    return this.#random() * most;
  }
}

/** Answers that a call without error must have got. */
const EXPECTED_MESSAGES: Readonly<Record<MethodName, number>> = {
  unary: 1,
  read: 1,
  serverStream: 5,
  clientStream: 1,
  bidiStream: 3,
};

function check(run: Run, tried: Tried): void {
  const { method, error, messages, payload } = tried;
  const runs = run.handled.get(tried.id) ?? 0;
  const what = `call ${tried.id} (${method})`;
  expect(tried.ends, `${what} ends once`).toBe(1);
  expect(tried.endedAt - tried.deadlineAt, `${what} ends by its deadline`).toBeLessThanOrEqual(TIMER_MS);
  // Only a method that says so is run again when it may have run before.
  expect(runs, `${what} is not run too often`).toBeLessThanOrEqual(method === "read" ? 2 : 1);
  expect(messages.length, `${what} gets no more answers than there are`).toBeLessThanOrEqual(EXPECTED_MESSAGES[method]);
  for (const message of messages) expect(message.equals(payload), `${what} gets its own answers, whole`).toBe(true);
  if (error === null) {
    expect(messages, `${what} gets all of its answer`).toHaveLength(EXPECTED_MESSAGES[method]);
    expect(runs, `${what} was run`).toBeGreaterThan(0);
    return;
  }
  expect(RpcError.is(error), `${what} fails with an RpcError: ${String(error)}`).toBe(true);
  expect(error.text, what).not.toBe("");
  if (!error.sent) expect(runs, `${what}: ${error.message} says that it was never processed`).toBe(0);
}

describe("calls over a network that goes wrong by chance", () => {
  it.each(Array.from({ length: SEEDS / 10 }, (_, i) => 10 * i + 1))(
    "end once, in time, with the truth: seeds from %i",
    async (first) => {
      const outcomes = new Set<string>();
      for (let seed = first; seed < first + 10; seed++) {
        const run = new Run(seed);
        try {
          await run.play();
          expect(run.calls).toHaveLength(CALLS);
          for (const tried of run.calls) {
            check(run, tried);
            outcomes.add(tried.error === null ? "ok" : tried.error.message.replace(/ .*/, ""));
          }
          for (const { method, started, inFlight, byCode } of run.channel.stats) {
            const ended = byCode.reduce((sum, count) => sum + count, 0);
            expect([inFlight, ended], `${method}: started = ok + errors`).toEqual([0, started]);
          }
          const left = run.channel.endpoints.flatMap(({ inFlight, streaming }) => [inFlight, streaming]);
          expect(left).toEqual([0, 0, 0, 0, 0, 0]);
          await run.close();
          expect(run.clock.pending, "timers after the end").toBe(0);
          for (const { transport } of run.fleet.connections) expect(transport.connection.isClosed).toBe(true);
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
      // The network is bad, not dead: every run has seen both.
      expect(outcomes).toContain("ok");
      expect(outcomes.size).toBeGreaterThan(3);
    },
  );

  it("end the same when their seed is played again", async () => {
    const results: string[] = [];
    for (let i = 0; i < 2; i++) {
      const run = new Run(4711);
      await run.play();
      results.push(
        JSON.stringify(
          run.calls.map(({ id, endedAt, error, messages }) => [id, endedAt, error?.message, messages.length]),
        ),
      );
      await run.close();
    }
    expect(results[0]).toBe(results[1]);
  });
});
