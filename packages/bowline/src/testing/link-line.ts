import type { Clock } from "../rpc/clock.ts";
import { checkOptions, type OptionSpecs } from "../rpc/options.ts";
import { type Random, systemRandom } from "../rpc/random.ts";

/** What a network does to bytes that travel one way. All of it may change while bytes are under way. */
export interface LineFaults {
  /** Time in ms from a write to its arrival. Default 0: the next turn of the event loop. */
  readonly delayMs?: number;
  /** Up to this much is added to `delayMs`, in ms, drawn anew for each write; nothing overtakes. Default 0. */
  readonly jitterMs?: number;
  /** What the line carries a second. Default Infinity. */
  readonly bytesPerSecond?: number;
  /**
   * Most bytes of one delivery, at least 1; parts of a byte don't count. A function gives the size of each anew; one that throws or gives
   * no such number breaks the link with that error. Default 65,536.
   */
  readonly chunkBytes?: number | (() => number);
  /** The link is reset when this many more bytes have arrived, counted from now; parts of a byte don't count. Default Infinity: never. */
  readonly resetAfterBytes?: number;
}

/** One way of a link in memory, as a test holds it. */
export interface LineControl {
  /** Bytes that were written and have not arrived. */
  readonly queuedBytes: number;
  /** Bytes that have arrived, since the link was made. */
  readonly arrivedBytes: number;
  /** True between `freeze` and `thaw`. */
  readonly isFrozen: boolean;
  /** As in {@link LineFaults}. */
  delayMs: number;
  /**
   * Changes the faults that are given and leaves the others. Times count for what is written from now on.
   *
   * Throws a RangeError for what is out of range, a TypeError for an unknown name and for times without a clock.
   */
  set(faults: LineFaults): void;
  /** Holds up all that is on the line, its end too, as a network that loses everything without a word. */
  freeze(): void;
  /** Ends `freeze`: what was held up goes on. */
  thaw(): void;
}

/** A slow line carries segments of this size, as TCP over Ethernet does, instead of a whole write at once. */
const SEGMENT_BYTES = 1460;

/** Bytes that were written and have not arrived. */
interface Parcel {
  bytes: Buffer;
  readonly dueAt: number;
}

/** One way of a link in memory: its faults, and what is under way. */
export class LinkLine implements LineControl {
  readonly #clock: Clock | undefined;
  readonly #random: Random;
  readonly #wake: () => void;
  #faults: Required<Omit<LineFaults, "resetAfterBytes">> = {
    delayMs: 0,
    jitterMs: 0,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    chunkBytes: 65_536,
  };
  readonly #parcels: Parcel[] = [];
  #queuedBytes = 0;
  #arrivedBytes = 0;
  /** Of `#arrivedBytes`: where the link breaks. */
  #resetAt: number = Number.POSITIVE_INFINITY;
  /** When what was written last has left, and when it arrives. */
  #freeAt = 0;
  #lastDueAt = 0;
  #endDueAt: number | null = null;
  #isFrozen = false;
  /** Who holds it up beside `freeze`. */
  readonly #holders: Set<object> = new Set();
  #isCut = false;

  /** `wake` is called when what was held up may go on. */
  constructor(wake: () => void, clock?: Clock, random: Random = systemRandom) {
    this.#wake = wake;
    this.#clock = clock;
    this.#random = random;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get arrivedBytes(): number {
    return this.#arrivedBytes;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Nothing gets through. */
  get isStopped(): boolean {
    return this.#isFrozen || this.#holders.size > 0 || this.#isCut;
  }

  get delayMs(): number {
    return this.#faults.delayMs;
  }

  set delayMs(delayMs: number) {
    this.set({ delayMs });
  }

  set(faults: LineFaults): void {
    checkOptions("faults", faults, LINE_FAULTS);
    checkLineFaults(faults, this.#clock !== undefined);
    const { resetAfterBytes, ...rest } = faults;
    const given = Object.entries(rest).filter(([, value]) => value !== undefined);
    this.#faults = { ...this.#faults, ...Object.fromEntries(given) };
    if (resetAfterBytes !== undefined) this.#resetAt = this.#arrivedBytes + Math.floor(resetAfterBytes);
    this.#wake();
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    this.#wake();
  }

  /** As `freeze`, until everybody who does it has called `release`. */
  hold(by: object): void {
    this.#holders.add(by);
  }

  release(by: object): void {
    this.#holders.delete(by);
    this.#wake();
  }

  /** Lets nothing through any more, for good. */
  cut(): void {
    this.#isCut = true;
  }

  /** Takes bytes on; they are the line's. */
  push(bytes: Buffer): void {
    const { bytesPerSecond } = this.#faults;
    this.#queuedBytes += bytes.length;
    if (bytesPerSecond === Number.POSITIVE_INFINITY) {
      this.#parcels.push({ bytes, dueAt: this.#dueAt(0) });
      return;
    }
    for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) {
      const segment = bytes.subarray(at, at + SEGMENT_BYTES);
      this.#parcels.push({ bytes: segment, dueAt: this.#dueAt((segment.length / bytesPerSecond) * 1000) });
    }
  }

  /** Behind all bytes comes the end. */
  end(): void {
    this.#endDueAt ??= this.#dueAt(0);
  }

  /** Forgets what is under way. */
  clear(): void {
    this.#parcels.length = 0;
    this.#queuedBytes = 0;
  }

  /** True when the next to arrive is the end. */
  get isAtEnd(): boolean {
    return this.#parcels.length === 0 && this.#endDueAt !== null;
  }

  /** Ms until the next piece, or the end, arrives; 0 or less: it has. Infinity: nothing is under way. */
  get waitMs(): number {
    const dueAt = this.#parcels.length > 0 ? this.#parcels[0].dueAt : (this.#endDueAt ?? Number.POSITIVE_INFINITY);
    return dueAt - this.#now();
  }

  /** True when the bytes have arrived behind which the link breaks. */
  get isSpent(): boolean {
    return this.#arrivedBytes >= this.#resetAt;
  }

  /** As many bytes as have arrived and one delivery may hold, in a buffer of their own. Throws what is wrong with `chunkBytes`. */
  take(): Buffer {
    const most = Math.min(this.#chunkSize(), this.#resetAt - this.#arrivedBytes);
    const parts: Buffer[] = [];
    let length = 0;
    while (length < most && this.#parcels.length > 0) {
      const parcel = this.#parcels[0];
      if (parts.length > 0 && parcel.dueAt > this.#now()) break;
      const part = parcel.bytes.subarray(0, most - length);
      parts.push(part);
      length += part.length;
      parcel.bytes = parcel.bytes.subarray(part.length);
      if (parcel.bytes.length === 0) this.#parcels.shift();
    }
    this.#queuedBytes -= length;
    this.#arrivedBytes += length;
    return Buffer.concat(parts);
  }

  #chunkSize(): number {
    const { chunkBytes } = this.#faults;
    if (typeof chunkBytes === "number") return Math.floor(chunkBytes);
    const size = chunkBytes();
    checkAtLeast("what the function chunkBytes gives", size, 1);
    return Math.floor(size);
  }

  #now(): number {
    return this.#clock?.fresh() ?? 0;
  }

  #dueAt(sendMs: number): number {
    const { delayMs, jitterMs } = this.#faults;
    this.#freeAt = Math.max(this.#freeAt, this.#now()) + sendMs;
    const travelMs = jitterMs === 0 ? delayMs : delayMs + this.#random() * jitterMs;
    this.#lastDueAt = Math.max(this.#lastDueAt, this.#freeAt + travelMs);
    return this.#lastDueAt;
  }
}

/** The names of {@link LineFaults}; {@link checkLineFaults} knows what they may be. */
export const LINE_FAULTS: OptionSpecs = {
  delayMs: { kind: "any" },
  jitterMs: { kind: "any" },
  bytesPerSecond: { kind: "any" },
  chunkBytes: { kind: "any" },
  resetAfterBytes: { kind: "any" },
};

/** @throws RangeError for a fault out of range, TypeError for one that needs a clock where there is none */
export function checkLineFaults(faults: LineFaults, hasClock: boolean): void {
  const { delayMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY, chunkBytes = 1 } = faults;
  const { resetAfterBytes = 0 } = faults;
  checkAtLeast("delayMs", delayMs, 0);
  checkAtLeast("jitterMs", jitterMs, 0);
  checkAtLeast("bytesPerSecond", bytesPerSecond, 1);
  checkAtLeast("resetAfterBytes", resetAfterBytes, 0);
  if (typeof chunkBytes !== "function") checkAtLeast("chunkBytes", chunkBytes, 1);
  if (hasClock) return;
  for (const [name, isSet] of [
    ["delayMs", delayMs > 0],
    ["jitterMs", jitterMs > 0],
    ["bytesPerSecond", bytesPerSecond !== Number.POSITIVE_INFINITY],
  ] as const) {
    if (isSet) throw new TypeError(`${name} needs a clock: give the test's VirtualClock`);
  }
}

/** @throws RangeError naming what is less, or no number */
export function checkAtLeast(name: string, value: unknown, least: number): void {
  if (typeof value === "number" && value >= least) return;
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  throw new RangeError(`${name} must be ${least} or more, not ${text}`);
}
