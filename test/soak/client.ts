// Calls peer.v1.Echo of --target in every way until it is asked to stop: a client for soaks. Options: --target, --seed, --rate.
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type CallOptions, type Client, Code, createClient, RpcError } from "bowline";
import { LatencyHistogram } from "../../bench/harness/load/histogram.ts";
import { Chance } from "../codec/chance.ts";
import { Echo, type EchoClient } from "../gen/peer/v1/echo_rpc.ts";
import { announce, printLine } from "../peers/peer-lines.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
    rate: { type: "string", default: "300" },
  },
});

type EchoStub = Client<EchoClient>;

const CALL_TIMEOUT_MS = 20_000;
/** Of the usual 300 calls a second: below the 33 resets a second that servers allow for ever. */
const CANCELLED_SHARE = 0.06;
const RECONNECT_SHARE = 0.01;
const LARGE_BYTES = 100_000;
/** Compresses as a text does: letters, many of them in an order that comes again. */
const TEXT = Uint8Array.from({ length: LARGE_BYTES }, (_, at) => 97 + (((at * at) >> (at & 7)) % 26));

const chance = new Chance(Number(values.seed));
const shared: EchoStub = createClient(Echo, values.target);
const counts = { calls: 0, cancelled: 0, connections: 1, wrong: 0 };
let lastWrong = "";

/** The kinds of calls. Small and large messages are compressed in different ways: at once, and by the thread pool. */
const kinds: Readonly<Record<string, (options: CallOptions) => Promise<unknown>>> = {
  unary: (options) => shared.unary({ payload: new Uint8Array(chance.int(0, 3000)) }, options),
  large: (options) => shared.unary({ payload: new Uint8Array(LARGE_BYTES) }, options),
  compressed: (options) =>
    shared.unary({ payload: text(chance.int(2000, 20_000)) }, { ...options, compression: "gzip" }),
  compressedLarge: (options) => shared.unary({ payload: text(LARGE_BYTES) }, { ...options, compression: "gzip" }),
  serverStream: (options) => read(shared.serverStream({ count: 30, payloadBytes: 700 }, options)),
  clientStream: (options) => shared.clientStream(requests(), options),
  bidiStream: (options) => read(shared.bidiStream(requests(), options)),
};
const names = Object.keys(kinds);
/** Since they were last asked for. */
const latencies = new Map(names.map((name) => [name, new LatencyHistogram()]));

process.on("SIGUSR2", () => {
  // Timers and immediates come and go with each call.
  const handles = process.getActiveResourcesInfo().filter((name) => name !== "Timeout" && name !== "Immediate").length;
  printLine({ event: "counts", ...counts, lastWrong, handles, windows: takeWindows() });
});
announce({ id: "soak-client" });
await callAtRate(Number(values.rate));

/** An open loop: calls begin when they are due, whatever became of those before, and their latency counts from there. */
async function callAtRate(rate: number): Promise<never> {
  const startedAtMs = performance.now();
  for (let number = 0; ; number++) {
    const dueAtMs = startedAtMs + (number * 1000) / rate;
    const waitMs = dueAtMs - performance.now();
    if (waitMs > 0) await delay(Math.ceil(waitMs));
    void (chance.odds(RECONNECT_SHARE) ? oneOfItsOwn() : one(dueAtMs));
  }
}

async function one(dueAtMs: number): Promise<void> {
  const name = names[chance.int(0, names.length - 1)];
  const controller = chance.odds(CANCELLED_SHARE) ? new AbortController() : undefined;
  counts.calls++;
  try {
    const call = kinds[name]({ signal: controller?.signal, timeoutMs: CALL_TIMEOUT_MS });
    if (controller !== undefined) {
      counts.cancelled++;
      setImmediate(() => controller.abort());
    }
    await call;
    if (controller === undefined) latencies.get(name)?.record(performance.now() - dueAtMs);
  } catch (error) {
    if (controller !== undefined && RpcError.is(error) && error.code === Code.CANCELLED) return;
    wrong(error);
  }
}

/** A call on a connection of its own: another kind of target has another channel. */
async function oneOfItsOwn(): Promise<void> {
  const client: EchoStub = createClient(Echo, `dns:///${values.target}`);
  counts.calls++;
  counts.connections++;
  try {
    await client.unary({ payload: new Uint8Array(100) }, { timeoutMs: CALL_TIMEOUT_MS });
  } catch (error) {
    // Another call of this kind shares the channel, never its end.
    wrong(error);
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

function wrong(error: unknown): void {
  counts.wrong++;
  lastWrong = String(error);
}

function takeWindows(): { kind: string; calls: number; p99Ms: number }[] {
  return [...latencies].map(([kind, histogram]) => {
    const window = { kind, calls: histogram.total, p99Ms: histogram.quantileMs(0.99) };
    histogram.reset();
    return window;
  });
}

function text(bytes: number): Uint8Array {
  return TEXT.subarray(0, bytes);
}

async function* requests(): AsyncIterable<{ payload: Uint8Array }> {
  for (let index = 0; index < 10; index++) yield { payload: new Uint8Array(200) };
}

async function read(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers);
}
