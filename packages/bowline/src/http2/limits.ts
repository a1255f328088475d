import { unknownName } from "../rpc/options.ts";
import { DEFAULT_MAX_FRAME_BYTES } from "./frames.ts";

/** One bound of a connection: what it is, what it stops, and where the default comes from. */
export interface LimitSpec {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit: "bytes" | "frames" | "streams" | "fields" | "ms" | "per second" | "entries" | "ids";
  /** What happens at the bound, and against what. */
  readonly meaning: string;
  /** Whose figure it is. */
  readonly source: string;
}

/** Names of the bounds. */
export type LimitName =
  | "maxConcurrentStreams"
  | "maxHeaderListBytes"
  | "maxHeaderFields"
  | "maxHeaderBlockBytes"
  | "maxContinuationFrames"
  | "headerTableBytes"
  | "streamWindowBytes"
  | "connectionWindowBytes"
  | "maxWindowBytes"
  | "resetBurst"
  | "resetRate"
  | "glitchBurst"
  | "glitchRate"
  | "minWindowUpdateBytes"
  | "maxRememberedResets"
  | "maxPingStrikes"
  | "maxPendingAcks"
  | "maxEmptyDataFrames"
  | "maxSettingsEntries"
  | "maxNewStreamsPerTurn"
  | "maxStreamId"
  | "handshakeTimeoutMs"
  | "stallTimeoutMs"
  | "maxUnreadBytes"
  | "maxReadAheadBytes"
  | "maxDroppedBodyBytes"
  | "dropTimeoutMs"
  | "maxSendBufferBytes"
  | "maxConnectionSendBytes";

/**
 * Every bound of an HTTP/2 connection, by option name. A peer that passes one costs itself the stream or the connection,
 * never this process its memory or its time.
 */
export const HTTP2_LIMITS: Readonly<Record<LimitName, LimitSpec>> = {
  maxConcurrentStreams: {
    default: 1024,
    min: 1,
    max: 1_000_000,
    unit: "streams",
    meaning: "Streams that a peer may have open; more are refused with REFUSED_STREAM, which is safe to retry.",
    source: "Envoy 1.36",
  },
  maxHeaderListBytes: {
    default: 16_384,
    min: 1024,
    max: 16_777_216,
    unit: "bytes",
    meaning:
      "Decoded header fields of one block, 32 bytes added for each; a larger block ends its stream, the tables stay in step.",
    source: "hyper; C-core's hard limit for metadata",
  },
  maxHeaderFields: {
    default: 100,
    min: 8,
    max: 10_000,
    unit: "fields",
    meaning: "Fields of one block, cookie crumbs counted; stops the HTTP/2 bomb (CVE-2026-49975).",
    source: "Envoy 1.36",
  },
  maxHeaderBlockBytes: {
    default: 16_384,
    min: 1024,
    max: 16_777_216,
    unit: "bytes",
    meaning:
      "Encoded block with its CONTINUATION frames; a larger one ends its stream. While its end has not come it ends the connection above this, at a client above four times this (ENHANCE_YOUR_CALM). With a larger maxHeaderListBytes as large as that.",
    source: "as maxHeaderListBytes: what is larger as it came is larger decoded, too",
  },
  maxContinuationFrames: {
    default: 8,
    min: 1,
    max: 4096,
    unit: "frames",
    meaning:
      "CONTINUATION frames of one block; more closes the connection (CVE-2024-27316). With a larger maxHeaderBlockBytes four for each 16 KiB of it.",
    source: "nghttp2 1.70",
  },
  headerTableBytes: {
    default: 4096,
    min: 0,
    max: 65_536,
    unit: "bytes",
    meaning: "SETTINGS_HEADER_TABLE_SIZE: what the peer may make us remember.",
    source: "RFC 9113 §6.5.2",
  },
  streamWindowBytes: {
    default: 262_144,
    min: 65_535,
    max: 0x7fffffff,
    unit: "bytes",
    meaning: "Window that each stream starts with.",
    source: "measured: one 64 KiB window a round trip limits large messages on a LAN",
  },
  connectionWindowBytes: {
    default: 1_048_576,
    min: 65_535,
    max: 0x7fffffff,
    unit: "bytes",
    meaning: "Window that the connection starts with.",
    source: "Go x/net",
  },
  maxWindowBytes: {
    default: 8_388_608,
    min: 65_535,
    max: 0x7fffffff,
    unit: "bytes",
    meaning: "How far both windows may grow with the bandwidth-delay product.",
    source: "half of grpc-go's limit",
  },
  resetBurst: {
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: "frames",
    meaning:
      "Resets that a peer may send, or make us send, at once; then ENHANCE_YOUR_CALM (CVE-2023-44487, CVE-2025-8671). Those of calls that have waited half of their timeout do not count, nor ours after stallTimeoutMs, nor one of each stream that this side has closed.",
    source: "nghttp2 1.70",
  },
  resetRate: {
    default: 33,
    min: 1,
    max: 1_000_000,
    unit: "per second",
    meaning: "How fast the allowance for resets refills.",
    source: "nghttp2 1.70",
  },
  glitchBurst: {
    default: 10_000,
    min: 1,
    max: 10_000_000,
    unit: "frames",
    meaning:
      "Frames without use (PRIORITY, unknown types, WINDOW_UPDATEs below minWindowUpdateBytes, frames on closed streams), changes of SETTINGS, repeated GOAWAYs and interim answers at once; then ENHANCE_YOUR_CALM.",
    source: "nghttp2 1.70",
  },
  glitchRate: {
    default: 330,
    min: 1,
    max: 1_000_000,
    unit: "per second",
    meaning: "How fast that allowance refills.",
    source: "nghttp2 1.70",
  },
  minWindowUpdateBytes: {
    default: 64,
    min: 1,
    max: 65_535,
    unit: "bytes",
    meaning: "A WINDOW_UPDATE of less is a drip, and counts as a frame without use (CVE-2019-9511).",
    source: "of our own",
  },
  maxRememberedResets: {
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: "streams",
    meaning:
      "Streams reset by this side that it remembers: late frames for them are no fault of the peer's. All below the last one forgotten pass for reset.",
    source: "as resetBurst: so many may be on their way",
  },
  maxPingStrikes: {
    default: 2,
    min: 0,
    max: 1000,
    unit: "frames",
    meaning:
      "PINGs of a client that come sooner than minPingMs allows, with neither headers nor data sent since the first; one more gets GOAWAY too_many_pings. Servers only.",
    source: "gRFC A8",
  },
  maxPendingAcks: {
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: "frames",
    meaning:
      "Acknowledgements of PING and SETTINGS and resets that wait because the peer does not read; then the connection ends (CVE-2019-9512).",
    source: "nghttp2 1.70",
  },
  maxEmptyDataFrames: {
    default: 100,
    min: 1,
    max: 1_000_000,
    unit: "frames",
    meaning: "DATA frames without data and without END_STREAM in a row; then ENHANCE_YOUR_CALM (CVE-2019-9518).",
    source: "h2 0.4.18",
  },
  maxSettingsEntries: {
    default: 32,
    min: 6,
    max: 1000,
    unit: "entries",
    meaning: "Entries of one SETTINGS frame (CVE-2020-11080).",
    source: "nghttp2 1.70",
  },
  maxNewStreamsPerTurn: {
    default: 32,
    min: 1,
    max: 1_000_000,
    unit: "streams",
    meaning: "New streams of one connection before others have their turn.",
    source: "Envoy's fix of 2023, measured without cost",
  },
  maxStreamId: {
    default: 1_610_612_735,
    min: 1,
    max: 0x7fffffff,
    unit: "ids",
    meaning:
      "The last stream id that a client uses of a connection: the next call goes on a new one. Beyond it a server asks for a new connection by GOAWAY and still serves. Tests set it low.",
    source: "grpc-go: 75 % of all ids",
  },
  handshakeTimeoutMs: {
    default: 10_000,
    min: 10,
    max: 600_000,
    unit: "ms",
    meaning:
      "Time until the peer has sent preface and SETTINGS and acknowledged ours, and for a header block to be complete.",
    source: "Go x/net, Node",
  },
  stallTimeoutMs: {
    default: 30_000,
    min: 100,
    max: 3_600_000,
    unit: "ms",
    meaning:
      "How long a finished answer may wait for the peer's window before its stream is reset, drips of window or not (CVE-2019-9517).",
    source: "of our own; other stacks have none",
  },
  maxUnreadBytes: {
    default: 262_144,
    min: 16_384,
    max: 0x7fffffff,
    unit: "bytes",
    meaning:
      "Answers without data, which no window holds back, that wait for a client that does not read; a server reads no more of it until they have left.",
    source: "of our own",
  },
  maxReadAheadBytes: {
    default: 262_144,
    min: 16_384,
    max: 0x7fffffff,
    unit: "bytes",
    meaning: "What is read of a connection while others have their turn; then it is paused.",
    source: "of our own: four reads of 64 KiB",
  },
  maxDroppedBodyBytes: {
    default: 65_536,
    min: 0,
    max: 16_777_216,
    unit: "bytes",
    meaning:
      "What is still read of the body of a request that is no gRPC and was answered by an HTTP status; then it is reset.",
    source: "of our own",
  },
  dropTimeoutMs: {
    default: 5000,
    min: 100,
    max: 600_000,
    unit: "ms",
    meaning: "How long such a body may take to end; then its stream is reset.",
    source: "connect-rust 0.9",
  },
  maxSendBufferBytes: {
    default: 65_536,
    min: 1024,
    max: 16_777_216,
    unit: "bytes",
    meaning: "What a stream may have waiting for a window before its producer is held up.",
    source: "Go x/net",
  },
  maxConnectionSendBytes: {
    default: 4_194_304,
    min: 65_536,
    max: 0x7fffffff,
    unit: "bytes",
    meaning:
      "What all streams of a connection together may have waiting, beyond one message each, before producers are held up.",
    source: "of our own; Envoy holds 1 MiB a stream",
  },
};

/** A client waits for the end of a block up to four times its bound: docs/decisions/0016. At a server frames may be as much smaller. */
const CONTINUATIONS_A_FRAME = 4;

/** The bounds of one connection, each with its default from {@link HTTP2_LIMITS}. */
export type Http2Limits = { readonly [K in LimitName]: number };

/**
 * The defaults with `overrides` put over them.
 *
 * @throws RangeError naming field, value and allowed range; TypeError for a name that is no limit, with the nearest one.
 */
export function http2Limits(overrides: Partial<Http2Limits> = {}): Http2Limits {
  if (typeof overrides !== "object" || overrides === null || Array.isArray(overrides)) {
    throw new TypeError(`limits: give an object such as { ${Object.keys(HTTP2_LIMITS)[0]}: 100 }`);
  }
  const limits: Record<string, number> = {};
  for (const [name, spec] of Object.entries(HTTP2_LIMITS)) limits[name] = spec.default;
  for (const [name, value] of Object.entries(overrides)) {
    if (!Object.hasOwn(HTTP2_LIMITS, name)) {
      throw new TypeError(unknownName(`limits.${name}`, name, Object.keys(HTTP2_LIMITS), "a limit"));
    }
    const spec = HTTP2_LIMITS[name as LimitName];
    if (value === undefined) continue;
    if (!Number.isInteger(value) || value < spec.min || value > spec.max) {
      const unit = spec.unit === "per second" ? spec.unit : `of ${spec.unit}`;
      throw new RangeError(
        `limits.${name} is ${typeof value === "string" ? `"${value}"` : String(value)}: give a whole number ${unit} from ${spec.min} to ${spec.max}`,
      );
    }
    limits[name] = value;
  }
  // Whoever takes larger lists means to take the blocks that hold them.
  if (overrides.maxHeaderBlockBytes === undefined) {
    limits.maxHeaderBlockBytes = Math.max(limits.maxHeaderBlockBytes, limits.maxHeaderListBytes);
  }
  if (overrides.maxContinuationFrames === undefined) {
    const frames = CONTINUATIONS_A_FRAME * Math.ceil(limits.maxHeaderBlockBytes / DEFAULT_MAX_FRAME_BYTES);
    limits.maxContinuationFrames = Math.max(limits.maxContinuationFrames, frames);
  }
  return limits as Http2Limits;
}
