import assert from "node:assert/strict";
import { grpcMessage, type RawPeer } from "bowline/testing";
import type { AttackedServer } from "../attacked-server.ts";
import { echoFields, withBody } from "../provocation.ts";
import type { Row } from "../row.ts";
import { bombFrames } from "./body-rows.ts";

const MIB = 2 ** 20;
const RECEIVE_BYTES = 4 * MIB;
const MAX_BLOCK_MS = 50;
/** Other processes may have the CPU or the allocator its whims in one of them: the least of these counts. */
const TRIES = 10;

/** A call that gives an answer, and how high memory rose and how long the event loop stood still meanwhile, at least of some tries. */
async function leastCost(
  server: AttackedServer,
  call: (peer: RawPeer) => Promise<void>,
  isEnough: (cost: { peak: number; blockMs: number }) => boolean,
): Promise<{ peak: number; blockMs: number }> {
  const least = { peak: Number.POSITIVE_INFINITY, blockMs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < TRIES && !isEnough(least); i++) {
    const peer = await server.open();
    await server.report(true);
    let cpuBefore = Number.NaN;
    const peak = await server.peakDuring(() => {
      cpuBefore = server.cpuMs;
      return call(peer);
    });
    const { longestBlockMs } = await server.report();
    const cpuMs = server.cpuMs - cpuBefore;
    peer.destroy();
    // Where the system does not tell, the block has the word.
    least.peak = Math.min(least.peak, Number.isNaN(peak) ? 0 : peak);
    // Waiting for a CPU that others have is no block of this server's making: it can't be longer than the CPU time that was used.
    least.blockMs = Math.min(least.blockMs, longestBlockMs, Number.isNaN(cpuMs) ? longestBlockMs : cpuMs);
  }
  return least;
}

async function statusOf(peer: RawPeer): Promise<string | undefined> {
  const { headers } = await peer.expect("HEADERS", ({ isEnd }) => isEnd);
  return headers?.["grpc-status"];
}

const inflation: Row = {
  row: 22,
  role: "server",
  title: "what a compression bomb costs until it is stopped",
  required: `peak RSS <= maxReceiveBytes + 1 MiB above that before; event loop held up <= ${MAX_BLOCK_MS} ms`,
  reasons: ["maxReceiveBytes"],
  // A process of its own: one that has met bombs before has the pages already.
  options: {},
  isLong: true,
  attack: async (server) => {
    const most = RECEIVE_BYTES + MIB;
    const shown: string[] = [];
    for (const encoding of ["gzip", "deflate", "br", "zstd"]) {
      const frames = bombFrames({ role: "server", id: 1, fields: echoFields() }, encoding);
      const call = async (peer: RawPeer): Promise<void> => {
        peer.send(...frames);
        assert.equal(await statusOf(peer), "8");
      };
      const { peak, blockMs } = await leastCost(
        server,
        call,
        (cost) => cost.peak <= most && cost.blockMs <= MAX_BLOCK_MS,
      );
      shown.push(`${encoding} ${(peak / MIB).toFixed(1)} MiB, ${blockMs.toFixed(0)} ms`);
      assert.ok(peak <= most, `${encoding}: RSS rose by ${(peak / MIB).toFixed(1)} MiB`);
      assert.ok(blockMs <= MAX_BLOCK_MS, `${encoding}: the event loop was held up for ${blockMs.toFixed(0)} ms`);
    }
    return shown.join(", ");
  },
};

function varint(value: number): number[] {
  return value > 127 ? [(value & 127) | 128, ...varint(value >>> 7)] : [value];
}

function field(tag: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, ...varint(bytes.length)]), bytes]);
}

function filled(bytes: number, ...pattern: number[]): Buffer {
  return Buffer.alloc(bytes, Buffer.from(pattern));
}

const WIRE_BYTES = 4_000_000;

/** Messages of few octets for each object that they make. */
const crowds: readonly [what: string, method: string, bytes: () => Buffer][] = [
  [
    "empty bytes in a map",
    "Headers",
    () => field(0x0a, Buffer.concat([Buffer.of(0x0a, 0), field(0x12, filled(WIRE_BYTES, 0x0a, 0))])),
  ],
  ["empty messages", "Fail", () => filled(WIRE_BYTES, 0x1a, 0)],
  ["unknown numbers", "Unary", () => filled((WIRE_BYTES / 3) | 0, 0xa0, 0x06, 1)],
  ["unknown groups", "Unary", () => filled(WIRE_BYTES, 0xa3, 0x06, 0xa4, 0x06)],
];

/** 8 times for its objects, and that twice more while a collection of garbage copies those that live and finds those that don't. */
const MOST_DECODED = 24 * WIRE_BYTES;

const decoding: Row = {
  row: 23,
  role: "server",
  title: "what messages of nothing but empty objects cost (CVE-2026-55407)",
  required: `decode memory <= 8 x wire or 32 MiB, then RESOURCE_EXHAUSTED; peak RSS <= ${Math.round(MOST_DECODED / MIB)} MiB above that before`,
  reasons: ["decode-memory"],
  options: {},
  isLong: true,
  attack: async (server) => {
    const shown: string[] = [];
    for (const [what, method, make] of crowds) {
      const message = grpcMessage(make());
      const call = async (peer: RawPeer): Promise<void> => {
        peer.send(...withBody({ role: "server", id: 1, fields: echoFields(method) }, message));
        assert.ok(["0", "8"].includes((await statusOf(peer)) ?? ""), what);
      };
      const { peak } = await leastCost(server, call, (cost) => cost.peak <= MOST_DECODED);
      shown.push(`${what} ${(peak / MIB).toFixed(1)} MiB`);
      assert.ok(peak <= MOST_DECODED, `${what}: RSS rose by ${(peak / MIB).toFixed(1)} MiB`);
    }
    return `for ${(WIRE_BYTES / MIB).toFixed(1)} MiB of wire: ${shown.join(", ")}`;
  },
};

/** Rows about what one message costs. */
export const costRows: readonly Row[] = [inflation, decoding];
