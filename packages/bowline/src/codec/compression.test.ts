import { execFile } from "node:child_process";
import { promisify } from "node:util";
import zlib from "node:zlib";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { acceptEncoding, type Compression, findCompression, identity, parseAcceptEncoding } from "./compression.ts";

const MAX = 4 << 20;
const names = acceptEncoding.split(",");
const compressing = names.filter((name) => name !== "identity");

function named(name: string): Compression {
  return findCompression(name) as Compression;
}

/** What `run` throws or its promise rejects with; whether it came at once. */
async function failure(run: () => unknown): Promise<{ error: RpcError; atOnce: boolean }> {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    expect(RpcError.is(error)).toBe(true);
    return { error: error as RpcError, atOnce: true };
  }
  try {
    await result;
  } catch (error) {
    expect(RpcError.is(error)).toBe(true);
    return { error: error as RpcError, atOnce: false };
  }
  throw new Error("nothing failed");
}

/** Bytes that can't be compressed. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

describe("the encodings of this process", () => {
  it("are advertised in order, zstd where Node has it", () => {
    expect(acceptEncoding).toBe(`identity,gzip,deflate,br${process.versions.zstd === undefined ? "" : ",zstd"}`);
  });

  it("are found by their names, exactly", () => {
    for (const name of names) expect(findCompression(name)?.name).toBe(name);
    for (const name of ["", "GZIP", "snappy", "x-gzip", "__proto__"]) expect(findCompression(name)).toBeUndefined();
  });

  it("are read from grpc-accept-encoding", () => {
    expect(parseAcceptEncoding("identity,gzip")).toEqual(["identity", "gzip"]);
    expect(parseAcceptEncoding(" gzip ,\tDeflate,, zstd ")).toEqual(["gzip", "deflate", "zstd"]);
    expect(parseAcceptEncoding("")).toEqual([]);
    expect(parseAcceptEncoding("x,".repeat(100_000)).length).toBe(16);
  });
});

describe.each(compressing)("%s", (name) => {
  const compression = named(name);

  it("gives back what it was given, at once or later", async () => {
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: 100_000 }).map((length) => noise(length)),
      fc.integer({ min: 1, max: 300_000 }).map((length) => Buffer.alloc(length, "abcdefg")),
    );
    await fc.assert(
      fc.asyncProperty(message, async (bytes) => {
        const back = await compression.decompress(await compression.compress(Buffer.from(bytes)), MAX);
        expect(back.equals(bytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("does small messages at once and large ones elsewhere", async () => {
    expect(compression.compress(noise(32_768))).toBeInstanceOf(Uint8Array);
    const large = compression.compress(noise(32_769));
    expect(large).toBeInstanceOf(Promise);
    expect(compression.decompress(await compression.compress(noise(1000)), MAX)).toBeInstanceOf(Uint8Array);
    expect(compression.decompress(await large, MAX)).toBeInstanceOf(Promise);
    await compression.decompress(await large, MAX);
  });

  it("reads bytes that are not its own before they change", async () => {
    for (const plain of [noise(50_000), Buffer.alloc(2_000_000, "abc")]) {
      const lent = Buffer.from(plain);
      const compressing = compression.compress(lent);
      lent.fill(0);
      const compressed = await compressing;
      const lentCompressed = Buffer.from(compressed);
      const inflating = compression.decompress(lentCompressed, MAX);
      lentCompressed.fill(0);
      expect((await inflating).equals(plain)).toBe(true);
      expect((await compression.decompress(compressed, MAX, true)).equals(plain)).toBe(true);
      expect(await compression.compress(plain, true)).toEqual(compressed);
    }
  });

  it("inflates small messages that become large elsewhere, so that they don't hold the event loop", async () => {
    const bytes = await compression.compress(Buffer.alloc(3 << 20));
    expect(bytes.length).toBeLessThan(32_768);
    const inflating = compression.decompress(bytes, MAX);
    expect(inflating).toBeInstanceOf(Promise);
    expect((await inflating).length).toBe(3 << 20);
  });

  it("lets a message reach the limit and not pass it", async () => {
    for (const length of [1, 1000, 262_144, 262_145, 1_000_000]) {
      for (const bytes of [Buffer.alloc(length, "x"), noise(length)]) {
        const compressed = await compression.compress(bytes);
        expect((await compression.decompress(compressed, length)).length).toBe(length);
        const { error } = await failure(() => compression.decompress(compressed, length - 1));
        expect([error.code, error.reason]).toEqual([Code.RESOURCE_EXHAUSTED, "limit"]);
        expect(error.text).toContain(`${length - 1} bytes`);
      }
    }
  });

  it("takes no limit too", async () => {
    const compressed = await compression.compress(Buffer.alloc(400_000));
    expect((await compression.decompress(compressed, Number.POSITIVE_INFINITY)).length).toBe(400_000);
  });

  it("does not keep a large buffer for a small result", async () => {
    const compressed = await compression.compress(noise(40_000));
    const inflated = await compression.decompress(compressed, MAX);
    expect(inflated.buffer.byteLength).toBeLessThan(MAX / 4);
  });

  it("takes no bytes for an empty message, as compressed empty messages are", async () => {
    expect((await compression.decompress(Buffer.alloc(0), MAX)).length).toBe(0);
    expect((await compression.decompress(await compression.compress(Buffer.alloc(0)), MAX)).length).toBe(0);
    expect((await compression.decompress(await compression.compress(Buffer.alloc(0)), 0)).length).toBe(0);
  });

  it("refuses damaged, foreign and cut messages and such with something behind", async () => {
    for (const plain of [Buffer.from("hello hello hello"), noise(50_000)]) {
      const good = await compression.compress(plain);
      const bad: [string, Buffer][] = [
        ["foreign", Buffer.from("this was never compressed by anyone")],
        ["cut", good.subarray(0, good.length - 1)],
        ["cut to one byte", good.subarray(0, 1)],
        ["junk behind", Buffer.concat([good, Buffer.from("junk")])],
        ["zeros behind", Buffer.concat([good, Buffer.alloc(3)])],
      ];
      for (const [what, bytes] of bad) {
        const { error } = await failure(() => compression.decompress(bytes, MAX));
        expect([what, error.code, error.reason]).toEqual([what, Code.INTERNAL, "codec"]);
        expect(error.text).toContain(name);
      }
    }
  });

  it("fails only with RpcErrors, whatever the bytes", async () => {
    const good = await compression.compress(Buffer.from("a message that will be damaged somewhere"));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length - 1),
        fc.nat(255),
        fc.uint8Array({ maxLength: 100 }),
        async (at, value, junk) => {
          const flipped = Buffer.from(good);
          flipped[at] = value;
          for (const bytes of [flipped, Buffer.from(junk)]) {
            try {
              expect((await compression.decompress(bytes, 10_000)).length).toBeLessThanOrEqual(10_000);
            } catch (error) {
              expect(RpcError.is(error)).toBe(true);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("formats", () => {
  it("are those that other implementations write", async () => {
    const bytes = Buffer.from("hello hello hello");
    const others: [string, Buffer][] = [
      ["gzip", zlib.gzipSync(bytes)],
      ["deflate", zlib.deflateSync(bytes)],
      ["br", zlib.brotliCompressSync(bytes)],
    ];
    for (const [name, compressed] of others) {
      expect((await named(name).decompress(compressed, 100)).toString()).toBe("hello hello hello");
    }
    expect(zlib.gunzipSync(await named("gzip").compress(bytes)).toString()).toBe("hello hello hello");
    expect(zlib.inflateSync(await named("deflate").compress(bytes)).toString()).toBe("hello hello hello");
  });

  it("deflate is zlib's, without it nothing", async () => {
    const { error } = await failure(() => named("deflate").decompress(zlib.deflateRawSync(Buffer.from("hello")), 100));
    expect(error.code).toBe(Code.INTERNAL);
  });

  it("gzip may have several members, and the limit is that of their sum", async () => {
    const member = zlib.gzipSync(Buffer.alloc(1000));
    const two = Buffer.concat([member, member]);
    expect((await named("gzip").decompress(two, 2000)).length).toBe(2000);
    expect((await failure(() => named("gzip").decompress(two, 1999))).error.code).toBe(Code.RESOURCE_EXHAUSTED);
  });

  it("br may have a copy where the first attempt's window ends", async () => {
    const plain = Buffer.concat([noise(2000), Buffer.alloc(2 ** 19 - 12 - 2000)]);
    const message = Buffer.concat([plain, plain.subarray(0, 1000)]);
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN } = zlib.constants;
    for (const windowBits of [20, 24]) {
      const params = { [BROTLI_PARAM_QUALITY]: 5, [BROTLI_PARAM_LGWIN]: windowBits };
      const inflated = await named("br").decompress(zlib.brotliCompressSync(message, { params }), MAX);
      expect(inflated.equals(message)).toBe(true);
    }
  });

  it("identity changes nothing and knows the limit", async () => {
    const bytes = Buffer.from("as it is");
    expect(identity.compress(bytes)).toBe(bytes);
    expect(identity.decompress(bytes, 8)).toBe(bytes);
    expect((await failure(() => identity.decompress(bytes, 7))).error.code).toBe(Code.RESOURCE_EXHAUSTED);
  });
});

describe("memory", () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(compressing)("%s makes a large result in one piece, so that it never exists twice", async (name) => {
    const compressed = await named(name).compress(Buffer.alloc(3_000_000, "abc"));
    const concat = vi.spyOn(Buffer, "concat");
    const allocate = vi.spyOn(Buffer, "allocUnsafe");
    expect((await named(name).decompress(compressed, MAX)).length).toBe(3_000_000);
    // What the first attempt, of at most 256 KiB, has made was small.
    for (const { value } of concat.mock.results) expect((value as Buffer).length).toBeLessThanOrEqual(262_144);
    expect(allocate.mock.calls.filter(([bytes]) => bytes > 262_144)).toEqual([
      // Those with large windows have counted it before.
      [["br", "zstd"].includes(name) ? 3_000_001 : MAX + 1],
    ]);
  });

  /**
   * Inflates what comes on stdin and prints how it ended and by how many MiB the process has grown at its largest. Linux tells
   * that in VmHWM only: ru_maxrss begins with the size of the process that started this one.
   */
  const program = `
    import { readFileSync } from "node:fs";
    import { findCompression } from ${JSON.stringify(new URL("./compression.ts", import.meta.url).href)};
    const [name, limit] = process.argv.slice(-2);
    const chunks = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    const bytes = Buffer.concat(chunks), compression = findCompression(name);
    await compression.decompress(await compression.compress(Buffer.alloc(100_000)), 1e6);
    const largest = () => Number(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync("/proc/self/status", "latin1"))[1]) / 1024;
    const before = process.memoryUsage.rss() / 2 ** 20;
    let end = "inflated";
    try { await compression.decompress(bytes, Number(limit)); } catch (error) { end = error.code; }
    console.log(end, largest() - before);
  `;

  const zeros = Buffer.alloc(96 << 20);
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, ZSTD_c_windowLog } = zlib.constants;
  /** Those that have windows have the largest. */
  const bombs: [name: string, mebibytes: number, bytes: Buffer][] = [
    ["gzip", 256, Buffer.concat(new Array<Buffer>(256).fill(zlib.gzipSync(Buffer.alloc(1 << 20))))],
    ["deflate", 96, zlib.deflateSync(zeros)],
    ["br", 96, zlib.brotliCompressSync(zeros, { params: { [BROTLI_PARAM_QUALITY]: 3, [BROTLI_PARAM_LGWIN]: 24 } })],
  ];
  if (names.includes("zstd")) {
    bombs.push(["zstd", 96, zlib.zstdCompressSync(zeros, { params: { [ZSTD_c_windowLog]: 23 } })]);
  }

  it.runIf(process.platform === "linux").each(bombs)(
    "a %s bomb of %d MiB, 1,000 to 1, costs little more than the limit",
    async (name, _mebibytes, bytes) => {
      const running = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program, name, String(MAX)]);
      running.child.stdin?.end(bytes);
      const [end, grownMebibytes] = (await running).stdout.trim().split(" ");
      expect(end).toBe(String(Code.RESOURCE_EXHAUSTED));
      // Measured: 4.5 MiB at a limit of 4; the rest is room for what the process does beside.
      expect(Number(grownMebibytes)).toBeLessThan(7);
    },
    30_000,
  );
});
