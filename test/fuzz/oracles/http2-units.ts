import { Flag, FrameType } from "../../../packages/bowline/src/http2/frames.ts";
import { http2Framing } from "./http2-framing.ts";

const HEADER_BYTES = 9;
const PRIORITY_BYTES = 5;
const SETTING_BYTES = 6;

/**
 * What the client has made of a stream by the frames before: nothing yet, a header block, one with END_STREAM, RST_STREAM, or nothing
 * although a higher one is open, which closes it (RFC 9113 §5.1.1). Streams of even ids are the server's, and always idle.
 */
export type StreamState = "idle" | "open" | "ended" | "reset" | "passed over";

/** A frame of a client, or HEADERS with all its CONTINUATION. */
export interface Unit {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  /** Of its first frame. */
  readonly payload: Buffer;
  /** Of HEADERS: the header block, without padding and priority. */
  readonly block: Buffer;
  /** Of HEADERS with one: the stream that it depends on; -1 otherwise. */
  readonly dependsOn: number;
  /** All octets. */
  readonly bytes: Buffer;
  /** Of its stream, before it. */
  readonly state: StreamState;
}

/** The frames of an input, HEADERS and CONTINUATION taken together. */
export function unitsOf(input: Buffer): Unit[] {
  const streams = new Streams();
  return gathered(http2Framing.split(input)).map((frames) => {
    const [bytes] = frames;
    const [type, flags, streamId] = [bytes[3], bytes[4], bytes.readUInt32BE(5) & 0x7fffffff];
    const state = streams.stateOf(streamId);
    streams.take(type, flags, streamId);
    const payload = bytes.subarray(HEADER_BYTES);
    return { type, flags, streamId, payload, ...headersOf(frames), bytes: Buffer.concat(frames), state };
  });
}

/** The pairs of a SETTINGS payload; what is left over is none. */
export function settingsOf(payload: Buffer): (readonly [id: number, value: number])[] {
  const count = Math.floor(payload.length / SETTING_BYTES);
  return Array.from({ length: count }, (_, i) => {
    const at = i * SETTING_BYTES;
    return [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)] as const;
  });
}

function gathered(frames: readonly Buffer[]): Buffer[][] {
  const units: Buffer[][] = [];
  let isOpen = false;
  for (const frame of frames) {
    if (isOpen && frame[3] === FrameType.CONTINUATION) units[units.length - 1].push(frame);
    else units.push([frame]);
    const isBlock: boolean = frame[3] === FrameType.HEADERS || (isOpen && frame[3] === FrameType.CONTINUATION);
    isOpen = isBlock && (frame[4] & Flag.END_HEADERS) === 0;
  }
  return units;
}

function headersOf([first, ...more]: readonly Buffer[]): Pick<Unit, "block" | "dependsOn"> {
  const [type, flags, payload] = [first[3], first[4], first.subarray(HEADER_BYTES)];
  if (type !== FrameType.HEADERS) return { block: Buffer.alloc(0), dependsOn: -1 };
  const padding = (flags & Flag.PADDED) === 0 ? 0 : 1;
  const hasPriority = (flags & Flag.PRIORITY) !== 0 && payload.length >= padding + PRIORITY_BYTES;
  const from = padding + (hasPriority ? PRIORITY_BYTES : 0);
  const own = payload.subarray(from, payload.length - (padding === 0 ? 0 : payload[0]));
  return {
    block: Buffer.concat([own, ...more.map((frame) => frame.subarray(HEADER_BYTES))]),
    dependsOn: hasPriority ? payload.readUInt32BE(padding) & 0x7fffffff : -1,
  };
}

/** The streams of a client, by what it sends alone. */
class Streams {
  readonly #states = new Map<number, StreamState>();
  #highest = 0;

  stateOf(id: number): StreamState {
    const isPassed = (id & 1) === 1 && id < this.#highest;
    return this.#states.get(id) ?? (isPassed ? "passed over" : "idle");
  }

  take(type: number, flags: number, id: number): void {
    const state = this.stateOf(id);
    if (type === FrameType.HEADERS && (id & 1) === 1 && state === "idle") {
      this.#highest = id;
      this.#states.set(id, "open");
    }
    if (this.stateOf(id) !== "open" && this.stateOf(id) !== "ended") return;
    if (type === FrameType.RST_STREAM) this.#states.set(id, "reset");
    else if ((type === FrameType.HEADERS || type === FrameType.DATA) && (flags & Flag.END_STREAM) !== 0) {
      this.#states.set(id, "ended");
    }
  }
}
