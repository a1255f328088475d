import type { Load } from "./load.ts";
import type { LoadResult } from "./load-result.ts";

/** Everything that a reading may say; a question shows some of it. */
export type FigureKey =
  | "callsPerSecond"
  | "messagesPerSecond"
  | "megabytesPerSecond"
  | "p50Ms"
  | "p99Ms"
  | "clientCpuUs"
  | "serverCpuUs"
  | "idleConnectionRssBytes"
  | "idleConnectionHeapBytes"
  | "openCallServerHeapBytes"
  | "openCallClientHeapBytes"
  | "registeredMs"
  | "lastRepeatedMs"
  | "repeatedCalls"
  | "failedCalls"
  | "resyncMs"
  | "blockedMs"
  | "changeMs"
  | "instanceBytes"
  | "streams"
  | "requestsPerSecond"
  | "healedMs";

/** Figures by name; those that a load does not give are left out. */
export type Figures = Readonly<Partial<Record<FigureKey, number>>>;

/** One measurement of one peer. */
export interface Reading {
  readonly figures: Figures;
  readonly errors: number;
  readonly firstError?: string;
  /** What the row says besides its load, for those who read it as JSON. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** CPU time that both sides took for a load, in microseconds; undefined where nobody counted. */
export interface LoadCpu {
  readonly clientUs?: number;
  readonly serverUs?: number;
}

/** A reading of a load. CPU times are for one message of a stream, one call otherwise. Rates in MB/s (10⁶ bytes) count one direction. */
export function readingOf(load: Load, result: LoadResult, cpu: LoadCpu): Reading {
  const { calls, errors, seconds, p50Ms, p99Ms, firstError } = result;
  const messages = result.messages > 0 ? result.messages : calls * load.messagesPerCall;
  const figures: Partial<Record<FigureKey, number>> = {
    callsPerSecond: calls / seconds,
    messagesPerSecond: messages / seconds,
    megabytesPerSecond: (messages * load.messageBytes) / seconds / 1e6,
  };
  // A stream of many messages has no latency worth the name.
  if (load.messagesPerCall === 1) Object.assign(figures, { p50Ms, p99Ms });
  if (cpu.clientUs !== undefined && load.ratePerSecond === 0) figures.clientCpuUs = cpu.clientUs / messages;
  if (cpu.serverUs !== undefined) figures.serverCpuUs = cpu.serverUs / messages;
  return { figures, errors, ...(firstError === undefined ? {} : { firstError }) };
}
