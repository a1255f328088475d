import { ErrorCode } from "../../src/http2/frames.ts";
import type { Http2Limits, LimitName } from "../../src/http2/limits.ts";
import {
  rawContinuation,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "../../src/testing/raw-frames.ts";
import type { HeaderList } from "../../src/testing/raw-hpack.ts";

/** What a peer does to us, and which bound it runs into. */
export interface Attack {
  readonly what: string;
  /** The name of the bound; the connection ends with ENHANCE_YOUR_CALM. */
  readonly limit: LimitName;
  /** Low bounds, so that few frames are needed. */
  readonly limits: Partial<Http2Limits>;
  /** Frames that are still allowed. Streams 1 to 99 are the attacker's to open; a client's attacker finds them open. */
  readonly allowed: (request: HeaderList) => readonly Buffer[];
  /** Frames that pass the bound. */
  readonly excess: (request: HeaderList) => readonly Buffer[];
  /** Only a server can be attacked like this, or only a client. */
  readonly role?: "server" | "client";
}

const NOTHING = Buffer.alloc(0);

function times(count: number, make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** Ids of streams that an attacking client opens, one by one. */
function id(i: number): number {
  return 2 * i + 1;
}

const bucket = { resetBurst: 10, resetRate: 1, glitchBurst: 10, glitchRate: 1 } as const;

/** Attacks that end the connection, in both roles unless said. Rows are those of the matrix in docs/guide/limits.md. */
export const attacks: readonly Attack[] = [
  {
    what: "rapid reset (row 1, CVE-2023-44487)",
    limit: "resetBurst",
    limits: bucket,
    allowed: (request) =>
      times(10, (i) => Buffer.concat([rawHeaders(id(i), request), rawReset(id(i), ErrorCode.CANCEL)])),
    excess: (request) => [rawHeaders(id(10), request), rawReset(id(10), ErrorCode.CANCEL)],
    role: "server",
  },
  ...(
    [
      ["WINDOW_UPDATE of 0", (streamId) => rawWindowUpdate(streamId, 0)],
      ["WINDOW_UPDATE past 2^31-1", (streamId) => rawWindowUpdate(streamId, 0x7fffffff)],
      ["PRIORITY of the wrong length", (streamId) => rawFrame("PRIORITY", 0, streamId, Buffer.alloc(4))],
      ["PRIORITY on itself", (streamId) => rawFrame("PRIORITY", 0, streamId, Buffer.of(0, 0, 0, streamId, 0))],
      [
        "DATA after END_STREAM",
        (streamId) => Buffer.concat([rawData(streamId, NOTHING, { end: true }), rawData(streamId, Buffer.of(1))]),
      ],
      [
        "HEADERS that depend on themselves",
        (streamId) => rawHeaders(streamId, [["a", "b"]], { end: true, priority: { dependsOn: streamId } }),
      ],
    ] satisfies [string, (streamId: number) => Buffer][]
  ).map(
    ([what, trick]): Attack => ({
      what: `making us reset by ${what} (row 2, CVE-2025-8671)`,
      limit: "resetBurst",
      limits: { ...bucket, glitchBurst: 10_000 },
      allowed: (request) => times(10, (i) => Buffer.concat([rawHeaders(id(i), request), trick(id(i))])),
      excess: (request) => [rawHeaders(id(10), request), trick(id(10))],
    }),
  ),
  {
    what: "streams beyond those that may be open, again and again (row 2)",
    limit: "resetBurst",
    limits: { ...bucket, maxConcurrentStreams: 1 },
    allowed: (request) => times(11, (i) => rawHeaders(id(i), request)),
    excess: (request) => [rawHeaders(id(11), request)],
    role: "server",
  },
  {
    what: "a header block without end (row 3, CVE-2024-27316)",
    limit: "maxContinuationFrames",
    limits: { maxContinuationFrames: 3 },
    allowed: (request) => [
      rawHeaders(1, request, { endHeaders: false }),
      ...times(3, () => rawContinuation(1, NOTHING, false)),
    ],
    excess: () => [rawContinuation(1, NOTHING, false)],
  },
  ...(["server", "client"] as const).flatMap((role): Attack[] => {
    // A client has patience with four times as much.
    const half = role === "server" ? 2000 : 8000;
    return [
      {
        what: "a header block of many octets (row 3)",
        limit: "maxHeaderBlockBytes",
        limits: { maxHeaderBlockBytes: 4000 },
        allowed: () => [
          rawHeaders(1, Buffer.alloc(half, 0x82), { endHeaders: false }),
          rawContinuation(1, Buffer.alloc(half, 0x82), false),
        ],
        excess: () => [rawContinuation(1, Buffer.of(0x82), false)],
        role,
      },
      {
        what: "the first frame of a header block of many octets (row 3)",
        limit: "maxHeaderBlockBytes",
        limits: { maxHeaderBlockBytes: 2000 },
        allowed: () => [],
        excess: () => [rawHeaders(1, Buffer.alloc(8001, 0x82), { endHeaders: false })],
        role,
      },
    ];
  }),
  {
    what: "a flood of PRIORITY (row 11, CVE-2019-9513)",
    limit: "glitchBurst",
    limits: bucket,
    allowed: () => times(10, (i) => rawFrame("PRIORITY", 0, 101 + i, Buffer.of(0, 0, 0, 1, 1))),
    excess: () => [rawFrame("PRIORITY", 0, 101, Buffer.of(0, 0, 0, 1, 1))],
  },
  {
    what: "drips of window (row 12, CVE-2019-9511)",
    limit: "glitchBurst",
    limits: bucket,
    allowed: () => [...times(10, () => rawWindowUpdate(0, 1)), rawWindowUpdate(0, 64)],
    excess: () => [rawWindowUpdate(0, 63)],
  },
  {
    what: "drips of window below minWindowUpdateBytes (row 12)",
    limit: "glitchBurst",
    limits: { ...bucket, minWindowUpdateBytes: 500 },
    allowed: () => [...times(10, () => rawWindowUpdate(0, 499)), ...times(20, () => rawWindowUpdate(0, 500))],
    excess: () => [rawWindowUpdate(0, 499)],
  },
  {
    what: "frames of unknown types (row 18)",
    limit: "glitchBurst",
    limits: bucket,
    allowed: () => times(10, (i) => rawFrame(0x20 + i, 0xff, i)),
    excess: () => [rawFrame(0xff, 0, 0)],
  },
  {
    what: "acknowledgements of SETTINGS that we never sent",
    limit: "glitchBurst",
    limits: bucket,
    allowed: () => times(10, () => rawFrame("SETTINGS", 1, 0)),
    excess: () => [rawFrame("SETTINGS", 1, 0)],
  },
  {
    what: "changes of SETTINGS (row 31)",
    limit: "glitchBurst",
    limits: bucket,
    allowed: () => times(10, (i) => rawSettings([[4, i % 2 === 0 ? 0 : 65_535]])),
    excess: () => [rawSettings()],
  },
  {
    what: "answers to pings that we never sent (row 33)",
    limit: "glitchBurst",
    limits: bucket,
    allowed: () => times(10, (i) => rawPing(Buffer.alloc(8, i), true)),
    excess: () => [rawPing(Buffer.alloc(8, 11), true)],
  },
  {
    what: "GOAWAY again and again (row 34)",
    limit: "glitchBurst",
    limits: bucket,
    allowed: () => times(11, () => rawGoaway(0x7fffffff, 0)),
    excess: () => [rawGoaway(0x7fffffff, 0)],
  },
  {
    what: "HEADERS on a stream that we have reset",
    limit: "glitchBurst",
    limits: bucket,
    allowed: (request) => [
      rawHeaders(1, request),
      rawWindowUpdate(1, 0),
      ...times(9, () => rawHeaders(1, [["a", "b"]], { end: true })),
    ],
    excess: () => [rawHeaders(1, [["a", "b"]], { end: true })],
    role: "server",
  },
  {
    what: "empty DATA (row 14, CVE-2019-9518)",
    limit: "maxEmptyDataFrames",
    limits: { maxEmptyDataFrames: 5 },
    allowed: (request) => [
      rawHeaders(1, request),
      ...times(5, () => rawData(1, NOTHING)),
      rawData(1, Buffer.of(0)),
      ...times(5, () => rawData(1, NOTHING)),
    ],
    excess: () => [rawData(1, NOTHING)],
  },
  {
    what: "DATA of padding alone (row 14)",
    limit: "maxEmptyDataFrames",
    limits: { maxEmptyDataFrames: 5 },
    allowed: (request) => [rawHeaders(1, request), ...times(5, () => rawData(1, NOTHING, { padding: 3 }))],
    excess: () => [rawData(1, NOTHING, { padding: 3 })],
  },
  {
    what: "SETTINGS of many entries (row 17, CVE-2020-11080)",
    limit: "maxSettingsEntries",
    limits: { maxSettingsEntries: 6 },
    allowed: () => [rawSettings(times(6, () => NOTHING).map(() => [3, 1000] as const))],
    excess: () => [rawSettings(times(7, () => NOTHING).map(() => [3, 1000] as const))],
  },
  {
    what: "PINGs in one breath (row 10, CVE-2019-9512)",
    limit: "maxPendingAcks",
    limits: { maxPendingAcks: 20 },
    allowed: () => times(20, () => rawPing()),
    excess: () => times(21, () => rawPing()),
  },
  {
    what: "SETTINGS in one breath (row 10, CVE-2019-9515)",
    limit: "maxPendingAcks",
    limits: { maxPendingAcks: 20 },
    allowed: () => times(20, () => rawSettings()),
    excess: () => times(21, () => rawSettings()),
  },
];
