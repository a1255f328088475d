// Opens many streams on one connection, reads the first answer of each, and the rest only when told to.
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { createClient, type Http2Limits } from "bowline";
import type { Done } from "../../gen/chaos/v1/chaos_pb.ts";
import { Chaos } from "../../gen/chaos/v1/chaos_rpc.ts";
import { printLine } from "../../peers/peer-lines.ts";
import { processOptions } from "./options.ts";

/** What it is told on its command line. */
export interface SlowConsumerOptions {
  readonly target: string;
  readonly streams: number;
  readonly count: number;
  readonly payloadBytes: number;
  /** Of the client. */
  readonly limits: Partial<Http2Limits>;
}

const { target, streams, count, payloadBytes, limits } = processOptions<SlowConsumerOptions>();
const client = createClient(Chaos, target, { maxConnectionsPerEndpoint: 1, limits });
await client.channel.connect();
process.on("SIGHUP", () => {
  for (let round = 0; round < 2; round++) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  printLine({ rss_bytes: rss, heap_bytes: heapUsed + external });
});
printLine({ ready: true, pid: process.pid });

const { promise: goOn, resolve: resume } = Promise.withResolvers<void>();
let read = 0;

async function one(sequence: number): Promise<string | undefined> {
  const answers = client.watch({ client: 0, sequence, count, payloadBytes })[Symbol.asyncIterator]();
  try {
    for (let position = 0; position < count; position++) {
      const wrong = await next(answers, sequence, position);
      if (wrong !== undefined) return wrong;
      if (position === 0) await goOn;
    }
    return (await answers.next()).done === true ? undefined : `stream ${sequence}: more answers than ${count}`;
  } catch (error) {
    return `stream ${sequence}: ${String(error)}`;
  }
}

/** Reads one answer and lets go of it: what is kept of it keeps what came with it. Gives what was wrong with it. */
async function next(answers: AsyncIterator<Done>, sequence: number, position: number): Promise<string | undefined> {
  const { value, done } = await answers.next();
  if (done === true) return `stream ${sequence}: ${position} answers of ${count}`;
  const isRight = value.sequence === sequence && value.position === position && value.payload.length === payloadBytes;
  if (!isRight) return `stream ${sequence}: answer ${value.position} of ${value.sequence} came as answer ${position}`;
  read++;
  return undefined;
}

createInterface({ input: process.stdin })
  .on("line", () => resume())
  .on("close", () => process.exit(0));
const ends: Promise<string | undefined>[] = [];
for (let sequence = 0; sequence < streams; sequence++) {
  ends.push(one(sequence));
  // In small groups: the first answers must not meet a window that is used up already.
  if (sequence % 20 === 19) await delay(1);
}
const wrong = (await Promise.all(ends)).filter((text) => text !== undefined);
printLine({ consumed: { read, wrong } });
