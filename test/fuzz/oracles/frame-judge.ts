import { type RawFrame, RawFrameParser } from "../../../packages/bowline/src/testing/raw-frame-parser.ts";

const HEADER_BYTES = 9;
const MAX_FRAME_BYTES = 16_384;
const PROTOCOL_ERROR = 1;
const FRAME_SIZE_ERROR = 6;
const [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
];
/** Payloads of one size. */
const SIZES = new Map([
  [RST_STREAM, 4],
  [PING, 8],
  [WINDOW_UPDATE, 4],
]);

/** What a reader of frames must have told: an entry a frame, then perhaps the error that ended it. */
export interface FrameVerdict {
  readonly heard: readonly string[];
  /** Code of the connection error; -1 for what is no HTTP/2. */
  readonly error: number | undefined;
}

/** Reads frames by the rules of RFC 9113 sections 4 and 6, beside the product's reader. */
export function judgeFrames(input: Buffer): FrameVerdict {
  const parser = new RawFrameParser();
  const heard: string[] = [];
  let open = 0;
  for (let at = 0; at + HEADER_BYTES <= input.length; ) {
    const length = input.readUIntBE(at, 3);
    const head = { type: input[at + 3], flags: input[at + 4], id: input.readUInt32BE(at + 5) & 0x7fffffff };
    if (at === 0 && (head.type !== SETTINGS || (head.flags & 1) !== 0)) return { heard, error: -1 };
    if (length > MAX_FRAME_BYTES) return { heard, error: FRAME_SIZE_ERROR };
    if (open !== 0 && (head.type !== CONTINUATION || head.id !== open)) return { heard, error: PROTOCOL_ERROR };
    const frame = input.subarray(at, at + HEADER_BYTES + length);
    at += HEADER_BYTES + length;
    if (at > input.length) return { heard: [...heard, ...cutOff(head, frame)], error: undefined };
    const error = errorOf(head, frame.subarray(HEADER_BYTES), open);
    if (error !== undefined) return { heard, error };
    if (head.type === HEADERS || head.type === CONTINUATION) open = (head.flags & 4) === 0 ? head.id : 0;
    heard.push(describe(head, frame, parser));
  }
  return { heard, error: undefined };
}

interface Head {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
}

/** DATA without padding is passed on in pieces, so that even its beginning is heard. */
function cutOff({ type, flags, id }: Head, frame: Buffer): string[] {
  const isPassedOn = type === DATA && (flags & 8) === 0 && id !== 0 && frame.length > HEADER_BYTES;
  return isPassedOn ? [told("DATA", id, frame.toString("hex", HEADER_BYTES))] : [];
}

function errorOf({ type, flags, id }: Head, payload: Buffer, open: number): number | undefined {
  const { length } = payload;
  if (type === PUSH_PROMISE) return PROTOCOL_ERROR;
  if (type === CONTINUATION && open === 0) return PROTOCOL_ERROR;
  if (type <= RST_STREAM && id === 0) return PROTOCOL_ERROR;
  if ((type === SETTINGS || type === PING || type === GOAWAY) && id !== 0) return PROTOCOL_ERROR;
  if (SIZES.has(type) && length !== SIZES.get(type)) return FRAME_SIZE_ERROR;
  if (type === GOAWAY && length < 8) return FRAME_SIZE_ERROR;
  if (type === SETTINGS && ((flags & 1) !== 0 ? length > 0 : length % 6 !== 0)) return FRAME_SIZE_ERROR;
  if (type === DATA || type === HEADERS) return paddingError(type, flags, payload);
  return undefined;
}

function paddingError(type: number, flags: number, payload: Buffer): number | undefined {
  const padded = (flags & 8) === 0 ? 0 : 1;
  const fixed = padded + (type === HEADERS && (flags & 0x20) !== 0 ? 5 : 0);
  if (payload.length < fixed) return FRAME_SIZE_ERROR;
  return padded === 1 && payload[0] > payload.length - fixed ? PROTOCOL_ERROR : undefined;
}

function describe({ type, flags, id }: Head, frame: Buffer, parser: RawFrameParser): string {
  const payload = frame.subarray(HEADER_BYTES);
  if (type === HEADERS) {
    const padding = (flags & 8) === 0 ? 0 : payload[0];
    const from = ((flags & 8) === 0 ? 0 : 1) + ((flags & 0x20) === 0 ? 0 : 5);
    return told("HEADERS", id, payload.toString("hex", from, payload.length - padding));
  }
  if (type === CONTINUATION) return told("CONTINUATION", id, payload.toString("hex"));
  if (type === PRIORITY) {
    return told("PRIORITY", id, payload.length === 5 ? payload.readUInt32BE(0) & 0x7fffffff : -1);
  }
  return tellParsed(parser.parse(frame));
}

function tellParsed(frame: RawFrame): string {
  switch (frame.type) {
    case "DATA":
      return told("DATA", frame.streamId, frame.data?.toString("hex"));
    case "SETTINGS":
      return told("SETTINGS", 0, frame.isAck, frame.payload.toString("hex"));
    case "PING":
      return told("PING", 0, frame.isAck, frame.payload.toString("hex"));
    case "GOAWAY":
      return told("GOAWAY", 0, frame.lastStreamId, frame.errorCode, frame.payload.toString("hex", 8));
    case "RST_STREAM":
      return told("RST_STREAM", frame.streamId, frame.errorCode);
    case "WINDOW_UPDATE":
      return told("WINDOW_UPDATE", frame.streamId, frame.increment);
    default:
      return told("UNKNOWN", 0, frame.typeCode);
  }
}

/** One line of {@link FrameVerdict.heard}. */
export function told(name: string, streamId: number, ...facts: readonly unknown[]): string {
  return [name, streamId, ...facts].join(" ");
}
