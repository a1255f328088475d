// Starts calls that no server answers, cancels one half after a while and gives the other half a deadline; then prints when which call was over.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Code, createClient, RpcError } from "bowline";
import { Chance } from "../../codec/chance.ts";
import { Chaos } from "../../gen/chaos/v1/chaos_rpc.ts";
import { printLine } from "../../peers/peer-lines.ts";
import { wallMs } from "../ledger/call-log.ts";
import { processOptions } from "./options.ts";

/** What it is told on its command line. */
export interface CancellingOptions {
  readonly seed: number;
  readonly target: string;
  readonly calls: number;
  /** Between the starts of two calls. */
  readonly everyMs: number;
  /** A call lives for a time between these. */
  readonly shortestMs: number;
  readonly longestMs: number;
}

/** A call and its end. */
export interface CancelledCall {
  readonly sequence: number;
  readonly kind: "cancel" | "deadline";
  /** When it was to be over, see `wallMs`. */
  readonly dueAtMs: number;
  readonly endedAtMs: number;
  readonly code: number;
}

const { seed, target, calls, everyMs, shortestMs, longestMs } = processOptions<CancellingOptions>();
const chance = new Chance(seed);
const client = createClient(Chaos, target);
await client.channel.connect();
printLine({ ready: true, pid: process.pid });

async function one(sequence: number): Promise<CancelledCall> {
  const kind = sequence % 2 === 0 ? "cancel" : "deadline";
  const livesMs = chance.int(shortestMs, longestMs);
  const controller = new AbortController();
  let dueAtMs = wallMs() + livesMs;
  const timeoutMs = kind === "deadline" ? livesMs : 60_000;
  const answer = client.relay({ client: 0, sequence }, { timeoutMs, signal: controller.signal });
  const code = answer.then(
    (): number => Code.OK,
    (error: unknown): number => RpcError.from(error).code,
  );
  if (kind === "cancel") {
    await delay(livesMs);
    dueAtMs = wallMs();
    controller.abort();
  }
  return { sequence, kind, code: await code, dueAtMs, endedAtMs: wallMs() };
}

const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
const ended: Promise<CancelledCall>[] = [];
for (let sequence = 0; sequence < calls; sequence++) {
  ended.push(one(sequence));
  await delay(everyMs);
}
printLine({ cancelled: await Promise.all(ended), longestBlockMs: delays.max / 1e6 });
process.stdin.on("close", () => process.exit(0)).resume();
