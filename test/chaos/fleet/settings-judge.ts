import { RawFlag, RawSetting } from "bowline/testing";
import { type ArrivedFrame, FrameType } from "./raw-connection.ts";

/** SETTINGS as they are sent, pairs of id and value. */
export type SettingPairs = readonly (readonly [id: number, value: number])[];

interface Bounds {
  readonly windowBytes: number;
  readonly maxStreams: number;
  readonly maxFrameBytes: number;
  readonly tableBytes: number;
  /** The smallest that these SETTINGS name on their way to `tableBytes`. */
  readonly lowestTableBytes: number;
}

/** What holds before any SETTINGS, RFC 9113 section 6.5.2. */
const FIRST: Bounds = {
  windowBytes: 65_535,
  maxStreams: Number.POSITIVE_INFINITY,
  maxFrameBytes: 16_384,
  tableBytes: 4096,
  lowestTableBytes: 4096,
};

/**
 * Watches whether a peer keeps to the SETTINGS that it was sent while they change all the time: until it has acknowledged new ones the old
 * ones may hold, from then on only the new ones do (RFC 9113 sections 6.5.3, 6.9.2 and 5.1.2; RFC 7541 section 4.2).
 */
export class SettingsJudge {
  readonly faults: string[] = [];
  /** The most SETTINGS that were unacknowledged at once. */
  mostPending = 0;
  #held: Bounds = FIRST;
  readonly #pending: Bounds[] = [];
  /** DATA that came on streams that are open. */
  readonly #received = new Map<number, number>();
  /** Size of the table that the peer's encoder has declared. */
  #declaredTableBytes = FIRST.tableBytes;
  /** The smallest table that was acknowledged since the last block: the next block must declare it, and may then a larger one. */
  #lowestTableBytes = Number.POSITIVE_INFINITY;

  /** These SETTINGS leave now. */
  sent(pairs: SettingPairs): void {
    const last = this.#pending.at(-1) ?? this.#held;
    const value = (id: number, before: number): number => pairs.find(([key]) => key === id)?.[1] ?? before;
    const sizes = pairs.filter(([id]) => id === RawSetting.HEADER_TABLE_SIZE).map(([, size]) => size);
    this.#pending.push({
      windowBytes: value(RawSetting.INITIAL_WINDOW_SIZE, last.windowBytes),
      maxStreams: value(RawSetting.MAX_CONCURRENT_STREAMS, last.maxStreams),
      maxFrameBytes: value(RawSetting.MAX_FRAME_SIZE, last.maxFrameBytes),
      tableBytes: sizes.at(-1) ?? last.tableBytes,
      lowestTableBytes: Math.min(last.tableBytes, ...sizes),
    });
    this.mostPending = Math.max(this.mostPending, this.#pending.length);
  }

  /** A stream is over: it counts no more. */
  closed(streamId: number): void {
    this.#received.delete(streamId);
  }

  /** A frame has come. */
  arrived({ type, flags, streamId, payload }: ArrivedFrame): void {
    if (type === FrameType.SETTINGS && (flags & RawFlag.ACK) !== 0) this.#acknowledged();
    else if (type === FrameType.HEADERS) this.#headers(streamId, payload);
    else if (type === FrameType.DATA) this.#data(streamId, payload.length);
    if (payload.length > this.#most("maxFrameBytes"))
      this.faults.push(`a frame of ${payload.length} bytes is too long`);
  }

  #acknowledged(): void {
    const next = this.#pending.shift();
    if (next === undefined) this.faults.push("SETTINGS were acknowledged that nobody had sent");
    else {
      this.#held = next;
      this.#lowestTableBytes = Math.min(this.#lowestTableBytes, next.lowestTableBytes);
    }
  }

  #headers(streamId: number, block: Buffer): void {
    const sizes = declaredSizes(block);
    const lowestBytes = this.#lowestTableBytes;
    if (lowestBytes < this.#declaredTableBytes && !sizes.some((size) => size <= lowestBytes)) {
      this.faults.push(`a header block that does not say that the table was down to ${lowestBytes} bytes meanwhile`);
    }
    this.#lowestTableBytes = Number.POSITIVE_INFINITY;
    this.#declaredTableBytes = sizes.at(-1) ?? this.#declaredTableBytes;
    const mostBytes = this.#most("tableBytes");
    if (this.#declaredTableBytes > mostBytes) {
      this.faults.push(
        `a header block with a table of ${this.#declaredTableBytes} bytes where ${mostBytes} are allowed`,
      );
    }
    if (this.#received.has(streamId)) return;
    this.#received.set(streamId, 0);
    const mostStreams = this.#most("maxStreams");
    const others = this.#received.size - 1;
    if (others >= mostStreams) {
      this.faults.push(`stream ${streamId} was opened beside ${others} others where ${mostStreams} may be open in all`);
    }
  }

  #data(streamId: number, bytes: number): void {
    const received = (this.#received.get(streamId) ?? 0) + bytes;
    if (this.#received.has(streamId)) this.#received.set(streamId, received);
    const mostBytes = this.#most("windowBytes");
    if (bytes > 0 && received > mostBytes) {
      this.faults.push(`stream ${streamId} has sent ${received} bytes into a window of ${mostBytes}`);
    }
  }

  /** The largest value that the peer may hold for valid. */
  #most(bound: keyof Bounds): number {
    return Math.max(this.#held[bound], ...this.#pending.map((each) => each[bound]));
  }
}

/** Sizes of the dynamic table that a header block declares at its beginning, RFC 7541 section 6.3. */
function declaredSizes(block: Buffer): number[] {
  const sizes: number[] = [];
  for (let at = 0; at < block.length && ((block[at] as number) & 0xe0) === 0x20; ) {
    let size = (block[at++] as number) & 0x1f;
    if (size === 0x1f) {
      for (let factor = 1, more = true; more; factor *= 128) {
        const byte = block[at++] as number;
        size += (byte & 0x7f) * factor;
        more = byte >= 0x80;
      }
    }
    sizes.push(size);
  }
  return sizes;
}
