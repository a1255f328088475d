import type { Socket } from "node:net";

/** Length of the payload and number of the call, 32 bits each. */
export const HEADER_BYTES = 8;
const ARENA_BYTES = 64 * 1024;

/**
 * The least that calls over one socket need, as the limit to compare with: frames of length, number and payload, batched into one
 * write for each turn of the event loop. No headers, no flow control, no errors. What a user sees is as in any framework: messages
 * of their own, a promise for each call, an async handler.
 */
export class BareFraming {
  readonly #socket: Socket;
  readonly #onFrame: (number: number, chunk: Buffer, start: number, end: number) => void;
  /** Bytes of a frame whose end has not come yet. */
  #rest: Buffer | undefined;
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

  /** Appends a frame with `source[start, end)`, at most 32 KiB; it leaves before the event loop waits again. */
  send(number: number, source: Buffer, start: number, end: number): void {
    const length = end - start;
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

  #read(received: Buffer): void {
    const chunk = this.#rest === undefined ? received : Buffer.concat([this.#rest, received]);
    this.#rest = undefined;
    let at = 0;
    while (at + HEADER_BYTES <= chunk.length) {
      const start = at + HEADER_BYTES;
      const end = start + chunk.readUInt32BE(at);
      if (end > chunk.length) break;
      this.#onFrame(chunk.readUInt32BE(at + 4), chunk, start, end);
      at = end;
    }
    if (at < chunk.length) this.#rest = chunk.subarray(at);
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
