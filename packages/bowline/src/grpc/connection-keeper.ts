import type { Link } from "../http2/link.ts";
import type { Clock, Timer } from "../rpc/clock.ts";
import type { Random } from "../rpc/random.ts";
import { ConnectionLifetime, Keepalive, type KeepaliveOptions, type LifetimeOptions } from "./keepalive.ts";

/** Looks at a connection in the shortest of its times: what is due comes at most this share of it late. */
const LOOKS = 20;
/** How long the answer to the PING behind a GOAWAY may take before new streams are refused all the same; as in grpc-go. */
const LEAVE_TIMEOUT_MS = 5000;

/** Why a connection was given up: its peer did not answer a PING. */
export class DeadPeerError extends Error {
  override readonly name: string = "DeadPeerError";
  /** The name under which it is counted. */
  readonly limit: string = "keepalive";
}

/** What a keeper reads and does; `Connection` fits. */
export interface KeptConnection {
  readonly link: Pick<Link, "peer">;
  readonly chunksReceived: number;
  readonly streams: { readonly size: number };
  ping(answered: () => void): void;
  abort(error: Error): void;
}

/** How long a connection may live, and who ends it. */
export interface KeptLifetime {
  readonly options: LifetimeOptions;
  /** For the jitter of its age. */
  readonly random: Random;
  /** It is too old, or idle for too long: the peer is asked to open nothing more. */
  leave(why: string): void;
  /** The peer had 5 s to take notice: it opens nothing more from now on. */
  refuse(why: string): void;
  /** The grace for calls that still run is over. */
  expire(): void;
}

/**
 * The clockwork of {@link Keepalive} and {@link ConnectionLifetime} for one connection: a single timer, which looks at counters.
 *
 * Budget: a chunk costs `Connection.chunksReceived++`, a stream `streamsOpened++`, nothing else happens outside the timer. So the end of
 * a silence is noticed late, by a twentieth of the shortest time at most, and never early: servers count early PINGs as strikes.
 */
export class ConnectionKeeper {
  /** Streams that the peer has opened; the owner counts. */
  streamsOpened = 0;
  /** True while no stream is open and nothing is asked for that reason; the owner calls `wake` with the next stream. */
  isDormant = false;
  readonly #connection: KeptConnection;
  readonly #clock: Clock;
  readonly #options: KeepaliveOptions;
  readonly #keepalive: Keepalive;
  readonly #lifetime: ConnectionLifetime | null;
  readonly #lifetimeOwner: KeptLifetime | null;
  /** Longest time between two looks while something is watched. */
  readonly #lookMs: number;
  #seenChunks = 0;
  #seenStreams = 0;
  /** Set while a peer that was asked to leave has time to hear it. */
  #refuseAt = Number.POSITIVE_INFINITY;
  #whyLeaving = "";
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(connection: KeptConnection, clock: Clock, keepalive: KeepaliveOptions, lifetime: KeptLifetime | null) {
    const now = clock.now();
    this.#connection = connection;
    this.#clock = clock;
    this.#options = keepalive;
    this.#keepalive = new Keepalive(keepalive, now);
    this.#lifetimeOwner = lifetime;
    this.#lifetime = lifetime === null ? null : new ConnectionLifetime(lifetime.options, lifetime.random, now);
    const shortestMs = Math.min(keepalive.timeMs, lifetime?.options.maxIdleMs ?? Number.POSITIVE_INFINITY);
    this.#lookMs = Math.max(1, shortestMs / LOOKS);
  }

  /** Begins to look. */
  start(): void {
    this.#arm(this.#clock.now());
  }

  /** The first stream after a dormant time has opened: a connection that was silent for long is tested at once. */
  wake(): void {
    this.isDormant = false;
    this.#timer?.cancel();
    this.#look();
  }

  /** The connection is drained for another reason: age and idleness count no more. */
  draining(): void {
    this.#lifetime?.draining();
    this.#refuseAt = Number.POSITIVE_INFINITY;
  }

  /** The connection has ended. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #look(): void {
    const now = this.#clock.fresh();
    this.#checkPeer(now);
    if (!this.#isClosed) this.#checkLifetime(now);
    if (!this.#isClosed) this.#arm(now);
  }

  #checkPeer(now: number): void {
    const { chunksReceived, streams } = this.#connection;
    if (chunksReceived !== this.#seenChunks) {
      this.#seenChunks = chunksReceived;
      this.#keepalive.received(now);
    }
    switch (this.#keepalive.check(now, streams.size)) {
      case "ping":
        // Its answer is seen as a chunk.
        this.#connection.ping(() => {});
        return;
      case "dead":
        this.#connection.abort(this.#deadError());
        return;
    }
  }

  #deadError(): Error {
    const { timeoutMs } = this.#options;
    const { remoteAddress } = this.#connection.link.peer;
    return new DeadPeerError(
      `${remoteAddress} gave no sign of life within ${timeoutMs} ms after a PING (keepalive.timeoutMs)`,
    );
  }

  #checkLifetime(now: number): void {
    const lifetime = this.#lifetime;
    const owner = this.#lifetimeOwner;
    if (lifetime === null || owner === null) return;
    if (this.#connection.streams.size > 0) {
      lifetime.busy();
      this.#seenStreams = -1;
    } else if (this.streamsOpened !== this.#seenStreams) {
      // Streams came and went since the last look.
      lifetime.idle(now);
      this.#seenStreams = this.streamsOpened;
    }
    if (now >= this.#refuseAt) {
      this.#refuseAt = Number.POSITIVE_INFINITY;
      owner.refuse(this.#whyLeaving);
      if (this.#isClosed) return;
    }
    const action = lifetime.check(now);
    if (action === "close") return owner.expire();
    if (action === "nothing") return;
    this.#whyLeaving = action;
    this.#refuseAt = now + LEAVE_TIMEOUT_MS;
    owner.leave(action);
  }

  #arm(now: number): void {
    const { size } = this.#connection.streams;
    const askAt = this.#keepalive.nextCheckAt(size);
    this.isDormant = askAt === Number.POSITIVE_INFINITY && this.#options.timeMs !== Number.POSITIVE_INFINITY;
    const lookAt = this.isDormant ? Number.POSITIVE_INFINITY : now + this.#lookMs;
    const endAt = Math.min(this.#refuseAt, this.#lifetime?.nextCheckAt ?? Number.POSITIVE_INFINITY);
    const dueAt = Math.min(askAt, lookAt, endAt);
    if (dueAt === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.setTimeout(() => this.#look(), Math.max(0, dueAt - now));
  }
}
