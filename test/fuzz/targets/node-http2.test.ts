import {
  encodeLiterals,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "bowline/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FuzzTarget } from "../engine/fuzz-target.ts";
import type { Http2Reading } from "../oracles/http2-answers.ts";
import { knownDifference } from "../oracles/node-http2-differences.ts";
import { readByOwn } from "../oracles/own-http2-server.ts";
import { nodeHttp2Target, type OwnReader } from "./node-http2.ts";

const request = encodeLiterals([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/a"],
  [":authority", "a"],
]);
const settingsAck = rawFrame("SETTINGS", 1, 0, Buffer.alloc(0));
const malformed = encodeLiterals([[":method", "PO T"]]);

const nothing: Http2Reading = { isAlive: true, errorCode: null, streams: new Map(), resets: new Map() };
const HTTP_1_1_REQUIRED = 13;

type Row = [name: string, refusedBy: "us" | "them", frames: readonly Buffer[]];

const differences: readonly Row[] = [
  ["a GOAWAY of the client", "them", [rawGoaway(0, 2)]],
  ["a GOAWAY whose last stream is none of the server's", "them", [rawGoaway(3, 0)]],
  ["DATA behind END_STREAM", "them", [rawHeaders(1, request, { end: true }), rawData(1, Buffer.from("x"))]],
  ["a PRIORITY on stream 0", "us", [rawFrame("PRIORITY", 0, 0, Buffer.alloc(5))]],
  [
    "a PRIORITY of another length than 5",
    "them",
    [rawHeaders(1, request), rawFrame("PRIORITY", 0, 1, Buffer.alloc(2))],
  ],
  ["a PRIORITY that depends on itself", "us", [rawFrame("PRIORITY", 0, 3, Buffer.of(0, 0, 0, 3, 0))]],
  [
    "HEADERS on a closed stream",
    "us",
    [rawHeaders(1, request, { end: true }), rawReset(1, 8), rawHeaders(1, request, { end: true })],
  ],
  [
    "a setting twice in one SETTINGS",
    "us",
    [
      rawSettings([
        [5, 0],
        [5, 16_384],
      ]),
    ],
  ],
  ["a PING's acknowledgement that nobody asked for", "them", [rawPing(Buffer.alloc(8), true)]],
  [
    "DATA with too much padding on a closed stream",
    "us",
    [rawHeaders(1, malformed), rawFrame("DATA", 8, 1, Buffer.of(9, 0, 0))],
  ],
  [
    "padded DATA without a length of its padding",
    "us",
    [rawHeaders(1, malformed), rawFrame("DATA", 8, 1, Buffer.alloc(0))],
  ],
  ["settings of RFC 8441 and RFC 9218", "them", [rawSettings([[9, 2]])]],
  ["SETTINGS acknowledged too often", "them", [settingsAck, settingsAck]],
  [
    "size updates and integers that RFC 7541",
    "us",
    [rawHeaders(1, Buffer.concat([Buffer.from("212121", "hex"), request]))],
  ],
  [
    "HEADERS that depend on themselves",
    "them",
    [rawHeaders(1, request, { priority: { dependsOn: 1, exclusive: true } })],
  ],
  ["a window past 2^31-1 of a stream", "them", [rawHeaders(1, request), rawWindowUpdate(1, 0x7fffffff)]],
  ["a window past 2^31-1 of a stream", "them", [rawHeaders(1, malformed), rawWindowUpdate(1, 0x7fffffff)]],
  ["a WINDOW_UPDATE of 0 on a stream", "them", [rawHeaders(1, request), rawWindowUpdate(1, 0)]],
];

/** What no server takes, and what each does. */
const push = rawFrame("PUSH_PROMISE", 4, 1, Buffer.alloc(4));
const unknown = rawFrame(0x42, 0, 0, Buffer.from("unknown"));

/** A connection of ours that overlooks a push. */
const lenient: OwnReader = (bytes, ...more) => {
  const at = bytes.indexOf(push);
  const rest = at < 0 ? bytes : Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + push.length)]);
  return readByOwn(rest, ...more);
};

/** One that refuses a frame of an unknown type, with the code that it had for something else before. */
function strictReader(): OwnReader {
  let code: number | null = null;
  return async (bytes, ...more) => {
    const reading = await readByOwn(bytes, ...more);
    code ??= reading.errorCode;
    return bytes.includes(unknown) ? { ...reading, isAlive: false, errorCode: code } : reading;
  };
}

describe("node:http2 and our connection", () => {
  const told: string[] = [];
  /** What ours made of an input as it was given, without what a known difference takes out of it. */
  let first: Http2Reading | undefined;
  let target: FuzzTarget;
  beforeAll(async () => {
    const readOurs: OwnReader = async (...reading) => {
      const ours = await readByOwn(...reading);
      first ??= ours;
      return ours;
    };
    target = await nodeHttp2Target({ told: (difference) => void told.push(difference), readOurs });
  });
  afterAll(() => target.close?.());

  it.each(differences)("are known to differ: %s", async (name, _refusedBy, frames) => {
    told.length = 0;
    await target.run(Buffer.concat(frames));
    expect(told).toHaveLength(1);
    expect(told[0].slice(0, name.length)).toBe(name);
  });

  it.each(differences)("must agree on what stands beside %s", async (_name, refusedBy, frames) => {
    const readOurs = refusedBy === "us" ? strictReader() : lenient;
    const faulty = await nodeHttp2Target({ readOurs });
    const beside = refusedBy === "us" ? unknown : push;
    const wrong = refusedBy === "us" ? /node:http2 takes it, our connection refuses/ : /our connection takes it/;
    await expect(faulty.run(Buffer.concat([...frames, beside]))).rejects.toThrow(wrong);
    await faulty.close?.();
    await target.run(Buffer.concat([...frames, beside]));
  });

  it.each(differences)("must agree when %s ends a connection with another code", async (_name, refusedBy, frames) => {
    const input = Buffer.concat(frames);
    first = undefined;
    await target.run(input);
    const ours = first ?? nothing;
    const other = { ...nothing, isAlive: false, errorCode: HTTP_1_1_REQUIRED };
    const [here, there] = refusedBy === "us" ? [{ ...ours, ...other }, nothing] : [ours, other];
    expect(ours.isAlive).toBe(refusedBy === "them");
    expect(knownDifference(input, here, there)).toBeUndefined();
  });

  it("agree on what the seeds say", async () => {
    told.length = 0;
    for (const seed of target.seeds) await target.run(Buffer.from(seed));
    expect(told).toEqual([]);
  });
});
