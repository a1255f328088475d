import { RawFlag, type RawFrameName, rawFrameName } from "./raw-frames.ts";
import { RawHpackDecoder } from "./raw-hpack.ts";

/** A frame that arrived. What its type does not have is undefined. */
export interface RawFrame {
  readonly type: RawFrameName;
  /** The type as a number. */
  readonly typeCode: number;
  readonly flags: number;
  readonly streamId: number;
  /** All of it, padding and priority fields included. */
  readonly payload: Buffer;
  /** END_STREAM on DATA and HEADERS. */
  readonly isEnd: boolean;
  /** ACK on SETTINGS and PING. */
  readonly isAck: boolean;
  /** DATA without its padding. */
  readonly data?: Buffer;
  /** On the frame that ends a header block, HEADERS or CONTINUATION: all fields of the block. */
  readonly fields?: readonly [name: string, value: string][];
  /** The first value of each of `fields` by name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** SETTINGS in order. */
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** RST_STREAM and GOAWAY. */
  readonly errorCode?: number;
  /** GOAWAY. */
  readonly lastStreamId?: number;
  /** GOAWAY. */
  readonly debug?: string;
  /** WINDOW_UPDATE. */
  readonly increment?: number;
}

/** Makes objects of the frames of one connection, in order: header blocks depend on those before them. */
export class RawFrameParser {
  readonly #hpack = new RawHpackDecoder();
  /** Header block that waits for its CONTINUATION. */
  #block: Buffer[] = [];

  /**
   * Reads one whole frame, its 9-byte header included. Throws when a field it must have is missing or a header block is
   * malformed.
   */
  parse(bytes: Buffer): RawFrame {
    const type = rawFrameName(bytes[3]);
    const flags = bytes[4];
    const payload = bytes.subarray(9);
    const base = {
      type,
      typeCode: bytes[3],
      flags,
      streamId: bytes.readUInt32BE(5) & 0x7fffffff,
      payload,
      isEnd: (type === "DATA" || type === "HEADERS") && (flags & RawFlag.END_STREAM) !== 0,
      isAck: (type === "SETTINGS" || type === "PING") && (flags & RawFlag.ACK) !== 0,
    };
    switch (type) {
      case "DATA":
        return { ...base, data: unpadded(payload, flags) };
      case "HEADERS":
        return { ...base, ...this.#fields(unpadded(payload, flags).subarray(flags & RawFlag.PRIORITY ? 5 : 0), flags) };
      case "CONTINUATION":
        return { ...base, ...this.#fields(payload, flags) };
      case "SETTINGS":
        return { ...base, settings: settingPairs(payload) };
      case "RST_STREAM":
        return { ...base, errorCode: payload.readUInt32BE(0) };
      case "GOAWAY": {
        const lastStreamId = payload.readUInt32BE(0) & 0x7fffffff;
        return { ...base, lastStreamId, errorCode: payload.readUInt32BE(4), debug: payload.toString("utf8", 8) };
      }
      case "WINDOW_UPDATE":
        return { ...base, increment: payload.readUInt32BE(0) & 0x7fffffff };
      default:
        return base;
    }
  }

  #fields(block: Buffer, flags: number): Pick<RawFrame, "fields" | "headers"> {
    this.#block.push(block);
    if ((flags & RawFlag.END_HEADERS) === 0) return {};
    const fields = this.#hpack.decode(Buffer.concat(this.#block));
    this.#block = [];
    return { fields, headers: Object.fromEntries([...fields].reverse()) };
  }
}

function unpadded(payload: Buffer, flags: number): Buffer {
  return (flags & RawFlag.PADDED) === 0 ? payload : payload.subarray(1, payload.length - payload[0]);
}

function settingPairs(payload: Buffer): [number, number][] {
  const pairs: [number, number][] = [];
  for (let at = 0; at + 6 <= payload.length; at += 6) {
    pairs.push([payload.readUInt16BE(at), payload.readUInt32BE(at + 2)]);
  }
  return pairs;
}
