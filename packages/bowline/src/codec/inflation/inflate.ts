/** What is used of the streams of node:zlib that inflate. */
export interface InflatingStream {
  /** Octets of input that were used. */
  readonly bytesWritten: number;
  on(event: "data", listener: (piece: Buffer) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  write(bytes: Buffer): unknown;
  end(bytes: Buffer): unknown;
  /** Frees the decoder with its window at once, unless the thread pool is busy with it. */
  destroy(): unknown;
}

/** A format, and what its decoder holds of what it has produced, to look back on. */
export interface Inflater {
  /** A stream that gives pieces of `chunkSize` bytes. */
  readonly create: (chunkSize: number) => InflatingStream;
  /** The largest window, in bytes. */
  readonly maxWindowBytes: number;
  /**
   * The first octet of a message that is to be inflated up to `maxBytes`, when a decoder fills its window before it
   * gives anything out. An error means then no more than that the message is damaged or longer. Null for others.
   */
  readonly narrow: ((first: number, maxBytes: number) => number) | null;
}

/** What a decoder may hold beside its window and the result; a result of no more is always made in one go. */
const ROOM_BYTES = 262_144;
/** A message that becomes so many times larger is likely to become too large. */
const MAX_RATIO = 16;
/** Larger pieces are hardly faster. */
const COUNTED_PIECE_BYTES = 131_072;
/** Larger results come in several pieces, so that a high limit alone takes no memory. */
const MAX_PIECE_BYTES = 16_777_217;
/** What zlib can write to: a uInt. */
const MAX_BUFFER_BYTES = 0xffffffff;
/**
 * While it is counted, a result may have so many bytes more than its window, which lacks them of a power of two: for a
 * limit that is one, the window would be twice as large. Refused is then what ends within them by looking back further.
 */
const COUNTED_BEYOND_WINDOW = 16;
/** As many as the thread pool of Node does at once. More would only hold their windows while they wait for it. */
const MAX_COUNTING = 4;

let counting = 0;
const waiting: (() => void)[] = [];

/**
 * Inflates a message in the thread pool; null when it has more than `maxBytes`, which are not produced then. Rejects
 * with the error of node:zlib when it is damaged or cut off, and with an error when something follows it.
 *
 * It is made in one go when result and window together can't pass the limit. Otherwise it is first inflated for its
 * size alone, in pieces that are freed one by one, then once more into a buffer of that size.
 *
 * @param knownBytes A size that the result is known to pass.
 */
export async function inflate(
  inflater: Inflater,
  bytes: Buffer,
  maxBytes: number,
  knownBytes: number,
): Promise<Buffer | null> {
  const inOneGo = bytesInOneGo(inflater, bytes.length, maxBytes);
  if (inOneGo === maxBytes) return produce(inflater, bytes, maxBytes, MAX_PIECE_BYTES);
  if (inOneGo > knownBytes) {
    const failed = inflater.narrow === null ? undefined : () => null;
    const result = await produce(inflater, bytes, inOneGo, MAX_PIECE_BYTES).catch(failed);
    if (result !== null) return result;
  }
  const length = await inTurn(() => count(inflater, bytes, maxBytes));
  return length > maxBytes ? null : produce(inflater, bytes, length, MAX_BUFFER_BYTES);
}

/** How much may be made without knowing whether it is too much. */
function bytesInOneGo({ maxWindowBytes }: Inflater, compressedBytes: number, maxBytes: number): number {
  const allowed = maxBytes + ROOM_BYTES;
  // As much as the window has, which is a power of two with narrowWindow.
  const power = 2 ** Math.floor(Math.log2(allowed / 2));
  const besideAsMuch = Math.min(Math.max(power - 16, allowed - 2 * power), MAX_RATIO * compressedBytes);
  return Math.min(maxBytes, Math.max(allowed - maxWindowBytes, besideAsMuch, ROOM_BYTES));
}

/** Pieces have equal sizes and one byte more than allowed, so that the limit is passed where the last one is full. */
async function produce(
  inflater: Inflater,
  bytes: Buffer,
  maxBytes: number,
  maxPieceBytes: number,
): Promise<Buffer | null> {
  const chunkSize = Math.max(64, Math.ceil((maxBytes + 1) / Math.ceil((maxBytes + 1) / maxPieceBytes)));
  const pieces: Buffer[] = [];
  const length = await run(inflater, chunkSize, bytes, maxBytes, (piece) => pieces.push(piece));
  if (length > maxBytes) {
    for (const piece of pieces) free(piece);
    return null;
  }
  const whole = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, length);
  // A view of a much larger piece would keep all of it.
  return whole.length < chunkSize / 2 ? Buffer.from(whole) : whole;
}

/** The size of the result; more than `maxBytes` when it was stopped there. */
function count(inflater: Inflater, bytes: Buffer, maxBytes: number): Promise<number> {
  return run(inflater, COUNTED_PIECE_BYTES, bytes, maxBytes, free, maxBytes - COUNTED_BEYOND_WINDOW);
}

/**
 * Gives pieces away until the end or until they are more than `maxBytes`; resolves with how much they were. A window that
 * can be narrowed is one for `windowBytes`.
 */
function run(
  inflater: Inflater,
  chunkSize: number,
  bytes: Buffer,
  maxBytes: number,
  take: (piece: Buffer) => void,
  windowBytes = maxBytes,
): Promise<number> {
  const stream = inflater.create(chunkSize);
  return new Promise((resolve, reject) => {
    let length = 0;
    stream.on("error", reject);
    stream.on("data", (piece) => {
      length += piece.length;
      take(piece);
      if (length <= maxBytes) return;
      stream.destroy();
      resolve(length);
    });
    stream.on("end", () => {
      const rest = bytes.length - stream.bytesWritten;
      stream.destroy();
      if (rest === 0) resolve(length);
      else reject(new Error(`${rest} bytes follow its end`));
    });
    const first = inflater.narrow?.(bytes[0], windowBytes) ?? bytes[0];
    const isNarrowed = first !== bytes[0];
    if (isNarrowed) stream.write(Buffer.of(first));
    stream.end(isNarrowed ? bytes.subarray(1) : bytes);
  });
}

/**
 * Frees the memory of a piece now: waiting for a collection of garbage, all pieces would exist at once. Only of one
 * that fills its memory: into what is left of others, zlib writes on.
 */
function free(piece: Buffer): void {
  if (piece.length === piece.buffer.byteLength) (piece.buffer as ArrayBuffer).transfer(0);
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (counting < MAX_COUNTING) counting++;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) counting--;
    else next();
  }
}
