import { ErrorCode, Flag, FrameType } from "../../../packages/bowline/src/http2/frames.ts";
import { strictness } from "./hpack-strictness.ts";
import type { Http2Reading, ReadStream } from "./http2-answers.ts";
import { http2Framing } from "./http2-framing.ts";

const HEADER_BYTES = 9;
const PRIORITY_BYTES = 5;
const SETTING_BYTES = 6;
/** What our decoder allows, as it says in its SETTINGS. */
const TABLE_BYTES = 4096;
/** RFC 9110 §5.1 and §5.5, and no upper case (RFC 9113 §8.2.1). */
const NAME = /^:?[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** SETTINGS_ENABLE_CONNECT_PROTOCOL and SETTINGS_NO_RFC7540_PRIORITIES. */
const FOREIGN_SETTINGS: ReadonlySet<number> = new Set([8, 9]);

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** What both sides have made of an input. */
interface Case {
  readonly frames: readonly Frame[];
  readonly ours: Http2Reading;
  readonly theirs: Http2Reading;
}

/** Inputs of which node:http2 (nghttp2) and we say different things, each with who may. */
const DIFFERENCES: Readonly<Record<string, (of: Case) => boolean>> = {
  "a GOAWAY of the client: node:http2 closes; RFC 9113 §6.8 lets open streams go on": ({ frames, ours }) =>
    ours.isAlive && frames.some(({ type }) => type === FrameType.GOAWAY),
  "DATA behind END_STREAM: RFC 9113 §5.1 asks for the end of the stream, nghttp2 ends the connection": ({
    frames,
    ours,
  }) =>
    ours.isAlive &&
    frames.some(
      ({ type, streamId }) => type === FrameType.DATA && ours.resets.get(streamId) === ErrorCode.STREAM_CLOSED,
    ),
  "a PRIORITY on stream 0: RFC 9113 §6.3 ends the connection, nghttp2 reads none any more": ({
    frames,
    ours,
    theirs,
  }) =>
    theirs.isAlive &&
    ours.errorCode === ErrorCode.PROTOCOL_ERROR &&
    frames.some(({ type, streamId }) => type === FrameType.PRIORITY && streamId === 0),
  "a PRIORITY of another length than 5: RFC 9113 §6.3 asks for the end of the stream, nghttp2 ends the connection": ({
    frames,
    ours,
    theirs,
  }) =>
    ours.isAlive &&
    theirs.errorCode === ErrorCode.FRAME_SIZE_ERROR &&
    frames.some(({ type, payload }) => type === FrameType.PRIORITY && payload.length !== PRIORITY_BYTES),
  "HEADERS on a closed stream: RFC 9113 §5.1.1 ends the connection, nghttp2 ignores them": ({ frames, ours, theirs }) =>
    theirs.isAlive && ours.errorCode === ErrorCode.STREAM_CLOSED && isGoingBack(frames),
  "a setting twice in one SETTINGS: RFC 9113 §6.5.3 goes by order, nghttp2 looks at the last alone": ({
    frames,
    ours,
    theirs,
  }) => theirs.isAlive && !ours.isAlive && frames.some((frame) => frame.type === FrameType.SETTINGS && hasTwice(frame)),
  "a PING's acknowledgement that nobody asked for: node:http2 closes, RFC 9113 §6.7 says nothing of it": ({
    frames,
    ours,
  }) => ours.isAlive && frames.some(({ type, flags }) => type === FrameType.PING && (flags & Flag.ACK) !== 0),
  "DATA with too much padding on a closed stream: RFC 9113 §6.1 ends the connection, nghttp2 does not look": (of) =>
    isOurRefusal(of, ErrorCode.PROTOCOL_ERROR) && of.frames.some(isOverPadded),
  "padded DATA without a length of its padding, on a closed stream: RFC 9113 §6.1 and §4.2 end the connection, nghttp2 does not look":
    (of) => isOurRefusal(of, ErrorCode.FRAME_SIZE_ERROR) && of.frames.some(isPaddedWithoutLength),
  "settings of RFC 8441 and RFC 9218, which our connection does not have: nghttp2 allows 0 and 1 only": (of) =>
    isTheirRefusal(of, ErrorCode.PROTOCOL_ERROR) && of.frames.some(hasForeignSetting),
  "SETTINGS acknowledged too often: nghttp2 ends the connection, RFC 9113 §6.5.3 says nothing of it; we count them": (
    of,
  ) => isTheirRefusal(of, ErrorCode.PROTOCOL_ERROR) && of.frames.filter(isSettingsAck).length > 1,
  "a PRIORITY that depends on itself, on an idle stream: an error since RFC 7540 §5.3.1, nghttp2 reads none any more": (
    of,
  ) => isOurRefusal(of, ErrorCode.PROTOCOL_ERROR) && of.frames.some(isOfItself),
  "size updates that RFC 7541 §4.2 does not have: nghttp2 takes any number of them": (of) =>
    isOurRefusal(of, ErrorCode.COMPRESSION_ERROR) &&
    blocksOf(of.frames).some((block) => strictness(block, TABLE_BYTES) !== undefined),
  "HEADERS that depend on themselves: RFC 7540 §5.3.1 asks for the end of the stream, nghttp2 ends the connection": (
    of,
  ) => isTheirRefusal(of, ErrorCode.PROTOCOL_ERROR) && of.frames.some(areOfThemselves),
  "a window of a stream past 2^31-1: RFC 9113 §6.9.1 asks for the end of the stream, nghttp2 ends the connection": (
    of,
  ) =>
    isTheirRefusal(of, ErrorCode.FLOW_CONTROL_ERROR) &&
    [...of.ours.resets.values()].includes(ErrorCode.FLOW_CONTROL_ERROR),
};

/** Why node:http2 and our connection may say different things of this input; undefined when they must agree. */
export function knownDifference(input: Buffer, ours: Http2Reading, theirs: Http2Reading): string | undefined {
  if (ours.isAlive === theirs.isAlive) return undefined;
  const frames = http2Framing.split(input).map((bytes): Frame => {
    const streamId = bytes.readUInt32BE(5) & 0x7fffffff;
    return { type: bytes[3], flags: bytes[4], streamId, payload: bytes.subarray(HEADER_BYTES) };
  });
  return Object.entries(DIFFERENCES).find(([, applies]) => applies({ frames, ours, theirs }))?.[0];
}

/** The fields that both hand on: those with a name or a value that HTTP does not have nghttp2 leaves out, we leave to the layer above. */
export function commonFields({ fields }: ReadStream): ReadStream["fields"] {
  return fields.filter(([name, value]) => NAME.test(name) && VALUE.test(value));
}

function isGoingBack(frames: readonly Frame[]): boolean {
  let last = 0;
  for (const { type, streamId } of frames) {
    if (type !== FrameType.HEADERS) continue;
    if (streamId <= last) return true;
    last = streamId;
  }
  return false;
}

function isOurRefusal({ ours, theirs }: Case, code: number): boolean {
  return theirs.isAlive && ours.errorCode === code;
}

function isTheirRefusal({ ours, theirs }: Case, code: number): boolean {
  return ours.isAlive && theirs.errorCode === code;
}

function areOfThemselves({ type, flags, streamId, payload }: Frame): boolean {
  if (type !== FrameType.HEADERS || (flags & Flag.PRIORITY) === 0) return false;
  const at = (flags & Flag.PADDED) === 0 ? 0 : 1;
  return payload.length >= at + PRIORITY_BYTES && (payload.readUInt32BE(at) & 0x7fffffff) === streamId;
}

function isOfItself({ type, streamId, payload }: Frame): boolean {
  return (
    type === FrameType.PRIORITY &&
    payload.length === PRIORITY_BYTES &&
    (payload.readUInt32BE(0) & 0x7fffffff) === streamId
  );
}

/** The header blocks of all frames, without padding and priority. */
function blocksOf(frames: readonly Frame[]): Buffer[] {
  const blocks: Buffer[] = [];
  for (const { type, flags, payload } of frames) {
    if (type === FrameType.CONTINUATION) blocks.push(Buffer.concat([blocks.pop() ?? Buffer.alloc(0), payload]));
    if (type !== FrameType.HEADERS) continue;
    const padding = (flags & Flag.PADDED) === 0 ? 0 : 1;
    const from = padding + ((flags & Flag.PRIORITY) === 0 ? 0 : PRIORITY_BYTES);
    blocks.push(payload.subarray(from, payload.length - (padding === 0 ? 0 : payload[0])));
  }
  return blocks;
}

function isOverPadded({ type, flags, payload }: Frame): boolean {
  return type === FrameType.DATA && (flags & Flag.PADDED) !== 0 && payload.length > 0 && payload[0] >= payload.length;
}

function isPaddedWithoutLength({ type, flags, payload }: Frame): boolean {
  return type === FrameType.DATA && (flags & Flag.PADDED) !== 0 && payload.length === 0;
}

function hasForeignSetting({ type, payload }: Frame): boolean {
  if (type !== FrameType.SETTINGS) return false;
  for (let at = 0; at + SETTING_BYTES <= payload.length; at += SETTING_BYTES) {
    if (FOREIGN_SETTINGS.has(payload.readUInt16BE(at))) return true;
  }
  return false;
}

function isSettingsAck({ type, flags }: Frame): boolean {
  return type === FrameType.SETTINGS && (flags & Flag.ACK) !== 0;
}

function hasTwice({ payload }: Frame): boolean {
  const seen = new Set<number>();
  for (let at = 0; at + SETTING_BYTES <= payload.length; at += SETTING_BYTES) {
    const id = payload.readUInt16BE(at);
    if (seen.has(id)) return true;
    seen.add(id);
  }
  return false;
}
