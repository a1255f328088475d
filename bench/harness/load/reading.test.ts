import { describe, expect, it } from "vitest";
import { closedLoop, load, openLoopAt } from "./load.ts";
import { readingOf } from "./reading.ts";

const RESULT = { calls: 1000, messages: 0, errors: 0, seconds: 2, p50Ms: 1, p99Ms: 3 };
const CPU = { clientUs: 4000, serverUs: 2000 };

describe("readingOf", () => {
  it("gives rates, latencies and the CPU time of one call", () => {
    expect(readingOf(closedLoop(100), RESULT, CPU)).toEqual({
      figures: {
        callsPerSecond: 500,
        messagesPerSecond: 500,
        megabytesPerSecond: 0.012,
        p50Ms: 1,
        p99Ms: 3,
        clientCpuUs: 4,
        serverCpuUs: 2,
      },
      errors: 0,
    });
  });

  it("counts messages of streams, those of unfinished ones too, and gives no latency of a whole stream", () => {
    const down = load("down", { method: "serverStream", messagesPerCall: 10, messageBytes: 100 });
    const { figures } = readingOf(down, RESULT, CPU);
    expect(figures).toMatchObject({ messagesPerSecond: 5000, megabytesPerSecond: 0.5, clientCpuUs: 0.4 });
    expect(figures).not.toHaveProperty("p50Ms");
    expect(readingOf(down, { ...RESULT, calls: 0, messages: 8 }, CPU).figures.messagesPerSecond).toBe(4);
  });

  it("says nothing of the CPU time of a client that spins to keep an arrival rate", () => {
    const { figures } = readingOf(openLoopAt(500), RESULT, CPU);
    expect(figures).not.toHaveProperty("clientCpuUs");
    expect(figures.serverCpuUs).toBe(2);
  });
});
