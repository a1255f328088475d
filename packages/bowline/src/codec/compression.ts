import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { narrowWindow } from "./inflation/brotli-window.ts";
import { type Inflater, inflate } from "./inflation/inflate.ts";

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
   * INTERNAL (`codec`) when the bytes are damaged, cut off, or followed by others. It throws or rejects.
   *
   * A message that has more takes no more memory than `maxBytes` + 1 MiB until it is stopped; one of `br` that asks for a
   * larger window takes that instead, rounded up from the limit to a power of two. One that has no more takes its own
   * size, twice that above 16 MiB; `br` and `zstd` hold a window besides, of as much and at most 16 and 8 MiB.
   */
  decompress(bytes: Buffer, maxBytes: number, owned?: boolean): Buffer | Promise<Buffer>;
}

/** Larger inputs go to the thread pool: below, the slowest (gzip, br) takes 0.3 ms. */
const MAX_SYNC_INPUT_BYTES = 32_768;
/** A result that outgrows this begins anew in the thread pool: inflating so much takes 0.3 ms. */
const MAX_SYNC_OUTPUT_BYTES = 262_144;
/** The length prefix of gRPC can't say more. */
const MAX_OUTPUT_BYTES = 0xffffffff;
/** Names of `grpc-accept-encoding` that are looked at. */
const MAX_NAMES = 16;

interface Options {
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

interface Engine extends Inflater {
  readonly compress: Later;
  readonly compressSync: AtOnce;
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
    const lasting = owned ? bytes : Buffer.from(bytes);
    return new Promise((resolve, reject) => {
      engine.compress(lasting, engine.compressOptions, (error, result) =>
        error === null ? resolve(result) : reject(error),
      );
    });
  }

  decompress(bytes: Buffer, maxBytes: number, owned = false): Buffer | Promise<Buffer> {
    if (bytes.length === 0) return bytes;
    const isSmall = bytes.length <= MAX_SYNC_INPUT_BYTES;
    const result = isSmall ? this.#decompressNow(bytes, maxBytes) : null;
    if (result !== null) return result;
    return this.#decompressLater(owned ? bytes : Buffer.from(bytes), maxBytes, isSmall ? MAX_SYNC_OUTPUT_BYTES : 0);
  }

  /** Null when the result is too large to be made here, but perhaps not too large. */
  #decompressNow(bytes: Buffer, maxBytes: number): Buffer | null {
    const engine = this.#loaded();
    const maxOutputLength = Math.max(1, Math.min(maxBytes, MAX_SYNC_OUTPUT_BYTES));
    const options = { ...engine.decompressOptions, info: true, maxOutputLength };
    const first = engine.narrow?.(bytes[0], maxOutputLength) ?? bytes[0];
    const isNarrowed = first !== bytes[0];
    const input = isNarrowed ? Buffer.from(bytes) : bytes;
    input[0] = first;
    try {
      return this.#check(engine.decompressSync(input, options), bytes, maxBytes);
    } catch (error) {
      if (RpcError.is(error)) throw error;
      // With a narrowed window, an error may mean no more than that the message is longer.
      if (maxBytes > MAX_SYNC_OUTPUT_BYTES && (isNarrowed || isTooLarge(error))) return null;
      throw this.#failure(error, maxBytes, isNarrowed);
    }
  }

  async #decompressLater(bytes: Buffer, maxBytes: number, knownBytes: number): Promise<Buffer> {
    try {
      const most = Math.max(1, Math.min(maxBytes, MAX_OUTPUT_BYTES));
      const result = await inflate(this.#loaded(), bytes, most, knownBytes);
      if (result === null || result.length > maxBytes) throw tooLarge(maxBytes);
      return result;
    } catch (error) {
      const isNarrowed = (this.#loaded().narrow?.(bytes[0], maxBytes) ?? bytes[0]) !== bytes[0];
      throw this.#failure(error, maxBytes, isNarrowed);
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

  /** A decoder whose window is smaller than the message asked for can't tell one that is too large from one that is damaged. */
  #failure(error: unknown, maxBytes: number, isNarrowed = false): RpcError {
    if (RpcError.is(error)) return error;
    if (isTooLarge(error)) return tooLarge(maxBytes);
    const orTooLarge = isNarrowed ? `, or has more than the allowed ${maxBytes} bytes when inflated` : "";
    const why = error instanceof Error ? error.message : String(error);
    const text = `the message is not valid ${this.name}${orTooLarge}: ${why}`;
    return new RpcError(Code.INTERNAL, text, { cause: error, reason: "codec" });
  }

  /** node:zlib is loaded when first needed: it costs a millisecond of the start. */
  #loaded(): Engine {
    this.#engine ??= this.#create(process.getBuiltinModule("node:zlib"));
    return this.#engine;
  }
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
  decompressSync: zlib.gunzipSync,
  compressOptions: {},
  decompressOptions: {},
  create: (chunkSize) => zlib.createGunzip({ chunkSize }),
  maxWindowBytes: 32_768,
  narrow: null,
}));

/**
 * The zlib format, RFC 1950, as the HTTP name `deflate` means (RFC 9110 §8.4.1.2); the bare format of RFC 1951 is
 * refused.
 */
export const deflate: Compression = new ZlibCompression("deflate", (zlib) => ({
  compress: zlib.deflate,
  compressSync: zlib.deflateSync,
  decompressSync: zlib.inflateSync,
  compressOptions: {},
  decompressOptions: {},
  create: (chunkSize) => zlib.createInflate({ chunkSize }),
  maxWindowBytes: 32_768,
  narrow: null,
}));

/** RFC 7932, at quality 4: as fast as gzip and a fifth smaller. The library's default of 11 needs 27 ms for 32 KiB. */
export const brotli: Compression = new ZlibCompression("br", (zlib) => ({
  compress: zlib.brotliCompress,
  compressSync: zlib.brotliCompressSync,
  decompressSync: zlib.brotliDecompressSync,
  compressOptions: { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } },
  decompressOptions: {},
  create: (chunkSize) => zlib.createBrotliDecompress({ chunkSize }),
  maxWindowBytes: 16_777_216,
  narrow: narrowWindow,
}));

/**
 * RFC 8878, one frame a message; windows up to the 8 MiB that the RFC asks decoders to take. Needs a Node that has it
 * (22.15).
 */
const zstd: Compression = new ZlibCompression("zstd", (zlib) => {
  const decompressOptions = { params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } };
  return {
    compress: zlib.zstdCompress,
    compressSync: zlib.zstdCompressSync,
    decompressSync: zlib.zstdDecompressSync,
    compressOptions: {},
    decompressOptions,
    create: (chunkSize) => zlib.createZstdDecompress({ ...decompressOptions, chunkSize }),
    maxWindowBytes: 8_388_608,
    narrow: null,
  };
});

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
