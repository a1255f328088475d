import type { Codec } from "../codec/codec.ts";
import type { Compression } from "../codec/compression.ts";
import { BY_REFERENCE_BYTES, type FrameWriter } from "../http2/frame-writer.ts";
import { FRAME_HEADER_BYTES, FrameType } from "../http2/frames.ts";
import { Http2Stream } from "../http2/stream.ts";
import {
  ARENA_MESSAGE_BYTES,
  EncodedMessage,
  encode,
  encodeMeasured,
  encodeUnmeasured,
  frameMessage,
  measure,
  NO_ROOM,
  roomFor,
} from "./message-encoding.ts";
import { PREFIX_BYTES, writePrefix } from "./wire/message-framing.ts";

/** What a stream needs of its connection; `Connection` is one. */
export interface StreamConnection {
  readonly hasRoom: boolean;
  readonly writer: FrameWriter;
  takeSendWindow(stream: GrpcStream, bytes: number): boolean;
  sendData(stream: GrpcStream, chunk: Uint8Array, end: boolean): boolean;
  localEnded(stream: GrpcStream): void;
  resetStream(stream: GrpcStream, code: number): void;
  credit(stream: GrpcStream): void;
}

/** A message compressed or not, ready to be sent: prefix first. */
type Framed = Uint8Array | Promise<Uint8Array>;

/**
 * What both sides of a gRPC call have in common: sending messages, and being told when there is room again.
 */
export abstract class GrpcStream extends Http2Stream {
  /** Set when messages are to be compressed. */
  compression: Compression | null = null;
  /** Messages below this are sent as they are, compressed or not. */
  compressFromBytes = 0;
  /** Asked for each message instead, while `compression` is set; null = by size. */
  compressIf: ((message: unknown) => boolean) | null = null;
  /** What may wait on the stream before producers are held up. */
  maxSendBufferBytes = 65_536;
  #roomWaiters: (() => void)[] | null = null;

  /** The connection that carries it; only while it is open. */
  abstract readonly connection: StreamConnection;

  /** `heldBytes` has changed: the peer may get new window. */
  credit(): void {
    if (this.id !== 0) this.connection.credit(this);
  }

  /** True when a producer may go on. */
  get hasRoom(): boolean {
    // A stream that has nothing waiting may always go on: only what is sent tells it when to.
    return this.queue === null || (this.queuedBytes < this.maxSendBufferBytes && this.connection.hasRoom);
  }

  /** Resolves when there is room again, or the stream has ended. */
  room(): Promise<void> {
    if (this.id === 0 || this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => {
      this.#roomWaiters ??= [];
      this.#roomWaiters.push(resolve);
    });
  }

  /** The queue is empty, or the stream gone. */
  protected releaseRoom(): void {
    const waiters = this.#roomWaiters;
    if (waiters === null) return;
    this.#roomWaiters = null;
    for (const each of waiters) each();
  }

  /**
   * Sends a message; a promise only when it is compressed outside this thread, which the caller awaits before the next one.
   * `room` is what `roomFor` gave, right before.
   *
   * @throws RpcError if the message can't be encoded, and what `compressIf` throws
   */
  protected writeMessage<T>(codec: Codec<T>, message: T, end: boolean, room?: number): void | Promise<void> {
    if (this.id === 0) return;
    const isUnmeasured = codec.attempt !== undefined;
    if (isUnmeasured && this.compression === null && this.#attempt(codec, message, end)) return;
    const bound = isUnmeasured || room === undefined ? measure(codec, message) : room;
    if (this.compression !== null && this.#isWorthwhile(message, bound)) {
      const framed = this.#compressed(codec, message, bound, this.compression);
      if (!(framed instanceof Promise)) return this.#send(framed, end);
      const { id, connection } = this;
      // An attempt of a call may have ended meanwhile, and the next one begun on this object.
      return framed.then((bytes) => {
        if (this.id === id && this.connection === connection) this.#send(bytes, end);
      });
    }
    if (bound > ARENA_MESSAGE_BYTES) {
      this.#sendLarge(codec, message, bound, end);
      return;
    }
    const { writer } = this.connection;
    writer.reserve(FRAME_HEADER_BYTES + PREFIX_BYTES + bound);
    const payloadAt = writer.offset + FRAME_HEADER_BYTES;
    const arena = writer.buffer;
    this.#append(arena, payloadAt, encodeMeasured(codec, message, writer, payloadAt + PREFIX_BYTES), end);
  }

  /** Sends a message that was not measured; false when it did not fit and nothing was sent. */
  #attempt<T>(codec: Codec<T>, message: T, end: boolean): boolean {
    const { writer } = this.connection;
    writer.reserve(FRAME_HEADER_BYTES + PREFIX_BYTES + roomFor(codec, message));
    const payloadAt = writer.offset + FRAME_HEADER_BYTES;
    const arena = writer.buffer;
    const to = encodeUnmeasured(codec, message, writer, payloadAt + PREFIX_BYTES, arena.length);
    if (to === NO_ROOM) return false;
    this.#append(arena, payloadAt, to, end);
    return true;
  }

  /** Sends what lies in the arena from `payloadAt` on: room for the prefix, and a message. */
  #append(arena: Buffer, payloadAt: number, to: number, end: boolean): void {
    // The user's code may have ended the call: a getter of the message, or `compressIf`.
    if (this.id === 0) return;
    const { connection } = this;
    const { writer } = connection;
    writePrefix(arena, payloadAt, false, to - payloadAt - PREFIX_BYTES);
    if (writer.buffer === arena && connection.takeSendWindow(this, to - payloadAt)) {
      writer.header(payloadAt - FRAME_HEADER_BYTES, to - payloadAt, FrameType.DATA, end ? 1 : 0, this.id);
      writer.offset = to;
      if (end) connection.localEnded(this);
    } else {
      // The arena moves on before this can leave.
      connection.sendData(this, Buffer.from(arena.subarray(payloadAt, to)), end);
    }
  }

  #isWorthwhile(message: unknown, bytes: number): boolean {
    if (this.compressIf === null) return bytes >= this.compressFromBytes;
    return this.compressIf(message instanceof EncodedMessage ? message.message : message);
  }

  #send(framed: Uint8Array, end: boolean): void {
    if (this.id !== 0) this.connection.sendData(this, framed, end);
  }

  #sendLarge<T>(codec: Codec<T>, message: T, bound: number, end: boolean): void {
    if (this.id === 0) return;
    const whole = bound >= BY_REFERENCE_BYTES ? codec.whole?.(message) : undefined;
    if (whole !== undefined) {
      const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
      writePrefix(prefix, 0, false, whole.length);
      this.connection.sendData(this, prefix, false);
      this.#send(whole, end);
      return;
    }
    this.#send(frameMessage(codec, message, bound), end);
  }

  #compressed<T>(codec: Codec<T>, message: T, bound: number, compression: Compression): Framed {
    const plain = Buffer.allocUnsafeSlow(PREFIX_BYTES + bound);
    const to = encode(codec, message, plain, PREFIX_BYTES);
    // What was measured may be three times what it takes.
    if (this.compressIf === null && to - PREFIX_BYTES < this.compressFromBytes) {
      writePrefix(plain, 0, false, to - PREFIX_BYTES);
      return plain.subarray(0, to);
    }
    const compressed = compression.compress(plain.subarray(PREFIX_BYTES, to), true);
    return compressed instanceof Promise ? compressed.then(framedCompressed) : framedCompressed(compressed);
  }
}

function framedCompressed(bytes: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafeSlow(PREFIX_BYTES + bytes.length);
  writePrefix(framed, 0, true, bytes.length);
  framed.set(bytes, PREFIX_BYTES);
  return framed;
}
