import { setTimeout as delay } from "node:timers/promises";

/** Memory of a process after a collection of garbage. */
export interface Memory {
  readonly rssBytes: number;
  readonly heapBytes: number;
}

/** The process that is attacked. */
export interface Victim {
  /** RSS as it is. */
  readonly residentBytes: number;
  memory(): Promise<Memory>;
}

/** What may be more than before, as a ratio. */
const SLACK = 1.1;
/** A heap of few MiB moves by more than its tenth. */
const HEAP_SLACK_BYTES = 2 * 2 ** 20;
/** Handlers that sleep and sockets that close are given this time before it is asked whether pages are merely kept. */
const SOON_MS = 2500;
const FURTHER_SIEGES = 4;
const LOOK_MS = 250;

/** What came of a process's memory. */
export interface MemoryVerdict {
  readonly after: Memory;
  /** False when RSS is above that before, but does not grow any more. */
  readonly isBack: boolean;
}

/**
 * The rule of all rows: after a collection of garbage RSS is within 10 % of that before the attack, `patienceMs` after it at the latest.
 *
 * A process may keep the pages of its busiest moment: malloc and V8 return them late or never, and that is no leak. Where RSS is not
 * back soon, the same siege is laid again, four times at most, until one leaves RSS within 10 % of what the one before it left, and the
 * heap within 10 % (and 2 MiB) of what the first one left: a plateau.
 *
 * @throws Error when memory neither comes back nor stays where it is
 */
export async function judgeMemory(
  victim: Victim,
  before: Memory,
  patienceMs: number,
  siege: () => Promise<void>,
): Promise<MemoryVerdict> {
  const first = await settled(victim, before, Math.min(patienceMs, SOON_MS));
  if (first.isBack) return first;
  const left = [first.after];
  for (let i = 0; i < FURTHER_SIEGES; i++) {
    await siege();
    const { rssBytes } = left[left.length - 1];
    const next = await settled(victim, { rssBytes, heapBytes: first.after.heapBytes }, patienceMs / FURTHER_SIEGES);
    if (next.isBack) return next.after.rssBytes <= before.rssBytes * SLACK ? next : { ...next, isBack: false };
    left.push(next.after);
  }
  throw new Error(`memory grows with each siege: ${[before, ...left].map(shownMemory).join(" → ")}`);
}

async function settled(victim: Victim, before: Memory, patienceMs: number): Promise<MemoryVerdict> {
  for (const endAt = performance.now() + patienceMs; ; await delay(LOOK_MS)) {
    const after = await victim.memory();
    // Where the system does not tell RSS, the heap has the word.
    const isSmall = !(after.rssBytes > before.rssBytes * SLACK);
    const isBack = isSmall && after.heapBytes <= before.heapBytes * SLACK + HEAP_SLACK_BYTES;
    if (isBack || performance.now() > endAt) return { after, isBack };
  }
}

/** The figures in words. */
export function shownMemory({ rssBytes, heapBytes }: Memory): string {
  return `RSS ${mib(rssBytes)} (heap ${mib(heapBytes)})`;
}

/** Bytes in words. */
export function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
