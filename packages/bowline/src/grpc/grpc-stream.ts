import type { Codec } from "../codec/codec.ts";
import type { Compression } from "../codec/compression.ts";
import { BY_REFERENCE_BYTES, type FrameWriter } from "../http2/frame-writer.ts";
import { FRAME_HEADER_BYTES, FrameType } from "../http2/frames.ts";
import { Http2Stream } from "../http2/stream.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { PREFIX_BYTES, writePrefix } from "./wire/message-framing.ts";

/** Messages that may need more than this are encoded into a buffer of their own instead of the arena. */
export const ARENA_MESSAGE_BYTES = 8192;

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
   * `measured` is what `measure` gave, right before.
   *
   * @throws RpcError if the message can't be encoded, and what `compressIf` throws
   */
  protected writeMessage<T>(codec: Codec<T>, message: T, end: boolean, measured?: number): void | Promise<void> {
    if (this.id === 0) return;
    const bound = measured ?? measure(codec, message);
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
    const { connection } = this;
    const { writer } = connection;
    writer.reserve(FRAME_HEADER_BYTES + PREFIX_BYTES + bound);
    const at = writer.offset;
    const payloadAt = at + FRAME_HEADER_BYTES;
    const to = encode(codec, message, writer.buffer, payloadAt + PREFIX_BYTES);
    writePrefix(writer.buffer, payloadAt, false, to - payloadAt - PREFIX_BYTES);
    if (connection.takeSendWindow(this, to - payloadAt)) {
      writer.header(at, to - payloadAt, FrameType.DATA, end ? 1 : 0, this.id);
      writer.offset = to;
      if (end) connection.localEnded(this);
    } else {
      // The arena moves on before this can leave.
      connection.sendData(this, Buffer.from(writer.buffer.subarray(payloadAt, to)), end);
    }
  }

  #isWorthwhile(message: unknown, bytes: number): boolean {
    return this.compressIf === null ? bytes >= this.compressFromBytes : this.compressIf(message);
  }

  #send(framed: Uint8Array, end: boolean): void {
    if (this.id !== 0) this.connection.sendData(this, framed, end);
  }

  #sendLarge<T>(codec: Codec<T>, message: T, bound: number, end: boolean): void {
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
    const plain = Buffer.allocUnsafeSlow(bound);
    const to = encode(codec, message, plain, 0);
    const compressed = compression.compress(plain.subarray(0, to), true);
    return compressed instanceof Promise ? compressed.then(framedCompressed) : framedCompressed(compressed);
  }
}

/** The same octets as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Message and prefix in a buffer of their own. */
export function frameMessage<T>(codec: Codec<T>, message: T, bound: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bound + PREFIX_BYTES);
  const to = encode(codec, message, buffer, PREFIX_BYTES);
  writePrefix(buffer, 0, false, to - PREFIX_BYTES);
  return buffer.subarray(0, to);
}

/** `codec.measure` with its error as an RpcError. */
export function measure<T>(codec: Codec<T>, message: T): number {
  try {
    return codec.measure(message);
  } catch (error) {
    throw unencodable(error);
  }
}

/** `codec.write` with its error as an RpcError. */
export function encode<T>(codec: Codec<T>, message: T, target: Buffer, at: number): number {
  try {
    return codec.write(message, target, at);
  } catch (error) {
    throw unencodable(error);
  }
}

function unencodable(cause: unknown): RpcError {
  if (RpcError.is(cause)) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new RpcError(13, `the message can't be encoded: ${text}`, { cause, reason: "codec" });
}

function framedCompressed(bytes: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafeSlow(PREFIX_BYTES + bytes.length);
  writePrefix(framed, 0, true, bytes.length);
  framed.set(bytes, PREFIX_BYTES);
  return framed;
}
