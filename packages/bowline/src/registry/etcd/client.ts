import type { CallOptions } from "../../client/call-options.ts";
import type { ClientOptions } from "../../client/client-options.ts";
import { type Client, createClient } from "../../client/create-client.ts";
import type { MessageInit } from "../../codegen.ts";
import type {
  LeaseKeepAliveRequestSchema,
  LeaseKeepAliveResponse,
  RangeRequestSchema,
  RangeResponse,
  RequestOpSchema,
  TxnResponse,
  WatchRequestSchema,
  WatchResponse,
} from "../../gen/etcd/etcdserverpb_pb.ts";
import {
  Auth,
  type AuthClient,
  KV,
  type KVClient,
  Lease,
  type LeaseClient,
  Watch,
  type WatchClient,
} from "../../gen/etcd/etcdserverpb_rpc.ts";
import { socketNetwork } from "../../net/network.ts";
import type { Clock } from "../../rpc/clock.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import type { RegistryContext } from "../registry-config.ts";
import { memberClientOptions } from "../remote/member-client.ts";
import { EtcdError, explainEtcdError, isStaleToken, isWithoutAuth } from "./etcd-error.ts";
import { rangeEnd } from "./format.ts";
import { type CheckedEtcdOptions, etcdCredentials } from "./options.ts";

/** A step of a transaction. */
export type EtcdOperation = MessageInit<typeof RequestOpSchema>;

/** Silence on the connection after which it is asked for a sign of life: etcd takes no more than one in 5 s. */
const KEEPALIVE_MS = 10_000;
/** Keys that are listed together, and all that are listed: an etcd with more is mostly something else's. */
const KEYS_A_PAGE = 1000;
const MAX_KEYS = 200_000;
const ZERO = new Uint8Array(1);
/** What etcd's own limit of a request, 1.5 MiB, can become in a stream of events. */
const MAX_RECEIVE_BYTES = 4_194_304;

/** A connection to one member. It is closed when it is retired and nothing runs on it any more. */
export class EtcdLine {
  readonly host: string;
  readonly kv: Client<KVClient>;
  readonly watch: Client<WatchClient>;
  readonly lease: Client<LeaseClient>;
  readonly auth: Client<AuthClient>;
  readonly #onClose: (line: EtcdLine) => void;
  #users = 0;
  #isRetired = false;

  constructor(host: string, options: ClientOptions, onClose: (line: EtcdLine) => void) {
    this.host = host;
    this.#onClose = onClose;
    const target = `static:///${host.replaceAll("%", "%25")}`;
    // Four clients of one target and the same options share a connection.
    this.kv = createClient(KV, target, options);
    this.watch = createClient(Watch, target, options);
    this.lease = createClient(Lease, target, options);
    this.auth = createClient(Auth, target, options);
  }

  /** A call or stream begins on it. */
  acquire(): void {
    this.#users++;
  }

  /** It has ended. */
  release(): void {
    this.#users--;
    this.#closeIfDone();
  }

  /** Nothing new begins on it. What works goes on: a member that is slow with one thing is not helped by doing the rest anew. */
  retire(): void {
    this.#isRetired = true;
    this.#closeIfDone();
  }

  close(): void {
    for (const client of [this.kv, this.watch, this.lease, this.auth]) void client.close();
    this.#onClose(this);
  }

  #closeIfDone(): void {
    if (this.#isRetired && this.#users === 0) this.close();
  }
}

/** A stream that is open: what comes, and the line that it runs on. */
export interface EtcdStream<T> {
  readonly line: EtcdLine;
  readonly answers: AsyncIterable<T>;
  /** The token that it was opened with; empty without users. */
  readonly token: string;
}

/**
 * The part of etcd's v3 API that a registry needs, on one connection to one of the members. What fails there goes on at the next member,
 * on a connection of its own; what works stays where it is. Errors are {@link EtcdError}.
 */
export class EtcdClient {
  readonly #options: CheckedEtcdOptions;
  readonly #credentials: { readonly user: string; readonly password: string } | undefined;
  /** Anew for each line, so that it shares its connection with no other. */
  readonly #clientOptions: () => ClientOptions;
  #hostIndex: number;
  /** Where new calls and streams begin. */
  #line: EtcdLine | null = null;
  /** All that are open. */
  readonly #lines: Set<EtcdLine> = new Set();
  #token = "";
  #authenticating: Promise<string> | null = null;
  #isClosed = false;
  #uncertainAt: number = Number.NEGATIVE_INFINITY;
  readonly #clock: Clock;

  /** @throws TypeError for a user without password, or TLS files that can't be used */
  constructor(options: CheckedEtcdOptions, context: RegistryContext) {
    this.#options = options;
    this.#clock = context.clock;
    this.#credentials = etcdCredentials(options, context.environment);
    // Not all processes of a fleet shall lean on the first member.
    this.#hostIndex = Math.floor(context.random() * options.hosts.length);
    this.#clientOptions = () => ({
      ...memberClientOptions(options, context, socketNetwork),
      maxReceiveBytes: MAX_RECEIVE_BYTES,
      keepalive: { timeMs: KEEPALIVE_MS, timeoutMs: options.requestTimeoutMs },
    });
    // Files that can't be read are a mistake of the options, not of the network.
    this.#open();
  }

  /** Monotonic ms at which a request was given up last that etcd may have taken, and may carry out even later than one that follows. */
  get uncertainAt(): number {
    return this.#uncertainAt;
  }

  /** Reads keys in one range, as of the newest state unless `revision` is set. */
  range(request: MessageInit<typeof RangeRequestSchema>, what: string): Promise<RangeResponse> {
    return this.#call(what, (line, call) => line.kv.range(request, call));
  }

  /** Tells all keys that begin with `prefix`, without their values, page by page. Rejects when there are more than {@link MAX_KEYS}. */
  async keys(prefix: string, tell: (key: Uint8Array) => void): Promise<void> {
    const what = `listing the keys under ${JSON.stringify(prefix)}`;
    let key: Uint8Array = prefix === "" ? ZERO : Buffer.from(prefix);
    // As an end the octet 0 stands for none.
    const end = prefix === "" ? ZERO : rangeEnd(key);
    let revision = 0n;
    for (let count = 0; ; ) {
      const request = { key, rangeEnd: end, limit: BigInt(KEYS_A_PAGE), revision, keysOnly: true };
      const { kvs, more, header } = await this.range(request, what);
      revision ||= header?.revision ?? 0n;
      for (const each of kvs) tell(each.key);
      if (!more || kvs.length === 0) return;
      count += kvs.length;
      if (count >= MAX_KEYS)
        throw new EtcdError("refused", `${what}: there are more than ${MAX_KEYS}; set the option prefix`);
      key = Buffer.concat([kvs[kvs.length - 1].key, ZERO]);
    }
  }

  /** All operations at one revision, or none. */
  transact(operations: readonly EtcdOperation[], what: string): Promise<TxnResponse> {
    return this.#call(what, (line, call) => line.kv.txn({ success: [...operations] }, call));
  }

  /** A new lease, and its life in s, which may be longer than what was asked for. */
  async grantLease(ttlSeconds: number): Promise<{ readonly id: bigint; readonly ttlSeconds: number }> {
    const what = "asking for a lease";
    const { ID, TTL, error } = await this.#call(what, (line, call) =>
      line.lease.leaseGrant({ TTL: BigInt(ttlSeconds) }, call),
    );
    if (error !== "" || TTL <= 0n) throw new EtcdError("unreachable", `${what}: ${error || `granted for ${TTL} s`}`);
    return { id: ID, ttlSeconds: Number(TTL) };
  }

  /** Ends a lease and removes its keys; one that is gone already is no error. */
  async revokeLease(id: bigint): Promise<void> {
    try {
      await this.#call("giving the lease back", (line, call) => line.lease.leaseRevoke({ ID: id }, call));
    } catch (error) {
      if (!(error instanceof EtcdError) || error.fault !== "lease") throw error;
    }
  }

  /** Opens a stream of watches; a member that loses its leader ends it. */
  openWatch(
    requests: AsyncIterable<MessageInit<typeof WatchRequestSchema>>,
    signal: AbortSignal,
  ): Promise<EtcdStream<WatchResponse>> {
    return this.#stream((line, call) => line.watch.watch(requests, call), signal, { hasleader: "true" });
  }

  /** Opens a stream of renewals. */
  openKeepAlive(
    requests: AsyncIterable<MessageInit<typeof LeaseKeepAliveRequestSchema>>,
    signal: AbortSignal,
  ): Promise<EtcdStream<LeaseKeepAliveResponse>> {
    return this.#stream((line, call) => line.lease.leaseKeepAlive(requests, call), signal, { hasleader: "true" });
  }

  /** Something on `line` failed or is silent: what begins from now on goes to the next member, unless it does already. */
  leave(line: EtcdLine): void {
    if (this.#line !== line) return;
    this.#line = null;
    this.#hostIndex = (this.#hostIndex + 1) % this.#options.hosts.length;
    line.retire();
  }

  /** The token is not taken any more: the next call gets another. */
  forgetToken(token: string): void {
    if (this.#token === token) this.#token = "";
  }

  /**
   * A stream has ended with `error`: its line is left, or its token forgotten if that is all that is wrong. Says which of the two it
   * was.
   */
  streamEnded(
    stream: { readonly line: EtcdLine | null; readonly token: string },
    error: unknown,
  ): "left" | "stale-token" {
    if (stream.token !== "" && RpcError.is(error) && isStaleToken(error.text)) {
      this.forgetToken(stream.token);
      return "stale-token";
    }
    if (stream.line !== null) this.leave(stream.line);
    return "left";
  }

  close(): void {
    this.#isClosed = true;
    for (const line of this.#lines) line.close();
  }

  #open(): EtcdLine {
    if (this.#isClosed) throw new EtcdError("unreachable", "closed; make another one");
    if (this.#line === null) {
      const host = this.#options.hosts[this.#hostIndex];
      this.#line = new EtcdLine(host, this.#clientOptions(), (line) => this.#lines.delete(line));
      this.#lines.add(this.#line);
    }
    return this.#line;
  }

  /** Tries one member after another, each at most once; a single one twice, for its connection may have been an old one. */
  async #call<T>(what: string, ask: (line: EtcdLine, call: CallOptions) => Promise<T>): Promise<T> {
    let tries = Math.max(2, this.#options.hosts.length);
    let isTokenFresh = false;
    for (;;) {
      const line = this.#open();
      let token = "";
      line.acquire();
      try {
        token = await this.#currentToken(line);
        return await ask(line, { timeoutMs: this.#options.requestTimeoutMs, metadata: metadataOf(token) });
      } catch (error) {
        if (RpcError.is(error) && isStaleToken(error.text) && token !== "" && !isTokenFresh) {
          this.forgetToken(token);
          isTokenFresh = true;
          continue;
        }
        const explained = explainEtcdError(error, what, line.host);
        if (explained.fault !== "unreachable") throw explained;
        this.leave(line);
        if (explained.isUncertain) this.#uncertainAt = this.#clock.fresh();
        if (--tries === 0 || this.#isClosed) throw explained;
      } finally {
        line.release();
      }
    }
  }

  async #stream<T>(
    open: (line: EtcdLine, call: CallOptions) => AsyncIterable<T>,
    signal: AbortSignal,
    metadata: Readonly<Record<string, string>>,
  ): Promise<EtcdStream<T>> {
    const line = this.#open();
    line.acquire();
    // Whoever opens a stream aborts it, however it ends.
    signal.addEventListener("abort", () => line.release(), { once: true });
    try {
      const token = await this.#currentToken(line);
      const answers = open(line, { timeoutMs: 0, signal, metadata: { ...metadata, ...metadataOf(token) } });
      return { line, answers, token };
    } catch (error) {
      const explained = explainEtcdError(error, "opening a stream", line.host);
      if (explained.fault === "unreachable") this.leave(line);
      throw explained;
    }
  }

  /** The token for a call; asked for once, whoever comes meanwhile waits for the same. */
  async #currentToken(line: EtcdLine): Promise<string> {
    if (this.#credentials === undefined || this.#token !== "") return this.#token;
    this.#authenticating ??= this.#authenticate(line, this.#credentials).finally(() => {
      this.#authenticating = null;
    });
    return this.#authenticating;
  }

  async #authenticate(line: EtcdLine, { user, password }: { user: string; password: string }): Promise<string> {
    try {
      const call = { timeoutMs: this.#options.requestTimeoutMs };
      const { token } = await line.auth.authenticate({ name: user, password }, call);
      this.#token = token;
      return token;
    } catch (error) {
      // As etcd's own client does: whoever turns users off for a while need not restart the fleet.
      if (isWithoutAuth(error)) return "";
      throw explainEtcdError(error, `logging in as ${JSON.stringify(user)}`, line.host);
    }
  }
}

function metadataOf(token: string): Record<string, string> {
  return token === "" ? {} : { token };
}
