// Calls chaos.v1.Chaos at a fixed rate, whatever becomes of the calls, and writes down each call and its end. Told what to do on stdin.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { Code, createClient, local, RpcError } from "bowline";
import { Chance } from "../../codec/chance.ts";
import { Chaos } from "../../gen/chaos/v1/chaos_rpc.ts";
import { printLine } from "../../peers/peer-lines.ts";
import { type CallKind, CallLog, wallMs } from "../ledger/call-log.ts";
import { type ClientProcessOptions, type Load, type Meeting, processOptions } from "./options.ts";
import { orderCaller } from "./orders.ts";

type Options = ClientProcessOptions & { readonly meeting?: Meeting };

const { client: number, seed, target, meeting, release, options } = processOptions<Options>();
const chance = new Chance(seed);
const registry = meeting === undefined ? undefined : local(meeting);
const client = createClient(Chaos, target, { ...options, registry });
const orders = release === undefined ? undefined : orderCaller(release, target, { ...options, registry });
const channel = orders?.channel ?? client.channel;
const log = CallLog.begin(number);
const TICK_MS = 10;
/** Calls that are made up for after a pause of the whole machine. */
const MAX_BEHIND_MS = 250;
/** What can be done at most is measured for this long, with so many calls at once. */
const MEASURED_MS = 500;
const LINES = 32;

let open = 0;
let unhandled = 0;
let latencies: number[] = [];
let failedSinceMark = 0;
let whenIdle: () => void = () => {};
let timer: NodeJS.Timeout | undefined;
process.on("unhandledRejection", () => unhandled++);

/** The server that a stream has heard from. */
interface Heard {
  serverId: string;
}

async function call(load: Load): Promise<void> {
  const kind = kindOf(load);
  const sequence = log.start(kind);
  const startedAtMs = wallMs();
  const heard: Heard = { serverId: "" };
  open++;
  let code: number = Code.OK;
  try {
    if (kind === "watch") await watch(load, sequence, heard);
    else await unary(kind, load, sequence);
  } catch (error) {
    code = fail(kind, sequence, startedAtMs, heard, RpcError.from(error));
  }
  const durationMs = wallMs() - startedAtMs;
  log.end(sequence, code, durationMs);
  if (kind !== "watch" && code === Code.OK) latencies.push(durationMs);
  if (--open === 0) whenIdle();
}

function kindOf({ writeShare = 0, watchShare = 0 }: Load): CallKind {
  const draw = chance.int(0, 999) / 1000;
  if (draw < watchShare) return "watch";
  return draw < watchShare + writeShare ? "write" : "read";
}

async function unary(kind: "read" | "write", load: Load, sequence: number): Promise<void> {
  const { sleepMs = 0, fillingBytes = 0, payloadBytes = 0, timeoutMs = 5000 } = load;
  const filling = new Uint8Array(fillingBytes);
  if (orders !== undefined) return orders.call(number, sequence);
  const { blockMs = 0 } = load;
  const request = { client: number, sequence, sleepMs: chance.int(0, sleepMs), blockMs, filling, payloadBytes };
  const done = await client[kind](request, { timeoutMs, metadata: { "chaos-call": `${number}/${sequence}` } });
  if (done.client === number && done.sequence === sequence && done.payload.length === payloadBytes) return;
  throw new Error(`the answer is that of call ${done.client}/${done.sequence}, with ${done.payload.length} bytes`);
}

async function watch(load: Load, sequence: number, heard: Heard): Promise<void> {
  const { watchCount: count = 10, watchIntervalMs: intervalMs = 0, payloadBytes = 0 } = load;
  let position = 0;
  const metadata = { "chaos-call": `${number}/${sequence}` };
  for await (const done of client.watch({ client: number, sequence, count, intervalMs, payloadBytes }, { metadata })) {
    heard.serverId = done.serverId;
    if (done.sequence !== sequence || done.position !== position++) {
      throw new Error(`answer ${done.position} of call ${done.sequence} came as answer ${position - 1}`);
    }
  }
  if (position !== count) throw new Error(`${position} answers of ${count}`);
}

function fail(kind: CallKind, sequence: number, startedAtMs: number, heard: Heard, error: RpcError): number {
  const { code, text, instance = "", attempt, sent: wasSent } = error;
  const { serverId } = heard;
  const endedAtMs = wallMs();
  log.failures.push({
    client: number,
    sequence,
    kind,
    code,
    text,
    instance,
    attempt,
    wasSent,
    serverId,
    startedAtMs,
    endedAtMs,
  });
  failedSinceMark++;
  return code;
}

function startLoad(load: Load): void {
  clearInterval(timer);
  let last = performance.now();
  let owed = 0;
  timer = setInterval(() => {
    const now = performance.now();
    owed += (Math.min(MAX_BEHIND_MS, now - last) * load.perSecond) / 1000;
    last = now;
    for (; owed >= 1; owed--) void call(load);
  }, TICK_MS);
}

/** Calls one behind the other in many lines, and tells how many ended in a second. */
async function measure(load: Load): Promise<void> {
  const startedAt = performance.now();
  let ended = 0;
  const line = async (): Promise<void> => {
    for (; performance.now() < startedAt + MEASURED_MS; ended++) await call(load);
  };
  await Promise.all(Array.from({ length: LINES }, line));
  printLine({ measured: { perSecond: (ended * 1000) / (performance.now() - startedAt) } });
}

const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();

/** Unary calls that have ended since the last mark. */
function mark(): void {
  latencies.sort((a, b) => a - b);
  const quantile = (ratio: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * ratio))] ?? 0;
  const figures = {
    ok: latencies.length,
    failed: failedSinceMark,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: quantile(1),
  };
  printLine({ marked: { ...figures, open, longestBlockMs: delays.max / 1e6 } });
  latencies = [];
  failedSinceMark = 0;
  delays.reset();
}

/** Waits for the calls that are open. */
async function quiet(): Promise<void> {
  if (open > 0) await new Promise<void>((resolve) => (whenIdle = resolve));
}

/** Begins no more calls, waits for those that are open, then saves the log. */
async function finish(path: string): Promise<void> {
  clearInterval(timer);
  await quiet();
  log.save(path);
  printLine({ finished: { calls: log.count, unhandled } });
}

interface Command {
  readonly connect?: true;
  readonly load?: Load;
  readonly burst?: Load;
  readonly measure?: Load;
  readonly mark?: true;
  readonly quiet?: true;
  readonly finish?: string;
  readonly endpoints?: true;
}

createInterface({ input: process.stdin })
  .on("line", (text) => {
    const command = JSON.parse(text) as Command;
    if (command.connect) void channel.connect().then(() => printLine({ connected: true }));
    if (command.load !== undefined) startLoad(command.load);
    if (command.burst !== undefined) for (let i = 0; i < command.burst.perSecond; i++) void call(command.burst);
    if (command.measure !== undefined) void measure(command.measure);
    if (command.mark) mark();
    if (command.quiet) void quiet().then(() => printLine({ quiet: true }));
    if (command.finish !== undefined) void finish(command.finish);
    if (command.endpoints) {
      const endpoints = channel.endpoints.map(({ address, connectionState, inFlight }) => ({
        address,
        connectionState,
        inFlight,
      }));
      printLine({ endpoints });
    }
  })
  .on("close", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
process.on("SIGHUP", () => {
  for (let round = 0; round < 2; round++) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  printLine({ rss_bytes: rss, heap_bytes: heapUsed + external });
});
printLine({ ready: true, pid: process.pid });
