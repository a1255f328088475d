import type { MessageInit } from "../../../codegen.ts";
import type { WatchRequestSchema, WatchResponse } from "../../../gen/etcd/etcdserverpb_pb.ts";
import { retryBackoffMs } from "../../../resilience/backoff.ts";
import type { Timer } from "../../../rpc/clock.ts";
import type { RegistryContext } from "../../registry-config.ts";
import { RequestQueue } from "../../remote/request-queue.ts";
import type { EtcdClient, EtcdLine } from "../client.ts";
import { EtcdError, explainEtcdError, isStaleToken } from "../etcd-error.ts";
import type { CheckedEtcdOptions } from "../options.ts";
import type { RangeWatch, WatchedRange } from "./range-watch.ts";

/** What the hub holds of a range watch that follows. Another object each time it begins to. */
interface Attachment {
  readonly watch: RangeWatch;
  /** The read before it was made a moment ago; no member needs to prove that it is as far. */
  isFresh: boolean;
}

/** A watch that etcd was asked for, or has. */
interface Watched {
  readonly attachment: Attachment;
  readonly watched: WatchedRange;
}

/** One stream: `created` answers come in the order of the requests, refusals among them. */
interface Stream {
  readonly requests: RequestQueue<MessageInit<typeof WatchRequestSchema>>;
  readonly abort: AbortController;
  readonly openedAt: number;
  readonly asked: Watched[];
  readonly byId: Map<bigint, Watched>;
  line: EtcdLine | null;
  token: string;
  hasAnswered: boolean;
}

/** Full reads under way together. */
const MAX_READS = 16;
/** Full jitter up to here: what lost one etcd together does not come back together. */
const RETRY = { baseMs: 100, maxMs: 3000 } as const;
/** Rights and passwords are mended by people. */
const SLOW_RETRY_MS = 10_000;
/** A stream that ends sooner counts as one that failed; a token that is older may just be out of date. */
const SHORT_LIFE_MS = 1000;
/** Times the patience with a request: to ask a slow member for all watches anew makes it slower. */
const PATIENCE = 3;
/** So many streams in a row may answer and end soon before that is told. */
const MAX_SILENT_FAILURES = 2;

/** All watches of a process on one etcd: one stream for all of them, and a queue of full reads. */
export class WatchHub {
  readonly #client: EtcdClient;
  readonly #options: CheckedEtcdOptions;
  readonly #context: RegistryContext;
  readonly #attachments: Map<RangeWatch, Attachment> = new Map();
  readonly #queue: Set<RangeWatch> = new Set();
  /** Watches that etcd has refused, until they ask again. */
  readonly #refused: Map<RangeWatch, Timer> = new Map();
  #reads = 0;
  #readPause: Timer | null = null;
  #readFailures = 0;
  #stream: Stream | null = null;
  #streamPause: Timer | null = null;
  #streamFailures = 0;
  /** Armed while a watch that was asked for is not confirmed. */
  #due: Timer | null = null;
  #clusterId = 0n;
  #isClosed = false;

  constructor(client: EtcdClient, options: CheckedEtcdOptions, context: RegistryContext) {
    this.#client = client;
    this.#options = options;
    this.#context = context;
  }

  /** A full read is wanted; many asked for are made a few at a time. */
  queueRead(watch: RangeWatch): void {
    this.#queue.add(watch);
    this.#pump();
  }

  /** No read is wanted any more. */
  dropRead(watch: RangeWatch): void {
    this.#queue.delete(watch);
    this.#refused.get(watch)?.cancel();
    this.#refused.delete(watch);
  }

  /** Begins to tell `watch` of changes behind the progress of its ranges. */
  follow(watch: RangeWatch, isFresh: boolean): void {
    if (this.#isClosed) return;
    const attachment: Attachment = { watch, isFresh };
    this.#attachments.set(watch, attachment);
    if (this.#stream !== null) this.#ask(this.#stream, attachment);
    else if (this.#streamPause === null) void this.#open();
  }

  unfollow(watch: RangeWatch): void {
    this.#attachments.delete(watch);
    const stream = this.#stream;
    if (stream === null) return;
    for (const [watchId, { attachment }] of stream.byId) {
      if (attachment.watch === watch) this.#cancel(stream, watchId);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#attachments.clear();
    this.#queue.clear();
    for (const timer of [...this.#refused.values(), this.#readPause, this.#streamPause]) timer?.cancel();
    this.#endStream();
  }

  // --- full reads ---

  #pump(): void {
    if (this.#readPause !== null || this.#isClosed) return;
    for (const watch of this.#queue) {
      if (this.#reads >= MAX_READS) return;
      this.#queue.delete(watch);
      this.#reads++;
      void this.#read(watch);
    }
  }

  async #read(watch: RangeWatch): Promise<void> {
    try {
      await watch.read(this.#client);
      this.#readFailures = 0;
    } catch (error) {
      if (!this.#isClosed) this.#readFailed(watch, explainEtcdError(error, `reading ${watch.label}`, "etcd"));
    }
    this.#reads--;
    this.#pump();
  }

  #readFailed(watch: RangeWatch, error: EtcdError): void {
    if (error.fault === "permission") return this.#refuse(watch, error);
    this.#queue.add(watch);
    const isSlow = error.fault === "credentials";
    if (error.fault !== "compacted") {
      // The others would fare no better, but each hears of its own keys.
      for (const each of [...this.#queue]) each.failed(error.about(watch.label, each.label));
    }
    const { clock, random } = this.#context;
    const waitMs = isSlow ? SLOW_RETRY_MS * (0.5 + random()) : retryBackoffMs(++this.#readFailures, random, RETRY);
    this.#readPause ??= clock.setTimeout(() => {
      this.#readPause = null;
      this.#pump();
    }, waitMs);
  }

  /** The user may not read these keys, until somebody grants it. */
  #refuse(watch: RangeWatch, error: EtcdError): void {
    const advice =
      "grant it: etcdctl role grant-permission ROLE readwrite --prefix=true KEY for each of them, or set metadata: false for the first alone";
    const { clock, random } = this.#context;
    this.#refused.get(watch)?.cancel();
    const again = (): void => {
      this.#refused.delete(watch);
      this.queueRead(watch);
    };
    this.#refused.set(watch, clock.setTimeout(again, SLOW_RETRY_MS * (0.5 + random())));
    watch.failed(new EtcdError("permission", `the user may not read ${watch.label}: ${advice}`, { cause: error }));
  }

  // --- the stream ---

  async #open(): Promise<void> {
    const stream: Stream = {
      requests: new RequestQueue(),
      abort: new AbortController(),
      openedAt: this.#context.clock.fresh(),
      asked: [],
      byId: new Map(),
      line: null,
      token: "",
      hasAnswered: false,
    };
    this.#stream = stream;
    for (const attachment of this.#attachments.values()) this.#ask(stream, attachment);
    try {
      const { line, answers, token } = await this.#client.openWatch(stream.requests, stream.abort.signal);
      if (this.#stream !== stream) return stream.abort.abort();
      stream.line = line;
      stream.token = token;
      for await (const response of answers) {
        if (this.#stream !== stream) return;
        this.#answered(stream, response);
      }
      throw new EtcdError("unreachable", `${line.host} ended the stream of watches`);
    } catch (error) {
      this.#failed(stream, explainEtcdError(error, "watching", stream.line?.host ?? "etcd"));
    }
  }

  #ask(stream: Stream, attachment: Attachment): void {
    for (const watched of attachment.watch.ranges) {
      const { key, end } = watched.range;
      const startRevision = watched.progress + 1n;
      const value = { key, rangeEnd: end ?? new Uint8Array(), startRevision, progressNotify: true, fragment: true };
      stream.requests.put({ requestUnion: { case: "createRequest", value } });
      stream.asked.push({ attachment, watched });
    }
    this.#due ??= this.#armDue(stream);
  }

  #armDue(stream: Stream): Timer {
    return this.#context.clock.setTimeout(() => {
      const host = stream.line?.host ?? "etcd";
      this.#failed(stream, new EtcdError("unreachable", `no answer from ${host} to what is to be watched`));
    }, PATIENCE * this.#options.requestTimeoutMs);
  }

  #answered(stream: Stream, response: WatchResponse): void {
    const { created, canceled, watchId, header } = response;
    if (!stream.hasAnswered) {
      stream.hasAnswered = true;
      if (this.#isOtherCluster(header?.clusterId ?? 0n)) {
        for (const { watch } of [...this.#attachments.values()]) watch.readAgain();
      }
    }
    if (created) return this.#created(stream, response);
    const known = stream.byId.get(watchId);
    if (known === undefined) return;
    const { attachment, watched } = known;
    if (canceled) {
      stream.byId.delete(watchId);
      if (response.compactRevision > 0n) attachment.watch.readAgain();
      else this.#refusedBy(stream, attachment, response.cancelReason);
      return;
    }
    if (response.events.length > 0 || response.fragment) {
      attachment.watch.changes(watched, response.events, !response.fragment);
    } else if (header !== undefined && header.revision > watched.progress) {
      watched.progress = header.revision;
    }
  }

  #created(stream: Stream, { canceled, watchId, header, cancelReason, compactRevision }: WatchResponse): void {
    const asked = stream.asked.shift();
    this.#due?.cancel();
    this.#due = stream.asked.length > 0 ? this.#armDue(stream) : null;
    if (asked === undefined) return;
    const { attachment, watched } = asked;
    const isWanted = this.#attachments.get(attachment.watch) === attachment;
    if (canceled) {
      if (!isWanted) return;
      if (compactRevision > 0n) return attachment.watch.readAgain();
      return this.#refusedBy(stream, attachment, cancelReason);
    }
    stream.byId.set(watchId, asked);
    if (!isWanted) return this.#cancel(stream, watchId);
    // It lags behind what is known, or its history is another one, as of an etcd whose data were lost.
    if (!attachment.isFresh && (header?.revision ?? 0n) < watched.progress) attachment.watch.readAgain();
  }

  #refusedBy(stream: Stream, attachment: Attachment, reason: string): void {
    const isDenied = reason.includes("permission denied");
    const ageMs = this.#context.clock.fresh() - stream.openedAt;
    // Members before 3.5 say of a token that is out of date that there is no permission.
    if (stream.token !== "" && (isStaleToken(reason) || (isDenied && ageMs > SHORT_LIFE_MS))) {
      this.#client.forgetToken(stream.token);
      return this.#failed(stream, new EtcdError("unreachable", `watching ${attachment.watch.label}: ${reason}`));
    }
    const error = new EtcdError(
      isDenied ? "permission" : "unreachable",
      `watching ${attachment.watch.label}: ${reason}`,
    );
    if (!isDenied) return this.#failed(stream, error);
    attachment.watch.rest();
    this.#refuse(attachment.watch, error);
  }

  #cancel(stream: Stream, watchId: bigint): void {
    stream.byId.delete(watchId);
    stream.requests.put({ requestUnion: { case: "cancelRequest", value: { watchId } } });
  }

  /** A stream ended. One that had worked for a while is opened again at once, without a word. */
  #failed(stream: Stream, error: EtcdError): void {
    if (this.#stream !== stream) return;
    this.#endStream();
    const isToken = this.#client.streamEnded(stream, error.cause) === "stale-token";
    const { clock, random } = this.#context;
    const hasWorked = stream.hasAnswered && clock.fresh() - stream.openedAt >= SHORT_LIFE_MS;
    const failures = hasWorked ? 0 : ++this.#streamFailures;
    if (hasWorked) this.#streamFailures = 0;
    const isSlow = error.fault === "credentials";
    const waitMs = isSlow ? SLOW_RETRY_MS * (0.5 + random()) : retryBackoffMs(failures, random, RETRY);
    this.#streamPause = clock.setTimeout(
      () => {
        this.#streamPause = null;
        if (this.#attachments.size > 0) void this.#open();
      },
      failures === 0 ? 0 : waitMs,
    );
    const isTold = failures > MAX_SILENT_FAILURES || !(stream.hasAnswered || isToken);
    for (const attachment of [...this.#attachments.values()]) {
      attachment.isFresh = false;
      if (!isTold) continue;
      attachment.watch.failed(error);
      // What was told to be old is told to be live by a full read only: a watch that goes on has first to catch up.
      attachment.watch.readAgain();
    }
  }

  #endStream(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#due?.cancel();
    this.#due = null;
    stream?.requests.end();
    stream?.abort.abort();
  }

  #isOtherCluster(clusterId: bigint): boolean {
    const before = this.#clusterId;
    this.#clusterId = clusterId;
    return before !== 0n && before !== clusterId;
  }
}
