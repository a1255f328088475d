import {
  type HeaderList,
  RawSetting,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawSettings,
} from "bowline/testing";
import { ECHO_REQUEST, type Place, type ProvocationRow } from "../provocation.ts";

// Attacks that the table of thirty does not name; each guards a bound of this implementation.

const CALM = { ends: "ENHANCE_YOUR_CALM", names: "glitchBurst" } as const;
/** More than glitchBurst and what glitchRate adds while they are read. */
const MANY = 15_000;

function times(count: number, make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** A change of all that an open stream may depend on. */
function flip(i: number): Buffer {
  return rawSettings([
    [RawSetting.INITIAL_WINDOW_SIZE, i % 2 === 0 ? 0 : 1_048_576],
    [RawSetting.HEADER_TABLE_SIZE, i % 2 === 0 ? 0 : 65_536],
    [RawSetting.MAX_FRAME_SIZE, i % 2 === 0 ? 16_384 : 16_777_215],
  ]);
}

const row31: ProvocationRow = {
  row: 31,
  title: "SETTINGS flip-flop by a peer that reads: each change touches every open stream",
  required: "100 are borne; the connection ends after 10,000 + 330/s",
  provocations: [
    { what: "100 changes", frames: () => times(100, flip), outcome: "ignored" },
    { what: `${MANY} changes`, frames: () => times(MANY, flip), outcome: CALM, isReader: true },
  ],
};

const row32: ProvocationRow = {
  row: 32,
  title: "interim answers (1xx) without end: nobody reads them, no window holds them back",
  required: "the connection ends after 10,000 + 330/s",
  provocations: [
    {
      what: "100 of them",
      frames: ({ id }) => times(100, () => rawHeaders(id, [[":status", "103"]])),
      outcome: "ignored",
      role: "client",
    },
    {
      what: `${MANY} of them`,
      frames: ({ id }) => times(MANY, () => rawHeaders(id, [[":status", "103"]])),
      outcome: CALM,
      role: "client",
    },
  ],
};

/** PRIORITY_UPDATE, ALTSVC, ORIGIN: known to others, unknown here. */
const EXTENSIONS = [0x10, 0x0a, 0x0c];

const row33: ProvocationRow = {
  row: 33,
  title: "frames of extensions, and answers to PINGs that nobody sent",
  required: "ignored; the connection ends after 10,000 + 330/s",
  provocations: [
    {
      what: "1,000 PRIORITY_UPDATE, ALTSVC and ORIGIN",
      frames: () => times(1000, (i) => rawFrame(EXTENSIONS[i % 3], 0, 0, Buffer.alloc(20, 97))),
      outcome: "ignored",
    },
    {
      what: `${MANY} PRIORITY_UPDATE, ALTSVC and ORIGIN`,
      frames: () => times(MANY, (i) => rawFrame(EXTENSIONS[i % 3], 0, 0, Buffer.alloc(20, 97))),
      outcome: CALM,
    },
    {
      what: "1,000 answers to PINGs",
      frames: () => times(1000, () => rawPing(Buffer.alloc(8, 7), true)),
      outcome: "ignored",
    },
    {
      what: `${MANY} answers to PINGs`,
      frames: () => times(MANY, () => rawPing(Buffer.alloc(8, 7), true)),
      outcome: CALM,
    },
  ],
};

const row34: ProvocationRow = {
  row: 34,
  title: "GOAWAY again and again: each looks at every open stream",
  required: "the connection ends after 10,000 + 330/s",
  provocations: [
    { what: `${MANY} GOAWAY`, frames: () => times(MANY, () => rawGoaway(0x7fffffff, 0, "later")), outcome: CALM },
  ],
};

/** Octets that are no google.rpc.Status, in base64. */
const DETAILS = Buffer.alloc(9000, 0x1a).toString("base64");

function endingWith(...trailers: HeaderList): (place: Place) => Buffer[] {
  return ({ id, fields }) => [
    rawHeaders(id, fields),
    rawData(id, ECHO_REQUEST),
    rawHeaders(id, trailers, { end: true }),
  ];
}

const row35: ProvocationRow = {
  row: 35,
  title: "trailers as a weapon: bombs in grpc-status-details-bin, trailers too many, data behind them",
  required: "the status stays what it is; a stream error or a connection error for the rest",
  provocations: [
    {
      what: "12 KiB of nonsense in grpc-status-details-bin",
      frames: endingWith(["grpc-status", "5"], ["grpc-status-details-bin", DETAILS]),
      outcome: { status: 5 },
      role: "client",
    },
    {
      what: "grpc-status 4294967301",
      frames: endingWith(["grpc-status", "4294967301"]),
      outcome: { status: 2 },
      role: "client",
    },
    {
      what: "grpc-message of 15 KiB of broken percent signs",
      frames: endingWith(["grpc-status", "5"], ["grpc-message", "%".repeat(15_000)]),
      outcome: { status: 5 },
      role: "client",
    },
    {
      what: "100 trailers",
      frames: endingWith(...Array.from({ length: 101 }, (_, i) => [`a${i}`, "b"] as const)),
      outcome: { resets: "ENHANCE_YOUR_CALM", counts: "maxHeaderFields" },
    },
    {
      what: "headers that end nothing in the middle of a body",
      frames: ({ id, fields }) => [rawHeaders(id, fields), rawData(id, ECHO_REQUEST), rawHeaders(id, [["a", "b"]])],
      outcome: { resets: "PROTOCOL_ERROR" },
    },
    {
      what: "DATA behind trailers",
      frames: (place) => [...endingWith(["grpc-status", "5"])(place), rawData(place.id, ECHO_REQUEST)],
      outcome: { ends: "STREAM_CLOSED" },
      role: "client",
    },
    {
      what: "trailers twice",
      frames: (place) => [
        ...endingWith(["grpc-status", "5"])(place),
        rawHeaders(place.id, [["grpc-status", "5"]], { end: true }),
      ],
      outcome: { ends: "STREAM_CLOSED" },
    },
  ],
};

const row36: ProvocationRow = {
  row: 36,
  title: "padding of 255 octets around single ones",
  required: "counts for the windows, and is given back: 10 MiB of it are served",
  provocations: [
    {
      what: "40,000 DATA of one octet and 255 of padding",
      // A message of 40,000 octets: prefix, field 1, length, zeros.
      frames: ({ id, fields }) => [
        rawHeaders(id, fields),
        ...times(40_009, (i) => rawData(id, PADDED_BODY.subarray(i, i + 1), { padding: 255, end: i === 40_008 })),
      ],
      outcome: { status: 0 },
      role: "server",
    },
  ],
};

const PADDED_BODY = Buffer.concat([Buffer.from([0, 0, 0, 0x9c, 0x44, 0x0a, 0xc0, 0xb8, 0x02]), Buffer.alloc(40_000)]);

/** Rows that are lists of provocations, from 31 on. */
export const furtherTables: readonly ProvocationRow[] = [row31, row32, row33, row34, row35, row36];
