import type { Socket } from "node:net";
import type { Chance } from "../../codec/chance.ts";
import type { Conditions } from "./conditions.ts";

/** What is lost or delayed as a whole: the payload of a packet on Ethernet. */
const PACKET_BYTES = 1448;

/** Bytes under way, or the sender's end. */
interface Parcel {
  readonly bytes: Buffer | null;
  /** When it arrives, by `performance.now()`. */
  readonly atMs: number;
}

/** One direction of one connection through a proxy. */
export class Lane {
  /** Bytes that were handed on. */
  passedBytes = 0;
  /** Bytes that were taken and dropped. */
  swallowedBytes = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #chance: Chance;
  #conditions: Conditions;
  readonly #underway: Parcel[] = [];
  #queuedBytes = 0;
  /** When the last packet was all on the line, and when it arrives. */
  #sentAtMs = 0;
  #arrivesAtMs = 0;
  /** The rest of the parcel that is being handed on in slices. */
  #rest: Buffer | null = null;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #isHeldUp = false;
  #isClosed = false;

  constructor(from: Socket, to: Socket, conditions: Conditions, chance: Chance) {
    this.#from = from;
    this.#to = to;
    this.#conditions = conditions;
    this.#chance = chance;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => this.#takeEnd());
    to.on("drain", () => {
      this.#isHeldUp = false;
      this.#pump();
    });
  }

  /** From now on; what is under way keeps the time of its arrival. */
  set(conditions: Conditions): void {
    this.#conditions = conditions;
    this.#pump();
  }

  /** True while the receiver hears nothing, not even that the sender is gone. */
  get isSwallowing(): boolean {
    return this.#conditions.isSwallowing;
  }

  /** Hands on nothing more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#underway.length = 0;
    this.#rest = null;
  }

  #take(bytes: Buffer): void {
    if (this.#conditions.isSwallowing) {
      this.swallowedBytes += bytes.length;
      return;
    }
    const { bytesPerSecond, lossRatio, jitterMs, bufferBytes } = this.#conditions;
    const isSimple = bytesPerSecond === Number.POSITIVE_INFINITY && lossRatio === 0 && jitterMs === 0;
    const size = isSimple ? bytes.length : PACKET_BYTES;
    for (let at = 0; at < bytes.length; at += size) this.#send(bytes.subarray(at, at + size));
    if (this.#queuedBytes > bufferBytes) this.#from.pause();
    this.#pump();
  }

  #takeEnd(): void {
    if (this.#conditions.isSwallowing) return;
    this.#underway.push({ bytes: null, atMs: this.#arrivesAtMs });
    this.#pump();
  }

  #send(bytes: Buffer): void {
    const { latencyMs, jitterMs, bytesPerSecond, lossRatio, repeatMs } = this.#conditions;
    this.#sentAtMs = Math.max(this.#sentAtMs, performance.now()) + (bytes.length / bytesPerSecond) * 1000;
    const jitter = jitterMs === 0 ? 0 : this.#chance.int(0, jitterMs * 1000) / 1000;
    const repeat = lossRatio > 0 && this.#chance.odds(lossRatio) ? repeatMs : 0;
    // Nothing overtakes: what was lost holds up all behind it.
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, this.#sentAtMs + latencyMs + jitter + repeat);
    this.#underway.push({ bytes, atMs: this.#arrivesAtMs });
    this.#queuedBytes += bytes.length;
  }

  /** Hands on what has arrived, as far as the receiver takes it. */
  #pump(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    while (!this.#isClosed && !this.#isHeldUp && !this.#conditions.isFrozen) {
      if (this.#rest !== null) {
        this.#handOnSlice(this.#rest);
        if (this.#rest !== null) {
          this.#immediate = setImmediate(() => this.#pump());
          return;
        }
        continue;
      }
      const [first] = this.#underway;
      if (first === undefined) return;
      const waitMs = first.atMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), waitMs);
        return;
      }
      this.#underway.shift();
      if (first.bytes === null) this.#to.end();
      else this.#rest = first.bytes;
    }
  }

  #handOnSlice(bytes: Buffer): void {
    const { sliceBytes, bufferBytes } = this.#conditions;
    const slice = bytes.subarray(0, sliceBytes);
    this.#rest = slice.length === bytes.length ? null : bytes.subarray(slice.length);
    this.passedBytes += slice.length;
    this.#queuedBytes -= slice.length;
    if (this.#queuedBytes <= bufferBytes && this.#from.isPaused()) this.#from.resume();
    this.#isHeldUp = !this.#to.write(slice);
  }
}
