import {
  PREFACE,
  rawContinuation,
  rawData,
  rawFrame,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "../../../packages/bowline/src/testing/raw-frames.ts";
import { encodeLiterals } from "../../../packages/bowline/src/testing/raw-hpack.ts";
import { Immediates } from "../../simulation/engine/immediates.ts";
import { SimulationClock } from "../../simulation/engine/simulation-clock.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";
import type { Http2Reading } from "../oracles/http2-answers.ts";
import { endsBetweenFrames, http2Framing } from "../oracles/http2-framing.ts";
import { HTTP2_TOKENS } from "../oracles/http2-tokens.ts";
import { commonFields, knownDifference } from "../oracles/node-http2-differences.ts";
import { NodeHttp2Server } from "../oracles/node-http2-server.ts";
import { readByOwn } from "../oracles/own-http2-server.ts";

const PING = Buffer.from("all read");
const FIELDS = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/a"],
  [":authority", "a"],
] as const;

const request = encodeLiterals(FIELDS);
const seeds: readonly Buffer[] = [
  Buffer.concat([rawHeaders(1, request), rawData(1, Buffer.from("hello"), { padding: 3, end: true })]),
  // An entry of the dynamic table, used by the next stream, and a new size of the table.
  Buffer.concat([
    rawHeaders(1, Buffer.concat([request, Buffer.from("4001610162", "hex")]), { end: true }),
    rawHeaders(3, Buffer.concat([Buffer.from("3f1d", "hex"), request, Buffer.from("be82f3", "hex")]), { end: true }),
  ]),
  // Huffman: custom-key, custom-value.
  Buffer.concat([
    rawHeaders(1, Buffer.concat([request, Buffer.from("408825a849e95ba97d7f8925a849e95bb8e8b4bf", "hex")]), {
      end: true,
      priority: { dependsOn: 0, exclusive: true },
    }),
    rawReset(1, 8),
  ]),
  Buffer.concat([
    rawHeaders(1, request.subarray(0, 5), { endHeaders: false }),
    rawContinuation(1, request.subarray(5)),
    rawData(1, Buffer.from("a")),
    rawHeaders(1, encodeLiterals([["x", "y"]]), { end: true }),
    rawFrame("PRIORITY", 0, 3, Buffer.alloc(5)),
  ]),
  Buffer.concat([
    rawSettings([
      [4, 100],
      [1, 0],
      [5, 16_384],
    ]),
    rawPing(),
    rawWindowUpdate(0, 5),
    rawFrame(0x42, 0, 0),
    rawHeaders(5, request, { end: true }),
  ]),
];

/** What node:http2 gave its user of a stream, we give ours. */
function compareStreams(ours: Http2Reading, theirs: Http2Reading): void {
  for (const [id, expected] of theirs.streams) {
    const read = ours.streams.get(id);
    if (ours.resets.has(id) || theirs.resets.has(id)) continue;
    if (read === undefined) fault(`node:http2 has read a stream ${id} that we have not`);
    const [here, there] = [JSON.stringify(commonFields(read)), JSON.stringify(commonFields(expected))];
    if (here !== there) fault(`stream ${id} has the fields ${here} and with node:http2 ${there}`);
    if (read.data !== expected.data)
      fault(`stream ${id} has the data "${read.data}" and with node:http2 "${expected.data}"`);
  }
}

/**
 * The same octets to a connection of ours and to node:http2: both take them or refuse them, and have read the same of them. `told` hears
 * which known difference an input shows.
 */
export async function nodeHttp2Target(told: (difference: string) => void = () => {}): Promise<FuzzTarget> {
  const immediates = new Immediates();
  const settle = (): Promise<void> => immediates.settle();
  const clock = new SimulationClock({ granularityMs: 1, settle });
  const node = new NodeHttp2Server();
  immediates.start();
  return {
    name: "node-http2",
    what: "frames and header blocks, against node:http2",
    covers: ["src/http2/"],
    maxBytes: 2048,
    tokens: HTTP2_TOKENS,
    seeds,
    framing: http2Framing,
    async run(input) {
      // Half a frame waits for its rest: neither side says anything then.
      if (!endsBetweenFrames(input)) return;
      const bytes = Buffer.concat([PREFACE, rawSettings([]), input, rawPing(PING)]);
      const ours = await readByOwn(bytes, PING, clock, settle);
      const theirs = await node.read(bytes, PING);
      const known = knownDifference(input, ours, theirs);
      if (known !== undefined) return told(known);
      if (ours.isAlive !== theirs.isAlive) {
        const verdict = ({ isAlive, errorCode }: Http2Reading): string =>
          isAlive ? "takes it" : `refuses it (${errorCode})`;
        fault(`node:http2 ${verdict(theirs)}, our connection ${verdict(ours)}`);
      }
      if (ours.isAlive) compareStreams(ours, theirs);
    },
    async close() {
      immediates.stop();
    },
  };
}
