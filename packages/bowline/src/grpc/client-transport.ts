import { Connection } from "../http2/connection.ts";
import { ErrorCode, Flag, FRAME_HEADER_BYTES, FrameType } from "../http2/frames.ts";
import type { HeaderBlock, HeaderEntry } from "../http2/hpack/decoder.ts";
import { BlockWriter } from "../http2/hpack/prepared-block.ts";
import type { Http2Limits } from "../http2/limits.ts";
import type { Link } from "../http2/link.ts";
import type { Clock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import type { ClientStream } from "./client-stream.ts";
import { ConnectionKeeper } from "./connection-keeper.ts";
import type { KeepaliveOptions } from "./keepalive.ts";
import { ARENA_MESSAGE_BYTES, EncodedMessage, encodeUnmeasured, NO_ROOM, roomFor } from "./message-encoding.ts";
import { connectionMisuse } from "./misuse.ts";
import { readFields, TOKENS } from "./wire/header-fields.ts";
import { PREFIX_BYTES, writePrefix } from "./wire/message-framing.ts";
import { fieldsBound, metadataBound, writeFields, writeMetadata } from "./wire/method-headers.ts";
import { resetError } from "./wire/status.ts";

/** What the connections of a channel share. */
export interface ClientTransportOptions {
  readonly clock: Clock;
  readonly limits: Http2Limits;
  /** When silent servers are asked for a sign of life; null = never. */
  readonly keepalive: KeepaliveOptions | null;
  /** Largest answer message in bytes, after inflation. */
  readonly maxReceiveBytes: number;
  /** A word for people on what the first octets of a connection are if not HTTP/2. */
  explain(firstBytes: Buffer): string | undefined;
  /** Hears what servers do wrong: `kind` comes of a fixed list, `peer` is an address. */
  misused?(kind: string, peer: string, text: string): void;
}

/** Whom a transport tells of its connection. */
export interface ClientTransportOwner {
  /** The server's SETTINGS are there: calls may be sent. Called again when they change. */
  usable(transport: ClientTransport): void;
  /** A stream has ended: there is room for another. */
  roomMade(transport: ClientTransport): void;
  /** The server wants no new streams on this connection. */
  leaving(transport: ClientTransport, code: number, debug: string): void;
  /** The connection is gone; its streams have ended before. */
  closed(transport: ClientTransport, error: Error | undefined): void;
}

/** Found by every channel alike: the reading of answers shares one cache of constant fields. */
const derive = (entries: readonly HeaderEntry[]): unknown => readFields(entries);

/** The client's half of gRPC on one connection. */
export class ClientTransport {
  readonly connection: Connection<ClientStream>;
  /** Writes our header blocks. */
  readonly blocks: BlockWriter;
  readonly tokens: ReadonlyMap<string, number> = TOKENS;
  readonly derive: (fields: readonly HeaderEntry[]) => unknown = derive;
  readonly maxReceiveBytes: number;
  readonly #options: ClientTransportOptions;
  readonly #owner: ClientTransportOwner;
  /** Null when a silent server is never asked. */
  readonly #keeper: ConnectionKeeper | null;

  constructor(link: Link, options: ClientTransportOptions, owner: ClientTransportOwner) {
    this.#options = options;
    this.#owner = owner;
    this.maxReceiveBytes = options.maxReceiveBytes;
    this.connection = new Connection(link, this, { isServer: false, clock: options.clock, limits: options.limits });
    this.blocks = new BlockWriter(this.connection.encoder);
    const { clock, keepalive } = options;
    this.#keeper = keepalive === null ? null : new ConnectionKeeper(this.connection, clock, keepalive, null);
  }

  start(): void {
    this.connection.start();
    this.#keeper?.start();
  }

  /** True when a call may be sent now. */
  get canSend(): boolean {
    return this.connection.peer.received && this.connection.canOpen;
  }

  /** Open streams. */
  get streamCount(): number {
    return this.connection.streams.size;
  }

  /**
   * Sends a unary request: HEADERS and DATA in one append. Only while `canSend`.
   *
   * @throws RpcError if the metadata are larger than the server takes, and nothing was sent then, or the message can't be encoded: if
   *   that shows only while it is written, the stream was opened and is reset
   */
  sendUnary(stream: ClientStream, request: unknown): void {
    const codec = stream.method.input;
    const metadata = extraBound(stream);
    const isKept = request instanceof EncodedMessage;
    const room = isKept ? request.bytes.length : roomFor(codec, request);
    // A getter of the message may have ended the call.
    if (stream.isOver) return;
    if (isKept || room > ARENA_MESSAGE_BYTES || stream.compression !== null || metadata > ARENA_MESSAGE_BYTES) {
      this.open(stream);
      this.#sendLast(stream, request, room);
      return;
    }
    this.#checkMetadata(stream, metadata);
    const { connection } = this;
    const { writer } = connection;
    stream.transport = this;
    connection.open(stream);
    const { id } = stream;
    if (this.#keeper?.isDormant === true) this.#keeper.wake();
    writer.reserve(stream.headers.maxBytes + metadata + room + PREFIX_BYTES + 2 * FRAME_HEADER_BYTES);
    const { buffer } = writer;
    // HEADERS
    let at = writer.offset;
    let to = stream.headers.write(this.blocks, buffer, at + FRAME_HEADER_BYTES, stream.timeoutMs, stream);
    if (metadata > 0) to = this.#extra(stream, buffer, to);
    writer.header(at, to - at - FRAME_HEADER_BYTES, FrameType.HEADERS, Flag.END_HEADERS, id);
    writer.offset = to;
    // DATA
    at = to;
    const payloadAt = at + FRAME_HEADER_BYTES;
    try {
      to = encodeUnmeasured(codec, request, writer, payloadAt + PREFIX_BYTES, buffer.length);
    } catch (error) {
      stream.abandon(ErrorCode.CANCEL);
      throw error;
    }
    // A getter of the message may have ended the call, and begun the next attempt of it.
    if (stream.id !== id || stream.transport !== this) return;
    if (to === NO_ROOM) return this.#sendLast(stream, request, room);
    const length = to - payloadAt;
    writePrefix(buffer, payloadAt, false, length - PREFIX_BYTES);
    if (writer.buffer !== buffer || !connection.takeSendWindow(stream, length)) {
      connection.sendData(stream, Buffer.from(buffer.subarray(payloadAt, to)), true);
      return;
    }
    writer.header(at, length, FrameType.DATA, Flag.END_STREAM, id);
    writer.offset = to;
    connection.localEnded(stream);
  }

  /** Opens a call whose messages follow by `send`. Only while `canSend`. */
  open(stream: ClientStream): void {
    const { connection } = this;
    const metadata = extraBound(stream);
    this.#checkMetadata(stream, metadata);
    stream.transport = this;
    connection.open(stream);
    if (this.#keeper?.isDormant === true) this.#keeper.wake();
    const block = Buffer.allocUnsafe(stream.headers.maxBytes + metadata);
    let to = stream.headers.write(this.blocks, block, 0, stream.timeoutMs, stream);
    if (metadata > 0) to = this.#extra(stream, block, to);
    connection.sendHeaders(stream, block.subarray(0, to), false);
  }

  // --- StreamOwner ---

  createStream(): ClientStream {
    throw new Error("a server can't open streams: pushes are off");
  }

  headers(stream: ClientStream, block: HeaderBlock, end: boolean): void {
    stream.receiveHeaders(block, end);
  }

  data(stream: ClientStream, chunk: Buffer, start: number, to: number, end: boolean): void {
    stream.receiveData(chunk, start, to, end);
  }

  reset(stream: ClientStream, code: number, byPeer: boolean, limit?: string): void {
    // A server that keeps the deadline, too, cancels the call when it passes. The timer here may be a little later than that.
    const isCancelled = byPeer && code === ErrorCode.CANCEL && stream.timerNext !== null;
    if (isCancelled && this.#options.clock.fresh() >= stream.dueAt) return stream.onDue();
    const isRefused = byPeer && code === ErrorCode.REFUSED_STREAM;
    const { isClosed, error } = this.connection;
    stream.gone(resetError(code, byPeer, isClosed, { limit, connectionError: error }), !isRefused);
  }

  writable(stream: ClientStream): void {
    stream.writable();
  }

  misused(kind: string, text: string): void {
    this.#options.misused?.(kind, this.connection.link.peer.remoteAddress, text);
  }

  settings(): void {
    this.#owner.usable(this);
  }

  released(): void {
    this.#owner.roomMade(this);
  }

  goaway(_lastStreamId: number, code: number, debug: string): void {
    this.#owner.leaving(this, code, debug);
  }

  pinged(): void {}

  closed(error: Error | undefined): void {
    this.#keeper?.close();
    const kind = error === undefined ? null : connectionMisuse(error);
    if (kind !== null) this.misused(kind, `connection ended: ${error?.message}`);
    this.#owner.closed(this, error);
  }

  explain(firstBytes: Buffer): string | undefined {
    const what = this.#options.explain(firstBytes);
    return what && `${this.connection.link.peer.remoteAddress} ${what}`;
  }

  // --- in detail ---

  /** The request of a stream that is open; `room` is what `roomFor` gave. */
  #sendLast(stream: ClientStream, request: unknown, room: number): void {
    const id = stream.id;
    let sent: void | Promise<void>;
    try {
      sent = stream.sendLast(request, room);
    } catch (error) {
      stream.abandon(ErrorCode.CANCEL);
      throw error;
    }
    if (sent === undefined) return;
    sent.catch((error: unknown) => {
      if (stream.id === id && stream.transport === this) stream.unsendable(RpcError.from(error));
    });
  }

  /** Fields of some calls only: tracestate, the number of attempts before, metadata. */
  #extra(stream: ClientStream, target: Buffer, at: number): number {
    const { encoder } = this.connection;
    const to = writeFields(encoder, target, at, extraFields(stream));
    return stream.requestMetadata === null ? to : writeMetadata(encoder, target, to, stream.requestMetadata);
  }

  /** The server said how much it takes (SETTINGS_MAX_HEADER_LIST_SIZE): a larger block would only be refused. */
  #checkMetadata(stream: ClientStream, bytes: number): void {
    const max = this.connection.peer.maxHeaderListBytes;
    if (bytes === 0 || bytes + stream.headers.maxBytes <= max) return;
    const text = `metadata of about ${bytes} bytes are above what the server takes (${max} with all headers)`;
    throw new RpcError(Code.RESOURCE_EXHAUSTED, text, { reason: "limit" });
  }
}

function extraFields(stream: ClientStream): readonly (readonly [string, string])[] {
  if (stream.tracestate === undefined && stream.previousAttempts === 0) return NO_FIELDS;
  const fields: (readonly [string, string])[] = [];
  if (stream.tracestate !== undefined) fields.push(["tracestate", stream.tracestate]);
  if (stream.previousAttempts > 0) fields.push(["grpc-previous-rpc-attempts", String(stream.previousAttempts)]);
  return fields;
}

function extraBound(stream: ClientStream): number {
  if (stream.requestMetadata === null && stream.tracestate === undefined && stream.previousAttempts === 0) return 0;
  return fieldsBound(extraFields(stream)) + metadataBound(stream.requestMetadata);
}

const NO_FIELDS: readonly (readonly [string, string])[] = [];
