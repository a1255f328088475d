import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";

type Zlib = typeof import("node:zlib");

/**
 * Compression of single messages (gRPC `compression.md`; names as in `grpc-encoding`). Contexts never outlive a
 * message.
 *
 * Small messages are done at once and returned, large ones by the thread pool and promised, so that none holds the
 * event loop for more than a few milliseconds. Who awaits results of a stream keeps their order.
 */
export interface Compression {
  /** `gzip`, `deflate`, `br`, `zstd` or `identity`. */
  readonly name: string;

  /**
   * The compressed form of `bytes`. Owned bytes must not change until a promise has settled; others are copied before
   * the thread pool reads them.
   */
  compress(bytes: Buffer, owned?: boolean): Buffer | Promise<Buffer>;

  /**
   * What `bytes` were before compression; no bytes at all are an empty message. `owned` as above.
   *
   * Fails with RESOURCE_EXHAUSTED (`limit`) when the result has more than `maxBytes`, without producing more; with
   * INTERNAL (`codec`) when the bytes are damaged, cut off, or followed by others. It throws or rejects, as the result
   * would have come. Memory stays below `maxBytes` + 1 MiB for limits up to 16 MiB, below twice the limit beyond. On
   * top `br` and `zstd` hold a window: no more than they have produced, and at most 16 and 8 MiB.
   */
  decompress(bytes: Buffer, maxBytes: number, owned?: boolean): Buffer | Promise<Buffer>;
}

/** Larger inputs go to the thread pool: below, the slowest (gzip, br) takes 0.3 ms. */
const MAX_SYNC_INPUT_BYTES = 32_768;
/** A result that outgrows this begins anew in the thread pool: inflating so much takes 0.3 ms. */
const MAX_SYNC_OUTPUT_BYTES = 262_144;
/**
 * A result of up to 16 MiB is made in one piece, one byte more than allowed, so that the limit is passed in it: pieces
 * and their concatenation would exist at once.
 */
const MAX_PIECE_BYTES = 16_777_217;
/** The length prefix of gRPC can't say more. */
const MAX_OUTPUT_BYTES = 0xffffffff;
/** Names of `grpc-accept-encoding` that are looked at. */
const MAX_NAMES = 16;

interface Options {
  readonly chunkSize?: number;
  readonly maxOutputLength?: number;
  readonly info?: boolean;
  readonly params?: Record<number, number>;
}

/** What zlib gives with the option `info`. */
interface Inflated {
  readonly buffer: Buffer;
  /** `bytesWritten` counts the input that was used. */
  readonly engine: { readonly bytesWritten: number };
}

type Later = (bytes: Buffer, options: Options, done: (error: Error | null, result: Buffer) => void) => void;
type AtOnce = (bytes: Buffer, options: Options) => Buffer;

interface Engine {
  readonly compress: Later;
  readonly compressSync: AtOnce;
  readonly decompress: Later;
  readonly decompressSync: AtOnce;
  readonly compressOptions: Options;
  readonly decompressOptions: Options;
}

class ZlibCompression implements Compression {
  readonly name: string;
  readonly #create: (zlib: Zlib) => Engine;
  #engine: Engine | null = null;

  constructor(name: string, create: (zlib: Zlib) => Engine) {
    this.name = name;
    this.#create = create;
  }

  compress(bytes: Buffer, owned = false): Buffer | Promise<Buffer> {
    const engine = this.#loaded();
    if (bytes.length <= MAX_SYNC_INPUT_BYTES) return engine.compressSync(bytes, engine.compressOptions);
    return run(engine.compress, owned ? bytes : Buffer.from(bytes), engine.compressOptions);
  }

  decompress(bytes: Buffer, maxBytes: number, owned = false): Buffer | Promise<Buffer> {
    if (bytes.length === 0) return bytes;
    if (bytes.length <= MAX_SYNC_INPUT_BYTES) {
      const result = this.#decompressNow(bytes, maxBytes);
      if (result !== null) return result;
    }
    return this.#decompressLater(owned ? bytes : Buffer.from(bytes), maxBytes);
  }

  /** Null when the result is too large to be made here, but perhaps not too large. */
  #decompressNow(bytes: Buffer, maxBytes: number): Buffer | null {
    const engine = this.#loaded();
    const maxOutputLength = Math.max(1, Math.min(maxBytes, MAX_SYNC_OUTPUT_BYTES));
    const options = { ...engine.decompressOptions, info: true, maxOutputLength };
    try {
      return this.#check(engine.decompressSync(bytes, options), bytes, maxBytes);
    } catch (error) {
      if (isTooLarge(error) && maxBytes > MAX_SYNC_OUTPUT_BYTES) return null;
      throw this.#failure(error, maxBytes);
    }
  }

  async #decompressLater(bytes: Buffer, maxBytes: number): Promise<Buffer> {
    const engine = this.#loaded();
    const maxOutputLength = Math.max(1, Math.min(maxBytes, MAX_OUTPUT_BYTES));
    const chunkSize = Math.min(maxOutputLength + 1, MAX_PIECE_BYTES);
    try {
      const options = { ...engine.decompressOptions, info: true, maxOutputLength, chunkSize: Math.max(chunkSize, 64) };
      const whole = this.#check(await run(engine.decompress, bytes, options), bytes, maxBytes);
      // A view of a much larger piece would keep all of it.
      return whole.length < chunkSize / 2 ? Buffer.from(whole) : whole;
    } catch (error) {
      throw this.#failure(error, maxBytes);
    }
  }

  #check(result: Buffer, bytes: Buffer, maxBytes: number): Buffer {
    const { buffer, engine } = result as unknown as Inflated;
    if (engine.bytesWritten !== bytes.length) {
      throw this.#failure(new Error(`${bytes.length - engine.bytesWritten} bytes follow its end`), maxBytes);
    }
    if (buffer.length > maxBytes) throw tooLarge(maxBytes);
    return buffer;
  }

  #failure(error: unknown, maxBytes: number): RpcError {
    if (RpcError.is(error)) return error;
    if (isTooLarge(error)) return tooLarge(maxBytes);
    const text = `the message is not valid ${this.name}: ${error instanceof Error ? error.message : String(error)}`;
    return new RpcError(Code.INTERNAL, text, { cause: error, reason: "codec" });
  }

  /** node:zlib is loaded when first needed: it costs a millisecond of the start. */
  #loaded(): Engine {
    this.#engine ??= this.#create(process.getBuiltinModule("node:zlib"));
    return this.#engine;
  }
}

function run(later: Later, bytes: Buffer, options: Options): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    later(bytes, options, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
}

function tooLarge(maxBytes: number): RpcError {
  const text = `the message has more than the allowed ${maxBytes} bytes when inflated`;
  return new RpcError(Code.RESOURCE_EXHAUSTED, text, { reason: "limit" });
}

/** Messages as they are. */
export const identity: Compression = {
  name: "identity",
  compress: (bytes) => bytes,
  decompress: (bytes, maxBytes) => {
    if (bytes.length > maxBytes) throw tooLarge(maxBytes);
    return bytes;
  },
};

/** RFC 1952. Several members in a row are one message, as everywhere. */
export const gzip: Compression = new ZlibCompression("gzip", (zlib) => ({
  compress: zlib.gzip,
  compressSync: zlib.gzipSync,
  decompress: zlib.gunzip,
  decompressSync: zlib.gunzipSync,
  compressOptions: {},
  decompressOptions: {},
}));

/**
 * The zlib format, RFC 1950, as the HTTP name `deflate` means (RFC 9110 §8.4.1.2); the bare format of RFC 1951 is
 * refused.
 */
export const deflate: Compression = new ZlibCompression("deflate", (zlib) => ({
  compress: zlib.deflate,
  compressSync: zlib.deflateSync,
  decompress: zlib.inflate,
  decompressSync: zlib.inflateSync,
  compressOptions: {},
  decompressOptions: {},
}));

/** RFC 7932, at quality 4: as fast as gzip and a fifth smaller. The library's default of 11 needs 27 ms for 32 KiB. */
export const brotli: Compression = new ZlibCompression("br", (zlib) => ({
  compress: zlib.brotliCompress,
  compressSync: zlib.brotliCompressSync,
  decompress: zlib.brotliDecompress,
  decompressSync: zlib.brotliDecompressSync,
  compressOptions: { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } },
  decompressOptions: {},
}));

/**
 * RFC 8878, one frame a message; windows up to the 8 MiB that the RFC asks decoders to take. Needs a Node that has it
 * (22.15).
 */
const zstd: Compression = new ZlibCompression("zstd", (zlib) => ({
  compress: zlib.zstdCompress,
  compressSync: zlib.zstdCompressSync,
  decompress: zlib.zstdDecompress,
  decompressSync: zlib.zstdDecompressSync,
  compressOptions: {},
  decompressOptions: { params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } },
}));

const ALL: readonly Compression[] =
  process.versions.zstd === undefined ? [identity, gzip, deflate, brotli] : [identity, gzip, deflate, brotli, zstd];

const BY_NAME: ReadonlyMap<string, Compression> = new Map(ALL.map((compression) => [compression.name, compression]));

/** Names of all compressions that this process has: identity, gzip, deflate, br, and zstd where Node has it. */
export const compressionNames: readonly string[] = ALL.map((compression) => compression.name);

/** The same as the value of `grpc-accept-encoding`: what this process can read. */
export const acceptEncoding: string = compressionNames.join(",");

/** The compression that is called so in `grpc-encoding`; undefined when this process has none. */
export function findCompression(name: string): Compression | undefined {
  return BY_NAME.get(name);
}

/** For whoever was given a name that is none: `field` is what it was given as. */
export function unknownCompression(field: string, name: unknown): TypeError {
  return new TypeError(`${field} is "${String(name)}": give one of ${compressionNames.join(", ")}`);
}

/** The names in a `grpc-accept-encoding` header, in lower case and in order; at most 16 are read. */
export function parseAcceptEncoding(value: string): string[] {
  return value
    .split(",", MAX_NAMES)
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "");
}
