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
import { unitsOf } from "../oracles/http2-units.ts";
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

/** What node:http2 gave its user of a stream, we give ours, and no stream that it has not. */
function compareStreams(ours: Http2Reading, theirs: Http2Reading): void {
  for (const id of ours.streams.keys()) {
    if (!theirs.streams.has(id) && !theirs.resets.has(id)) fault(`node:http2 has not read a stream ${id} that we have`);
  }
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

type Both = readonly [ours: Http2Reading, theirs: Http2Reading];

/** Reads octets that end with the PING of `ping`, as {@link readByOwn} does. */
export type OwnReader = typeof readByOwn;

/** How the target compares. */
export interface NodeHttp2Options {
  /** Hears which known differences an input shows. */
  readonly told?: (difference: string) => void;
  /** Our side: another one, such as a faulty one, for the tests of the target. */
  readonly readOurs?: OwnReader;
}

/**
 * The same octets to a connection of ours and to node:http2: both take them or refuse them, and have read the same of them. What shows a
 * known difference is taken out, and both read again what is left: it hides nothing beside it.
 */
export async function nodeHttp2Target(options: NodeHttp2Options = {}): Promise<FuzzTarget> {
  const { told = () => {}, readOurs = readByOwn } = options;
  const immediates = new Immediates();
  const settle = (): Promise<void> => immediates.settle();
  const clock = new SimulationClock({ granularityMs: 1, settle });
  const node = new NodeHttp2Server();
  const read = async (input: Buffer): Promise<Both> => {
    const bytes = Buffer.concat([PREFACE, rawSettings([]), input, rawPing(PING)]);
    return [await readOurs(bytes, PING, clock, settle), await node.read(bytes, PING)];
  };
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
      for (let rest = input; endsBetweenFrames(rest); ) {
        let both = await read(rest);
        if (refuseDifferently(both)) [rest, both] = await upToRefusal(rest, read);
        const known = knownDifference(rest, ...both);
        if (known === undefined) return compare(...both);
        told(known.name);
        rest = known.rest;
      }
    },
    async close() {
      immediates.stop();
    },
  };
}

/** Both end the connection, perhaps for different frames. */
function refuseDifferently([ours, theirs]: Both): boolean {
  return !ours.isAlive && !theirs.isAlive && ours.errorCode !== theirs.errorCode;
}

/** The shortest beginning of an input that one side refuses, by halving: it refuses all longer ones too. */
async function upToRefusal(input: Buffer, read: (input: Buffer) => Promise<Both>): Promise<[Buffer, Both]> {
  const units = unitsOf(input).map(({ bytes }) => bytes);
  let [taken, refused] = [0, units.length];
  let found: [Buffer, Both] = [input, await read(input)];
  while (refused - taken > 1) {
    const middle = (taken + refused) >> 1;
    const beginning = Buffer.concat(units.slice(0, middle));
    const both = await read(beginning);
    if (both[0].isAlive && both[1].isAlive) taken = middle;
    else [refused, found] = [middle, [beginning, both]];
  }
  return found;
}

function compare(ours: Http2Reading, theirs: Http2Reading): void {
  if (ours.isAlive !== theirs.isAlive) {
    const verdict = ({ isAlive, errorCode }: Http2Reading): string =>
      isAlive ? "takes it" : `refuses it (${errorCode})`;
    fault(`node:http2 ${verdict(theirs)}, our connection ${verdict(ours)}`);
  }
  if (ours.isAlive) compareStreams(ours, theirs);
}
