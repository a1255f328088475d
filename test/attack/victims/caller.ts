// An honest client: calls peer.v1.Echo.Unary at a fixed rate and counts. For attacks on clients it also calls the attacker when told to.
import { createInterface } from "node:readline";
import { createClient, RpcError } from "bowline";
import { Echo, type EchoClient } from "../../gen/peer/v1/echo_rpc.ts";
import { announce, printLine } from "../../peers/peer-lines.ts";
import { MisdeedLog } from "./misdeed-log.ts";

/** Calls that are begun each second, at most; far below what a server can do, so that a lack is the attack's doing. */
const CALLS_PER_SECOND = 400;
const TICK_MS = 10;
/** Calls that are made up for after a pause of the whole machine. */
const MAX_BEHIND = 200;

interface Attempt {
  readonly target: string;
  readonly count: number;
  readonly timeoutMs: number;
  readonly options?: object;
  readonly metadata?: Readonly<Record<string, string>>;
}

let unhandled = 0;
process.on("unhandledRejection", () => unhandled++);
process.on("uncaughtException", () => unhandled++);

/** What the servers that attacked it did wrong, over all clients. */
const misbehaved: Record<string, number> = {};
/** Kinds that a line has named, and the most lines of one client in 10 s. */
const named = new Set<string>();
const errors: string[] = [];
let mostLines = 0;

const payload = new Uint8Array(64).fill(7);
let ok = 0;
let failures: string[] = [];
let latencies: number[] = [];
let markedAt = performance.now();

async function honestCall(client: EchoClient): Promise<void> {
  const begunAt = performance.now();
  try {
    const { payload: echoed } = await client.unary({ payload }, { timeoutMs: 10_000 });
    if (echoed.length !== payload.length) throw new Error(`the answer has ${echoed.length} bytes`);
    ok++;
    latencies.push(performance.now() - begunAt);
  } catch (error) {
    failures.push(String(error));
  }
}

let client: EchoClient | undefined;

function startLoad(target: string, options: object): void {
  const honest = createClient(Echo, target, { retry: false, ...options });
  client = honest;
  let last = performance.now();
  let owed = 0;
  setInterval(() => {
    const now = performance.now();
    owed = Math.min(MAX_BEHIND, owed + ((now - last) * CALLS_PER_SECOND) / 1000);
    last = now;
    for (; owed >= 1; owed--) void honestCall(honest);
  }, TICK_MS);
}

/** Calls without pause, many at a time. */
async function burst(calls: number): Promise<void> {
  let left = calls;
  const worker = async (): Promise<void> => {
    while (left-- > 0 && client !== undefined) await honestCall(client);
  };
  await Promise.all(Array.from({ length: 200 }, worker));
  printLine({ burst: calls });
}

/** What was counted since the last mark. */
function mark(): void {
  const now = performance.now();
  latencies.sort((a, b) => a - b);
  const quantile = (ratio: number): number => latencies[Math.floor(latencies.length * ratio)] ?? Number.NaN;
  const counted = { ok, failed: failures.length, failures: failures.slice(0, 3), ms: now - markedAt, unhandled };
  const marked = { ...counted, pace: CALLS_PER_SECOND };
  printLine({ marked, p50Ms: quantile(0.5), p99Ms: quantile(0.99) });
  ok = 0;
  failures = [];
  latencies = [];
  markedAt = now;
}

/** Calls an attacker: each must come to an end, of whatever kind. */
async function attempt({ target, count, timeoutMs, options, metadata }: Attempt): Promise<void> {
  const logger = new MisdeedLog();
  const client = createClient(Echo, target, { retry: false, logger, ...options });
  const ends = await Promise.all(
    Array.from({ length: count }, async () => {
      try {
        const { payload: echoed } = await client.unary({ payload }, { timeoutMs, metadata });
        return { code: 0, text: `${echoed.length} bytes` };
      } catch (error) {
        const { code, message } = RpcError.from(error);
        return { code, text: message };
      }
    }),
  );
  for (const [kind, times] of client.channel.misbehaved) misbehaved[kind] = (misbehaved[kind] ?? 0) + times;
  for (const kind of logger.named) named.add(kind);
  errors.push(...logger.errors);
  mostLines = Math.max(mostLines, logger.mostLines);
  await client.close();
  printLine({ called: { ends } });
}

function report(): void {
  printLine({ report: { misbehaved, named: [...named], errors, unhandled, mostLines } });
}

createInterface({ input: process.stdin }).on("line", (text) => {
  const line = JSON.parse(text) as {
    start?: string;
    options?: object;
    burst?: number;
    mark?: boolean;
    call?: Attempt;
    report?: boolean;
  };
  if (line.start !== undefined) startLoad(line.start, line.options ?? {});
  if (line.burst !== undefined) void burst(line.burst);
  if (line.mark) mark();
  if (line.call !== undefined) void attempt(line.call);
  if (line.report) report();
});
announce({});
