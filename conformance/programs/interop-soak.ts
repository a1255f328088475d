import type { TestServiceClient } from "../gen/grpc/testing/test_rpc.ts";
import { callLarge, type InteropCase, type InteropClients } from "./interop-cases.ts";

/** Flags of the two soak cases, with the specification's defaults. */
export interface SoakSettings {
  /** 10 */
  readonly iterations: number;
  /** Calls in flight, 1. */
  readonly threads: number;
  /** Iterations that may fail or be too slow, 0. */
  readonly maxFailures: number;
  /** 1000 */
  readonly maxLatencyMs: number;
  /** 10 */
  readonly overallTimeoutSeconds: number;
  /** 271828 */
  readonly requestBytes: number;
  /** 314159 */
  readonly responseBytes: number;
}

/** Many large calls on one client. */
export const rpcSoak: InteropCase = (clients) => soak(clients, (call) => call(clients.test));

/** Many large calls, each on a client of its own. */
export const channelSoak: InteropCase = (clients) =>
  soak(clients, async (call) => {
    const { test, close } = clients.connect();
    try {
      await call(test);
    } finally {
      close();
    }
  });

type OneCall = (client: TestServiceClient) => Promise<void>;

async function soak({ soak: settings }: InteropClients, run: (call: OneCall) => Promise<void>): Promise<void> {
  const { iterations, threads, maxFailures, overallTimeoutSeconds } = settings;
  const endAtMs = performance.now() + overallTimeoutSeconds * 1000;
  const failures: string[] = [];
  let started = 0;
  const worker = async (): Promise<void> => {
    while (started < iterations && performance.now() < endAtMs) {
      const number = started++;
      await run((client) => iterate(client, settings)).catch((error: unknown) => failures.push(`${number}: ${error}`));
    }
  };
  await Promise.all(Array.from({ length: threads }, worker));
  if (started < iterations) throw new Error(`${started} of ${iterations} iterations in ${overallTimeoutSeconds} s`);
  if (failures.length > maxFailures) {
    throw new Error(`${failures.length} of ${iterations} iterations failed:\n${failures.slice(0, 5).join("\n")}`);
  }
}

async function iterate(client: TestServiceClient, settings: SoakSettings): Promise<void> {
  const startedAtMs = performance.now();
  await callLarge(client, settings.requestBytes, settings.responseBytes);
  const tookMs = performance.now() - startedAtMs;
  if (tookMs > settings.maxLatencyMs)
    throw new Error(`took ${Math.round(tookMs)} ms of ${settings.maxLatencyMs} allowed`);
}
