import { Code, createServer, RpcError, type Server, type ServerContext } from "bowline";
import type { MemoryNetwork } from "bowline/testing";
import {
  Event_EventType,
  type RangeRequest,
  type WatchCreateRequest,
  type WatchRequest,
} from "../../packages/bowline/src/gen/etcd/etcdserverpb_pb.ts";
import {
  Auth,
  type AuthHandlers,
  KV,
  type KVHandlers,
  Lease,
  type LeaseHandlers,
  Watch,
  type WatchHandlers,
} from "../../packages/bowline/src/gen/etcd/etcdserverpb_rpc.ts";
import { EtcdStore, type StoredChange, type StoredKey } from "./etcd-store.ts";

/** What one method does instead of its work; it may throw. */
export type EtcdHook = () => void | Promise<void>;

type WatchAnswer = WatchHandlers["watch"] extends (...args: never) => AsyncIterable<infer T> ? T : never;

/** A watch on a stream. */
interface OpenWatch {
  readonly id: bigint;
  readonly request: WatchCreateRequest;
  next: bigint;
}

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/**
 * A member of an etcd that does what a test tells it to, by the documents of etcd's v3 API; the same text of errors, the same order
 * of answers. Members of one cluster have one store.
 */
export class EtcdDouble {
  readonly store: EtcdStore;
  readonly host: string;
  /** Requests so far, by the name of the method; streams count when they open, and `create`, `renew` on them. */
  readonly counts: Record<string, number> = {};
  /** Run before the work of a method, by its name. */
  readonly hooks: Partial<Record<string, EtcdHook>> = {};
  /** User and password that are asked for; null: no users. */
  credentials: { readonly user: string; readonly password: string } | null = null;
  /** Tokens that are taken. */
  readonly tokens: Set<string> = new Set();
  /** Renewals are answered with OK whatever has become of the lease (etcd before 3.4.38, 3.5.23, 3.6.5). */
  areRenewalsLies = false;
  /** Watches are told of changes from before their start, as by a member that lags (etcd before 3.4.38, 3.5.22, 3.6.2). */
  tellsOldChanges = false;
  /** Events of one answer; more are split into fragments. */
  fragmentSize: number = Number.POSITIVE_INFINITY;
  /** Keys that nobody may read. */
  forbidden = "\uffff";
  /** The most that watches know, as if the member were cut off. */
  lag = 0n;
  readonly #network: MemoryNetwork;
  #server: Server | null = null;
  #streams: Set<() => void> = new Set();
  #lastWatch = 0n;
  #tokens = 0;

  constructor(network: MemoryNetwork, host: string, store: EtcdStore = new EtcdStore()) {
    this.#network = network;
    this.host = host;
    this.store = store;
  }

  async start(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer({
      listen: this.host,
      network: this.#network,
      handleSignals: false,
      drainAcceptMs: 0,
      drainTimeoutMs: 0,
    });
    server.add(KV, this.#kv());
    server.add(Lease, this.#lease());
    server.add(Watch, { watch: (requests, context) => this.#watch(requests, context) });
    server.add(Auth, this.#auth());
    this.#server = server;
    await server.start();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.breakStreams();
    await server?.close();
  }

  /** Ends all streams that are open, as a member does that loses its leader. */
  breakStreams(): void {
    for (const end of [...this.#streams]) end();
  }

  #count(method: string): number {
    const count = (this.counts[method] ?? 0) + 1;
    this.counts[method] = count;
    return count;
  }

  async #enter(method: string, context: ServerContext): Promise<void> {
    this.#count(method);
    await this.hooks[method]?.();
    const token = context.metadata.get("token") ?? "";
    if (this.credentials === null) return;
    if (token === "") throw new RpcError(Code.INVALID_ARGUMENT, "etcdserver: user name is empty");
    if (!this.tokens.has(token)) throw new RpcError(Code.UNAUTHENTICATED, "etcdserver: invalid auth token");
  }

  #header(): { clusterId: bigint; revision: bigint } {
    return { clusterId: this.store.clusterId, revision: this.store.revision - this.lag };
  }

  #kv(): KVHandlers {
    return {
      range: async (request, context) => {
        await this.#enter("range", context);
        return this.#range(request);
      },
      txn: async ({ success }, context) => {
        await this.#enter("txn", context);
        const puts: Omit<StoredKey, "modRevision">[] = [];
        const deletes: string[] = [];
        for (const { request } of success) {
          if (request.case === "requestPut") {
            const { key, value, lease } = request.value;
            if (!this.store.leases.has(lease))
              throw new RpcError(Code.NOT_FOUND, "etcdserver: requested lease not found");
            puts.push({ key: decode(key), value: decode(value), lease });
          } else if (request.case === "requestDeleteRange") deletes.push(decode(request.value.key));
        }
        for (const { key } of puts) this.#checkRight(key);
        this.store.change(puts, deletes);
        const responses = success.map(({ request }) =>
          request.case === "requestRange"
            ? { response: { case: "responseRange" as const, value: this.#range(request.value) } }
            : {},
        );
        return { header: this.#header(), responses };
      },
    };
  }

  #range({ key, rangeEnd, limit, revision }: RangeRequest) {
    this.#checkRight(decode(key));
    if (revision > 0n && revision < this.store.compacted) {
      throw new RpcError(Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
    }
    const all = this.store.list({ key: decode(key), end: decode(rangeEnd) });
    const kvs = limit > 0n ? all.slice(0, Number(limit)) : all;
    return { header: this.#header(), kvs: kvs.map(keyValue), more: kvs.length < all.length };
  }

  #checkRight(key: string): void {
    if (key.startsWith(this.forbidden)) throw new RpcError(Code.PERMISSION_DENIED, "etcdserver: permission denied");
  }

  #lease(): LeaseHandlers {
    return {
      leaseGrant: async ({ TTL }, context) => {
        await this.#enter("grant", context);
        return { ID: this.store.grant(Number(TTL)), TTL };
      },
      leaseRevoke: async ({ ID }, context) => {
        await this.#enter("revoke", context);
        if (this.store.revoke(ID)) return {};
        throw new RpcError(Code.NOT_FOUND, "etcdserver: requested lease not found");
      },
      leaseKeepAlive: (requests, context) => this.#keepAlive(requests, context),
    };
  }

  async *#keepAlive(
    requests: Parameters<LeaseHandlers["leaseKeepAlive"]>[0],
    context: ServerContext,
  ): ReturnType<LeaseHandlers["leaseKeepAlive"]> & AsyncGenerator<{ ID: bigint; TTL: bigint }> {
    await this.#enter("keepAlive", context);
    const ended = Promise.withResolvers<"ended">();
    const end = (): void => ended.resolve("ended");
    this.#streams.add(end);
    const iterator = requests[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), ended.promise]);
        if (next === "ended") throw new RpcError(Code.UNAVAILABLE, "etcdserver: no leader");
        if (next.done === true) return;
        this.#count("renew");
        await this.hooks.renew?.();
        const { ID } = next.value;
        const ttl = this.store.leases.get(ID) ?? (this.areRenewalsLies ? 10 : 0);
        yield { ID, TTL: BigInt(ttl) };
      }
    } finally {
      this.#streams.delete(end);
    }
  }

  #auth(): AuthHandlers {
    return {
      authenticate: ({ name, password }) => {
        this.#count("authenticate");
        if (this.credentials === null) {
          throw new RpcError(Code.FAILED_PRECONDITION, "etcdserver: authentication is not enabled");
        }
        if (name !== this.credentials.user || password !== this.credentials.password) {
          throw new RpcError(Code.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password");
        }
        const token = `token-${++this.#tokens}`;
        this.tokens.add(token);
        return { token };
      },
    };
  }

  async *#watch(requests: AsyncIterable<WatchRequest>, context: ServerContext): AsyncGenerator<WatchAnswer> {
    await this.#enter("watch", context);
    const answers: WatchAnswer[] = [];
    const watches = new Map<bigint, OpenWatch>();
    let wake: () => void = () => {};
    let isBroken = false;
    const look = (): void => {
      for (const watch of watches.values()) this.#tell(watch, answers);
      wake();
    };
    const end = (): void => {
      isBroken = true;
      wake();
    };
    this.#streams.add(end);
    const stopListening = this.store.onChange(look);
    const reading = this.#readRequests(requests, watches, answers, () => wake()).then(end, end);
    try {
      while (!context.signal.aborted) {
        for (const answer of answers.splice(0)) yield answer;
        if (isBroken) throw new RpcError(Code.UNAVAILABLE, "etcdserver: no leader");
        if (answers.length > 0) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
          context.signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    } finally {
      this.#streams.delete(end);
      stopListening();
      void reading;
    }
  }

  async #readRequests(
    requests: AsyncIterable<WatchRequest>,
    watches: Map<bigint, OpenWatch>,
    answers: WatchAnswer[],
    wake: () => void,
  ): Promise<void> {
    for await (const { requestUnion } of requests) {
      if (requestUnion.case === "createRequest") await this.#create(requestUnion.value, watches, answers);
      if (requestUnion.case === "cancelRequest") {
        watches.delete(requestUnion.value.watchId);
        answers.push({ header: this.#header(), watchId: requestUnion.value.watchId, canceled: true });
      }
      wake();
    }
  }

  async #create(request: WatchCreateRequest, watches: Map<bigint, OpenWatch>, answers: WatchAnswer[]): Promise<void> {
    this.#count("create");
    await this.hooks.create?.();
    const header = this.#header();
    if (decode(request.key).startsWith(this.forbidden)) {
      const cancelReason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
      answers.push({ header, watchId: -1n, created: true, canceled: true, cancelReason });
      return;
    }
    const id = ++this.#lastWatch;
    answers.push({ header, watchId: id, created: true });
    if (request.startRevision > 0n && request.startRevision <= this.store.compacted) {
      answers.push({ header, watchId: id, canceled: true, compactRevision: this.store.compacted });
      return;
    }
    const next = this.tellsOldChanges ? 1n : request.startRevision;
    const watch = { id, request, next };
    watches.set(id, watch);
    this.#tell(watch, answers);
  }

  #tell(watch: OpenWatch, answers: WatchAnswer[]): void {
    const range = { key: decode(watch.request.key), end: decode(watch.request.rangeEnd) };
    const changes = this.store.changesFrom(range, watch.next);
    if (changes.length === 0) return;
    watch.next = this.store.revision + 1n;
    const step = Math.min(this.fragmentSize, changes.length);
    for (let at = 0; at < changes.length; at += step) {
      const events = changes.slice(at, at + step).map(eventOf);
      answers.push({ header: this.#header(), watchId: watch.id, events, fragment: at + step < changes.length });
    }
  }
}

function eventOf({ isDelete, entry }: StoredChange) {
  return { type: isDelete ? Event_EventType.DELETE : Event_EventType.PUT, kv: keyValue(entry) };
}

function keyValue({ key, value, lease, modRevision }: StoredKey) {
  return { key: Buffer.from(key), value: Buffer.from(value), lease, modRevision };
}
