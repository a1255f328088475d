import { ErrorCode, Flag, FrameType } from "../../../packages/bowline/src/http2/frames.ts";
import { strictness } from "./hpack-strictness.ts";
import type { Http2Reading, ReadStream } from "./http2-answers.ts";
import { settingsOf, type Unit, unitsOf } from "./http2-units.ts";

const PRIORITY_BYTES = 5;
/** What our decoder allows, as it says in its SETTINGS. */
const TABLE_BYTES = 4096;
/** RFC 9110 §5.1 and §5.5, and no upper case (RFC 9113 §8.2.1). */
const NAME = /^:?[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** SETTINGS_ENABLE_CONNECT_PROTOCOL and SETTINGS_NO_RFC7540_PRIORITIES. */
const FOREIGN_SETTINGS: ReadonlySet<number> = new Set([8, 9]);

/** What both sides have made of an input. */
interface Case {
  readonly ours: Http2Reading;
  readonly theirs: Http2Reading;
}

/** One thing of which node:http2 (nghttp2) and we say different things, and both may. */
interface Difference {
  /** Which of the two ends the connection. */
  readonly refusedBy: "ours" | "theirs";
  /** With one of these; null: without an error. */
  readonly codes: readonly (number | null)[];
  /** True for a frame that shows it. */
  readonly isShownBy: (unit: Unit, of: Case, earlier: readonly Unit[]) => boolean;
  /** The frame as both take it; without this it is left out. */
  readonly mended?: (unit: Unit) => Buffer;
}

const { PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR } =
  ErrorCode;

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "a GOAWAY of the client: node:http2 closes; RFC 9113 §6.8 lets open streams go on": {
    refusedBy: "theirs",
    codes: [null],
    isShownBy: ({ type }) => type === FrameType.GOAWAY,
  },
  "a GOAWAY whose last stream is none of the server's, or above the one before: nghttp2 ends the connection, RFC 9113 §6.8 says nothing of it":
    {
      refusedBy: "theirs",
      codes: [PROTOCOL_ERROR],
      isShownBy: ({ type, payload }, _of, earlier) => {
        if (type !== FrameType.GOAWAY) return false;
        const before = earlier
          .filter((each) => each.type === FrameType.GOAWAY)
          .map((each) => lastStreamOf(each.payload));
        const last = lastStreamOf(payload);
        return (last & 1) === 1 || last > Math.min(...before);
      },
    },
  "DATA behind END_STREAM: RFC 9113 §5.1 asks for the end of the stream, nghttp2 ends the connection": {
    refusedBy: "theirs",
    codes: [STREAM_CLOSED],
    isShownBy: ({ type, streamId, state }, { ours }) =>
      type === FrameType.DATA && state === "ended" && ours.resets.get(streamId) === STREAM_CLOSED,
  },
  "a PRIORITY on stream 0: RFC 9113 §6.3 ends the connection, nghttp2 reads none any more": {
    refusedBy: "ours",
    codes: [PROTOCOL_ERROR],
    isShownBy: ({ type, streamId }) => type === FrameType.PRIORITY && streamId === 0,
  },
  "a PRIORITY of another length than 5: RFC 9113 §6.3 asks for the end of the stream, nghttp2 ends the connection": {
    refusedBy: "theirs",
    codes: [FRAME_SIZE_ERROR],
    isShownBy: ({ type, payload, streamId }, { ours }) =>
      type === FrameType.PRIORITY && payload.length !== PRIORITY_BYTES && ours.resets.has(streamId),
  },
  "HEADERS on a closed stream: RFC 9113 §5.1 and §5.1.1 end the connection, nghttp2 ignores them": {
    refusedBy: "ours",
    codes: [STREAM_CLOSED],
    isShownBy: ({ type, state, streamId }, { theirs }) =>
      type === FrameType.HEADERS &&
      (state === "reset" || state === "passed over" || (state === "ended" && theirs.resets.has(streamId))),
  },
  "a setting twice in one SETTINGS: RFC 9113 §6.5.3 goes by order, nghttp2 looks at the last alone": {
    refusedBy: "ours",
    codes: [PROTOCOL_ERROR, FLOW_CONTROL_ERROR],
    isShownBy: ({ type, payload }) => type === FrameType.SETTINGS && lastOfEach(payload).length < payload.length,
    mended: ({ bytes, payload }) => withPayload(bytes, lastOfEach(payload)),
  },
  "a PING's acknowledgement that nobody asked for: node:http2 closes, RFC 9113 §6.7 says nothing of it": {
    refusedBy: "theirs",
    codes: [INTERNAL_ERROR],
    isShownBy: ({ type, flags }) => type === FrameType.PING && (flags & Flag.ACK) !== 0,
  },
  "DATA with too much padding on a closed stream: RFC 9113 §6.1 ends the connection, nghttp2 does not look": {
    refusedBy: "ours",
    codes: [PROTOCOL_ERROR],
    isShownBy: (unit, of) =>
      isUnreadData(unit, of) && unit.payload.length > 0 && unit.payload[0] >= unit.payload.length,
  },
  "padded DATA without a length of its padding, on a closed stream: RFC 9113 §6.1 and §4.2 end the connection, nghttp2 does not look":
    {
      refusedBy: "ours",
      codes: [FRAME_SIZE_ERROR],
      isShownBy: (unit, of) => isUnreadData(unit, of) && unit.payload.length === 0,
    },
  "settings of RFC 8441 and RFC 9218, which our connection does not have: nghttp2 allows 0 and 1 only, and no way back":
    {
      refusedBy: "theirs",
      codes: [PROTOCOL_ERROR],
      isShownBy: ({ type, payload }) => type === FrameType.SETTINGS && withoutForeign(payload).length < payload.length,
      mended: ({ bytes, payload }) => withPayload(bytes, withoutForeign(payload)),
    },
  "SETTINGS acknowledged too often: nghttp2 ends the connection, RFC 9113 §6.5.3 says nothing of it; we count them": {
    refusedBy: "theirs",
    codes: [PROTOCOL_ERROR],
    isShownBy: (unit, _of, earlier) => isSettingsAck(unit) && earlier.some(isSettingsAck),
  },
  "a PRIORITY that depends on itself, on an idle stream: an error since RFC 7540 §5.3.1, nghttp2 reads none any more": {
    refusedBy: "ours",
    codes: [PROTOCOL_ERROR],
    isShownBy: ({ type, streamId, payload, state }) =>
      type === FrameType.PRIORITY &&
      state === "idle" &&
      payload.length === PRIORITY_BYTES &&
      (payload.readUInt32BE(0) & 0x7fffffff) === streamId,
  },
  "size updates and integers that RFC 7541 §4.2 and §5.1 do not have: nghttp2 takes them": {
    refusedBy: "ours",
    codes: [COMPRESSION_ERROR],
    isShownBy: ({ type, block }) => type === FrameType.HEADERS && strictness(block, TABLE_BYTES) !== undefined,
  },
  "HEADERS that depend on themselves: RFC 7540 §5.3.1 asks for the end of the stream, nghttp2 ends the connection": {
    refusedBy: "theirs",
    codes: [PROTOCOL_ERROR],
    isShownBy: ({ dependsOn, streamId }) => dependsOn === streamId,
  },
  "a window past 2^31-1 of a stream that ends by it, or was reset before: RFC 9113 §6.9.1 asks for no more, nghttp2 ends the connection":
    {
      refusedBy: "theirs",
      codes: [FLOW_CONTROL_ERROR],
      isShownBy: ({ type, streamId }, { ours }) => type === FrameType.WINDOW_UPDATE && ours.resets.has(streamId),
    },
  "a WINDOW_UPDATE of 0 on a stream: RFC 9113 §6.9 asks for the end of the stream, nghttp2 ends the connection": {
    refusedBy: "theirs",
    codes: [PROTOCOL_ERROR],
    isShownBy: ({ type, streamId, payload }, { ours }) =>
      type === FrameType.WINDOW_UPDATE &&
      (payload.readUInt32BE(0) & 0x7fffffff) === 0 &&
      ours.resets.get(streamId) === PROTOCOL_ERROR,
  },
};

/** Why both may say what they say, and the input without what shows it. */
export interface KnownDifference {
  readonly name: string;
  /** Shorter than the input: of this both must say the same, or it shows another difference. */
  readonly rest: Buffer;
}

/**
 * Why node:http2 and our connection may say different things of this input; undefined when they must agree. That one may does not make
 * the rest of the input right: it is to be read again without what shows the difference.
 */
export function knownDifference(input: Buffer, ours: Http2Reading, theirs: Http2Reading): KnownDifference | undefined {
  if (ours.isAlive === theirs.isAlive) return undefined;
  const of: Case = { ours, theirs };
  const [refusedBy, code] = theirs.isAlive ? ["ours", ours.errorCode] : ["theirs", theirs.errorCode];
  const units = unitsOf(input);
  for (const [name, difference] of Object.entries(DIFFERENCES)) {
    if (difference.refusedBy !== refusedBy || !difference.codes.includes(code)) continue;
    const rest = units.map((unit, at) => {
      if (!difference.isShownBy(unit, of, units.slice(0, at))) return unit.bytes;
      return difference.mended?.(unit) ?? Buffer.alloc(0);
    });
    const bytes = Buffer.concat(rest);
    if (bytes.length < input.length) return { name, rest: bytes };
  }
  return undefined;
}

/** The fields that both hand on: those with a name or a value that HTTP does not have nghttp2 leaves out, we leave to the layer above. */
export function commonFields({ fields }: ReadStream): ReadStream["fields"] {
  return fields.filter(([name, value]) => NAME.test(name) && VALUE.test(value));
}

function lastStreamOf(goaway: Buffer): number {
  return goaway.readUInt32BE(0) & 0x7fffffff;
}

/** Padded DATA on a stream that is closed, or that nghttp2 has reset. */
function isUnreadData({ type, flags, streamId, state }: Unit, { theirs }: Case): boolean {
  const isPaddedData = type === FrameType.DATA && (flags & Flag.PADDED) !== 0;
  return isPaddedData && ((state !== "open" && state !== "idle") || theirs.resets.has(streamId));
}

function isSettingsAck({ type, flags }: Unit): boolean {
  return type === FrameType.SETTINGS && (flags & Flag.ACK) !== 0;
}

/** A payload with the last entry of each id alone. */
function lastOfEach(payload: Buffer): Buffer {
  const pairs = settingsOf(payload);
  return packed(pairs.filter(([id], at) => !pairs.slice(at + 1).some(([later]) => later === id)));
}

function withoutForeign(payload: Buffer): Buffer {
  return packed(settingsOf(payload).filter(([id]) => !FOREIGN_SETTINGS.has(id)));
}

function packed(pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return payload;
}

function withPayload(frame: Buffer, payload: Buffer): Buffer {
  const bytes = Buffer.concat([frame.subarray(0, 9), payload]);
  bytes.writeUIntBE(payload.length, 0, 3);
  return bytes;
}
