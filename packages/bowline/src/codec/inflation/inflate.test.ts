import zlib from "node:zlib";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { narrowWindow } from "./brotli-window.ts";
import { type Inflater, inflate } from "./inflate.ts";

const MIB = 2 ** 20;
const MAX = 4 * MIB;
/** What 4 MiB allow in one go: as much, and a window of as much, beside 256 KiB. */
const ONE_GO = 2 * MIB - 16;
const PIECE = 131_072;

/** Streams that were created, in order, and how many that count there were at once. */
interface Created {
  readonly chunkSizes: number[];
  mostCounting: number;
}

type Creates = (chunkSize: number) => zlib.BrotliDecompress;

/** As given, and what it creates. */
function watched(create: Creates, rest: Omit<Inflater, "create">): { inflater: Inflater; created: Created } {
  const created: Created = { chunkSizes: [], mostCounting: 0 };
  const counting: zlib.BrotliDecompress[] = [];
  return {
    created,
    inflater: {
      ...rest,
      create: (chunkSize) => {
        const stream = create(chunkSize);
        created.chunkSizes.push(chunkSize);
        if (chunkSize === PIECE) counting.push(stream);
        created.mostCounting = Math.max(created.mostCounting, counting.filter((each) => !each.destroyed).length);
        return stream;
      },
    },
  };
}

const formats: Record<string, () => { inflater: Inflater; created: Created; compress: (bytes: Buffer) => Buffer }> = {
  br: () => ({
    ...watched((chunkSize) => zlib.createBrotliDecompress({ chunkSize }), {
      maxWindowBytes: 16 * MIB,
      narrow: narrowWindow,
    }),
    compress: (bytes) =>
      zlib.brotliCompressSync(bytes, {
        params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3, [zlib.constants.BROTLI_PARAM_LGWIN]: 24 },
      }),
  }),
};
if (process.versions.zstd !== undefined) {
  formats.zstd = () => ({
    ...watched((chunkSize) => zlib.createZstdDecompress({ chunkSize }), { maxWindowBytes: 8 * MIB, narrow: null }),
    compress: (bytes) => zlib.zstdCompressSync(bytes),
  });
}

/** Bytes that become three to five times smaller. */
function text(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 7;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 30 === 0 ? state >>> 28 : 97;
  }
  return bytes;
}

describe("inflating br with a window that is too small for the message", () => {
  it("begins anew when that looks like damage", async () => {
    const { inflater, created } = formats.br();
    const start = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 2_654_435_761) >>> 13));
    const plain = Buffer.concat([start, Buffer.alloc(2 ** 21 - 12 - start.length)]);
    // A copy from the beginning, where the window of 2 MiB lacks the first octets: too long for a word of the dictionary.
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN } = zlib.constants;
    const params = { [BROTLI_PARAM_QUALITY]: 5, [BROTLI_PARAM_LGWIN]: 24 };
    const bytes = zlib.brotliCompressSync(Buffer.concat([plain, plain.subarray(0, 1000)]), { params });
    const narrowed = Buffer.from(bytes);
    narrowed[0] = narrowWindow(bytes[0], ONE_GO);
    const options = { maxOutputLength: ONE_GO, chunkSize: ONE_GO + 1 };
    expect(() => zlib.brotliDecompressSync(narrowed, options)).toThrow("Decompression failed");
    const inflated = await inflate(inflater, bytes, MAX, 0);
    expect(inflated?.equals(zlib.brotliDecompressSync(bytes))).toBe(true);
    expect(created.chunkSizes).toEqual([ONE_GO + 1, PIECE, plain.length + 1001]);
  });
});

describe("inflating br of the limit's size with a window of as much, which lacks 16 bytes", () => {
  it("makes what ends as it began, as encoders write it", async () => {
    const { inflater } = formats.br();
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = zlib.constants;
    const params = { [BROTLI_PARAM_QUALITY]: 9, [BROTLI_PARAM_LGWIN]: 24, [BROTLI_PARAM_SIZE_HINT]: MAX };
    const start = Buffer.from(Array.from({ length: 64 }, (_, i) => (i * i * 2_654_435_761) >>> 13));
    for (let ends = 0; ends <= 16; ends++) {
      const plain = Buffer.concat([start, Buffer.alloc(MAX - start.length - ends), start.subarray(0, ends)]);
      const bytes = zlib.brotliCompressSync(plain, { params });
      expect((await inflate(inflater, bytes, MAX, 0))?.equals(plain)).toBe(true);
    }
  });
});

describe.each(Object.keys(formats))("inflating %s", (name) => {
  afterEach(() => vi.restoreAllMocks());

  it("makes in one go what can't pass the limit with its window", async () => {
    const { inflater, created, compress } = formats[name]();
    for (const length of [0, 1, 262_144, 300_000, 1_000_000, ONE_GO]) {
      created.chunkSizes.length = 0;
      const plain = text(length);
      const bytes = compress(plain);
      expect((await inflate(inflater, bytes, MAX, 0))?.equals(plain)).toBe(true);
      expect(created.chunkSizes).toEqual([Math.min(ONE_GO, Math.max(262_144, 16 * bytes.length)) + 1]);
    }
  });

  it("makes a result up to the limit in one go when the limit is higher than the largest window", async () => {
    const { inflater, created, compress } = formats[name]();
    const plain = text(300_000);
    const max = inflater.maxWindowBytes + 20 * MIB;
    expect((await inflate(inflater, compress(plain), max, 0))?.equals(plain)).toBe(true);
    // 20 MiB and 256 KiB, in two pieces.
    expect(created.chunkSizes).toEqual([Math.ceil((20 * MIB + 262_144 + 1) / 2)]);
  });

  it("counts what is larger first, then makes it in one piece", async () => {
    const { inflater, created, compress } = formats[name]();
    for (const length of [ONE_GO + 1, 3_000_000, MAX]) {
      created.chunkSizes.length = 0;
      const plain = text(length);
      const inflated = await inflate(inflater, compress(plain), MAX, 0);
      expect(inflated?.equals(plain)).toBe(true);
      expect(inflated?.buffer.byteLength).toBe(length + 1);
      expect(created.chunkSizes).toEqual([ONE_GO + 1, PIECE, length + 1]);
    }
  });

  it("tries no size that the result is known to pass", async () => {
    const { inflater, created, compress } = formats[name]();
    expect((await inflate(inflater, compress(Buffer.alloc(2_000_000)), MAX, 262_144))?.length).toBe(2_000_000);
    expect(created.chunkSizes).toEqual([PIECE, 2_000_001]);
  });

  it("stops at the limit while it counts", async () => {
    const { inflater, created, compress } = formats[name]();
    for (const [plain, chunkSizes] of [
      [text(MAX + 1), [ONE_GO + 1, PIECE]],
      [Buffer.alloc(64 * MIB), [262_145, PIECE]],
    ] as const) {
      created.chunkSizes.length = 0;
      expect(await inflate(inflater, compress(plain), MAX, 0)).toBe(null);
      expect(created.chunkSizes).toEqual(chunkSizes);
    }
  });

  it("frees the result that became too large, and while it counts each piece before the next", async () => {
    const { inflater, compress } = formats[name]();
    const bytes = compress(text(MAX + 1));
    const allocate = vi.spyOn(Buffer, "allocUnsafe");
    const alive: number[] = [];
    const { create } = inflater;
    const watching: Inflater = {
      ...inflater,
      create: (chunkSize) => {
        const stream = create(chunkSize);
        stream.on("data", () => {
          // Freed memory has no bytes any more, whether or not its garbage was collected.
          const results = allocate.mock.results.filter((_, i) => allocate.mock.calls[i][0] >= PIECE);
          const live = results.reduce((sum, { value }) => sum + (value as Buffer).buffer.byteLength, 0);
          if (chunkSize === PIECE) alive.push(live);
        });
        return stream;
      },
    };
    expect(await inflate(watching, bytes, MAX, 0)).toBe(null);
    expect(alive.length).toBeGreaterThan(MAX / PIECE);
    expect(Math.max(...alive)).toBe(PIECE);
  });

  it("refuses what is cut, damaged or followed by others, made or counted", async () => {
    const { inflater, compress } = formats[name]();
    for (const length of [100_000, 3_000_000]) {
      const good = compress(text(length));
      const cut = good.subarray(0, good.length - 1);
      await expect(inflate(inflater, cut, MAX, 0)).rejects.toThrow("unexpected end of file");
      const junk = Buffer.concat([good, Buffer.from("junk")]);
      await expect(inflate(inflater, junk, MAX, 0)).rejects.toThrow("4 bytes follow its end");
      const damaged = Buffer.concat([good.subarray(0, 20_000), Buffer.alloc(20_000, 255), good.subarray(40_000)]);
      await expect(inflate(inflater, damaged, MAX, 0)).rejects.toThrow();
    }
  });

  it("counts for four at a time, however many come and however they end", async () => {
    const { inflater, created, compress } = formats[name]();
    const large = compress(Buffer.alloc(3_000_000));
    const bomb = compress(Buffer.alloc(16 * MIB + 1));
    const followed = Buffer.concat([bomb, Buffer.of(1)]);
    const inflating = Array.from({ length: 30 }, async (_, i) => {
      const max = i % 3 === 2 ? 64 * MIB : MAX;
      return await inflate(inflater, [large, bomb, followed][i % 3], max, 64 * MIB).then(
        (result) => result?.length ?? null,
        (error: Error) => error.message,
      );
    });
    const ends = await Promise.all(inflating);
    for (const [i, end] of ends.entries()) {
      expect([i, end]).toEqual([i, [3_000_000, null, "1 bytes follow its end"][i % 3]]);
    }
    expect(created.chunkSizes.filter((size) => size === PIECE).length).toBe(30);
    expect(created.mostCounting).toBe(4);
  });

  it("inflates whatever was compressed, up to whatever limit", async () => {
    const { inflater, compress } = formats[name]();
    const length = fc.oneof(fc.nat(600_000), fc.integer({ min: 250_000, max: 270_000 }));
    const nearby = fc.integer({ min: -40, max: 40 });
    await fc.assert(
      fc.asyncProperty(length, nearby, fc.boolean(), async (bytes, more, isText) => {
        const plain = isText ? text(bytes) : Buffer.alloc(bytes, "abcdefg");
        const max = Math.max(1, bytes + more);
        const inflated = await inflate(inflater, compress(plain), max, 0);
        expect(inflated?.equals(plain) ?? null).toBe(bytes > max ? null : true);
      }),
      { numRuns: 30 },
    );
  });
});
