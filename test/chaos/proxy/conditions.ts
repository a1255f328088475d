/** What one direction of a link does to the bytes that pass; the sender's order is always kept, as TCP keeps it. */
export interface Conditions {
  /** Time that bytes are under way, in ms. Default 0. */
  readonly latencyMs: number;
  /** Up to so much more, drawn anew for each packet, in ms. Default 0. */
  readonly jitterMs: number;
  /** What passes in a second. Default without limit. */
  readonly bytesPerSecond: number;
  /** Share of packets that are lost at first, 0..1: they, and all behind them, wait for their repetition. Default 0. */
  readonly lossRatio: number;
  /** How long the repetition of a lost packet takes, in ms. Default 200, the shortest time that Linux waits. */
  readonly repeatMs: number;
  /** Bytes are handed on in pieces of this size, one for each turn of the event loop. Default without limit. */
  readonly sliceBytes: number;
  /** Nothing passes; it waits. Default false. */
  readonly isFrozen: boolean;
  /** What comes is taken and never handed on, an end included: the receiver believes that the sender is silent. Default false. */
  readonly isSwallowing: boolean;
  /** Bytes that may be under way before the sender is held up. Default 16 MiB. */
  readonly bufferBytes: number;
}

/** A link that only passes bytes on. */
export const CLEAR: Conditions = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  lossRatio: 0,
  repeatMs: 200,
  sliceBytes: Number.POSITIVE_INFINITY,
  isFrozen: false,
  isSwallowing: false,
  bufferBytes: 16_777_216,
};

/** Least and greatest value of what is a number. */
const RANGES = {
  latencyMs: [0, 60_000],
  jitterMs: [0, 60_000],
  bytesPerSecond: [1, Number.POSITIVE_INFINITY],
  lossRatio: [0, 1],
  repeatMs: [0, 60_000],
  sliceBytes: [1, Number.POSITIVE_INFINITY],
  bufferBytes: [1, 1_073_741_824],
} as const satisfies Partial<Record<keyof Conditions, readonly [number, number]>>;

/** @throws RangeError naming the field that is outside its range */
export function checkConditions(conditions: Conditions): void {
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = conditions[name as keyof typeof RANGES];
    if (value >= least && value <= most) continue;
    throw new RangeError(`conditions.${name} is ${value}: give a number from ${least} to ${most}`);
  }
}
