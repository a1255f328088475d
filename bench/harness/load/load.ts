/** What a client does in a call: `unary` sends and gets one message; `serverStream` reads a whole stream; `bidi` keeps a stream open and sends a message there and back. */
export type LoadMethod = "unary" | "serverStream" | "bidi";

/** A kind of load that a pair is measured under. */
export interface Load {
  /** Name in tables and reports. */
  readonly name: string;
  readonly method: LoadMethod;
  /** Calls in flight over all connections; with an arrival rate, the most there may be. */
  readonly concurrency: number;
  readonly connections: number;
  /** Size of each message that carries a payload, in bytes. */
  readonly messageBytes: number;
  /** Messages of each server stream; 1 otherwise. */
  readonly messagesPerCall: number;
  /** Calls that arrive in a second, whatever becomes of those before; 0: each answer starts the next call. */
  readonly ratePerSecond: number;
  /** The rate as a part (0..1) of what the same pair made in its warm-up; 0: `ratePerSecond` says it. */
  readonly capacityShare: number;
}

const SMALL: Load = {
  name: "",
  method: "unary",
  concurrency: 1,
  connections: 1,
  messageBytes: 24,
  messagesPerCall: 1,
  ratePerSecond: 0,
  capacityShare: 0,
};

/** A load that differs in this from one small unary call at a time over one connection. */
export function load(name: string, different: Partial<Load> = {}): Load {
  return { ...SMALL, ...different, name };
}

/** So many calls in flight, each followed at once by the next; named for their number. */
export function closedLoop(concurrency: number, different: Partial<Load> = {}): Load {
  return load(String(concurrency), { ...different, concurrency });
}

/** Calls that may be in flight before an open loop makes arrivals wait. Their latency counts from their planned start all the same. */
const OPEN_LOOP_CONCURRENCY = 1000;

/** Calls that arrive at half the rate that the pair was seen to make with 100 in flight. */
export function openLoopAtHalf(): Load {
  return load("open half", { concurrency: OPEN_LOOP_CONCURRENCY, capacityShare: 0.5 });
}

/** Calls that arrive at a rate of their own. */
export function openLoopAt(ratePerSecond: number): Load {
  return load(`open ${ratePerSecond}/s`, { concurrency: OPEN_LOOP_CONCURRENCY, ratePerSecond });
}
