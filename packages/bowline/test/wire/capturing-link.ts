import type { Link, LinkHandler } from "../../src/http2/link.ts";
import { type RawFrame, RawFrameParser } from "../../src/testing/raw-frame-parser.ts";

/** A link that keeps what is written to it. It takes everything at once unless told otherwise. */
export class CapturingLink implements Link {
  readonly peer = { remoteAddress: "127.0.0.1:1", localAddress: "127.0.0.1:2" };
  /** The chunks of each call, as they were given: not copied. */
  readonly writes: (readonly Uint8Array[])[] = [];
  /** What `write` answers. */
  accepts = true;
  isIdle = true;
  /** True: each write makes the link busy, until the test says `isIdle`. */
  isBusyAfterWrite = false;
  handler: LinkHandler | null = null;
  readonly #copies: Buffer[] = [];

  start(handler: LinkHandler): void {
    this.handler = handler;
  }

  write(chunk: Uint8Array): boolean {
    return this.writeAll([chunk]);
  }

  writeAll(chunks: readonly Uint8Array[]): boolean {
    this.writes.push(chunks);
    for (const chunk of chunks) this.#copies.push(Buffer.from(chunk));
    if (this.isBusyAfterWrite) this.isIdle = false;
    return this.accepts;
  }

  /** All octets, as they were when they were written. */
  get bytes(): Buffer {
    return Buffer.concat(this.#copies);
  }

  /** All frames that were written, those of a header block decoded. */
  get frames(): RawFrame[] {
    const parser = new RawFrameParser();
    const { bytes } = this;
    const frames: RawFrame[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      frames.push(parser.parse(bytes.subarray(at, end)));
      at = end;
    }
    return frames;
  }

  pause(): void {}

  resume(): void {}

  end(): void {}

  destroy(): void {}
}
