import {
  RawSetting,
  rawContinuation,
  rawData,
  rawFrame,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "bowline/testing";
import type { Place, Provocation, ProvocationRow } from "../provocation.ts";

const CALM = "ENHANCE_YOUR_CALM";
const NOTHING = Buffer.alloc(0);

function begun(more: (id: number) => readonly Buffer[]): (place: Place) => Buffer[] {
  return ({ id, fields }) => [rawHeaders(id, fields), ...more(id)];
}

function times(count: number, make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

const row11: ProvocationRow = {
  row: 11,
  title: "PRIORITY churn and loops (CVE-2019-9513)",
  required: "ignored; connection ended after 10,000 + 330/s",
  provocations: [
    {
      what: "1,000 PRIORITY in a loop of dependencies",
      frames: () =>
        times(1000, (i) => rawFrame("PRIORITY", 0, 101 + 2 * i, Buffer.of(0, 0, 0, 101 + ((2 * i + 2) % 100), 1))),
      outcome: "ignored",
    },
    {
      what: "25,000 PRIORITY",
      frames: () => times(25_000, (i) => rawFrame("PRIORITY", 0, 101 + 2 * i, Buffer.of(0, 0, 0, 1, i & 0xff))),
      outcome: { ends: CALM, names: "glitchBurst" },
    },
  ],
};

const row14: ProvocationRow = {
  row: 14,
  title: "flood of empty DATA (CVE-2019-9518)",
  required: "at most 100 in a row",
  provocations: [
    {
      what: "100 empty DATA",
      frames: begun((id) => times(100, () => rawData(id, NOTHING))),
      outcome: "ignored",
      role: "server",
    },
    {
      what: "101 empty DATA",
      frames: begun((id) => times(101, () => rawData(id, NOTHING))),
      outcome: { ends: CALM, names: "maxEmptyDataFrames" },
    },
    {
      what: "101 empty DATA with padding",
      frames: begun((id) => times(101, () => rawData(id, NOTHING, { padding: 0 }))),
      outcome: { ends: CALM, names: "maxEmptyDataFrames" },
    },
  ],
};

const row16: ProvocationRow = {
  row: 16,
  title: "window overflow and increments of 0 (CVE-2026-21714)",
  required: "FLOW_CONTROL_ERROR or PROTOCOL_ERROR; nothing left behind",
  provocations: [
    {
      what: "overflow of the connection's window",
      frames: begun(() => [rawWindowUpdate(0, 0x7fffffff), rawWindowUpdate(0, 0x7fffffff)]),
      outcome: { ends: "FLOW_CONTROL_ERROR" },
    },
    {
      what: "overflow of a stream's window",
      frames: begun((id) => [rawWindowUpdate(id, 0x7fffffff)]),
      outcome: { resets: "FLOW_CONTROL_ERROR" },
    },
    {
      what: "increment 0 on the connection",
      frames: begun(() => [rawWindowUpdate(0, 0)]),
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "increment 0 on a stream",
      frames: begun((id) => [rawWindowUpdate(id, 0)]),
      outcome: { resets: "PROTOCOL_ERROR" },
    },
    {
      what: "WINDOW_UPDATE on an idle stream",
      frames: begun((id) => [rawWindowUpdate(id + 1000, 1)]),
      outcome: { ends: "PROTOCOL_ERROR" },
    },
  ],
};

const row17: ProvocationRow = {
  row: 17,
  title: "SETTINGS out of range (CVE-2026-33814)",
  required: "the right error; a window below zero is kept",
  provocations: [
    {
      what: "MAX_FRAME_SIZE 0",
      frames: () => [rawSettings([[RawSetting.MAX_FRAME_SIZE, 0]])],
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "MAX_FRAME_SIZE 2^24",
      frames: () => [rawSettings([[RawSetting.MAX_FRAME_SIZE, 2 ** 24]])],
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "INITIAL_WINDOW_SIZE 2^31",
      frames: () => [rawSettings([[RawSetting.INITIAL_WINDOW_SIZE, 2 ** 31]])],
      outcome: { ends: "FLOW_CONTROL_ERROR" },
    },
    {
      what: "ENABLE_PUSH 2",
      frames: () => [rawSettings([[RawSetting.ENABLE_PUSH, 2]])],
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "33 entries",
      frames: () => [rawSettings(Array.from({ length: 33 }, () => [3, 1000] as const))],
      outcome: { ends: CALM, names: "maxSettingsEntries" },
    },
    {
      what: "SETTINGS on a stream",
      frames: begun((id) => [rawFrame("SETTINGS", 0, id)]),
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "an acknowledgement with a payload",
      frames: () => [rawFrame("SETTINGS", 1, 0, Buffer.alloc(6))],
      outcome: { ends: "FRAME_SIZE_ERROR" },
    },
    {
      what: "unknown settings",
      frames: () => [
        rawSettings([
          [0xffff, 0xffffffff],
          [0, 1],
        ]),
      ],
      outcome: "ignored",
    },
    {
      what: "windows of 0 and back",
      frames: () => times(20, (i) => rawSettings([[RawSetting.INITIAL_WINDOW_SIZE, i % 2 === 0 ? 0 : 65_535]])),
      outcome: "ignored",
    },
    {
      what: "a table of 0 and back",
      frames: () => times(20, (i) => rawSettings([[RawSetting.HEADER_TABLE_SIZE, i % 2 === 0 ? 0 : 2 ** 32 - 1]])),
      outcome: "ignored",
    },
  ],
};

const oddLengths: [type: Parameters<typeof rawFrame>[0], length: number, onStream: boolean][] = [
  ["PING", 7, false],
  ["PING", 9, false],
  ["RST_STREAM", 3, true],
  ["RST_STREAM", 5, true],
  ["SETTINGS", 5, false],
  ["WINDOW_UPDATE", 3, true],
  ["WINDOW_UPDATE", 5, false],
  ["GOAWAY", 7, false],
];

const row18: ProvocationRow = {
  row: 18,
  title: "unknown frames, reserved bits, bad padding, odd lengths (x/net 2026)",
  required: "ignored, or the right error",
  provocations: [
    {
      what: "all unknown types with all flags on odd streams",
      frames: ({ id }) => times(246, (i) => rawFrame(10 + i, 0xff, id * (i % 2), Buffer.alloc(i))),
      outcome: "ignored",
    },
    {
      what: "reserved bits of stream ids",
      frames: () => [rawFrame("SETTINGS", 0, 0x80000000), rawFrame("PING", 0, 0x80000000, Buffer.alloc(8))],
      outcome: "ignored",
    },
    ...oddLengths.map(
      ([type, length, onStream]): Provocation => ({
        what: `${type} of ${length} octets`,
        frames: begun((id) => [rawFrame(type, 0, onStream ? id : 0, Buffer.alloc(length))]),
        outcome: { ends: "FRAME_SIZE_ERROR" },
      }),
    ),
    {
      what: "a frame above 16 KiB",
      frames: begun((id) => [rawData(id, Buffer.alloc(16_385))]),
      outcome: { ends: "FRAME_SIZE_ERROR" },
    },
    {
      what: "DATA with more padding than payload",
      frames: begun((id) => [rawFrame("DATA", 8, id, Buffer.of(9, 0, 0))]),
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "DATA with padding and no payload",
      frames: begun((id) => [rawFrame("DATA", 8, id)]),
      outcome: { ends: "FRAME_SIZE_ERROR" },
    },
    {
      what: "HEADERS with more padding than payload",
      frames: ({ id }) => [rawFrame("HEADERS", 0xc, id, Buffer.of(200, 0x82))],
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    { what: "DATA on stream 0", frames: () => [rawData(0, Buffer.of(1))], outcome: { ends: "PROTOCOL_ERROR" } },
    {
      what: "PING on a stream",
      frames: begun((id) => [rawFrame("PING", 0, id, Buffer.alloc(8))]),
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "CONTINUATION without HEADERS",
      frames: ({ id }) => [rawContinuation(id, NOTHING)],
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "PUSH_PROMISE",
      frames: ({ id }) => [rawFrame("PUSH_PROMISE", 4, id, Buffer.from([0, 0, 0, 2, 0x82]))],
      outcome: { ends: "PROTOCOL_ERROR" },
    },
    {
      what: "an acknowledgement of a PING that was not sent",
      frames: () => [rawPing(Buffer.alloc(8, 9), true)],
      outcome: "ignored",
    },
    {
      what: "GOAWAY on a stream",
      frames: begun((id) => [rawFrame("GOAWAY", 0, id, Buffer.alloc(8))]),
      outcome: { ends: "PROTOCOL_ERROR" },
    },
  ],
};

const row25: ProvocationRow = {
  row: 25,
  title: "stream ids: reuse, even, backwards, jumps",
  required: "a connection error; a jump to the last id is served",
  provocations: [
    {
      what: "an even id",
      frames: ({ fields }) => [rawHeaders(2, fields)],
      outcome: { ends: "PROTOCOL_ERROR" },
      role: "server",
    },
    {
      what: "an id below the last",
      frames: ({ fields }) => [rawHeaders(9, fields), rawReset(9, 8), rawHeaders(5, fields)],
      outcome: { ends: "STREAM_CLOSED" },
      role: "server",
    },
    {
      what: "an id again",
      frames: ({ fields }) => [rawHeaders(9, fields), rawReset(9, 8), rawHeaders(9, fields)],
      outcome: { ends: "STREAM_CLOSED" },
      role: "server",
    },
    { what: "RST_STREAM on an idle stream", frames: () => [rawReset(51, 8)], outcome: { ends: "PROTOCOL_ERROR" } },
    {
      what: "an answer on a stream that was never opened",
      frames: ({ fields, id }) => [rawHeaders(id + 100, fields)],
      outcome: { ends: "PROTOCOL_ERROR" },
      role: "client",
    },
    {
      what: "an answer on an even stream",
      frames: ({ fields }) => [rawHeaders(2, fields)],
      outcome: { ends: "PROTOCOL_ERROR" },
      role: "client",
    },
    {
      what: "an answer after the answer",
      frames: ({ fields, id }) => [
        rawHeaders(id, [...fields, ["grpc-status", "5"]], { end: true }),
        rawHeaders(id, fields),
      ],
      outcome: { ends: "STREAM_CLOSED" },
      role: "client",
    },
  ],
};

/** Rows about frames other than header blocks. */
export const frameRows: readonly ProvocationRow[] = [row11, row14, row16, row17, row18, row25];
