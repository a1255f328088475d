import type { Clock, Timer } from "../rpc/clock.ts";
import type { AbuseGuard } from "./abuse-guard.ts";
import type { Connection, StreamOwner } from "./connection.ts";
import type { ReceiveWindows } from "./flow-window.ts";
import type { FrameSink } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { ErrorCode, errorCodeName, Flag, FrameType, MAX_INT31 } from "./frames.ts";
import { DecodeResult, HpackDecoder } from "./hpack/decoder.ts";
import type { Http2Limits, LimitName } from "./limits.ts";
import type { SendQueue } from "./send-queue.ts";
import { type Http2Stream, LOCAL, REMOTE, type StreamTable } from "./stream.ts";

/** A client collects this many times `maxHeaderBlockBytes` before it gives the connection up; see docs/decisions/0016. */
const CLIENT_BLOCKS = 4;

/** The parts of a connection that its receiving half works on. */
export interface InboundParts<S extends Http2Stream> {
  readonly clock: Clock;
  readonly limits: Http2Limits;
  readonly guard: AbuseGuard;
  readonly windows: ReceiveWindows;
  readonly queue: SendQueue<S>;
}

/**
 * The receiving half of a connection: what each frame of the peer means for the streams, and what it costs the peer when it means
 * nothing. SETTINGS, PING and GOAWAY concern the connection and go there.
 */
export class Inbound<S extends Http2Stream> implements FrameSink {
  /** The highest stream that the peer has opened. */
  lastPeerId = 0;
  /** Streams of the peer above this are not taken any more; set by our final GOAWAY. */
  lastAcceptedId: number = MAX_INT31;
  /** New streams since the turn began. */
  newStreams = 0;
  readonly #connection: Connection<S>;
  readonly #owner: StreamOwner<S>;
  readonly #writer: FrameWriter;
  readonly #streams: StreamTable<S>;
  readonly #isServer: boolean;
  readonly #clock: Clock;
  readonly #limits: Http2Limits;
  readonly #guard: AbuseGuard;
  readonly #windows: ReceiveWindows;
  readonly #queue: SendQueue<S>;
  readonly #decoder: HpackDecoder;
  /** The first stream above it makes a server ask for a new connection, once. */
  #maxStreamId: number;
  /** Whose DATA frame is being passed on in pieces. */
  #dataStream: S | null = null;
  #dataStreamId = 0;
  #dataEnds = false;
  /** A header block that waits for its CONTINUATION: joined once, when it is whole. */
  #parts: Buffer[] | null = null;
  #partsBytes = 0;
  #blockFlags = 0;
  #blockDependsOn = -1;
  #continuations = 0;
  #blockTimer: Timer | null = null;

  constructor(connection: Connection<S>, owner: StreamOwner<S>, parts: InboundParts<S>) {
    this.#connection = connection;
    this.#owner = owner;
    this.#writer = connection.writer;
    this.#streams = connection.streams;
    this.#isServer = connection.isServer;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#guard = parts.guard;
    this.#windows = parts.windows;
    this.#queue = parts.queue;
    this.#maxStreamId = parts.limits.maxStreamId;
    this.#decoder = new HpackDecoder({
      tableBytes: parts.limits.headerTableBytes,
      maxListBytes: parts.limits.maxHeaderListBytes,
      maxFields: parts.limits.maxHeaderFields,
      tokens: owner.tokens,
      derive: owner.derive,
    });
  }

  /** The highest stream of the peer that we may have worked on; a GOAWAY must not raise it (RFC 9113 §6.8). */
  get lastTakenId(): number {
    return Math.min(this.lastPeerId, this.lastAcceptedId);
  }

  /** The peer has acknowledged our SETTINGS: from now on it goes by our bound of its table. */
  tableBoundHolds(): void {
    this.#decoder.setLimit(this.#limits.headerTableBytes);
  }

  /** The connection has ended. */
  close(): void {
    this.#blockTimer?.cancel();
    this.#parts = null;
    this.#dataStream = null;
  }

  // --- FrameSink ---

  dataFrame(
    streamId: number,
    flags: number,
    length: number,
    chunk: Buffer,
    start: number,
    end: number,
    isWhole: boolean,
  ): boolean {
    if (!this.#windows.accept(length))
      return this.#connection.fail(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the connection's window");
    const credit = this.#windows.connectionCredit();
    if (credit > 0) this.#creditConnection(credit);
    const stream = this.#streams.find(streamId);
    if (stream === null || (stream.closedSides & REMOTE) !== 0) return this.#dataWithoutStream(streamId, stream);
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.#dataStream = null;
      return this.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR);
    }
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    // Padding alone is no data either.
    if (isWhole ? end > start : length > 0) this.#guard.emptyDataInRow = 0;
    else if (!isEnd && !this.#connection.allow(this.#guard.emptyData())) return false;
    if (isWhole) {
      if (isEnd) stream.closedSides |= REMOTE;
    } else {
      this.#dataStream = stream;
      this.#dataStreamId = streamId;
      this.#dataEnds = isEnd;
    }
    this.#deliver(stream, streamId, chunk, start, end, isEnd && isWhole);
    return !this.#connection.isClosed;
  }

  dataContinues(chunk: Buffer, start: number, end: number, isLast: boolean): boolean {
    const stream = this.#dataStream;
    if (isLast) this.#dataStream = null;
    // The stream may be gone by now, or even open again on another connection.
    if (stream === null || this.#streams.find(this.#dataStreamId) !== stream) return true;
    const isEnd = isLast && this.#dataEnds;
    if (isEnd) stream.closedSides |= REMOTE;
    this.#deliver(stream, this.#dataStreamId, chunk, start, end, isEnd);
    return !this.#connection.isClosed;
  }

  headersFrame(streamId: number, flags: number, chunk: Buffer, start: number, end: number, dependsOn: number): boolean {
    if ((flags & Flag.END_HEADERS) !== 0) return this.#headerBlock(streamId, flags, chunk, start, end, dependsOn);
    if (end - start > this.#mostOpenBlockBytes) return this.#connection.exceeded("maxHeaderBlockBytes");
    this.#parts = [copyOf(chunk, start, end)];
    this.#partsBytes = end - start;
    this.#blockFlags = flags;
    this.#blockDependsOn = dependsOn;
    this.#continuations = 0;
    this.#blockTimer = this.#clock.setTimeout(() => this.#blockExpired(), this.#limits.handshakeTimeoutMs);
    return true;
  }

  continuationFrame(streamId: number, flags: number, chunk: Buffer, start: number, end: number): boolean {
    const isWhole = (flags & Flag.END_HEADERS) !== 0;
    if (++this.#continuations > this.#limits.maxContinuationFrames)
      return this.#connection.exceeded("maxContinuationFrames");
    this.#partsBytes += end - start;
    if (!isWhole && this.#partsBytes > this.#mostOpenBlockBytes)
      return this.#connection.exceeded("maxHeaderBlockBytes");
    const parts = this.#parts ?? [];
    parts.push(copyOf(chunk, start, end));
    if (!isWhole) return true;
    this.#parts = null;
    this.#blockTimer?.cancel();
    const block = Buffer.concat(parts, this.#partsBytes);
    return this.#headerBlock(streamId, this.#blockFlags, block, 0, block.length, this.#blockDependsOn);
  }

  priorityFrame(streamId: number, dependsOn: number): boolean {
    if (!this.#connection.glitch()) return false;
    if (dependsOn !== -1 && dependsOn !== streamId) return true;
    // Priorities are gone since RFC 9113, but a malformed one is still an error of its stream (RFC 7540 §5.3.1, §6.3).
    const code = dependsOn === -1 ? ErrorCode.FRAME_SIZE_ERROR : ErrorCode.PROTOCOL_ERROR;
    const stream = this.#streams.find(streamId);
    if (stream !== null) return this.streamError(stream, code);
    if (this.#isIdle(streamId)) return this.#connection.fail(code, "malformed PRIORITY on an idle stream");
    return this.#resetUnknown(streamId, code);
  }

  resetFrame(streamId: number, code: number): boolean {
    if (this.#isIdle(streamId)) return this.#connection.fail(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on an idle stream");
    const stream = this.#streams.find(streamId);
    if (stream === null) return !this.#isServer || this.#connection.allow(this.#guard.lateReset());
    const isFree = !this.#isServer || stream.mayBeReset;
    this.#connection.releaseReset(stream, code, true);
    return isFree || this.#connection.allow(this.#guard.reset());
  }

  windowUpdateFrame(streamId: number, increment: number): boolean {
    if (increment < this.#limits.minWindowUpdateBytes && !this.#connection.glitch()) return false;
    if (streamId === 0) {
      if (increment === 0) return this.#connection.fail(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
      if (!this.#queue.creditConnection(increment)) {
        return this.#connection.fail(
          ErrorCode.FLOW_CONTROL_ERROR,
          "WINDOW_UPDATE takes the connection's window past 2^31-1",
        );
      }
      return !this.#connection.isClosed;
    }
    const stream = this.#streams.find(streamId);
    if (stream === null) {
      if (this.#isIdle(streamId))
        return this.#connection.fail(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream");
      return true;
    }
    if (increment === 0) return this.streamError(stream, ErrorCode.PROTOCOL_ERROR);
    if (!this.#queue.creditStream(stream, increment)) return this.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR);
    return !this.#connection.isClosed;
  }

  unknownFrame(_type: number): boolean {
    return this.#connection.glitch();
  }

  settingsFrame(isAck: boolean, chunk: Buffer, start: number, end: number): boolean {
    return this.#connection.settingsFrame(isAck, chunk, start, end);
  }

  pingFrame(isAck: boolean, chunk: Buffer, start: number): boolean {
    return this.#connection.pingFrame(isAck, chunk, start);
  }

  goawayFrame(lastStreamId: number, code: number, chunk: Buffer, debugStart: number, debugEnd: number): boolean {
    return this.#connection.goawayFrame(lastStreamId, code, chunk, debugStart, debugEnd);
  }

  connectionError(code: number, text: string): void {
    this.#connection.fail(code, text);
  }

  notHttp2(firstBytes: Buffer): void {
    const text = this.#owner.explain(firstBytes) ?? "the peer does not speak HTTP/2: its first frame is no SETTINGS";
    this.#connection.fail(ErrorCode.PROTOCOL_ERROR, text);
  }

  // --- in detail ---

  /** What may be here of a block whose end has not come. */
  get #mostOpenBlockBytes(): number {
    return this.#limits.maxHeaderBlockBytes * (this.#isServer ? 1 : CLIENT_BLOCKS);
  }

  /** Data to the layer above, window back to the peer, and the stream's end when both sides are done. */
  #deliver(stream: S, streamId: number, chunk: Buffer, start: number, end: number, isEnd: boolean): void {
    this.#owner.data(stream, chunk, start, end, isEnd);
    if (stream.id !== streamId) return;
    if (!isEnd) this.#connection.credit(stream);
    else if (stream.closedSides === (LOCAL | REMOTE)) this.#connection.release(stream);
  }

  #headerBlock(streamId: number, flags: number, chunk: Buffer, start: number, end: number, dependsOn: number): boolean {
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    let stream = this.#streams.find(streamId);
    let isNew = false;
    if (stream !== null) {
      if ((stream.closedSides & REMOTE) !== 0)
        return this.#connection.fail(ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM");
    } else if (this.#connection.wasReset(streamId) || this.#isIgnored(streamId)) {
      return this.#decodeOnly(chunk, start, end);
    } else if (this.#isServer) {
      if ((streamId & 1) === 0)
        return this.#connection.fail(ErrorCode.PROTOCOL_ERROR, "a client opened an even stream id");
      if (streamId <= this.lastPeerId)
        return this.#connection.fail(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream");
      this.lastPeerId = streamId;
      if (streamId > this.#maxStreamId) this.#idsRunOut();
      this.newStreams++;
      isNew = true;
    } else {
      if (this.#isIdle(streamId)) return this.#connection.fail(ErrorCode.PROTOCOL_ERROR, "HEADERS on an idle stream");
      return this.#connection.fail(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream");
    }
    const result = this.#decoder.decode(chunk, start, end);
    if (result === DecodeResult.COMPRESSION_ERROR)
      return this.#connection.fail(ErrorCode.COMPRESSION_ERROR, "a header block can't be decoded");
    if (isNew) {
      if (streamId > this.lastAcceptedId) return true;
      if (this.#streams.size + (this.#owner.lingering ?? 0) >= this.#limits.maxConcurrentStreams)
        return this.#resetUnknown(streamId, ErrorCode.REFUSED_STREAM, "maxConcurrentStreams");
      stream = this.#owner.createStream();
      stream.id = streamId;
      this.#connection.begin(stream);
    }
    const open = stream as S;
    if (dependsOn === streamId) return this.streamError(open, ErrorCode.PROTOCOL_ERROR);
    const limit = this.#passedLimit(result, end - start);
    if (limit !== null) return this.streamError(open, ErrorCode.ENHANCE_YOUR_CALM, limit);
    if (isEnd) open.closedSides |= REMOTE;
    this.#owner.headers(open, this.#decoder, isEnd);
    if (open.closedSides === (LOCAL | REMOTE) && open.id === streamId) this.#connection.release(open);
    if (this.#connection.isClosed) return false;
    return !isNew || this.newStreams < this.#limits.maxNewStreamsPerTurn || this.#connection.yieldTurn();
  }

  /** The bound that a block has passed which was decoded, so that the tables are in step; null for none. */
  #passedLimit(result: DecodeResult, blockBytes: number): LimitName | null {
    if (blockBytes > this.#limits.maxHeaderBlockBytes) return "maxHeaderBlockBytes";
    if (result !== DecodeResult.TOO_LARGE) return null;
    return this.#decoder.totalFields > this.#limits.maxHeaderFields ? "maxHeaderFields" : "maxHeaderListBytes";
  }

  #idsRunOut(): void {
    this.#maxStreamId = MAX_INT31;
    this.#connection.announceShutdown("this connection's stream ids run out (maxStreamId)");
  }

  /** A block for a stream that is gone: the tables must stay in step all the same. */
  #decodeOnly(chunk: Buffer, start: number, end: number): boolean {
    const result = this.#decoder.decode(chunk, start, end);
    if (result === DecodeResult.COMPRESSION_ERROR)
      return this.#connection.fail(ErrorCode.COMPRESSION_ERROR, "a header block can't be decoded");
    return !this.#isServer || this.#connection.glitch();
  }

  #dataWithoutStream(streamId: number, stream: S | null): boolean {
    this.#dataStream = null;
    if (stream !== null) return this.streamError(stream, ErrorCode.STREAM_CLOSED);
    if (this.#isIdle(streamId)) return this.#connection.fail(ErrorCode.PROTOCOL_ERROR, "DATA on an idle stream");
    // What was on its way when we gave the stream up, or refused it by GOAWAY, comes as a matter of course.
    if (this.#connection.wasReset(streamId) || this.#isIgnored(streamId)) return true;
    if (!this.#isServer) return this.#connection.fail(ErrorCode.STREAM_CLOSED, "DATA on a closed stream");
    this.#connection.sendReset(streamId, ErrorCode.STREAM_CLOSED);
    this.#misused(ErrorCode.STREAM_CLOSED);
    return this.#connection.acknowledged() && this.#connection.glitch();
  }

  #creditConnection(credit: number): void {
    this.#writer.number(FrameType.WINDOW_UPDATE, 0, credit);
    if (this.#windows.startSample()) this.#connection.ping(() => this.#connection.grow());
  }

  #blockExpired(): void {
    if (this.#parts !== null) this.#connection.exceeded("handshakeTimeoutMs");
  }

  /** Our RST for something that the peer did wrong on a stream; the layer above hears of it. */
  streamError(stream: S, code: number, limit?: LimitName): boolean {
    this.endForError(stream, code, limit);
    return this.#connection.acknowledged() && this.#connection.allow(this.#guard.reset());
  }

  /** The same without a mark against the peer. */
  endForError(stream: S, code: number, limit?: LimitName): void {
    this.#connection.sendReset(stream.id, code);
    this.#connection.releaseReset(stream, code, false, limit);
    this.#misused(code, limit);
  }

  #resetUnknown(streamId: number, code: number, limit?: LimitName): boolean {
    this.#connection.sendReset(streamId, code);
    this.#misused(code, limit);
    return this.#connection.acknowledged() && this.#connection.allow(this.#guard.reset());
  }

  #misused(code: number, limit?: LimitName): void {
    const name = errorCodeName(code);
    if (limit === undefined) this.#owner.misused?.(name, `stream reset: ${name}`);
    else this.#owner.misused?.(limit, `stream reset: the peer exceeds the limit ${limit}`);
  }

  /** A stream that the peer has opened after our final GOAWAY. */
  #isIgnored(streamId: number): boolean {
    return streamId > this.lastAcceptedId && streamId <= this.lastPeerId;
  }

  #isIdle(streamId: number): boolean {
    return (streamId & 1) === (this.#isServer ? 1 : 0)
      ? streamId > this.lastPeerId
      : streamId >= this.#connection.nextId;
  }
}

/** In memory of its own: in Node's pool each small part of a block that does not end could hold a slab. */
function copyOf(chunk: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  chunk.copy(copy, 0, start, end);
  return copy;
}
