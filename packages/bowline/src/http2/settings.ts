import { DEFAULT_MAX_FRAME_BYTES, DEFAULT_WINDOW_BYTES, ErrorCode, MAX_INT31, SettingId } from "./frames.ts";
import type { Http2Limits } from "./limits.ts";

/** Octets of one entry, RFC 9113 §6.5.1. */
const ENTRY_BYTES = 6;
/** Larger frames than this are never made, whatever the peer allows: other streams want their turn. */
const MAX_FRAME_WE_SEND = 65_536;

/** Why a SETTINGS frame was refused. */
export interface SettingsError {
  readonly code: number;
  readonly text: string;
  /** The bound that was passed, when one was. */
  readonly limit?: string;
}

/** What the peer has told of itself; applied entry by entry in the order of the frame (RFC 9113 §6.5.3). */
export class PeerSettings {
  headerTableBytes = 4096;
  /** The lowest `headerTableBytes` that the last frame passed through: the encoder must tell of it (RFC 7541 §4.2). */
  lowestTableBytes = 4096;
  /** Before the peer's first SETTINGS there is no limit by the RFC; 100 is what it must expect at least (§6.5.2). */
  maxConcurrentStreams = 100;
  initialWindowBytes: number = DEFAULT_WINDOW_BYTES;
  maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES;
  maxHeaderListBytes: number = MAX_INT31;
  /** True once a SETTINGS frame was applied. */
  received = false;

  /** Applies a payload, or says what is wrong with it; entries before the wrong one stay applied. */
  apply(chunk: Buffer, start: number, end: number, peerIsServer: boolean, maxEntries: number): SettingsError | null {
    if ((end - start) / ENTRY_BYTES > maxEntries) {
      const text = `the peer exceeds the limit maxSettingsEntries: more than ${maxEntries} in one frame`;
      return { code: ErrorCode.ENHANCE_YOUR_CALM, text, limit: "maxSettingsEntries" };
    }
    if (!this.received) this.maxConcurrentStreams = MAX_INT31;
    this.received = true;
    this.lowestTableBytes = Number.POSITIVE_INFINITY;
    for (let at = start; at < end; at += ENTRY_BYTES) {
      const error = this.#entry(chunk.readUInt16BE(at), chunk.readUInt32BE(at + 2), peerIsServer);
      if (error !== null) return error;
    }
    this.lowestTableBytes = Math.min(this.lowestTableBytes, this.headerTableBytes);
    return null;
  }

  #entry(id: number, value: number, peerIsServer: boolean): SettingsError | null {
    switch (id) {
      case SettingId.HEADER_TABLE_SIZE:
        this.headerTableBytes = value;
        this.lowestTableBytes = Math.min(this.lowestTableBytes, value);
        return null;
      case SettingId.ENABLE_PUSH:
        // A server may not send 1, RFC 9113 §6.5.2.
        if (value > 1 || (value === 1 && peerIsServer)) return protocolError(`ENABLE_PUSH ${value}`);
        return null;
      case SettingId.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        return null;
      case SettingId.INITIAL_WINDOW_SIZE:
        if (value > MAX_INT31) {
          return { code: ErrorCode.FLOW_CONTROL_ERROR, text: `INITIAL_WINDOW_SIZE ${value} is above 2^31-1` };
        }
        this.initialWindowBytes = value;
        return null;
      case SettingId.MAX_FRAME_SIZE:
        if (value < DEFAULT_MAX_FRAME_BYTES || value > 0xffffff) return protocolError(`MAX_FRAME_SIZE ${value}`);
        this.maxFrameBytes = Math.min(value, MAX_FRAME_WE_SEND);
        return null;
      case SettingId.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value;
        return null;
      default:
        return null;
    }
  }
}

function protocolError(text: string): SettingsError {
  return { code: ErrorCode.PROTOCOL_ERROR, text: `the peer's setting ${text} is not allowed` };
}

/** Our own SETTINGS payload as pairs of id and value. A client forbids pushes; a server states how many streams it takes. */
export function ownSettings(limits: Http2Limits, isServer: boolean): readonly (readonly [number, number])[] {
  return [
    [SettingId.HEADER_TABLE_SIZE, limits.headerTableBytes],
    isServer ? [SettingId.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams] : [SettingId.ENABLE_PUSH, 0],
    [SettingId.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
    [SettingId.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
  ];
}
