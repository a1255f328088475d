import { decode, SHOWS_BYTES } from "../codec/codec.ts";
import { type Compression, parseAcceptEncoding } from "../codec/compression.ts";
import { ErrorCode, Flag, FRAME_HEADER_BYTES, FrameType } from "../http2/frames.ts";
import type { PreparedBlock } from "../http2/hpack/prepared-block.ts";
import { LOCAL, REMOTE } from "../http2/stream.ts";
import type { Timer } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import type { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { TraceContext } from "../rpc/trace-context.ts";
import { GrpcStream } from "./grpc-stream.ts";
import { ARENA_MESSAGE_BYTES, asBuffer, encodeUnmeasured, NO_ROOM, roomFor } from "./message-encoding.ts";
import { MessageReader } from "./message-reader.ts";
import { tellMessageMisuse } from "./misuse.ts";
import type { MethodFormat } from "./server-headers.ts";
import type { ServerRoute, ServerTransport } from "./server-transport.ts";
import { framingError, protocolError, undecodable, unnamedEncoding, wrongCount } from "./wire/framing-errors.ts";
import {
  FRAMING_OK,
  MessageAssembler,
  type MessageSink,
  PREFIX_BYTES,
  wholeMessageLength,
  writePrefix,
} from "./wire/message-framing.ts";
import type { ReceivedFields } from "./wire/metadata-headers.ts";
import { fieldsBound, metadataBound, metadataListBytes, writeFields, writeMetadata } from "./wire/method-headers.ts";
import { statusFields, statusRoom } from "./wire/status.ts";

/** A message that arrived before the end of the request, or nothing. */
const NO_MESSAGE: unique symbol = Symbol("no message");

/** A message that is not decoded before its call is admitted. */
interface Undecoded {
  readonly bytes: Buffer;
  readonly isCompressed: boolean;
}

const OK_FIELDS: readonly (readonly [string, string])[] = [["grpc-status", "0"]];
/** What is put into header metadata later than that would reach nobody. */
export const HEADER_SENT =
  "context.header was changed after it had been sent, which is with the first answer at the latest; change it before, or use context.trailer";

/**
 * One call as a server sees it: stream, request, answer and timer in one object.
 *
 * Budget of a unary call: this object, the layer above's context and the decoded request; request and answer are not copied.
 */
export class ServerStream extends GrpcStream implements MessageSink {
  readonly transport: ServerTransport;
  override readonly connection: ServerTransport["connection"];
  /** The method that is called; null when the request is answered without one. */
  route: ServerRoute | null = null;
  /** How its messages are read and written, by the request's content type; null only without a route. */
  format: MethodFormat | null = null;
  /** What the layer above keeps of the call. */
  call: unknown = null;
  hasHeaders = false;
  /** Monotonic ms of the request's headers. */
  startedAt = 0;
  /** `grpc-timeout` in ms, -1 without. */
  timeoutMs = -1;
  trace: TraceContext | null = null;
  tracestate: string | undefined = undefined;
  authority = "";
  /** Names and values by turns as they came, or null. */
  metadataFields: ReceivedFields | null = null;
  /** `grpc-accept-encoding` as it came. */
  acceptEncoding = "";
  /** How often the caller has tried before. */
  previousAttempts = 0;
  /** What to send before the first message; set by the layer above. */
  headerMetadata: Metadata | null = null;
  /** What to send with the status. */
  trailerMetadata: Metadata | null = null;
  /** The peer's encoding of messages; null without one. */
  requestCompression: Compression | null = null;
  reader: MessageReader<unknown> | null = null;
  /** The headers are sent, and what they say holds; set here only. */
  hasBegun = false;
  /** Octets of a body that nobody reads; the transport counts. */
  droppedBytes = 0;
  /** Ends the stream of such a body; the transport's. */
  dropTimer: Timer | null = null;
  #assembler: MessageAssembler | null = null;
  /** A unary request that is complete but for END_STREAM. */
  #request: unknown = NO_MESSAGE;
  #wasCompressed = false;
  /** The layer above has not said yet whether it takes the call: nothing is decoded before. */
  #isPending = false;
  #undecoded: Undecoded | null = null;
  /** An inflation is under way. */
  #isInflating = false;
  #contentLength = -1;
  #receivedBytes = 0;
  /** The call's own time is over. */
  #isDue = false;
  /** The status is written or waits behind data. */
  #isFinished = false;
  #status: RpcError | null = null;

  constructor(transport: ServerTransport) {
    super();
    this.transport = transport;
    this.connection = transport.connection;
    this.maxSendBufferBytes = transport.maxSendBufferBytes;
  }

  /**
   * True once the status was decided: nothing more may be sent, and it alone is still to come behind what waits. An answer that is not gRPC
   * has none and ends with its data.
   */
  override get isWritten(): boolean {
    return this.#isFinished || super.isWritten;
  }

  /**
   * Who waits no longer than it said gives up in good faith, and when a service hangs, all its calls do at once. Half the time counts: it ran
   * at the caller before the request came here. Nothing is won by it, for a call with half the time ends by itself.
   */
  override get mayBeReset(): boolean {
    return this.timeoutMs >= 0 && this.transport.clock.now() - this.startedAt >= this.timeoutMs / 2;
  }

  /** True when the request message that was read last came compressed. */
  get wasCompressed(): boolean {
    return this.reader === null ? this.#wasCompressed : this.reader.wasCompressed;
  }

  /** True when the client takes messages in this encoding. */
  accepts(encoding: string): boolean {
    return parseAcceptEncoding(this.acceptEncoding).includes(encoding);
  }

  override onDue(): void {
    this.#isDue = true;
    this.route?.due(this);
  }

  // --- request ---

  /** The `content-length` of the request, -1 without: its data must come to just that (RFC 9113 §8.1.1). */
  expectContent(bytes: number): void {
    this.#contentLength = bytes;
  }

  /** The request's headers were good; its data will follow unless `end`. */
  begin(end: boolean): void {
    const route = this.route as ServerRoute;
    const admission = route.begin(this);
    if (admission === "refused") return;
    this.#isPending = admission === "pending";
    // Who is not known yet gets no window beyond the first; a reader bounds what it takes by itself.
    if (this.#isPending) this.heldBytes = Number.POSITIVE_INFINITY;
    const { kind } = route.method;
    if (kind === "client-stream" || kind === "bidi-stream") {
      const { input } = this.format as MethodFormat;
      this.reader = new MessageReader(this, input, this.transport.maxReceiveBytes, this.requestCompression);
      if (end) this.reader.end(null);
      if (!this.#isPending) route.messages(this, this.reader);
    } else if (end) {
      this.#requestEnded();
    }
  }

  /** A call whose begin was `pending` is taken: what has come of its request goes on to the layer above. */
  admit(): void {
    this.#isPending = false;
    if (this.id === 0 || this.#isFinished) return;
    if (this.reader !== null) return (this.route as ServerRoute).messages(this, this.reader);
    const undecoded = this.#undecoded;
    this.#undecoded = null;
    this.heldBytes = 0;
    if (undecoded !== null) this.message(undecoded.bytes, 0, undecoded.bytes.length, undecoded.isCompressed, true);
    if ((this.closedSides & REMOTE) === 0) this.credit();
    else if (!this.#isFinished) this.#requestEnded();
  }

  /** DATA. The whole message of a unary call lies in one chunk nearly always; then it is decoded in place. */
  data(chunk: Buffer, start: number, to: number, end: boolean): void {
    if (this.#contentLength >= 0 && !this.#countContent(to - start, end)) return;
    if (this.route === null || this.#isFinished) return;
    if (this.reader !== null) {
      this.reader.push(chunk, start, to);
      if (end) this.reader.end(null);
      return;
    }
    if (end && this.#assembler === null && this.#request === NO_MESSAGE && !this.#isPending) {
      const length = wholeMessageLength(chunk, start, to);
      if (length >= 0 && length <= this.transport.maxReceiveBytes) {
        let request: unknown;
        try {
          request = (this.format as MethodFormat).input.read(chunk, start + PREFIX_BYTES, to);
        } catch (error) {
          this.unreadable(undecodable(error));
          return;
        }
        this.route.request(this, request);
        return;
      }
    }
    if (start < to) this.#assemble(chunk, start, to);
    if (end && this.id !== 0 && !this.#isFinished) this.#requestEnded();
  }

  /** Trailers of the request: gRPC has none, but HTTP allows them. */
  trailers(): void {
    if (this.#contentLength >= 0 && !this.#countContent(0, true)) return;
    if (this.reader !== null) this.reader.end(null);
    else this.#requestEnded();
  }

  /** A message from the assembler. */
  message(buffer: Buffer, start: number, end: number, compressed: boolean, isOwned: boolean): void {
    if (this.#request !== NO_MESSAGE || this.#isInflating || this.#undecoded !== null) {
      return this.unreadable(wrongCount("more than one message"));
    }
    if (this.#isPending) {
      const bytes = isOwned ? buffer.subarray(start, end) : Buffer.from(buffer.subarray(start, end));
      this.#undecoded = { bytes, isCompressed: compressed };
      return;
    }
    this.#wasCompressed = compressed;
    if (compressed) this.#inflate(isOwned ? buffer.subarray(start, end) : Buffer.from(buffer.subarray(start, end)));
    else this.#decode(buffer, start, end, isOwned);
  }

  // --- MessageReader's stream ---

  abandoned(): void {
    // A handler that has read enough goes on to its answer; what still comes is dropped, without new window.
    this.heldBytes = Number.POSITIVE_INFINITY;
  }

  unreadable(error: RpcError): void {
    if (this.id === 0 || this.#isFinished) return;
    tellMessageMisuse(error, this.transport);
    this.finish(error);
    this.route?.aborted(this, error);
  }

  // --- answer ---

  /** Answers a unary or client-streaming call: headers, message and trailers in one append. */
  respond(message: unknown): void {
    if (this.id === 0 || this.#isFinished) return;
    const { output: codec, headers } = this.format as MethodFormat;
    const room = roomFor(codec, message);
    if (room > ARENA_MESSAGE_BYTES || this.compression !== null || this.hasBegun)
      return this.#respondSlowly(message, room);
    const { connection, transport } = this;
    const { writer } = connection;
    const metadata = metadataBound(this.headerMetadata) + metadataBound(this.trailerMetadata);
    if (metadata > ARENA_MESSAGE_BYTES) return this.#respondSlowly(message, room);
    const { okTrailers, blocks } = transport;
    const trailerBytes = okTrailers.maxBytes + metadata + FRAME_HEADER_BYTES;
    writer.reserve(headers.plain.maxBytes + trailerBytes + metadata + room + PREFIX_BYTES + 2 * FRAME_HEADER_BYTES);
    const { buffer } = writer;
    let at = writer.offset;
    // HEADERS
    let to = blocks.block(headers.plain, buffer, at + FRAME_HEADER_BYTES);
    if (this.headerMetadata !== null) to = writeMetadata(connection.encoder, buffer, to, this.headerMetadata);
    writer.header(at, to - at - FRAME_HEADER_BYTES, FrameType.HEADERS, Flag.END_HEADERS, this.id);
    writer.offset = to;
    this.hasBegun = true;
    this.headerMetadata?.seal(HEADER_SENT);
    // DATA
    at = to;
    const payloadAt = at + FRAME_HEADER_BYTES;
    to = encodeUnmeasured(codec, message, writer, payloadAt + PREFIX_BYTES, buffer.length - trailerBytes);
    // A getter of the message may have ended the connection.
    if (this.id === 0) return;
    if (to === NO_ROOM) return this.#respondSlowly(message, room);
    const length = to - payloadAt;
    writePrefix(buffer, payloadAt, false, length - PREFIX_BYTES);
    if (writer.buffer !== buffer || !connection.takeSendWindow(this, length)) {
      connection.sendData(this, Buffer.from(buffer.subarray(payloadAt, to)), false);
      return this.finish(null);
    }
    writer.header(at, length, FrameType.DATA, Flag.NONE, this.id);
    // trailers
    at = to;
    to = blocks.block(okTrailers, buffer, at + FRAME_HEADER_BYTES);
    if (this.trailerMetadata !== null) to = writeMetadata(connection.encoder, buffer, to, this.trailerMetadata);
    writer.header(at, to - at - FRAME_HEADER_BYTES, FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, this.id);
    writer.offset = to;
    this.#isFinished = true;
    transport.hasSent = true;
    this.#ended();
  }

  /** Sends the headers now, before any message; `headerMetadata` can't be changed any more. */
  sendHeaders(): void {
    if (this.hasBegun || this.id === 0) return;
    this.hasBegun = true;
    const { connection, transport } = this;
    const { plain, compressed } = (this.format as MethodFormat).headers;
    const headers = this.compression === null ? plain : compressed(this.compression.name);
    const block = Buffer.allocUnsafe(headers.maxBytes + metadataBound(this.headerMetadata));
    let to = transport.blocks.block(headers, block, 0);
    if (this.headerMetadata !== null) to = writeMetadata(connection.encoder, block, to, this.headerMetadata);
    this.headerMetadata?.seal(HEADER_SENT);
    connection.sendHeaders(this, block.subarray(0, to), false);
    transport.hasSent = true;
  }

  /** Sends one message of a stream; a promise only when it is compressed elsewhere. Ask `hasRoom` before the next. */
  send(message: unknown): void | Promise<void> {
    if (this.id === 0 || this.#isFinished) return;
    this.sendHeaders();
    this.transport.hasSent = true;
    return this.writeMessage((this.format as MethodFormat).output, message, false);
  }

  /**
   * Ends the call with a status, behind what was sent; `null` is OK. Only the first end counts.
   *
   * @throws when the status has details that are none; the stream is open then and must be reset
   */
  finish(error: RpcError | null): void {
    if (this.id === 0 || this.#isFinished) return;
    this.#isFinished = true;
    this.#status = error;
    if (this.queue === null) return this.#sendStatus();
    if (error === null) return;
    if (this.#isDue) return this.#dropQueue();
    // A status that can't be written must fail here, and not in whoever makes room for it later.
    this.#statusFields(error);
  }

  /** Ends a call that no method sees. */
  refuse(error: RpcError, headers: PreparedBlock): void {
    this.#isFinished = true;
    this.#status = error;
    this.#sendStatus(headers);
  }

  /** Nothing waits on the stream any more. */
  writable(): void {
    this.releaseRoom();
    if (this.#isFinished && this.id !== 0) this.#sendStatus();
  }

  /** The stream is gone: reset by the peer or lost with the connection. */
  gone(error: RpcError): void {
    this.releaseRoom();
    this.#isFinished = true;
    this.#assembler?.stop();
    this.#undecoded = null;
    this.reader?.fail(error);
    this.route?.aborted(this, error);
  }

  // --- in detail ---

  #respondSlowly(message: unknown, room: number): void {
    this.sendHeaders();
    const sent = this.writeMessage((this.format as MethodFormat).output, message, false, room);
    if (sent === undefined) return this.finish(null);
    sent.then(
      () => this.finish(null),
      (error) => this.finish(RpcError.from(error)),
    );
  }

  #sendStatus(headers = (this.format as MethodFormat).headers.plain): void {
    const { connection, transport } = this;
    const { encoder } = connection;
    // In one block with the status, a client would take metadata for the header as belonging to the trailer.
    if (this.headerMetadata !== null && this.headerMetadata.size > 0) this.sendHeaders();
    const error = this.#status;
    const status = error === null ? OK_FIELDS : this.#statusFields(error);
    const trailers = error?.metadataIfAny ?? null;
    const isTrailersOnly = !this.hasBegun;
    let bound = fieldsBound(status) + metadataBound(this.trailerMetadata) + metadataBound(trailers);
    if (isTrailersOnly) bound += headers.maxBytes;
    const block = Buffer.allocUnsafe(bound);
    let to = 0;
    if (isTrailersOnly) to = transport.blocks.block(headers, block, to);
    this.hasBegun = true;
    transport.hasSent = true;
    to = writeFields(encoder, block, to, status);
    if (this.trailerMetadata !== null) to = writeMetadata(encoder, block, to, this.trailerMetadata);
    if (trailers !== null) to = writeMetadata(encoder, block, to, trailers);
    connection.writer.headers(this.id, block.subarray(0, to), true, connection.peer.maxFrameBytes);
    this.#ended();
  }

  #statusFields(error: RpcError): [string, string][] {
    const metadataBytes = metadataListBytes(this.trailerMetadata) + metadataListBytes(error.metadataIfAny ?? null);
    return statusFields(error, statusRoom(this.connection.peer.maxHeaderListBytes, metadataBytes));
  }

  /** Our side has ended. What the peer still sends nobody needs: NO_ERROR asks it to stop (RFC 9113 §8.1). */
  #ended(): void {
    const isOpen = (this.closedSides & REMOTE) === 0;
    this.closedSides |= LOCAL;
    if (isOpen) {
      this.reader?.fail(new RpcError(Code.CANCELLED, "the call has ended", { reason: "cancelled" }));
      this.connection.resetStream(this, ErrorCode.NO_ERROR);
    } else {
      this.connection.localEnded(this);
    }
  }

  #dropQueue(): void {
    // The time is over while data still waits for a window: a clean status can't follow a cut message.
    this.connection.resetStream(this, ErrorCode.CANCEL);
    this.releaseRoom();
    // A handler may be waiting for the next request, which nobody will send.
    this.reader?.fail(this.#status as RpcError);
  }

  #assemble(chunk: Buffer, start: number, to: number): void {
    this.#assembler ??= new MessageAssembler(this.transport.maxReceiveBytes);
    const result = this.#assembler.push(chunk, start, to, this);
    if (result === FRAMING_OK || this.#isFinished) return;
    this.unreadable(framingError(result, this.#assembler.announcedBytes, this.transport.maxReceiveBytes));
  }

  #decode(buffer: Buffer, start: number, end: number, isOwned: boolean): void {
    const { input } = this.format as MethodFormat;
    // The handler gets it with the end of the request, and the connection may read on before that.
    if (!isOwned && SHOWS_BYTES in input) {
      return this.#decode(Buffer.from(buffer.subarray(start, end)), 0, end - start, true);
    }
    try {
      this.#request = decode(input, buffer, start, end, isOwned);
    } catch (error) {
      this.unreadable(undecodable(error));
    }
  }

  #inflate(bytes: Buffer): void {
    const compression = this.requestCompression;
    if (compression === null) return this.unreadable(unnamedEncoding());
    this.#isInflating = true;
    (async () => compression.decompress(bytes, this.transport.maxReceiveBytes, true))().then(
      (inflated) => {
        this.#isInflating = false;
        if (this.#isFinished) return;
        const plain = asBuffer(inflated);
        this.#decode(plain, 0, plain.length, true);
        if ((this.closedSides & REMOTE) !== 0 && !this.#isFinished) this.#requestEnded();
      },
      (error) => {
        this.#isInflating = false;
        this.unreadable(undecodable(error));
      },
    );
  }

  /** END_STREAM of a request that is one message. */
  #requestEnded(): void {
    if (this.#isFinished || this.#isInflating || this.#isPending) return;
    const request = this.#request;
    if (request === NO_MESSAGE) {
      const isCut = this.#assembler?.isPartial ?? false;
      return this.unreadable(isCut ? protocolError("the request ended inside a message") : wrongCount("no message"));
    }
    if (this.#assembler?.isPartial) return this.unreadable(wrongCount("more than one message"));
    this.#request = NO_MESSAGE;
    (this.route as ServerRoute).request(this, request);
  }

  /** RFC 9113 §8.1.1: a body that differs from content-length is malformed. */
  #countContent(bytes: number, end: boolean): boolean {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes <= this.#contentLength && (!end || this.#receivedBytes === this.#contentLength))
      return true;
    this.transport.malformed(this, "the body's length differs from content-length");
    return false;
  }
}
