import { crc32 } from "node:zlib";
import type { Any } from "@bufbuild/protobuf/wkt";
import { type Metadata, RpcError, type ServerContext } from "bowline";
import type { SimulationClock } from "../engine/simulation-clock.ts";
import type { CallPlan } from "./call-plan.ts";
import { type KnotHandlers, knot, knotFault } from "./knots.ts";
import type { Ledger } from "./ledger.ts";

/** What handlers need of their world. */
export interface HandlerWorld {
  readonly clock: SimulationClock;
  readonly ledger: Ledger;
  readonly plans: readonly CallPlan[];
  /** Runs each handler twice: a planted fault. */
  readonly isTwofold: boolean;
}

/** The digest of messages so far and one more. */
export function digestOf(message: Any, before: number): number {
  return crc32(message.value, crc32(message.typeUrl, before));
}

/** Handlers that do what the plan of the call in the metadata says, and check all that reaches them. */
export function knotHandlers(world: HandlerWorld): KnotHandlers {
  const one = async (request: Any, context: ServerContext): Promise<Any> => {
    const serving = new Serving(world, context);
    return serving.whole(async () => {
      serving.take(request);
      await serving.end();
      return knot(serving.plan.id, "answer", 0, serving.plan.answers[0]);
    });
  };
  return {
    tie: one,
    look: one,
    async *list(request, context) {
      const serving = new Serving(world, context);
      yield* serving.stream(async function* () {
        serving.take(request);
        yield* serving.answers();
      });
    },
    async gather(requests, context) {
      const serving = new Serving(world, context);
      return serving.whole(async () => {
        await serving.takeAll(requests);
        await serving.end();
        const { id, answers } = serving.plan;
        context.trailer.set("digest", String(serving.digest));
        return knot(id, "answer", 0, answers[0]);
      });
    },
    async *chat(requests, context) {
      const serving = new Serving(world, context);
      yield* serving.stream(async function* () {
        const taken = serving.takeAll(requests);
        // The answers may end first, or nobody may want them: then this is where its error is heard.
        taken.catch(() => {});
        yield* serving.answers();
        await taken;
        context.trailer.set("digest", String(serving.digest));
      });
    },
  };
}

/** One run of a handler. */
class Serving {
  readonly plan: CallPlan;
  digest = 0;
  readonly #world: HandlerWorld;
  readonly #context: ServerContext;
  #taken = 0;

  constructor(world: HandlerWorld, context: ServerContext) {
    const id = Number(context.metadata.get("call"));
    this.plan = world.plans[id];
    this.#world = world;
    this.#context = context;
    this.#checkMetadata(context.metadata);
    context.header.set("call", String(id));
    context.trailer.set("call-bin", Buffer.from(String(id)));
    // Larger answers would be compressed in threads, whose time no virtual clock holds.
    if (this.plan.compression === "identity") context.compression = "identity";
  }

  /** Runs a handler that gives one answer. */
  async whole(work: () => Promise<Any>): Promise<Any> {
    this.#begin();
    try {
      return await work();
    } finally {
      this.#world.ledger.handlerEnded(this.plan.id);
    }
  }

  /** Runs a handler that gives a stream. */
  async *stream(work: () => AsyncIterable<Any>): AsyncIterable<Any> {
    this.#begin();
    try {
      yield* work();
    } finally {
      this.#world.ledger.handlerEnded(this.plan.id);
    }
  }

  /** The planned answers, then the planned end. */
  async *answers(): AsyncIterable<Any> {
    const { id, answers, handlerMs, ending } = this.plan;
    const count = ending === "ok" ? answers.length : answers.length >> 1;
    for (let index = 0; index < count; index++) {
      if (handlerMs > 0) await this.#sleep();
      yield knot(id, "answer", index, answers[index]);
    }
    await this.end();
  }

  /** Reads all requests in their order. */
  async takeAll(requests: AsyncIterable<Any>): Promise<void> {
    for await (const request of requests) {
      this.take(request);
      if (this.plan.handlerMs > 0) await this.#sleep();
    }
    const { id, requests: planned } = this.plan;
    if (this.#taken === planned.length) return;
    this.#world.ledger.violation(`call ${id}: its requests ended after ${this.#taken} of ${planned.length}`);
  }

  /** Checks the next request. */
  take(request: Any): void {
    const { id } = this.plan;
    const fault = knotFault(request, id, "request", this.#taken++);
    if (fault !== "") this.#world.ledger.violation(`call ${id}: the server ${fault}`);
    this.digest = digestOf(request, this.digest);
  }

  /** Ends as planned, unless that is well. */
  async end(): Promise<void> {
    const { id, ending, code } = this.plan;
    await this.#sleep();
    if (ending === "status") throw new RpcError(code, `planned for call ${id}`);
    if (ending === "throw") throw new Error(`planned for call ${id}`);
    if (ending !== "hang") return;
    const { signal } = this.#context;
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    throw signal.reason;
  }

  #sleep(): Promise<void> {
    return this.#world.clock.sleep(this.plan.handlerMs, this.#context.signal);
  }

  #begin(): void {
    this.#world.ledger.handlerBegan(this.plan.id);
    if (!this.#world.isTwofold) return;
    this.#world.ledger.handlerBegan(this.plan.id);
    this.#world.ledger.handlerEnded(this.plan.id);
  }

  #checkMetadata(metadata: Metadata): void {
    const { id } = this.plan;
    const bytes = metadata.getBinary("octets-bin");
    const isWhole = bytes !== undefined && Buffer.compare(bytes, callOctets(id)) === 0;
    if (!isWhole) this.#world.ledger.violation(`call ${id}: its binary metadata were changed`);
  }
}

/** Binary metadata of a call: all octets occur. */
export function callOctets(id: number): Uint8Array {
  return Uint8Array.from({ length: id % 40 }, (_, index) => (id * 37 + index * 11) & 0xff);
}
