import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RecordingSink } from "../../test/wire/recording-sink.ts";
import {
  PREFACE,
  RawFlag,
  rawContinuation,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "../testing/raw-frames.ts";
import { FrameReader } from "./frame-reader.ts";

const MAX_FRAME_BYTES = 16_384;

const streamId = fc.integer({ min: 1, max: 0x7fffffff });
const number = fc.nat(0xffffffff);
const octets = fc.uint8Array({ maxLength: 40 });
const padding = fc.option(fc.nat(30), { nil: undefined });
const priority = fc.option(fc.record({ dependsOn: fc.nat(0x7fffffff), exclusive: fc.boolean() }), { nil: undefined });

/** One frame, or a header block with its CONTINUATION frames. */
const validFrames: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(streamId, octets, fc.record({ end: fc.boolean(), padding }))
    .map(([id, bytes, how]) => rawData(id, bytes, how)),
  fc
    .tuple(streamId, octets, fc.array(octets, { maxLength: 3 }), fc.record({ end: fc.boolean(), padding, priority }))
    .map(([id, first, rest, how]) =>
      Buffer.concat([
        rawHeaders(id, first, { ...how, endHeaders: rest.length === 0 }),
        ...rest.map((block, i) => rawContinuation(id, block, i === rest.length - 1)),
      ]),
    ),
  fc.tuple(streamId, fc.uint8Array({ maxLength: 8 })).map(([id, bytes]) => rawFrame("PRIORITY", 0, id, bytes)),
  fc.tuple(streamId, number).map(([id, code]) => rawReset(id, code)),
  fc.array(fc.tuple(fc.nat(0xffff), number), { maxLength: 5 }).map((pairs) => rawSettings(pairs)),
  fc.constant(rawFrame("SETTINGS", RawFlag.ACK, 0)),
  fc
    .tuple(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.boolean())
    .map(([opaque, isAck]) => rawPing(opaque, isAck)),
  fc.tuple(number, number, fc.string({ maxLength: 20 })).map(([id, code, debug]) => rawGoaway(id, code, debug)),
  fc.tuple(number, number).map(([id, increment]) => rawWindowUpdate(id, increment)),
  fc
    .tuple(fc.integer({ min: 10, max: 255 }), fc.nat(255), number, octets)
    .map(([type, flags, id, bytes]) => rawFrame(type, flags, id, bytes)),
);

const conversation = fc.array(validFrames, { maxLength: 20 }).map((frames) => Buffer.concat(frames));

/** Cuts octets at any places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...at, bytes.length].map((end, i) => bytes.subarray(i === 0 ? 0 : at[i - 1], end));
}

function callsOf(
  chunks: readonly Buffer[],
  isServer: boolean,
  stopsEvery: number = Number.POSITIVE_INFINITY,
): string[] {
  const sink = new RecordingSink();
  const frames = new FrameReader(sink, isServer, MAX_FRAME_BYTES);
  for (const chunk of chunks) {
    // What was lent is overwritten afterwards, as a socket's buffer is.
    const lent = Buffer.from(chunk);
    let before = -1;
    sink.stopsAfter = stopsEvery;
    frames.read(lent);
    lent.fill(0xdb);
    while (frames.retainedBytes > 0 && frames.retainedBytes !== before && !sink.isOver) {
      before = frames.retainedBytes;
      sink.stopsAfter = stopsEvery;
      frames.readRetained();
    }
  }
  return sink.calls;
}

describe("a frame reader, whatever arrives", () => {
  it("makes the same calls of the same octets, wherever they are cut", () => {
    fc.assert(
      fc.property(conversation, fc.array(fc.nat(), { maxLength: 30 }), fc.boolean(), (frames, places, isServer) => {
        const bytes = Buffer.concat([isServer ? PREFACE : Buffer.alloc(0), rawSettings(), frames]);
        const whole = callsOf([bytes], isServer);
        expect(whole.some((call) => call.startsWith("error") || call.startsWith("not"))).toBe(false);
        expect(callsOf(cut(bytes, places), isServer)).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });

  it("makes the same calls when each octet comes alone", () => {
    fc.assert(
      fc.property(conversation, (frames) => {
        const bytes = Buffer.concat([PREFACE, rawSettings(), frames]);
        expect(
          callsOf(
            [...bytes].map((octet) => Buffer.of(octet)),
            true,
          ),
        ).toEqual(callsOf([bytes], true));
      }),
      { numRuns: 50 },
    );
  });

  it("makes the same calls when the sink stops it again and again", () => {
    fc.assert(
      fc.property(
        conversation,
        fc.array(fc.nat(), { maxLength: 10 }),
        fc.integer({ min: 1, max: 3 }),
        (frames, places, every) => {
          const bytes = Buffer.concat([rawSettings(), frames]);
          expect(callsOf(cut(bytes, places), false, every)).toEqual(callsOf([bytes], false));
        },
      ),
      { numRuns: 200 },
    );
  });

  it("throws at nothing, complains once and holds no more than one frame", () => {
    const frame = fc
      .tuple(fc.nat(12), fc.nat(255), fc.oneof(fc.nat(5), fc.nat(0xffffffff)), octets, fc.option(fc.nat(0xffffff)))
      .map(([type, flags, id, bytes, length]) => rawFrame(type, flags, id, bytes, length ?? bytes.length));
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      frame,
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 10 }), fc.boolean(), fc.boolean(), (parts, isServer, hasBegun) => {
        const sink = new RecordingSink();
        const frames = new FrameReader(sink, isServer, MAX_FRAME_BYTES);
        if (hasBegun) frames.read(isServer ? Buffer.concat([PREFACE, rawSettings()]) : rawSettings());
        for (const part of parts) {
          if (sink.isOver) break;
          frames.read(part);
          expect(frames.retainedBytes).toBeLessThan(9 + MAX_FRAME_BYTES);
        }
        expect(sink.calls.filter((call) => call.startsWith("error") || call.startsWith("not")).length).toBeLessThan(2);
      }),
      { numRuns: 500 },
    );
  });
});
