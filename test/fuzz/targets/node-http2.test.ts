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
import { nodeHttp2Target } from "./node-http2.ts";

const request = encodeLiterals([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/a"],
  [":authority", "a"],
]);
const settingsAck = rawFrame("SETTINGS", 1, 0, Buffer.alloc(0));
const malformed = encodeLiterals([[":method", "PO T"]]);

describe("node:http2 and our connection", () => {
  const told: string[] = [];
  let target: FuzzTarget;
  beforeAll(async () => {
    target = await nodeHttp2Target((difference) => void told.push(difference));
  });
  afterAll(() => target.close?.());

  it.each<[string, readonly Buffer[]]>([
    ["a GOAWAY of the client", [rawGoaway(0, 2)]],
    ["DATA behind END_STREAM", [rawHeaders(1, request, { end: true }), rawData(1, Buffer.from("x"))]],
    ["a PRIORITY on stream 0", [rawFrame("PRIORITY", 0, 0, Buffer.alloc(5))]],
    ["a PRIORITY of another length than 5", [rawHeaders(1, request), rawFrame("PRIORITY", 0, 1, Buffer.alloc(2))]],
    ["a PRIORITY that depends on itself", [rawFrame("PRIORITY", 0, 3, Buffer.of(0, 0, 0, 3, 0))]],
    [
      "HEADERS on a closed stream",
      [rawHeaders(1, request, { end: true }), rawReset(1, 8), rawHeaders(1, request, { end: true })],
    ],
    [
      "a setting twice in one SETTINGS",
      [
        rawSettings([
          [5, 0],
          [5, 16_384],
        ]),
      ],
    ],
    ["a PING's acknowledgement that nobody asked for", [rawPing(Buffer.alloc(8), true)]],
    [
      "DATA with too much padding on a closed stream",
      [rawHeaders(1, malformed), rawFrame("DATA", 8, 1, Buffer.of(9, 0, 0))],
    ],
    [
      "padded DATA without a length of its padding",
      [rawHeaders(1, malformed), rawFrame("DATA", 8, 1, Buffer.alloc(0))],
    ],
    ["settings of RFC 8441 and RFC 9218", [rawSettings([[9, 2]])]],
    ["SETTINGS acknowledged too often", [settingsAck, settingsAck]],
    ["size updates that RFC 7541", [rawHeaders(1, Buffer.concat([Buffer.from("212121", "hex"), request]))]],
    ["HEADERS that depend on themselves", [rawHeaders(1, request, { priority: { dependsOn: 1, exclusive: true } })]],
    ["a window of a stream past 2^31-1", [rawHeaders(1, request), rawWindowUpdate(1, 0x7fffffff)]],
  ])("are known to differ: %s", async (name, frames) => {
    told.length = 0;
    await target.run(Buffer.concat(frames));
    expect(told).toHaveLength(1);
    expect(told[0].slice(0, name.length)).toBe(name);
  });

  it("agree on what the seeds say", async () => {
    told.length = 0;
    for (const seed of target.seeds) await target.run(Buffer.from(seed));
    expect(told).toEqual([]);
  });
});
