import { readdirSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Client, Code, createClient, createServer, RpcError } from "bowline";
import { Chance } from "../codec/chance.ts";
import { Echo, type EchoClient } from "../gen/peer/v1/echo_rpc.ts";
import { echoHandlers } from "../peers/echo-handlers.ts";

/*
 * A process of its own, started with --expose-gc: does one thing many times and prints a line of JSON with what is left of it in heap
 * and descriptors. Heap is what remains after garbage was collected.
 */

/** What remained. */
export interface LeakReport {
  readonly what: string;
  readonly seed: number;
  readonly rounds: number;
  readonly heapBeforeBytes: number;
  readonly heapAfterBytes: number;
  /** NaN where there is no /proc. */
  readonly descriptorsBefore: number;
  readonly descriptorsAfter: number;
  /** What else holds the event loop, by kind. */
  readonly resourcesBefore: Readonly<Record<string, number>>;
  readonly resourcesAfter: Readonly<Record<string, number>>;
  /** How the rounds ended, by word. */
  readonly outcomes: Readonly<Record<string, number>>;
}

const { values } = parseArgs({
  options: {
    what: { type: "string", default: "connects" },
    rounds: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    // Keeps what it should let go, to prove that the figures would show it.
    leak: { type: "boolean", default: false },
  },
});

const seed = Number(values.seed);
const rounds = Number(values.rounds);
const chance = new Chance(seed);
const collect = globalThis.gc as () => void;
const AT_ONCE = 16;
const WARM_UP_SHARE = 0.2;
/** Turns of the event loop in which sockets that were closed must have gone. */
const MOST_TURNS = 20_000;
const CODE_NAMES = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]));
const kept: unknown[] = [];

type EchoStub = Client<EchoClient>;

const server = createServer({
  listen: "127.0.0.1:0",
  handleSignals: false,
  drainAcceptMs: 0,
  drainTimeoutMs: 0,
  // What is done here would otherwise be taken for the attack that it looks like.
  limits: { resetBurst: 100_000 },
});
server.add(Echo, echoHandlers("leaks"));
await server.start();

const outcomes: Record<string, number> = {};
const shared: EchoStub = createClient(Echo, server.address);
const work: Readonly<Record<string, () => Promise<string>>> = { connects, channels, cancels, abandons };
const round = work[values.what];
if (round === undefined) throw new RangeError(`--what ${values.what}: give one of ${Object.keys(work).join(", ")}`);

// As many as make caches, pools and compiled code what they will be.
await repeat(Math.max(AT_ONCE, Math.floor(rounds * WARM_UP_SHARE)));
const before = await rest(undefined);
for (const key of Object.keys(outcomes)) delete outcomes[key];
await repeat(rounds);
const after = await rest(before.descriptors);
const report: LeakReport = {
  what: values.what,
  seed,
  rounds,
  heapBeforeBytes: before.heapBytes,
  heapAfterBytes: after.heapBytes,
  descriptorsBefore: before.descriptors,
  descriptorsAfter: after.descriptors,
  resourcesBefore: before.resources,
  resourcesAfter: after.resources,
  outcomes,
};
console.log(JSON.stringify(report));
await shared[Symbol.asyncDispose]();
await server.close();

async function repeat(count: number): Promise<void> {
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const outcome = await round();
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (values.leak) kept.push(new Array(1024).fill(outcome));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** A client, a call, and the end of both. */
async function connects(): Promise<string> {
  const client: EchoStub = createClient(Echo, server.address);
  try {
    return await outcomeOf(client.unary({ payload: new Uint8Array(100) }));
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

/** A channel that is closed at any time of its life: unused, on its way to the server, connected, or while it looks in vain. */
async function channels(): Promise<string> {
  const target = chance.pick([server.address, `static:///${server.address},127.0.0.1:1`, "127.0.0.1:1"]);
  const client: EchoStub = createClient(Echo, target);
  const life = chance.int(0, 3);
  const connected = life === 0 ? undefined : client.channel.connect().catch(() => {});
  if (life > 1 && target !== "127.0.0.1:1") await connected;
  for (let turn = life === 3 ? chance.int(0, 8) : 0; turn > 0; turn--) await nextTurn();
  await client[Symbol.asyncDispose]();
  await connected;
  return "OK";
}

/** A call of any kind that is cancelled somewhere between before its start and after its end. */
async function cancels(): Promise<string> {
  const controller = new AbortController();
  const turns = chance.int(-1, 8);
  if (turns === -1) controller.abort();
  const options = { signal: controller.signal };
  const call = chance.oneOf<Promise<unknown>>(
    () => shared.unary({ payload: new Uint8Array(200) }, options),
    () => shared.slow({ sleepMs: 60_000 }, options),
    () => read(shared.serverStream({ count: 20, payloadBytes: 500 }, options), 100),
    () => read(shared.bidiStream(requests(), options), 100),
    () => shared.clientStream(requests(), options),
  );
  const outcome = outcomeOf(call);
  for (let turn = 0; turn < turns; turn++) await nextTurn();
  controller.abort();
  return outcome;
}

/** A stream whose reader leaves after the first answer, or before. */
async function abandons(): Promise<string> {
  const wanted = chance.int(1, 3);
  return outcomeOf(
    chance.oneOf(
      () => read(shared.serverStream({ count: 1000, payloadBytes: 2000 }), wanted),
      () => read(shared.serverStream({ count: 1000, payloadBytes: 10, intervalMs: 1 }), wanted),
      () => read(shared.bidiStream(requests()), wanted),
    ),
  );
}

async function* requests(): AsyncIterable<{ payload: Uint8Array }> {
  for (let index = 0; index < 50; index++) {
    yield { payload: new Uint8Array(100) };
    await nextTurn();
  }
}

async function read(answers: AsyncIterable<unknown>, most: number): Promise<void> {
  let seen = 0;
  for await (const _ of answers) if (++seen >= most) return;
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "OK";
  } catch (error) {
    if (RpcError.is(error)) return CODE_NAMES.get(error.code) ?? String(error.code);
    throw error;
  }
}

/** Waits until descriptors are as many as before, at most so many turns, then collects garbage. */
async function rest(
  wanted: number | undefined,
): Promise<{ heapBytes: number; descriptors: number; resources: Record<string, number> }> {
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    if (wanted === undefined ? turn > MOST_TURNS / 4 : descriptors() === wanted) break;
    await nextTurn();
  }
  for (let times = 0; times < 4; times++) {
    collect();
    await nextTurn();
  }
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    if (name !== "Immediate" && name !== "FSReqPromise") resources[name] = (resources[name] ?? 0) + 1;
  }
  return { heapBytes: process.memoryUsage().heapUsed, descriptors: descriptors(), resources };
}

function descriptors(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return Number.NaN;
  }
}
