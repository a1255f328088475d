import type { Socket } from "node:net";
import { PREFACE, RawFlag, RawHpackDecoder, rawFrame } from "bowline/testing";

/** Types of frames, RFC 9113 section 6. */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** A frame that has arrived. */
export interface ArrivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** On HEADERS: all fields, the first value of each. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One end of HTTP/2 by hand, for long runs: gives each frame to a function and keeps none. It takes no part of what the product does with
 * frames. Acknowledges SETTINGS and PING; padding and CONTINUATION, which Bowline does not send here, are an error.
 */
export class RawConnection {
  readonly #socket: Socket;
  readonly #onFrame: (frame: ArrivedFrame) => void;
  readonly #hpack = new RawHpackDecoder();
  #bytes: Buffer = Buffer.alloc(0);
  #prefaceLeft: number;
  isClosed = false;

  /** `role` is that of this end. What can't be read ends the connection, `onError` says why. */
  constructor(
    socket: Socket,
    role: "client" | "server",
    onFrame: (frame: ArrivedFrame) => void,
    onError: (error: Error) => void,
  ) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    this.#prefaceLeft = role === "server" ? PREFACE.length : 0;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => (this.isClosed = true));
    socket.on("data", (chunk: Buffer) => {
      try {
        this.#read(chunk);
      } catch (error) {
        onError(error as Error);
        socket.destroy();
      }
    });
  }

  /** Sends frames as they are. */
  send(...frames: readonly Uint8Array[]): void {
    if (!this.isClosed) this.#socket.write(frames.length === 1 ? (frames[0] as Uint8Array) : Buffer.concat(frames));
  }

  /** Ends this side. */
  end(): void {
    this.#socket.end();
  }

  /** Drops the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (this.#prefaceLeft > 0) {
      if (this.#bytes.length < this.#prefaceLeft) return;
      if (!this.#bytes.subarray(0, PREFACE.length).equals(PREFACE))
        throw new Error("the client began without the preface");
      this.#bytes = this.#bytes.subarray(PREFACE.length);
      this.#prefaceLeft = 0;
    }
    let at = 0;
    while (this.#bytes.length - at >= 9) {
      const end = at + 9 + this.#bytes.readUIntBE(at, 3);
      if (end > this.#bytes.length) break;
      this.#frame(this.#bytes.subarray(at, end));
      at = end;
    }
    this.#bytes = this.#bytes.subarray(at);
  }

  #frame(bytes: Buffer): void {
    const type = bytes[3] as number;
    const flags = bytes[4] as number;
    const payload = bytes.subarray(9);
    const base = { type, flags, streamId: bytes.readUInt32BE(5) & 0x7fffffff, payload };
    const isAck = (flags & RawFlag.ACK) !== 0;
    if (type === FrameType.SETTINGS && !isAck) this.send(rawFrame("SETTINGS", RawFlag.ACK, 0));
    if (type === FrameType.PING && !isAck) this.send(rawFrame("PING", RawFlag.ACK, 0, payload));
    if (type === FrameType.CONTINUATION || (type === FrameType.DATA && (flags & RawFlag.PADDED) !== 0)) {
      throw new Error(`a frame of type ${type} with flags ${flags}, which is not read here`);
    }
    if (type !== FrameType.HEADERS) return this.#onFrame(base);
    const fields = this.#hpack.decode(payload);
    this.#onFrame({ ...base, headers: Object.fromEntries([...fields].reverse()) });
  }
}
