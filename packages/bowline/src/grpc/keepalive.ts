import type { Random } from "../rpc/random.ts";

/**
 * Who pings, how often, and how old a connection may become: pure state, clock readings in, answers out. Source: gRFC
 * A8 (client keepalive and its enforcement), A9 (server-side connection management).
 *
 * Budget: what happens with each chunk, each answer and each stream is one store to a field; the rest waits for the
 * timer.
 */

/** When to ask a quiet peer whether it lives. */
export interface KeepaliveOptions {
  /** Quiet time before a PING, in ms; `Infinity` never asks. */
  readonly timeMs: number;
  /** Time for any sign of life after the PING, in ms. */
  readonly timeoutMs: number;
  /** Ask even when no stream is open. */
  readonly permitWithoutStream: boolean;
}

/** Clients ask nothing unless told to (A8): servers close connections of those who ask more often than they like. */
export const clientKeepaliveDefaults: KeepaliveOptions = {
  timeMs: Number.POSITIVE_INFINITY,
  timeoutMs: 20_000,
  permitWithoutStream: false,
};
/** Servers ask every two hours (A9), to notice clients that vanished. */
export const serverKeepaliveDefaults: KeepaliveOptions = {
  timeMs: 7_200_000,
  timeoutMs: 20_000,
  permitWithoutStream: true,
};

/** The shortest `timeMs` that a client may choose, A8. */
const MIN_CLIENT_TIME_MS = 10_000;
const MIN_MS = 1;

/**
 * The options with defaults for a client.
 *
 * @throws RangeError when `timeMs` is below 10,000, or a time is not positive
 */
export function clientKeepalive(options: Partial<KeepaliveOptions> = {}): KeepaliveOptions {
  return checkedKeepalive({ ...clientKeepaliveDefaults, ...options }, MIN_CLIENT_TIME_MS);
}

/**
 * The options with defaults for a server.
 *
 * @throws RangeError when a time is not positive
 */
export function serverKeepalive(options: Partial<KeepaliveOptions> = {}): KeepaliveOptions {
  return checkedKeepalive({ ...serverKeepaliveDefaults, ...options }, MIN_MS);
}

/** Twice the quiet time, for the next connections of a channel whose server said `too_many_pings` (A8). */
export function calmerKeepalive(options: KeepaliveOptions): KeepaliveOptions {
  return { ...options, timeMs: options.timeMs * 2 };
}

function checkedKeepalive(options: KeepaliveOptions, minTimeMs: number): KeepaliveOptions {
  checkTime("keepalive.timeMs", options.timeMs, minTimeMs, "Infinity for none");
  checkTime("keepalive.timeoutMs", options.timeoutMs, MIN_MS, "default 20000");
  return options;
}

function checkTime(name: string, value: number, min: number, hint: string): void {
  if (typeof value === "number" && value >= min) return;
  throw new RangeError(`${name} is ${String(value)}: give a time in ms of at least ${min} (${hint})`);
}

/** What the owner of a connection has to do now. */
export type KeepaliveAction = "nothing" | "ping" | "dead";

/** A timer that fires this much late was held up by this process, not by the peer; a peer then has as much time to be heard. */
const STALL_MS = 100;
const MAX_RESPITES = 5;

/**
 * Notices a dead peer.
 *
 * ```
 *            quiet for timeMs: "ping"            nothing for timeoutMs: "dead"
 * listening ─────────────────────────▶ waiting ─────────────────────────────▶ (closed by the owner)
 *     ▲                                   │
 *     └──────── anything received ────────┘
 * ```
 *
 * The owner arms its timer for `nextCheckAt` and asks `check` then, and when the first stream opens on a connection
 * that had none (a connection that was quiet too long is so tested at once, before the call waits in vain). Nothing has
 * to be rearmed when something is received.
 */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  /** Monotonic ms of the last sign of life. */
  #receivedAt: number;
  /** Monotonic ms of the PING that waits for one; -1 while listening. */
  #pingAt = -1;
  /** Until when it waits. */
  #deadAt = 0;
  /** How often it was put off since the time was over. */
  #respites = 0;

  constructor(options: KeepaliveOptions, now: number) {
    this.#options = options;
    this.#receivedAt = now;
  }

  /** Something arrived, no matter what; `now` may be a turn old. */
  received(now: number): void {
    this.#receivedAt = now;
    this.#pingAt = -1;
  }

  /** Monotonic ms at which `check` is wanted; `Infinity` when nothing is to be asked for the time being. */
  nextCheckAt(openStreams: number): number {
    if (this.#pingAt >= 0) return this.#deadAt;
    return this.#mayPing(openStreams) ? this.#receivedAt + this.#options.timeMs : Number.POSITIVE_INFINITY;
  }

  /**
   * What to do at `now`, which must be a fresh reading. "ping" is said once; whoever is told sends it.
   *
   * When the time has passed, the peer's answer may lie unread before us, because this process did other things meanwhile. (The PING itself
   * left with the callback that said it: the peer had its time.) What lies there is read before timers fire again, so that a respite of
   * 100 ms before "dead" is enough, however far the peer is; there is another one when this process did not run for so long, up to five: a
   * process that is always late must not take everybody for alive.
   */
  check(now: number, openStreams: number): KeepaliveAction {
    if (this.#pingAt >= 0) return this.#checkAnswer(now);
    if (!this.#mayPing(openStreams) || now < this.#receivedAt + this.#options.timeMs) return "nothing";
    this.#pingAt = now;
    this.#deadAt = now + this.#options.timeoutMs;
    this.#respites = 0;
    return "ping";
  }

  #checkAnswer(now: number): KeepaliveAction {
    const late = now - this.#deadAt;
    if (late < 0) return "nothing";
    const isStalled = late >= STALL_MS;
    // Exactly on time is time that a test moves.
    if (late === 0 || (this.#respites > 0 && !isStalled) || this.#respites === MAX_RESPITES) return "dead";
    this.#respites++;
    this.#deadAt = now + STALL_MS;
    return "nothing";
  }

  #mayPing(openStreams: number): boolean {
    return openStreams > 0 || this.#options.permitWithoutStream;
  }
}

/** How often a server lets clients ping. */
export interface PingPolicy {
  /** Shortest time between two PINGs, in ms. */
  readonly minTimeMs: number;
  /** Allow that pace when no stream is open; else two hours. */
  readonly permitWithoutStream: boolean;
}

/** The policy of A8. */
export const pingPolicyDefaults: PingPolicy = { minTimeMs: 300_000, permitWithoutStream: false };

/** Pings without streams are compared with TCP's own keepalive, A8. */
const MIN_IDLE_TIME_MS = 7_200_000;

/** Debug data of the GOAWAY (ENHANCE_YOUR_CALM) that ends a connection with too many pings, A8; clients look for it. */
export const TOO_MANY_PINGS = "too_many_pings";

/**
 * The policy with defaults.
 *
 * @throws RangeError when `minTimeMs` is negative or no number
 */
export function pingPolicy(options: Partial<PingPolicy> = {}): PingPolicy {
  const policy = { ...pingPolicyDefaults, ...options };
  checkTime("pings.minTimeMs", policy.minTimeMs, 0, "0 allows any pace");
  return policy;
}

/**
 * Counts a client's untimely PINGs; those in a row are too many when they pass `maxPingStrikes`.
 *
 * Sending HEADERS or DATA forgives all: grpc-go and C-core measure the bandwidth with a PING a round trip while data
 * flows, and a limit by rate alone closed their connections after 991 pings. (The rate as such is bounded by the
 * acknowledgements that wait to be written.)
 */
export class PingStrikes {
  readonly #policy: PingPolicy;
  readonly #most: number;
  #lastValidAt = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #hasSent = false;

  constructor(policy: PingPolicy, most: number) {
    this.#policy = policy;
    this.#most = most;
  }

  /** HEADERS or DATA were sent. */
  sent(): void {
    this.#hasSent = true;
  }

  /** A PING (no acknowledgement) arrived. True when the connection has to end with {@link TOO_MANY_PINGS}. */
  received(now: number, openStreams: number): boolean {
    if (this.#hasSent) {
      this.#hasSent = false;
      this.#strikes = 0;
      this.#lastValidAt = Number.NEGATIVE_INFINITY;
    }
    const isPaced = openStreams > 0 || this.#policy.permitWithoutStream;
    if (now < this.#lastValidAt + (isPaced ? this.#policy.minTimeMs : MIN_IDLE_TIME_MS)) {
      this.#strikes++;
    } else {
      this.#lastValidAt = now;
    }
    return this.#strikes > this.#most;
  }
}

/** How long a server keeps a connection. Default without end. */
export interface LifetimeOptions {
  /** Age in ms at which the connection is drained, ± 10 % by chance so that clients don't come back all at once. */
  readonly maxAgeMs: number;
  /** Time in ms that calls have to end after that. */
  readonly maxAgeGraceMs: number;
  /** Time in ms without an open stream after which the connection is drained. */
  readonly maxIdleMs: number;
}

/** No limits, A9. */
export const lifetimeDefaults: LifetimeOptions = {
  maxAgeMs: Number.POSITIVE_INFINITY,
  maxAgeGraceMs: Number.POSITIVE_INFINITY,
  maxIdleMs: Number.POSITIVE_INFINITY,
};

/**
 * The options with defaults.
 *
 * @throws RangeError when a time is not positive
 */
export function connectionLifetime(options: Partial<LifetimeOptions> = {}): LifetimeOptions {
  const checked = { ...lifetimeDefaults, ...options };
  checkTime("connection.maxAgeMs", checked.maxAgeMs, MIN_MS, "Infinity for none");
  checkTime("connection.maxAgeGraceMs", checked.maxAgeGraceMs, MIN_MS, "Infinity for none");
  checkTime("connection.maxIdleMs", checked.maxIdleMs, MIN_MS, "Infinity for none");
  return checked;
}

/** "max_age" and "max_idle": drain, with this word in GOAWAY (NO_ERROR). "close": the grace is over. */
export type LifetimeAction = "nothing" | "max_age" | "max_idle" | "close";

/**
 * Decides when a connection has lived long enough.
 *
 * ```
 *       "max_age" or "max_idle"             "close" after maxAgeGraceMs
 * open ─────────────────────────▶ draining ─────────────────────────────▶ closed
 * ```
 *
 * Idle time counts from the connection's start or the end of its last stream. The owner arms its timer for
 * `nextCheckAt` and asks `check` then.
 */
export class ConnectionLifetime {
  readonly #options: LifetimeOptions;
  /** Monotonic ms at which it is too old. */
  readonly #oldAt: number;
  /** Monotonic ms since when no stream is open; -1 while some are. */
  #idleSince: number;
  /** Monotonic ms at which the grace is over; -1 before draining. */
  #closeAt = -1;
  #isClosed = false;

  /** `random` gives the jitter, see {@link Random}; `now` is the start. */
  constructor(options: LifetimeOptions, random: Random, now: number) {
    this.#options = options;
    this.#oldAt = now + options.maxAgeMs * (0.9 + 0.2 * random());
    this.#idleSince = now;
  }

  /** The first stream has opened. */
  busy(): void {
    this.#idleSince = -1;
  }

  /** The last stream has ended. */
  idle(now: number): void {
    this.#idleSince = now;
  }

  /** Draining has begun for another reason (shutdown): age and idleness count no more, the grace is the owner's. */
  draining(): void {
    this.#closeAt = Number.POSITIVE_INFINITY;
  }

  /** Monotonic ms at which `check` is wanted; `Infinity` for never. */
  get nextCheckAt(): number {
    if (this.#isClosed) return Number.POSITIVE_INFINITY;
    if (this.#closeAt >= 0) return this.#closeAt;
    return Math.min(
      this.#oldAt,
      this.#idleSince < 0 ? Number.POSITIVE_INFINITY : this.#idleSince + this.#options.maxIdleMs,
    );
  }

  /** What to do at `now`; each action is said once. */
  check(now: number): LifetimeAction {
    if (now < this.nextCheckAt) return "nothing";
    if (this.#closeAt >= 0) {
      this.#isClosed = true;
      return "close";
    }
    this.#closeAt = now + this.#options.maxAgeGraceMs;
    return now >= this.#oldAt ? "max_age" : "max_idle";
  }
}
