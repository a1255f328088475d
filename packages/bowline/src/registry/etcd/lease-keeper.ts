import type { MessageInit } from "../../codegen.ts";
import type { LeaseKeepAliveRequestSchema } from "../../gen/etcd/etcdserverpb_pb.ts";
import { retryBackoffMs } from "../../resilience/backoff.ts";
import type { Timer } from "../../rpc/clock.ts";
import type { RegistryContext } from "../registry-config.ts";
import { RequestQueue } from "../remote/request-queue.ts";
import type { EtcdClient, EtcdLine } from "./client.ts";
import { EtcdError, explainEtcdError } from "./etcd-error.ts";
import type { CheckedEtcdOptions } from "./options.ts";

/** Who must know how the lease is. */
export interface LeaseOwner {
  /** It is gone in etcd, and all its keys with it. */
  leaseLost(): void;
  /** It was not renewed for its whole life, so it may be gone; it is still being tried. */
  leaseInDoubt(error: EtcdError): void;
  /** It was renewed. */
  leaseRenewed(): void;
}

/** A lease that etcd has granted. */
interface Lease {
  readonly id: bigint;
  readonly ttlMs: number;
  /** When the renewal was sent that etcd answered last; it lives from then on at least. */
  renewedAt: number;
}

/** A stream of renewals. */
interface Stream {
  readonly requests: RequestQueue<MessageInit<typeof LeaseKeepAliveRequestSchema>>;
  readonly abort: AbortController;
  readonly openedAt: number;
  line: EtcdLine | null;
  token: string;
  hasAnswered: boolean;
}

const BEATS_IN_TTL = 3;
/** Pauses between two streams, which the beats bound anyway. */
const RETRY = { baseMs: 100, maxMs: 3000 } as const;
/** A stream that ends sooner counts as one that failed, though it has renewed the lease. */
const SHORT_LIFE_MS = 1000;

/**
 * Keeps one lease alive: a renewal each third of its life, on one stream.
 *
 * A stream that ends, or does not answer in time, is opened again at another member. Only etcd's word ends the lease: the clock of
 * this process may have stood still, and etcd gives leases their whole life again when its leader changes.
 */
export class LeaseKeeper {
  readonly #client: EtcdClient;
  readonly #options: CheckedEtcdOptions;
  readonly #context: RegistryContext;
  readonly #owner: LeaseOwner;
  #lease: Lease | null = null;
  #stream: Stream | null = null;
  #beat: Timer | null = null;
  #retry: Timer | null = null;
  /** Armed while an answer is due. */
  #due: Timer | null = null;
  #sentAt = 0;
  /** Streams in a row that have not worked for a while. */
  #failures = 0;
  #isClosed = false;

  constructor(client: EtcdClient, options: CheckedEtcdOptions, context: RegistryContext, owner: LeaseOwner) {
    this.#client = client;
    this.#options = options;
    this.#context = context;
    this.#owner = owner;
  }

  /** The lease that is kept, or null. */
  get id(): bigint | null {
    return this.#lease?.id ?? null;
  }

  /** Life of the lease, in ms, as etcd has granted it. */
  get ttlMs(): number {
    return this.#lease?.ttlMs ?? this.#options.ttlSeconds * 1000;
  }

  /** Gets a lease, one attempt, and keeps it alive from then on. */
  async grant(): Promise<bigint> {
    const askedAt = this.#context.clock.fresh();
    const { id, ttlSeconds } = await this.#client.grantLease(this.#options.ttlSeconds);
    if (this.#isClosed) throw new EtcdError("unreachable", "closed while a lease was granted");
    this.release();
    this.#lease = { id, ttlMs: ttlSeconds * 1000, renewedAt: askedAt };
    const periodMs = this.#lease.ttlMs / BEATS_IN_TTL;
    this.#beat = this.#context.clock.setInterval(() => this.#renew(), periodMs);
    return id;
  }

  /** It is kept alive no longer; etcd ends it when its life is over. Gives its id. */
  release(): bigint | null {
    const id = this.id;
    this.#lease = null;
    this.#beat?.cancel();
    this.#retry?.cancel();
    this.#endStream();
    return id;
  }

  /** Releases it, and keeps no other. */
  close(): void {
    this.#isClosed = true;
    this.release();
  }

  #renew(): void {
    const lease = this.#lease;
    if (lease === null) return;
    const { clock } = this.#context;
    if (clock.fresh() - lease.renewedAt > lease.ttlMs) {
      this.#owner.leaseInDoubt(new EtcdError("unreachable", `the lease was not renewed for ${lease.ttlMs / 1000} s`));
    }
    if (this.#stream === null) {
      this.#retry?.cancel();
      return void this.#openStream();
    }
    // A renewal that is under way answers this one, too.
    if (this.#stream.line !== null && this.#due === null) this.#send(this.#stream, lease);
  }

  #send(stream: Stream, lease: Lease): void {
    const { clock } = this.#context;
    this.#sentAt = clock.fresh();
    stream.requests.put({ ID: lease.id });
    this.#due?.cancel();
    this.#due = clock.setTimeout(() => {
      const { line } = stream;
      this.#endStream();
      if (line !== null) this.#client.leave(line);
      this.#streamEnded(
        stream,
        new EtcdError("unreachable", `no answer to the renewal of the lease from ${line?.host ?? "etcd"}`),
      );
    }, this.#options.requestTimeoutMs);
  }

  async #openStream(): Promise<void> {
    const stream: Stream = {
      requests: new RequestQueue(),
      abort: new AbortController(),
      openedAt: this.#context.clock.fresh(),
      line: null,
      token: "",
      hasAnswered: false,
    };
    this.#stream = stream;
    try {
      const { line, answers, token } = await this.#client.openKeepAlive(stream.requests, stream.abort.signal);
      if (this.#stream !== stream || this.#lease === null) return stream.abort.abort();
      stream.line = line;
      stream.token = token;
      this.#send(stream, this.#lease);
      for await (const { ID, TTL } of answers) {
        if (this.#stream !== stream) return;
        stream.hasAnswered = true;
        this.#answered(ID, TTL);
      }
      throw new EtcdError("unreachable", `${line.host} ended the stream of renewals`);
    } catch (error) {
      if (this.#stream !== stream) return;
      this.#endStream();
      this.#client.streamEnded(stream, error);
      this.#streamEnded(stream, explainEtcdError(error, "renewing the lease", stream.line?.host ?? "etcd"));
    }
  }

  #answered(id: bigint, ttlSeconds: bigint): void {
    const lease = this.#lease;
    if (lease === null || id !== lease.id) return;
    this.#due?.cancel();
    this.#due = null;
    if (ttlSeconds > 0n) {
      lease.renewedAt = this.#sentAt;
      return this.#owner.leaseRenewed();
    }
    this.release();
    this.#owner.leaseLost();
  }

  #streamEnded(stream: Stream, error: EtcdError): void {
    const lease = this.#lease;
    if (lease === null) return;
    const { clock, random } = this.#context;
    if (stream.hasAnswered && clock.fresh() - stream.openedAt >= SHORT_LIFE_MS) this.#failures = 0;
    // The first try goes at once: one member may fail, the next one's turn has come.
    const waitMs = this.#failures === 0 ? 0 : retryBackoffMs(this.#failures, random, RETRY);
    this.#failures++;
    this.#retry?.cancel();
    this.#retry = clock.setTimeout(() => {
      if (this.#stream === null) void this.#openStream();
    }, waitMs);
    if (clock.fresh() - lease.renewedAt > lease.ttlMs) this.#owner.leaseInDoubt(error);
  }

  #endStream(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#due?.cancel();
    this.#due = null;
    stream?.requests.end();
    stream?.abort.abort();
  }
}
