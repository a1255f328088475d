import type { Any } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Client, createClient, Metadata, silentLogger } from "bowline";
import { Dice } from "../engine/dice.ts";
import type { SimulationClock } from "../engine/simulation-clock.ts";
import type { TappedNetwork } from "../network/tapped-network.ts";
import type { CallPlan } from "./call-plan.ts";
import { callOctets, digestOf } from "./handlers.ts";
import { type KnotClient, Knots, knot, knotFault } from "./knots.ts";
import type { CallRecord, Ledger } from "./ledger.ts";

/** What clients need of their world. */
export interface TrafficWorld {
  readonly seed: number;
  readonly clock: SimulationClock;
  readonly network: TappedNetwork;
  readonly ledger: Ledger;
  readonly addresses: readonly string[];
}

/** The clients of a run, and the calls that they make. */
export class Traffic {
  readonly clients: readonly Client<KnotClient>[];
  readonly #world: TrafficWorld;

  constructor(world: TrafficWorld, clients: number) {
    this.#world = world;
    this.clients = Array.from({ length: clients }, (_, index) => this.#client(index));
  }

  /** Makes a call and sees it to its end. */
  async call(plan: CallPlan): Promise<void> {
    const record = this.#world.ledger.started(plan);
    const controller = new AbortController();
    if (plan.cancelAfterMs !== null) {
      this.#world.clock.setTimeout(() => {
        record.isCancelled ||= record.ends === 0;
        controller.abort();
      }, plan.cancelAfterMs);
    }
    try {
      await this.#run(record, this.#options(record, controller.signal));
      this.#world.ledger.ended(record, null);
    } catch (error) {
      this.#world.ledger.ended(record, error);
    }
  }

  #client(index: number): Client<KnotClient> {
    const { seed, clock, network, addresses } = this.#world;
    const dice = new Dice(seed, `client ${index}`);
    return createClient(Knots, `static:///${addresses.join(",")}`, {
      network,
      clock,
      random: dice.random,
      logger: silentLogger,
      // Each has a channel of its own.
      maxWaitingCalls: 1000 + index,
      retry: { maxAttempts: 3, baseMs: 5, maxMs: 100 },
      balancer: dice.pick(["p2c", "round_robin"]),
      connectTimeoutMs: dice.between(200, 2000),
      idleTimeoutMs: dice.chance(0.3) ? dice.between(500, 3000) : 0,
      maxConnectionsPerEndpoint: dice.whole(1, 3),
      keepalive: { timeMs: 10_000, timeoutMs: 500 },
      limits: {
        streamWindowBytes: dice.pick([65_535, 262_144]),
        connectionWindowBytes: dice.pick([65_535, 100_000, 1_048_576]),
        maxSendBufferBytes: dice.pick([1024, 65_536]),
        handshakeTimeoutMs: dice.whole(300, 3000),
        stallTimeoutMs: dice.whole(300, 3000),
      },
    });
  }

  #options(record: CallRecord, signal: AbortSignal): CallOptions {
    const { id, timeoutMs, waitForReady, compression } = record.plan;
    const metadata = new Metadata().set("call", String(id)).set("octets-bin", callOctets(id));
    const wrong = (what: string): void => this.#world.ledger.violation(`call ${id} got ${what}`);
    return {
      timeoutMs,
      waitForReady,
      compression,
      compressIf: () => true,
      metadata,
      signal,
      onHeader: (header) => {
        if (header.get("call") !== String(id)) wrong(`the header of call ${header.get("call")}`);
      },
      onTrailer: (trailer) => {
        const bytes = trailer.getBinary("call-bin");
        if (bytes !== undefined && Buffer.from(bytes).toString() !== String(id)) wrong(`the trailer of call ${bytes}`);
      },
    };
  }

  async #run(record: CallRecord, options: CallOptions): Promise<void> {
    const { plan } = record;
    const client = this.clients[plan.client];
    switch (plan.method) {
      case "tie":
      case "look":
        return this.#take(record, await client[plan.method](knot(plan.id, "request", 0, plan.requests[0]), options));
      case "list":
        return this.#read(record, client.list(knot(plan.id, "request", 0, plan.requests[0]), options));
      case "gather":
        return this.#take(record, await client.gather(this.#requests(plan), this.#withDigest(record, options)));
      case "chat":
        return this.#read(record, client.chat(this.#requests(plan), this.#withDigest(record, options)));
    }
  }

  async *#requests(plan: CallPlan): AsyncIterable<Any> {
    for (const [index, size] of plan.requests.entries()) {
      if (plan.requestPauseMs > 0) await this.#world.clock.sleep(plan.requestPauseMs);
      yield knot(plan.id, "request", index, size);
    }
  }

  /** What the server has read must be what was sent. */
  #withDigest(record: CallRecord, options: CallOptions): CallOptions {
    const { id, requests } = record.plan;
    const sent = requests.reduce((digest, size, index) => digestOf(knot(id, "request", index, size), digest), 0);
    const onTrailer = (trailer: Metadata): void => {
      options.onTrailer?.(trailer);
      const read = trailer.get("digest");
      if (read === undefined || read === String(sent)) return;
      this.#world.ledger.violation(`call ${id}: the server read other requests than were sent`);
    };
    return { ...options, onTrailer };
  }

  async #read(record: CallRecord, answers: AsyncIterable<Any>): Promise<void> {
    const { leaveAfter, answerPauseMs } = record.plan;
    for await (const answer of answers) {
      this.#take(record, answer);
      if (record.answers === leaveAfter) {
        record.hasLeft = true;
        return;
      }
      if (answerPauseMs > 0) await this.#world.clock.sleep(answerPauseMs);
    }
  }

  #take(record: CallRecord, answer: Any): void {
    const { id } = record.plan;
    const fault = knotFault(answer, id, "answer", record.answers++);
    if (fault !== "") this.#world.ledger.violation(`call ${id}: the client ${fault}`);
    record.digest = digestOf(answer, record.digest);
  }
}
