import { FrameReader } from "../../../packages/bowline/src/http2/frame-reader.ts";
import {
  PREFACE,
  rawContinuation,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "../../../packages/bowline/src/testing/raw-frames.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";
import { judgeFrames } from "../oracles/frame-judge.ts";
import { cut, http2Framing } from "../oracles/http2-framing.ts";
import { TellingSink } from "../oracles/telling-sink.ts";

const MAX_FRAME_BYTES = 16_384;
/** Sizes of chunks that each input is read in: whole, by one octet, and mixed. */
const PATTERNS = [0, 20, 1, 33];

const settings = rawSettings([[3, 100]]);
const seeds: readonly Buffer[] = [
  Buffer.concat([
    settings,
    rawHeaders(3, Buffer.of(0x82), { endHeaders: false }),
    rawContinuation(3, Buffer.of(0x84), false),
    rawContinuation(3, Buffer.of(0x86), true),
    rawPing(),
  ]),
  Buffer.concat([settings, rawPing(), rawWindowUpdate(0, 5), rawGoaway(1, 2, "why")]),
  Buffer.concat([
    settings,
    rawHeaders(1, Buffer.from("828684", "hex"), { end: true, padding: 3, priority: { dependsOn: 0, exclusive: true } }),
  ]),
  Buffer.concat([
    settings,
    rawHeaders(3, Buffer.of(0x82), { endHeaders: false }),
    rawContinuation(3, Buffer.of(0x84), true),
  ]),
  Buffer.concat([
    settings,
    rawData(1, Buffer.from("hello"), { padding: 4, end: true }),
    rawReset(1, 8),
    rawFrame("PRIORITY", 0, 1, Buffer.alloc(5)),
  ]),
  Buffer.concat([settings, rawFrame(0x20, 0, 0, Buffer.from("unknown")), rawData(5, Buffer.from("more"))]),
];

function sameVerdict(input: Buffer, pattern: number, isServer: boolean): void {
  const sink = new TellingSink();
  const reader = new FrameReader(sink, isServer, MAX_FRAME_BYTES);
  for (const chunk of cut(isServer ? Buffer.concat([PREFACE, input]) : input, pattern)) {
    if (sink.error !== undefined) break;
    const lent = Buffer.from(chunk);
    reader.read(lent);
    // The chunk is the link's again: what the reader still needs of it was copied.
    lent.fill(0xdb);
    if (reader.retainedBytes > MAX_FRAME_BYTES + 9) fault(`keeps ${reader.retainedBytes} octets`);
  }
  const expected = judgeFrames(input);
  if (sink.error !== expected.error)
    fault(`ended with ${sink.error} where ${expected.error} is right, chunks ${pattern}`);
  const heard = sink.heard.join("\n");
  if (heard !== expected.heard.join("\n"))
    fault(`told, chunks ${pattern}:\n${heard}\nwhere it is:\n${expected.heard.join("\n")}`);
}

/** The reader of frames, in chunks of several sizes, against rules written down a second time. */
export function framesTarget(): FuzzTarget {
  return {
    name: "frames",
    what: "reader of HTTP/2 frames against raw-frame-parser and the rules of RFC 9113",
    covers: ["http2/frame-reader.ts"],
    maxBytes: 4096,
    tokens: [
      ...Array.from({ length: 11 }, (_, type) => Buffer.of(0, 0, 0, type, 0, 0, 0, 0, 1)),
      Buffer.of(0, 0, 0, 4, 1, 0, 0, 0, 0),
      Buffer.from("004001", "hex"),
    ],
    seeds,
    framing: http2Framing,
    run(input) {
      for (const pattern of PATTERNS) sameVerdict(input, pattern, false);
      sameVerdict(input, 7, true);
    },
  };
}
