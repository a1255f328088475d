const HEADER_BYTES = 9;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const ACK = 1;

/** What a side says about a connection, found in the octets that it sends. */
export class Http2Answers {
  /** The code of the first GOAWAY with an error; null before. */
  errorCode: number | null = null;
  /** The acknowledgement of this PING has come. */
  isAnswered = false;
  /** Streams that were reset, each with its first code. */
  readonly resets: Map<number, number> = new Map();
  readonly #ping: Buffer;
  #rest: Buffer = Buffer.alloc(0);

  /** `ping` is the payload, eight octets, whose acknowledgement is waited for. */
  constructor(ping: Buffer) {
    this.#ping = ping;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length >= at + HEADER_BYTES) {
      const to = at + HEADER_BYTES + bytes.readUIntBE(at, 3);
      if (to > bytes.length) break;
      this.#frame(bytes[at + 3], bytes[at + 4], bytes.readUInt32BE(at + 5), bytes.subarray(at + HEADER_BYTES, to));
      at = to;
    }
    this.#rest = bytes.subarray(at);
  }

  #frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (type === PING && (flags & ACK) !== 0 && payload.equals(this.#ping)) this.isAnswered = true;
    if (type === GOAWAY && payload.readUInt32BE(4) !== 0) this.errorCode ??= payload.readUInt32BE(4);
    if (type === RST_STREAM && !this.resets.has(streamId)) this.resets.set(streamId, payload.readUInt32BE(0));
  }
}

/** How a side took octets. */
export interface Http2Reading {
  /** The connection lives on, and has read all of them. */
  readonly isAlive: boolean;
  /** Of its GOAWAY; null without an error. */
  readonly errorCode: number | null;
  /** Streams by id: the fields of their first header block, and their data. */
  readonly streams: ReadonlyMap<number, ReadStream>;
  /** Streams that it has reset. */
  readonly resets: ReadonlyMap<number, number>;
}

/** What was read of one stream. */
export interface ReadStream {
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** In latin1. */
  data: string;
}
