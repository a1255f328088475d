import { createClient, createServer } from "bowline";
import {
  encodeLiterals,
  grpcMessage,
  grpcRequestFields,
  memoryNetwork,
  RawFlag,
  type RawPeer,
  rawContinuation,
  rawData,
  rawFrame,
  rawGoaway,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "bowline/testing";
import { Echo } from "../../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../../peers/echo-handlers.ts";
import { Immediates } from "../../simulation/engine/immediates.ts";
import { SimulationClock } from "../../simulation/engine/simulation-clock.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";
import { cut, endsBetweenFrames, http2Framing, opensStream } from "../oracles/http2-framing.ts";
import { HTTP2_TOKENS } from "../oracles/http2-tokens.ts";
import { Strays } from "../oracles/strays.ts";

const ADDRESS = "fuzzed:1";
/** Streams of a client have odd ids; this is the last. */
const LAST_ID = 0x7fffffff;
/** An honest call beside every so many inputs: on its own connection it costs more than the input. */
const HONEST_EVERY = 16;

const request = (path: string, end = false): Buffer => rawHeaders(1, grpcRequestFields(path), { end });
const message = grpcMessage(Buffer.from("0a03616263", "hex"));

const seeds: readonly Buffer[] = [
  Buffer.concat([request("/peer.v1.Echo/Unary"), rawData(1, message, { end: true })]),
  Buffer.concat([
    request("/peer.v1.Echo/BidiStream"),
    rawData(1, message),
    rawData(1, message, { padding: 5 }),
    rawReset(1, 8),
  ]),
  Buffer.concat([
    rawHeaders(1, encodeLiterals(grpcRequestFields("/peer.v1.Echo/Slow", [["grpc-timeout", "1S"]])), {
      endHeaders: false,
    }),
    rawContinuation(1, encodeLiterals([["k-bin", "AAEC"]])),
    rawData(1, grpcMessage(Buffer.of(8, 100)), { end: true }),
    rawPing(),
  ]),
  Buffer.concat([
    rawSettings([
      [4, 1],
      [5, 16_384],
      [1, 0],
    ]),
    request("/peer.v1.Echo/Unary"),
    rawData(1, message, { end: true }),
    rawWindowUpdate(1, 7),
    rawWindowUpdate(0, 70_000),
  ]),
  Buffer.concat([
    request("/peer.v1.Echo/ClientStream"),
    rawData(1, message.subarray(0, 4)),
    rawData(1, message.subarray(4)),
    rawHeaders(1, [["x", "y"]], { end: true }),
  ]),
  Buffer.concat([
    request("/no.such/Method", true),
    rawFrame("PRIORITY", 0, 3, Buffer.alloc(5)),
    rawFrame(0x42, 0, 0),
    rawGoaway(0, 0),
  ]),
  rawFrame("HEADERS", RawFlag.END_HEADERS, LAST_ID),
];

/** Behind the input: is the connection closed, or does it go on as if nothing had been? */
async function judgeConnection(peer: RawPeer, input: Buffer, settle: () => Promise<void>): Promise<void> {
  const goaway = peer.received.find(({ type, errorCode }) => type === "GOAWAY" && errorCode !== 0);
  if (goaway !== undefined) {
    if (!peer.isClosed && !peer.hasOtherEnded)
      fault(`GOAWAY with code ${goaway.errorCode}, but the connection lives on`);
    return;
  }
  if (peer.isClosed || peer.hasOtherEnded || !endsBetweenFrames(input)) return;
  // No stream is left for an honest call.
  if (opensStream(input, LAST_ID)) return;
  const heard = peer.received.length;
  peer.ping(Buffer.from("stillon?"));
  peer.headers(LAST_ID, grpcRequestFields("/peer.v1.Echo/Fail"));
  peer.data(LAST_ID, grpcMessage(Buffer.from("0805", "hex")), { end: true });
  await settle();
  const since = peer.received.slice(heard);
  if (since.some(({ type }) => type === "GOAWAY")) return;
  if (!since.some(({ type, isAck, payload }) => type === "PING" && isAck && payload.toString() === "stillon?")) {
    fault("the connection is open, but answers no PING");
  }
  const answer = since.find(
    ({ streamId, type }) => streamId === LAST_ID && (type === "HEADERS" || type === "RST_STREAM"),
  );
  if (answer === undefined) fault("an honest call behind the input has no answer");
  if (answer.type === "HEADERS" && answer.headers?.["grpc-status"] !== "5")
    fault(`an honest call behind the input came to ${JSON.stringify(answer.headers)}`);
}

/** A whole server behind a memory link: what a client may send after its preface and SETTINGS. */
export async function serverTarget(): Promise<FuzzTarget> {
  const immediates = new Immediates();
  const settle = (): Promise<void> => immediates.settle();
  const clock = new SimulationClock({ granularityMs: 1, settle });
  const network = memoryNetwork({ clock });
  const logger = {
    info() {},
    warn() {},
    error: (fields: object, text: string) => strays.add(`${text} ${JSON.stringify(fields)}`),
  };
  const strays = new Strays();
  const server = createServer({
    listen: ADDRESS,
    network,
    clock,
    logger,
    handleSignals: false,
    drainAcceptMs: 0,
    drainTimeoutMs: 0,
    instanceId: "fuzz",
    maxReceiveBytes: 4096,
  });
  server.add(Echo, echoHandlers("fuzz"));
  await server.start();
  immediates.start();
  const honest = createClient(Echo, ADDRESS, { network, clock });
  let runs = 0;
  return {
    name: "server",
    what: "a server: what clients send after preface and SETTINGS, an honest connection beside",
    covers: ["src/http2/", "src/grpc/", "src/server/"],
    maxBytes: 2048,
    tokens: HTTP2_TOKENS,
    seeds,
    framing: http2Framing,
    async run(input) {
      const peer = await network.dialRaw(ADDRESS);
      peer.preface().settings();
      await settle();
      for (const chunk of cut(input, input.length % 3 === 2 ? input.length % 50 : 0))
        if (!peer.isClosed) peer.send(chunk);
      await settle();
      await judgeConnection(peer, input, settle);
      peer.destroy();
      await settle();
      if (network.links(ADDRESS).length > 2) fault(`${network.links(ADDRESS).length} links are left open`);
      if (runs++ % HONEST_EVERY === 0) {
        const { payload } = await honest.unary({ payload: Uint8Array.of(1, 2, 3) });
        if (payload.length !== 3) fault("an honest call on another connection came to nothing");
      }
      strays.judge();
    },
    async close() {
      immediates.stop();
      await honest[Symbol.asyncDispose]();
      for (const link of network.links(ADDRESS)) link.reset();
      await server.close();
      strays.close();
    },
  };
}
