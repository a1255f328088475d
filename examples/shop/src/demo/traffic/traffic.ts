import { type Client, type ClientOptions, Code, createClient, type Method, RpcError } from "bowline";
import { StorefrontService, type StorefrontServiceClient } from "../../gen/shop/storefront/v1/storefront_rpc.ts";
import { Customers, DEEDS, type Deed, MIX } from "./customers.ts";

/** One deed of a customer, from the first to the last moment. Times are monotonic milliseconds. */
export interface Call {
  readonly deed: Deed;
  readonly isIdempotent: boolean;
  readonly isStream: boolean;
  readonly startedAt: number;
  /** 0 while it runs. */
  endedAt: number;
  /** 0 is as it should be. */
  code: Code;
  /** What went wrong. */
  text: string;
}

const TICK_MS = 10;
/** After a pause of this process no more than this is made up for. */
const MAX_LATE_MS = 1_000;
/** Calls that may be open; more are not started, or a shop that hangs would fill this process's memory. */
const MAX_OPEN = 10_000;

/**
 * The customers' calls, at a rate that does not depend on how the shop does (open loop): who walks in does not ask whether
 * there is a queue. The storefront is their only door.
 */
export class Traffic {
  readonly shop: Client<StorefrontServiceClient>;
  /** Deeds a second. */
  rate: number;
  ended = 0;
  /** Those of them that did not get what they should. */
  failed = 0;
  /** Told of each that has failed. */
  onFailure: (call: Call) => void = () => {};
  readonly #onStart: (call: Call) => void;
  readonly #customers: Customers;
  #timer: NodeJS.Timeout | undefined;
  #open = 0;
  #onIdle: () => void = () => {};

  /** `how` finds the storefront. `onStart` is given each call when it begins, and sees its end in the same object. */
  constructor(how: ClientOptions, rate: number, onStart: (call: Call) => void = () => {}) {
    this.shop = createClient(StorefrontService, "shop.storefront", how);
    this.rate = rate;
    this.#onStart = onStart;
    this.#customers = new Customers(this.shop);
  }

  /** Begins. */
  start(): void {
    let last = performance.now();
    let due = 0;
    this.#timer = setInterval(() => {
      const now = performance.now();
      due += (this.rate * Math.min(now - last, MAX_LATE_MS)) / 1000;
      last = now;
      for (; due >= 1; due--) if (this.#open < MAX_OPEN) void this.#do(nextDeed());
    }, TICK_MS);
  }

  /** Starts no more. Resolves when all that were started have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  /** Ends whatever still runs. */
  close(): void {
    clearInterval(this.#timer);
    this.shop.close();
  }

  async #do(wanted: Deed): Promise<void> {
    const deed = this.#customers.can(wanted) ? wanted : "browse";
    const call = newCall(deed);
    this.#open++;
    this.#onStart(call);
    try {
      await this.#customers.do(deed);
    } catch (error) {
      const failed = RpcError.from(error);
      call.code = failed.code === Code.OK ? Code.UNKNOWN : failed.code;
      call.text = failed.text;
    }
    call.endedAt = performance.now();
    this.ended++;
    if (call.code !== Code.OK) {
      this.failed++;
      this.onFailure(call);
    }
    if (--this.#open === 0) this.#onIdle();
  }
}

function newCall(deed: Deed): Call {
  const { idempotency, kind }: Method = StorefrontService.methods[deed];
  const isIdempotent = idempotency !== "unknown";
  return {
    deed,
    isIdempotent,
    isStream: kind !== "unary",
    startedAt: performance.now(),
    endedAt: 0,
    code: Code.OK,
    text: "",
  };
}

function nextDeed(): Deed {
  let luck = Math.random() * 100;
  return DEEDS.find((deed) => (luck -= MIX[deed]) < 0) ?? "browse";
}
