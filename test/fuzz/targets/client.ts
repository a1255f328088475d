import { createClient, RpcError, silentLogger } from "bowline";
import {
  encodeLiterals,
  grpcMessage,
  grpcResponseFields,
  memoryNetwork,
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
import { Immediates } from "../../simulation/engine/immediates.ts";
import { SimulationClock } from "../../simulation/engine/simulation-clock.ts";
import { type FuzzTarget, fault } from "../engine/fuzz-target.ts";
import { cut, endsBetweenFrames, http2Framing } from "../oracles/http2-framing.ts";
import { HTTP2_TOKENS } from "../oracles/http2-tokens.ts";
import { Strays } from "../oracles/strays.ts";

const ADDRESS = "fuzzing:1";
/** Below the first pause between attempts to connect: a second connection costs as much as the input, and says nothing new. */
const CALL_MS = 500;
const message = grpcMessage(Buffer.from("0a03616263", "hex"));
const ok = encodeLiterals([["grpc-status", "0"]]);

const seeds: readonly Buffer[] = [
  Buffer.concat([rawHeaders(1, grpcResponseFields()), rawData(1, message), rawHeaders(1, ok, { end: true })]),
  Buffer.concat([
    rawHeaders(3, grpcResponseFields()),
    rawData(3, message),
    rawData(3, message, { padding: 3 }),
    rawHeaders(
      3,
      [
        ["grpc-status", "5"],
        ["grpc-message", "a%20b"],
        ["grpc-status-details-bin", "CAUSA2EgYg"],
      ],
      { end: true },
    ),
  ]),
  Buffer.concat([
    rawHeaders(
      1,
      grpcResponseFields([
        ["grpc-encoding", "gzip"],
        ["k-bin", "AAEC"],
      ]),
      { endHeaders: false },
    ),
    rawContinuation(1, encodeLiterals([["x", "y"]])),
    rawPing(),
    rawReset(3, 7),
  ]),
  Buffer.concat([
    rawSettings([
      [4, 1],
      [3, 0],
      [1, 0],
    ]),
    rawWindowUpdate(0, 9),
    rawHeaders(1, [[":status", "503"]], { end: true }),
    rawGoaway(1, 0, "bye"),
  ]),
  Buffer.concat([
    rawHeaders(1, [[":status", "100"]]),
    rawHeaders(
      1,
      grpcResponseFields([
        ["grpc-status", "14"],
        ["grpc-retry-pushback-ms", "5"],
      ]),
      { end: true },
    ),
    rawFrame("PUSH_PROMISE", 4, 1, Buffer.of(0, 0, 0, 2)),
  ]),
];

/** How a call ended, once it has. */
interface Outcome {
  settled: boolean;
  error: unknown;
}

function watch(call: Promise<unknown>): Outcome {
  const outcome: Outcome = { settled: false, error: undefined };
  call.then(
    () => {
      outcome.settled = true;
    },
    (error) => {
      outcome.settled = true;
      outcome.error = error;
    },
  );
  return outcome;
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

function judgeOutcome({ settled, error }: Outcome): void {
  if (!settled) fault("a call has not ended, though its connection has and its deadline is over");
  if (error === undefined) return;
  if (!RpcError.is(error) || error.code < 1 || error.code > 16) throw error;
}

/** A whole client whose server says the input; two calls are open, one of a stream. */
export async function clientTarget(): Promise<FuzzTarget> {
  const strays = new Strays();
  const immediates = new Immediates();
  const settle = (): Promise<void> => immediates.settle();
  immediates.start();
  return {
    name: "client",
    what: "a client with two open calls: what servers send after their SETTINGS",
    covers: ["src/http2/", "src/grpc/", "src/client/"],
    maxBytes: 2048,
    tokens: HTTP2_TOKENS,
    seeds,
    framing: http2Framing,
    async run(input) {
      const clock = new SimulationClock({ granularityMs: 1, settle });
      const network = memoryNetwork({ clock });
      const listener = network.listenRaw(ADDRESS, (peer) => peer.settings());
      const client = createClient(Echo, ADDRESS, { network, clock, maxReceiveBytes: 4096, logger: silentLogger });
      const outcomes = [
        watch(client.unary({ payload: Uint8Array.of(1) }, { timeoutMs: CALL_MS })),
        watch(drain(client.serverStream({ count: 2 }, { timeoutMs: CALL_MS }))),
      ];
      const peer = await listener.next();
      await settle();
      for (const chunk of cut(input, input.length % 3 === 2 ? input.length % 50 : 0))
        if (!peer.isClosed) peer.send(chunk);
      await settle();
      const goaway = peer.received.find(({ type, errorCode }) => type === "GOAWAY" && errorCode !== 0);
      const isOver = peer.isClosed || peer.hasOtherEnded;
      if (goaway !== undefined && !isOver) fault(`GOAWAY with code ${goaway.errorCode}, but the connection lives on`);
      if (!isOver && endsBetweenFrames(input)) {
        peer.ping(Buffer.from("stillon?"));
        await settle();
        const isAnswered = peer.received.some(
          ({ type, isAck, payload }) => type === "PING" && isAck && payload.toString() === "stillon?",
        );
        if (!isAnswered && !peer.isClosed && !peer.hasOtherEnded) fault("the connection is open, but answers no PING");
      }
      await clock.runUntil(CALL_MS + 1, () => {});
      outcomes.forEach(judgeOutcome);
      await client[Symbol.asyncDispose]();
      for (const link of network.links()) link.reset();
      await listener.close();
      await settle();
      strays.judge();
    },
    async close() {
      strays.close();
      immediates.stop();
    },
  };
}
