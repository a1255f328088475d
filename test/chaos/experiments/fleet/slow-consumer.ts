import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { HTTP2_LIMITS } from "bowline";
import { Child } from "../../../peers/child.ts";
import type { Experiment, Outcome, Scale } from "../../experiment.ts";
import type { ChaosServer, ServerReport } from "../../fleet/chaos-server.ts";
import { Fleet } from "../../fleet/fleet.ts";
import type { SlowConsumerOptions } from "../../processes/slow-consumer.ts";

const PAYLOAD_BYTES = 16_384;
const WINDOW_BYTES = HTTP2_LIMITS.streamWindowBytes.default;
/** Windows that follow the bandwidth grow for all streams of a connection; here they stay what they are at first. */
const LIMITS = { connectionWindowBytes: WINDOW_BYTES, maxWindowBytes: WINDOW_BYTES };
/** What a stream may cost each side while nobody reads it. */
const MOST_BYTES = WINDOW_BYTES + 65_536;
/** Producers have stopped when they produced nothing for this long. */
const STILL_MS = 500;
const PROGRAM = fileURLToPath(new URL("../../processes/slow-consumer.ts", import.meta.url));

/** A client that does not read what 1,000 streams bring. */
export const slowConsumer: Experiment = {
  number: 12,
  name: "slow consumer of many streams",
  promise:
    "producers are held up, a stream costs either side no more than its window and 64 KiB, and nothing is lost when it is read",
  fullMinutes: 1,
  needsRoot: false,
  run,
};

async function run({ isShort, seed }: Scale): Promise<Outcome> {
  await using fleet = new Fleet(seed);
  const server = await fleet.startServer();
  const streams = isShort ? 300 : 1000;
  const count = isShort ? 24 : 64;
  const told: SlowConsumerOptions = {
    target: server.address,
    streams,
    count,
    payloadBytes: PAYLOAD_BYTES,
    limits: LIMITS,
  };
  const args = ["--expose-gc", "--no-warnings", PROGRAM, "--options", JSON.stringify(told)];
  const before = await server.memory();
  const child = new Child({ command: process.execPath, args });
  try {
    const consumed = child.next("consumed", 120_000);
    await child.next("ready", 40_000);
    const idle = await child.memory();
    const { begun: opened, producedBytes } = await stillReport(server);
    const [held, holder] = [await server.memory(), await child.memory()];
    child.send({ resume: true });
    const { read, wrong } = (await consumed).consumed as { read: number; wrong: string[] };
    const perServerStream = (held.heapBytes - before.heapBytes) / streams;
    const perClientStream = (holder.heapBytes - idle.heapBytes) / streams;
    const allBytes = streams * count * PAYLOAD_BYTES;
    const faults = wrong.slice(0, 3);
    if (opened !== streams)
      faults.push(`only ${opened} of ${streams} streams came through beside those that nobody reads`);
    if (producedBytes >= allBytes) faults.push("producers were not held up: all was produced before it was read");
    if (perServerStream > MOST_BYTES)
      faults.push(`a stream that is not read costs the server ${perServerStream} bytes`);
    if (perClientStream > MOST_BYTES)
      faults.push(`a stream that is not read costs the client ${perClientStream} bytes`);
    if (read !== streams * count) faults.push(`${read} answers of ${streams * count} were read`);
    const { running } = await server.report();
    if (running > 0) faults.push(`${running} handlers still run after all was read`);
    const producedShare = producedBytes / allBytes;
    const clientRssMiB = (holder.rssBytes - idle.rssBytes) / 2 ** 20;
    return {
      figures: { streams, opened, producedShare, perServerStream, perClientStream, clientRssMiB },
      faults,
    };
  } finally {
    child.kill();
    await child.stop();
  }
}

/** What the server has counted once its producers stand still. */
async function stillReport(server: ChaosServer): Promise<ServerReport> {
  for (let last = -1; ; ) {
    const report = await server.report();
    if (report.producedBytes === last && last > 0) return report;
    last = report.producedBytes;
    await delay(STILL_MS);
  }
}
