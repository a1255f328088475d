/** A frame on its way: what its header says. */
export interface ScannedFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  /** Octets of its payload. */
  readonly length: number;
  /** The payload of short frames (up to 256 octets) that are no DATA and no header block; else empty. */
  readonly payload: Buffer;
}

/** Frame types of RFC 9113 §6. */
export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;
/** Flags that a scanner's user asks for. */
export const END_STREAM = 1;
export const ACK = 1;
const END_HEADERS = 4;

const PREFACE_BYTES = 24;
const HEADER_BYTES = 9;
const MAX_KEPT_BYTES = 256;

/** Finds the frames in one way of a connection, whatever the chunks; shares no code with the product. */
export class FrameScanner {
  readonly #onFrame: (frame: ScannedFrame) => void;
  /** Octets that are no frames: the client's preface. */
  #skip: number;
  readonly #header: Buffer = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #payload: Buffer = Buffer.alloc(0);
  #payloadBytes = 0;
  #length = 0;
  #isInBlock = false;
  #frames = 0;

  /** `isFromClient`: the connection's preface comes first. `onFrame` hears of each frame when all of it has passed. */
  constructor(isFromClient: boolean, onFrame: (frame: ScannedFrame) => void) {
    this.#skip = isFromClient ? PREFACE_BYTES : 0;
    this.#onFrame = onFrame;
  }

  /** True where another frame could stand: between two frames, not before SETTINGS, and not within a header block. */
  get isAtBoundary(): boolean {
    return this.#frames > 0 && this.#headerBytes === 0 && !this.#isInBlock;
  }

  /** Takes octets up to the end of a frame or of the chunk; returns how many. */
  takeFrame(chunk: Uint8Array, from: number): number {
    let at = from;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, chunk.length - at);
      this.#skip -= skipped;
      return skipped;
    }
    if (this.#headerBytes < HEADER_BYTES) {
      while (this.#headerBytes < HEADER_BYTES && at < chunk.length) this.#header[this.#headerBytes++] = chunk[at++];
      if (this.#headerBytes < HEADER_BYTES) return at - from;
      this.#beginPayload();
    }
    const taken = Math.min(this.#length - this.#payloadBytes, chunk.length - at);
    if (this.#payload.length > 0) this.#payload.set(chunk.subarray(at, at + taken), this.#payloadBytes);
    this.#payloadBytes += taken;
    at += taken;
    if (this.#payloadBytes === this.#length) this.#endFrame();
    return at - from;
  }

  /** Takes a whole chunk. */
  takeAll(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) at += this.takeFrame(chunk, at);
  }

  #beginPayload(): void {
    const type = this.#header[3];
    this.#length = this.#header.readUIntBE(0, 3);
    this.#payloadBytes = 0;
    const isKept = type !== DATA && type !== HEADERS && type !== CONTINUATION && this.#length <= MAX_KEPT_BYTES;
    this.#payload = Buffer.alloc(isKept ? this.#length : 0);
  }

  #endFrame(): void {
    const header = this.#header;
    this.#headerBytes = 0;
    this.#frames++;
    const type = header[3];
    const flags = header[4];
    if (type === HEADERS || type === CONTINUATION) this.#isInBlock = (flags & END_HEADERS) === 0;
    const streamId = header.readUInt32BE(5) & 0x7fffffff;
    this.#onFrame({ type, flags, streamId, length: this.#length, payload: this.#payload });
  }
}
