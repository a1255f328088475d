import type { Clock, Timer } from "../rpc/clock.ts";
import { inNextTurn } from "../rpc/turn.ts";
import { AbuseGuard } from "./abuse-guard.ts";
import { overflowsWindow, ReceiveWindows } from "./flow-window.ts";
import { FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import {
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  errorCodeName,
  FrameType,
  Http2Error,
  MAX_INT31,
  PREFACE,
  SettingId,
} from "./frames.ts";
import type { HeaderBlock, HeaderEntry } from "./hpack/decoder.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import { Inbound } from "./inbound.ts";
import type { Http2Limits, LimitName } from "./limits.ts";
import type { Link, LinkHandler } from "./link.ts";
import { SendQueue, type SendQueueOwner } from "./send-queue.ts";
import { ownSettings, PeerSettings } from "./settings.ts";
import { type Http2Stream, LOCAL, REMOTE, StreamTable } from "./stream.ts";

/** The layer above a connection. All calls come from inside the reading of a chunk, a timer, or the link's end. */
export interface StreamOwner<S extends Http2Stream> {
  /** Names of header fields that the layer above cares about, as numbers above 0. */
  readonly tokens: ReadonlyMap<string, number>;
  /**
   * Called once for each run of constant fields at the start of header blocks; its result is found again as `block.derived`.
   * One function for all connections of a server or channel: they share what was made of the static table.
   */
  readonly derive: (fields: readonly HeaderEntry[]) => unknown;
  /**
   * Streams of the peer that are gone while work for them goes on: they count against `maxConcurrentStreams` all the same, or a peer
   * that resets what it opens would have as much done as it likes (CVE-2023-44487).
   */
  readonly lingering?: number;
  /** The peer opens a stream (servers only): the object that is to be it. */
  createStream(): S;
  /** A header block; `block` is valid during the call. */
  headers(stream: S, block: HeaderBlock, end: boolean): void;
  /** `chunk[start, to)` of data; the octets are gone after the call. */
  data(stream: S, chunk: Buffer, start: number, to: number, end: boolean): void;
  /** The stream has ended abnormally and is closed. `byPeer` tells whose decision it was, `limit` the bound that was passed. */
  reset(stream: S, code: number, byPeer: boolean, limit?: LimitName): void;
  /**
   * The peer did something wrong on one stream, which was reset for it; the connection goes on. `kind` is the bound that was passed or
   * the name of an error code. For counts: what the stream's user has to know comes by `reset`.
   */
  misused?(kind: string, text: string): void;
  /** All that was queued on the stream has left. */
  writable(stream: S): void;
  /** The peer's settings have changed; the first time the connection is ready for use. */
  settings(): void;
  /** A stream has left the table: there is room for another. */
  released(): void;
  /** The peer takes no streams above `lastStreamId` any more; those that were open have been reset with REFUSED_STREAM. */
  goaway(lastStreamId: number, code: number, debug: string): void;
  /** Something useful or a PING's answer arrived or a PING was received; for keepalive. */
  pinged(): void;
  /** The end; every open stream has been reset before. No error after an orderly close. */
  closed(error: Error | undefined): void;
  /** The first octets were not HTTP/2; an explanation for people, if there is one. */
  explain(firstBytes: Buffer): string | undefined;
}

/** What a connection needs besides link and owner. */
export interface ConnectionOptions {
  readonly isServer: boolean;
  readonly clock: Clock;
  readonly limits: Http2Limits;
}

const MAX_DEBUG_BYTES = 256;

/**
 * One HTTP/2 connection, either role, over a link. RFC 9113 without a word of what its streams carry.
 *
 * Budget of a unary call: nothing allocated here but the owner's stream, nothing copied; frames are read in place and
 * written into the arena by the layer above through `writer`.
 */
export class Connection<S extends Http2Stream> implements LinkHandler, SendQueueOwner<S> {
  readonly link: Link;
  readonly writer: FrameWriter;
  readonly encoder: HpackEncoder = new HpackEncoder();
  readonly peer: PeerSettings = new PeerSettings();
  readonly streams: StreamTable<S> = new StreamTable();
  readonly isServer: boolean;
  /** True after the end, whoever caused it. */
  isClosed = false;
  /** Why it ended; undefined while it lives and after an orderly close. */
  error: Error | undefined = undefined;
  /** Set once the peer has sent GOAWAY: the last of our streams that it will answer. */
  peerLastStreamId: number = MAX_INT31;
  /** Chunks from the peer: a sign of life that costs no reading of the clock. */
  chunksReceived = 0;

  /** The next stream of ours. */
  nextId: number;
  readonly #owner: StreamOwner<S>;
  readonly #clock: Clock;
  readonly #limits: Http2Limits;
  readonly #inbound: Inbound<S>;
  readonly #reader: FrameReader;
  readonly #guard: AbuseGuard;
  readonly #windows: ReceiveWindows;
  readonly #queue: SendQueue<S>;
  #settingsInFlight = 1;
  #isYielding = false;
  /** Turns that the last chunk has taken so far. */
  #turnsOfChunk = 0;
  #isLinkPaused = false;
  /** The rest of what was read is taken up again when the link has drained. */
  #waitsForDrain = false;
  /** Streams that we have reset lately: the peer's late frames for them are taken without complaint. */
  #resets: Set<number> | null = null;
  /** The highest stream that was dropped from them. */
  #forgottenReset = 0;
  /** What the peer's GOAWAY holds against us: when it closes the link, that is why. */
  #peersReason: Http2Error | null = null;
  #pings: Map<number, () => void> | null = null;
  #lastPing = 0;
  #handshakeTimer: Timer | null;

  constructor(link: Link, owner: StreamOwner<S>, options: ConnectionOptions) {
    this.link = link;
    this.#owner = owner;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.isServer = options.isServer;
    this.nextId = options.isServer ? 2 : 1;
    this.writer = new FrameWriter(link);
    this.#guard = new AbuseGuard(options.clock, options.limits);
    this.#windows = new ReceiveWindows(options.limits);
    this.#queue = new SendQueue<S>(this, this.writer, this.peer, options.clock, options.limits.stallTimeoutMs);
    const { clock, limits } = options;
    this.#inbound = new Inbound(this, owner, {
      clock,
      limits,
      guard: this.#guard,
      windows: this.#windows,
      queue: this.#queue,
    });
    this.#reader = new FrameReader(this.#inbound, options.isServer, DEFAULT_MAX_FRAME_BYTES);
    this.#handshakeTimer = this.#clock.setTimeout(() => this.#handshakeExpired(), options.limits.handshakeTimeoutMs);
  }

  /** Sends preface and SETTINGS and begins to read. */
  start(): void {
    if (!this.isServer) this.writer.raw(PREFACE);
    this.writer.settings(ownSettings(this.#limits, this.isServer), false);
    const window = this.#windows.connectionBytes;
    if (window > DEFAULT_WINDOW_BYTES) this.writer.number(FrameType.WINDOW_UPDATE, 0, window - DEFAULT_WINDOW_BYTES);
    this.link.start(this);
  }

  // --- for the layer above: sending ---

  /** True when a client may open a stream now: alive, no GOAWAY, ids and the peer's limit allow it. */
  get canOpen(): boolean {
    return this.isUsable && this.streams.size < this.peer.maxConcurrentStreams;
  }

  /** True while new streams are possible at all, apart from the peer's limit on open ones. */
  get isUsable(): boolean {
    return !this.isClosed && this.peerLastStreamId === MAX_INT31 && this.nextId <= this.#limits.maxStreamId;
  }

  /** Opens a stream of ours; only while `canOpen`. Its HEADERS must be the next frame with a new id. */
  open(stream: S): void {
    stream.id = this.nextId;
    this.nextId += 2;
    this.begin(stream);
  }

  /** Takes `bytes` from both send windows, if one DATA frame of them may leave right now. */
  takeSendWindow(stream: S, bytes: number): boolean {
    return this.#queue.takeWindow(stream, bytes);
  }

  /** True while all streams together have less waiting than `maxConnectionSendBytes`. */
  get hasRoom(): boolean {
    return this.#queue.queuedBytes < this.#limits.maxConnectionSendBytes;
  }

  /** END_STREAM was written on the stream. */
  localEnded(stream: S): void {
    stream.closedSides |= LOCAL;
    if (stream.closedSides !== (LOCAL | REMOTE)) return;
    this.#guard.streamClosed();
    this.release(stream);
  }

  /** A header block of any size. */
  sendHeaders(stream: S, block: Uint8Array, end: boolean): void {
    this.writer.headers(stream.id, block, end, this.peer.maxFrameBytes);
    if (end) this.localEnded(stream);
  }

  /**
   * DATA, as far as windows and link allow now; the rest waits and leaves by itself. The chunk must not change until then.
   * Returns false when something waits: `writable` tells of its end.
   */
  sendData(stream: S, chunk: Uint8Array, end: boolean): boolean {
    return this.#queue.send(stream, chunk, end);
  }

  /** The peer did something wrong on the stream: RST_STREAM, and one off its allowance. The owner knows already. */
  refuseStream(stream: S, code: number, text: string): void {
    if (stream.id === 0) return;
    this.resetStream(stream, code);
    this.#owner.misused?.(errorCodeName(code), text);
    this.allow(this.#guard.reset());
  }

  /** Ends a stream with RST_STREAM; what was queued on it is dropped. Nothing happens if it is closed. */
  resetStream(stream: S, code: number): void {
    if (stream.id === 0) return;
    this.sendReset(stream.id, code);
    this.#guard.streamClosed();
    this.release(stream);
  }

  /** Gives the stream the window that its user's reading has freed. Called when `heldBytes` has become smaller. */
  credit(stream: S): void {
    if (stream.id === 0 || (stream.closedSides & REMOTE) !== 0) return;
    const credit = this.#windows.streamCredit(stream);
    if (credit > 0) this.writer.number(FrameType.WINDOW_UPDATE, stream.id, credit);
  }

  /** Sends a PING; `answered` is called when its acknowledgement comes. */
  ping(answered: () => void): void {
    if (this.isClosed) return;
    this.#pings ??= new Map();
    this.#lastPing = (this.#lastPing + 1) & 0x7fffffff;
    this.#pings.set(this.#lastPing, answered);
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(this.#lastPing, 4);
    this.writer.ping(payload, false);
  }

  // --- for the layer above: ending ---

  /** First step of a graceful end (RFC 9113 §6.8): "open nothing more", while streams on their way are still taken. */
  announceShutdown(debug: string): void {
    if (!this.isClosed) this.writer.goaway(MAX_INT31, ErrorCode.NO_ERROR, debug);
  }

  /** Second step: streams that the peer opens from now on are not looked at, and it knows. */
  refuseNewStreams(code: number, debug: string): void {
    if (this.isClosed || this.#inbound.lastAcceptedId !== MAX_INT31) return;
    this.#inbound.lastAcceptedId = this.#inbound.lastPeerId;
    this.writer.goaway(this.#inbound.lastPeerId, code, debug);
  }

  /** Ends the connection in order: GOAWAY, what is written leaves, then the link closes. Open streams are reset. */
  close(code: number = ErrorCode.NO_ERROR, debug = ""): void {
    if (this.isClosed) return;
    this.writer.goaway(this.#inbound.lastTakenId, code, debug);
    this.writer.flush();
    this.#finish(undefined);
    this.link.end();
  }

  /** Ends it without a word: the peer is dead or does not read. */
  abort(error: Error): void {
    if (this.isClosed) return;
    this.#finish(error);
    this.link.destroy();
  }

  // --- the link ---

  linkData(chunk: Buffer): void {
    if (this.isClosed) return;
    this.chunksReceived++;
    if (this.#isYielding) {
      this.#reader.retain(chunk);
      if (this.#reader.retainedBytes > this.#limits.maxReadAheadBytes) this.#pauseLink();
      return;
    }
    this.#inbound.newStreams = 0;
    this.#turnsOfChunk = 0;
    this.#guarded(() => this.#reader.read(chunk));
    if (this.#hasUnreadAnswers) this.#pauseLink();
  }

  linkDrain(): void {
    this.writer.drained();
    this.#resumeLink();
    if (this.#waitsForDrain) this.#nextTurn();
    this.#queue.pumpAll();
  }

  linkEnd(): void {
    // The peer sends nothing more: no call can end properly any more.
    if (this.isClosed || this.#isForeign()) return;
    this.writer.flush();
    const closed = new Http2Error(ErrorCode.NO_ERROR, "the peer closed the connection", true);
    this.#finish(this.streams.size === 0 ? undefined : (this.#peersReason ?? closed));
    this.link.end();
  }

  linkClosed(error: Error | undefined): void {
    if (!this.isClosed && !this.#isForeign()) this.#finish(error && (this.#peersReason ?? error));
  }

  /** The link ended before there was one whole frame: what came may still tell what the server is, such as a TLS alert. */
  #isForeign(): boolean {
    const head = this.isServer ? null : this.#reader.head;
    if (head === null) return false;
    // The beginning of SETTINGS: the server is one of HTTP/2, and the link's error says what happened.
    if (head[0] === 0 && (head.length < 4 || head[3] === FrameType.SETTINGS)) return false;
    this.#inbound.notHttp2(head);
    return true;
  }

  // --- FrameSink ---

  settingsFrame(isAck: boolean, chunk: Buffer, start: number, end: number): boolean {
    if (isAck) return this.#settingsAcknowledged();
    // Each change may touch every open stream: a peer that changes its mind all the time wants just that.
    if (this.peer.received && !this.glitch()) return false;
    const windowBefore = this.peer.initialWindowBytes;
    const error = this.peer.apply(chunk, start, end, !this.isServer, this.#limits.maxSettingsEntries);
    if (error !== null) return this.fail(error.code, error.text, error.limit);
    this.encoder.setMaxTableBytes(this.peer.lowestTableBytes);
    this.encoder.setMaxTableBytes(this.peer.headerTableBytes);
    const growth = this.peer.initialWindowBytes - windowBefore;
    if (growth !== 0 && !this.#shiftSendWindows(growth)) return false;
    // The acknowledgement leaves before any DATA that the new window allows (h2spec 6.9.2/1).
    this.writer.settings([], true);
    if (!this.acknowledged()) return false;
    if (growth > 0) this.#queue.windowsGrown();
    this.#handshakeStep();
    this.#owner.settings();
    return !this.isClosed;
  }

  pingFrame(isAck: boolean, chunk: Buffer, start: number): boolean {
    if (isAck) {
      const id = chunk.readUInt32BE(start) === 0 ? chunk.readUInt32BE(start + 4) : -1;
      const answered = this.#pings?.get(id);
      if (answered === undefined) return this.glitch();
      this.#pings?.delete(id);
      answered();
      return !this.isClosed;
    }
    this.writer.ping(chunk.subarray(start, start + 8), true);
    if (!this.acknowledged()) return false;
    this.#owner.pinged();
    return !this.isClosed;
  }

  goawayFrame(lastStreamId: number, code: number, chunk: Buffer, debugStart: number, debugEnd: number): boolean {
    const isFirst = this.peerLastStreamId === MAX_INT31;
    if (!isFirst && !this.glitch()) return false;
    // A server that drains may find something to hold against us afterwards.
    const isFirstReason = code !== ErrorCode.NO_ERROR && this.#peersReason === null;
    // Nothing new: what it costs to look at all streams and to tell the layer above must not be had for 17 octets each.
    if (!isFirst && !isFirstReason && lastStreamId >= this.peerLastStreamId) return true;
    // A later GOAWAY may only lower the bound, RFC 9113 §6.8.
    const last = Math.min(lastStreamId, this.peerLastStreamId);
    // 2^31-1 announces a shutdown: no new streams, but all open ones will be answered.
    this.peerLastStreamId = Math.min(last, MAX_INT31 - 1);
    const debug = chunk.toString("utf8", debugStart, Math.min(debugEnd, debugStart + MAX_DEBUG_BYTES));
    if (code !== ErrorCode.NO_ERROR) {
      const why = debug === "" ? "" : `: ${JSON.stringify(debug)}`;
      this.#peersReason = new Http2Error(code, `the peer ended the connection${why}`, true);
    }
    // First: the connection ends with its last stream, and must be known to be leaving by then.
    this.#owner.goaway(last, code, debug);
    if (!this.isServer) {
      for (const stream of this.streams.all()) {
        if (stream.id <= last) continue;
        this.releaseReset(stream, ErrorCode.REFUSED_STREAM, true);
      }
    }
    return !this.isClosed;
  }

  // --- receiving, in detail ---

  /** A round trip has passed since a window update was due: perhaps the path holds more than the window. */
  grow(): void {
    const growth = this.#windows.finishSample();
    if (growth > 0) this.writer.number(FrameType.WINDOW_UPDATE, 0, growth);
    else if (!this.#windows.hasFastStream) return;
    const streamBytes = this.#windows.nextStreamBytes();
    if (streamBytes === 0 || this.#settingsInFlight > 0) return;
    this.#windows.announcedStreamBytes = streamBytes;
    this.#settingsInFlight++;
    this.writer.settings([[SettingId.INITIAL_WINDOW_SIZE, streamBytes]], false);
  }

  #settingsAcknowledged(): boolean {
    if (this.#settingsInFlight === 0) return this.glitch();
    this.#settingsInFlight--;
    this.#inbound.tableBoundHolds();
    const growth = this.#windows.settingsAcknowledged();
    if (growth !== 0) for (const stream of this.streams.all()) stream.receiveWindow += growth;
    this.#handshakeStep();
    return true;
  }

  #handshakeStep(): void {
    if (!this.peer.received || this.#settingsInFlight > 0) return;
    this.#handshakeTimer?.cancel();
    this.#handshakeTimer = null;
  }

  #handshakeExpired(): void {
    const what = this.peer.received ? "acknowledged our SETTINGS" : "sent its SETTINGS";
    this.fail(ErrorCode.SETTINGS_TIMEOUT, `the peer has not ${what} within ${this.#limits.handshakeTimeoutMs} ms`);
  }

  // --- sending, in detail ---

  begin(stream: S): void {
    stream.closedSides = 0;
    stream.sendWindow = this.peer.initialWindowBytes;
    stream.receiveWindow = this.#windows.streamBytes;
    stream.heldBytes = 0;
    this.streams.add(stream);
  }

  // --- SendQueueOwner ---

  emptied(stream: S): void {
    this.#owner.writable(stream);
  }

  /** Our timer's doing, at most once a stream: were it counted as the peer's, many that end together would end the connection. */
  stalled(stream: S): void {
    this.#guard.streamClosed();
    this.#inbound.endForError(stream, ErrorCode.ENHANCE_YOUR_CALM, "stallTimeoutMs");
  }

  /** The peer changed its initial window: all streams follow, below zero too (RFC 9113 §6.9.2). */
  #shiftSendWindows(by: number): boolean {
    for (const stream of this.streams.all()) {
      if (overflowsWindow(stream.sendWindow, by)) {
        return this.fail(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE takes a stream's window past 2^31-1");
      }
      stream.sendWindow += by;
    }
    return true;
  }

  // --- errors and the end; also for the receiving half ---

  sendReset(streamId: number, code: number): void {
    this.writer.number(FrameType.RST_STREAM, streamId, code);
    this.#resets ??= new Set();
    this.#resets.add(streamId);
    if (this.#resets.size <= this.#limits.maxRememberedResets) return;
    const oldest = this.#resets.values().next().value as number;
    this.#resets.delete(oldest);
    this.#forgottenReset = Math.max(this.#forgottenReset, oldest);
  }

  /** True when the stream was reset by us, or may have been: the peer's frames for it are no fault then. */
  wasReset(streamId: number): boolean {
    return streamId <= this.#forgottenReset || (this.#resets?.has(streamId) ?? false);
  }

  /** A frame went out because the peer made us send it; one that never reads would fill our memory with them. */
  acknowledged(): boolean {
    if (++this.writer.pendingAcks <= this.#limits.maxPendingAcks) {
      if (this.writer.isCongested && this.isServer) this.#pauseLink();
      return !this.isClosed;
    }
    this.abort(
      new Http2Error(
        ErrorCode.ENHANCE_YOUR_CALM,
        "the peer causes answers but does not read them",
        false,
        "maxPendingAcks",
      ),
    );
    return false;
  }

  allow(exceeded: string | null): boolean {
    return exceeded === null ? !this.isClosed : this.exceeded(exceeded);
  }

  /** The peer has sent something of no use to anybody; false when that was once too often. */
  glitch(): boolean {
    return this.allow(this.#guard.glitch());
  }

  exceeded(limit: string): boolean {
    return this.fail(ErrorCode.ENHANCE_YOUR_CALM, `the peer exceeds the limit ${limit}`, limit);
  }

  /** A connection error: GOAWAY with the reason, then the end. */
  fail(code: number, text: string, limit?: string): false {
    if (this.isClosed) return false;
    this.writer.goaway(this.#inbound.lastTakenId, code, text);
    this.writer.flush();
    this.#finish(new Http2Error(code, text, false, limit));
    this.link.end();
    return false;
  }

  #finish(error: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.error = error;
    this.#handshakeTimer?.cancel();
    this.#queue.close();
    this.#inbound.close();
    this.#pings = null;
    this.writer.close();
    for (const stream of this.streams.all()) {
      this.release(stream);
      this.#owner.reset(stream, ErrorCode.NO_ERROR, true);
    }
    this.#owner.closed(error);
  }

  /** Takes a stream out of the table, whatever its state. */
  release(stream: S): void {
    this.#takeOut(stream);
    this.#owner.released();
  }

  /** The same for one that was reset. The owner hears why first: it may end the connection with its last stream. */
  releaseReset(stream: S, code: number, byPeer: boolean, limit?: LimitName): void {
    this.#takeOut(stream);
    this.#owner.reset(stream, code, byPeer, limit);
    this.#owner.released();
  }

  #takeOut(stream: S): void {
    this.#queue.remove(stream);
    this.streams.remove(stream);
    stream.id = 0;
  }

  // --- turns ---

  /**
   * Enough new streams of this connection: others first, then the rest of what has been read.
   *
   * Answers leave after turns 1, 2, 4, 8 …: early enough for the peer to work on them, without a system call for each turn
   * (measured at 1,000 calls in flight: one a turn takes a third of the throughput).
   */
  yieldTurn(): boolean {
    this.#isYielding = true;
    const turns = ++this.#turnsOfChunk;
    if ((turns & (turns - 1)) === 0) this.writer.release();
    else this.writer.hold();
    inNextTurn(() => this.#nextTurn());
    return false;
  }

  #nextTurn(): void {
    this.#waitsForDrain = !this.isClosed && this.#hasUnreadAnswers;
    if (this.#waitsForDrain) return this.#pauseLink();
    this.#isYielding = false;
    if (this.isClosed) return;
    this.#inbound.newStreams = 0;
    this.#guarded(() => this.#reader.readRetained());
    if (this.#isYielding) return;
    this.writer.release();
    this.#resumeLink();
  }

  /** Answers pile up that the client does not read: it gets no more of them before it does (attack row 10). */
  get #hasUnreadAnswers(): boolean {
    return this.isServer && this.writer.congestedBytes > this.#limits.maxUnreadBytes;
  }

  #pauseLink(): void {
    if (this.#isLinkPaused) return;
    this.#isLinkPaused = true;
    this.link.pause();
  }

  #resumeLink(): void {
    if (!this.#isLinkPaused) return;
    this.#isLinkPaused = false;
    this.link.resume();
  }

  /** Nothing that a peer sends may throw out of the read loop: a fault of ours ends this connection, not the process. */
  #guarded(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
