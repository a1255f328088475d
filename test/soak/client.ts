// Calls peer.v1.Echo of --target in every way until it is asked to stop: a client for soaks. Options: --target, --seed.
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Client, Code, createClient, RpcError } from "bowline";
import { Chance } from "../codec/chance.ts";
import { Echo, type EchoClient } from "../gen/peer/v1/echo_rpc.ts";
import { announce, printLine } from "../peers/peer-lines.ts";

const { values } = parseArgs({
  options: { target: { type: "string", default: "" }, seed: { type: "string", default: "1" } },
});

type EchoStub = Client<EchoClient>;

const WORKERS = 8;
/** A pause behind each call: cancelled calls must stay below the 33 a second that servers allow for ever. */
const PAUSE_MS = 25;
const CANCELLED_SHARE = 0.06;
const RECONNECT_SHARE = 0.01;

const chance = new Chance(Number(values.seed));
const shared: EchoStub = createClient(Echo, values.target);
const counts = { calls: 0, cancelled: 0, connections: 1, wrong: 0 };
let lastWrong = "";

process.on("SIGUSR2", () => {
  // Timers and immediates come and go with each call.
  const handles = process.getActiveResourcesInfo().filter((name) => name !== "Timeout" && name !== "Immediate").length;
  printLine({ event: "counts", ...counts, lastWrong, handles });
});
announce({ id: "soak-client" });
for (let worker = 0; worker < WORKERS; worker++) void work();

async function work(): Promise<void> {
  for (;;) {
    await one();
    await delay(PAUSE_MS);
  }
}

async function one(): Promise<void> {
  if (chance.odds(RECONNECT_SHARE)) return oneOfItsOwn();
  const controller = chance.odds(CANCELLED_SHARE) ? new AbortController() : undefined;
  const call = start({ signal: controller?.signal, timeoutMs: 20_000 });
  counts.calls++;
  if (controller !== undefined) {
    counts.cancelled++;
    setImmediate(() => controller.abort());
  }
  try {
    await call;
  } catch (error) {
    if (controller !== undefined && RpcError.is(error) && error.code === Code.CANCELLED) return;
    counts.wrong++;
    lastWrong = String(error);
  }
}

/** A call on a connection of its own: another kind of target has another channel. */
async function oneOfItsOwn(): Promise<void> {
  const client: EchoStub = createClient(Echo, `dns:///${values.target}`);
  counts.calls++;
  counts.connections++;
  try {
    await client.unary({ payload: new Uint8Array(100) }, { timeoutMs: 20_000 });
  } catch (error) {
    // Another worker's call of this kind shares the channel, never its end.
    counts.wrong++;
    lastWrong = String(error);
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

function start(options: { signal: AbortSignal | undefined; timeoutMs: number }): Promise<unknown> {
  const payload = new Uint8Array(chance.int(0, 3000));
  return chance.oneOf<Promise<unknown>>(
    () => shared.unary({ payload }, options),
    () => shared.unary({ payload: new Uint8Array(100_000) }, options),
    () => read(shared.serverStream({ count: 30, payloadBytes: 700 }, options)),
    () => shared.clientStream(requests(), options),
    () => read(shared.bidiStream(requests(), options)),
  );
}

async function* requests(): AsyncIterable<{ payload: Uint8Array }> {
  for (let index = 0; index < 10; index++) yield { payload: new Uint8Array(200) };
}

async function read(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers);
}
