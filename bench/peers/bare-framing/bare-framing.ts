import type { Socket } from "node:net";

/** Length of the payload and number of the call, 32 bits each. */
export const HEADER_BYTES = 8;
const ARENA_BYTES = 64 * 1024;
/** Larger payloads are copied to memory of their own, on both sides, instead of through the arena or behind what came before. */
const LARGE_BYTES = 32 * 1024;

/**
 * The least that calls over one socket need, as the limit to compare with: frames of length, number and payload, batched into one
 * write for each turn of the event loop; a large payload is copied once on each side. No headers, no flow control, no errors. What a user sees is as in any framework: messages
 * of their own, a promise for each call, an async handler.
 */
export class BareFraming {
  readonly #socket: Socket;
  readonly #onFrame: (number: number, chunk: Buffer, start: number, end: number) => void;
  /** Bytes of a frame whose end has not come yet. */
  #rest: Buffer | undefined;
  /** A large payload on its way, how much of it is here, and the number of its call. */
  #large: Buffer | undefined;
  #largeUsed = 0;
  #largeNumber = 0;
  #arena: Buffer = Buffer.allocUnsafeSlow(ARENA_BYTES);
  #used = 0;
  #flushing = false;
  readonly #flush: () => void = () => this.#write();

  /** `onFrame` gets the payload as `chunk[start, end)`, which is overwritten later. */
  constructor(socket: Socket, onFrame: (number: number, chunk: Buffer, start: number, end: number) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  /** Appends a frame with `source[start, end)`; it leaves before the event loop waits again. */
  send(number: number, source: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > LARGE_BYTES) {
      this.#sendLarge(number, source, start, end);
      return;
    }
    if (this.#used + HEADER_BYTES + length > ARENA_BYTES) this.#write();
    const arena = this.#arena;
    const at = this.#used;
    arena.writeUInt32BE(length, at);
    arena.writeUInt32BE(number, at + 4);
    source.copy(arena, at + HEADER_BYTES, start, end);
    this.#used = at + HEADER_BYTES + length;
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(this.#flush);
    }
  }

  #sendLarge(number: number, source: Buffer, start: number, end: number): void {
    this.#write();
    const frame = Buffer.allocUnsafeSlow(HEADER_BYTES + end - start);
    frame.writeUInt32BE(end - start, 0);
    frame.writeUInt32BE(number, 4);
    source.copy(frame, HEADER_BYTES, start, end);
    this.#socket.write(frame);
  }

  #read(incoming: Buffer): void {
    const received = this.#large === undefined ? incoming : this.#fillLarge(this.#large, incoming);
    if (received.length === 0) return;
    const chunk = this.#rest === undefined ? received : Buffer.concat([this.#rest, received]);
    this.#rest = undefined;
    let at = 0;
    while (at + HEADER_BYTES <= chunk.length) {
      const start = at + HEADER_BYTES;
      const end = start + chunk.readUInt32BE(at);
      if (end > chunk.length && end - start > LARGE_BYTES) {
        this.#large = Buffer.allocUnsafeSlow(end - start);
        this.#largeUsed = chunk.copy(this.#large, 0, start);
        this.#largeNumber = chunk.readUInt32BE(at + 4);
        return;
      }
      if (end > chunk.length) break;
      this.#onFrame(chunk.readUInt32BE(at + 4), chunk, start, end);
      at = end;
    }
    if (at < chunk.length) this.#rest = chunk.subarray(at);
  }

  /** Copies what belongs to the large payload and gives the rest. */
  #fillLarge(large: Buffer, chunk: Buffer): Buffer {
    const taken = chunk.copy(large, this.#largeUsed);
    this.#largeUsed += taken;
    if (this.#largeUsed < large.length) return chunk.subarray(taken);
    this.#large = undefined;
    this.#onFrame(this.#largeNumber, large, 0, large.length);
    return chunk.subarray(taken);
  }

  #write(): void {
    this.#flushing = false;
    if (this.#used === 0) return;
    this.#socket.write(this.#arena.subarray(0, this.#used));
    // When the system has taken all of it, the same memory serves again.
    if (this.#socket.writableLength > 0) this.#arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
    this.#used = 0;
  }
}

/** The payload in memory of its own: a large one has that already. */
export function ownCopy(chunk: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === chunk.length && end > LARGE_BYTES ? chunk : Buffer.from(chunk.subarray(start, end));
}
