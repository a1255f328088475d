/** Frame types, RFC 9113 §6. */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Frame flags, RFC 9113 §6. ACK and END_STREAM share a bit on different types. */
export const Flag = {
  NONE: 0,
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** Error codes, RFC 9113 §7. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

const ERROR_NAMES = Object.keys(ErrorCode);

/** The name of an HTTP/2 error code, `CANCEL` for 8, or the number for an unknown one. */
export function errorCodeName(code: number): string {
  return ERROR_NAMES[code] ?? `0x${code.toString(16)}`;
}

/** Setting identifiers, RFC 9113 §6.5.2. */
export const SettingId = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** Octets of a frame header, RFC 9113 §4.1. */
export const FRAME_HEADER_BYTES = 9;
/** SETTINGS_MAX_FRAME_SIZE before any SETTINGS, RFC 9113 §6.5.2. */
export const DEFAULT_MAX_FRAME_BYTES = 16_384;
/** Initial window of connection and streams before any SETTINGS, RFC 9113 §6.9.2. */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** Largest window and stream id, 2^31 - 1. */
export const MAX_INT31 = 0x7fffffff;

/** What a client sends first, RFC 9113 §3.4. */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** Why a connection ended, in the words of RFC 9113 and one sentence for a person. */
export class Http2Error extends Error {
  override readonly name: string = "Http2Error";
  /** An RFC 9113 §7 error code. */
  readonly code: number;
  /** True when the peer ended it, by GOAWAY or RST_STREAM. */
  readonly byPeer: boolean;
  /** The bound that was passed, when one was: a name of limits.ts. */
  readonly limit: string | undefined;

  constructor(code: number, text: string, byPeer: boolean, limit?: string) {
    super(code === ErrorCode.NO_ERROR ? text : `${text} (${errorCodeName(code)})`);
    this.code = code;
    this.byPeer = byPeer;
    this.limit = limit;
  }
}
