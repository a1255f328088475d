import assert from "node:assert/strict";
import { grpcMessage, type RawPeer } from "bowline/testing";
import { AttackedServer } from "../attacked-server.ts";
import { echoFields, withBody } from "../provocation.ts";
import type { Row } from "../row.ts";
import { bombFrames, honestFrames } from "./body-rows.ts";

const MIB = 2 ** 20;
const RECEIVE_BYTES = 4 * MIB;
const MAX_BLOCK_MS = 50;
/** Of these, the one in the middle counts. */
const TRIES = 5;

/** What one call costs. */
interface Cost {
  /** How high RSS rose above that before, in bytes. */
  readonly peak: number;
  /** How long the event loop stood still. */
  readonly blockMs: number;
}

/**
 * What a call costs a server that has seen none of its kind, in the middle of some tries: each has a process of its own, since one that
 * has met a bomb before has the pages already. An `honest` call goes before, where the first of all costs what it takes to load a library.
 */
async function usualCost(
  call: (peer: RawPeer) => Promise<void>,
  honest?: (peer: RawPeer) => Promise<void>,
): Promise<Cost> {
  const costs: Cost[] = [];
  for (let i = 0; i < TRIES; i++) {
    await using server = await AttackedServer.start();
    if (honest !== undefined) await callOnce(server, honest);
    costs.push(await costOf(server, call));
  }
  const middle = (numbers: number[]): number => numbers.sort((a, b) => a - b)[TRIES >> 1];
  return { peak: middle(costs.map(({ peak }) => peak)), blockMs: middle(costs.map(({ blockMs }) => blockMs)) };
}

async function costOf(server: AttackedServer, call: (peer: RawPeer) => Promise<void>): Promise<Cost> {
  const peer = await server.open();
  await server.report(true);
  let cpuMs = Number.NaN;
  const peak = await server.peakDuring(async () => {
    const before = server.loopCpuMs;
    await call(peer);
    cpuMs = server.loopCpuMs - before;
  });
  const { longestBlockMs } = await server.report();
  // Waiting for a CPU that others have is no block of this server's making. Where the system does not tell, the block has the word.
  const blockMs = Number.isNaN(cpuMs) ? longestBlockMs : Math.min(longestBlockMs, cpuMs);
  return { peak: Number.isNaN(peak) ? 0 : peak, blockMs };
}

/** On a connection of its own: what rounds after the first are for, with honest calls beside them. */
async function callOnce(server: AttackedServer, call: (peer: RawPeer) => Promise<void>): Promise<void> {
  const peer = await server.open();
  await call(peer);
  peer.destroy();
}

async function statusOf(peer: RawPeer): Promise<string | undefined> {
  const { headers } = await peer.expect("HEADERS", ({ isEnd }) => isEnd);
  return headers?.["grpc-status"];
}

const inflation: Row = {
  row: 22,
  role: "server",
  title: "what a compression bomb costs until it is stopped",
  required: `peak RSS <= maxReceiveBytes + 1 MiB above that after an honest message; event loop held up <= ${MAX_BLOCK_MS} ms`,
  reasons: ["maxReceiveBytes"],
  isLong: true,
  attack: async (server, _form, round) => {
    const shown: string[] = [];
    for (const encoding of ["gzip", "deflate", "br", "zstd"]) {
      const place = { role: "server", id: 1, fields: echoFields() } as const;
      const call = async (peer: RawPeer): Promise<void> => {
        peer.send(...bombFrames(place, encoding));
        assert.equal(await statusOf(peer), "8");
      };
      const honest = async (peer: RawPeer): Promise<void> => {
        peer.send(...honestFrames(place, encoding));
        assert.equal(await statusOf(peer), "0");
      };
      await callOnce(server, call);
      if (round > 0) continue;
      const { peak, blockMs } = await usualCost(call, honest);
      shown.push(`${encoding} ${(peak / MIB).toFixed(1)} MiB, ${blockMs.toFixed(0)} ms`);
      assert.ok(peak <= RECEIVE_BYTES + MIB, `${encoding}: RSS rose by ${(peak / MIB).toFixed(1)} MiB`);
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
  isLong: true,
  attack: async (server, _form, round) => {
    const shown: string[] = [];
    for (const [what, method, make] of crowds) {
      const message = grpcMessage(make());
      const call = async (peer: RawPeer): Promise<void> => {
        peer.send(...withBody({ role: "server", id: 1, fields: echoFields(method) }, message));
        assert.ok(["0", "8"].includes((await statusOf(peer)) ?? ""), what);
      };
      await callOnce(server, call);
      if (round > 0) continue;
      const { peak } = await usualCost(call);
      shown.push(`${what} ${(peak / MIB).toFixed(1)} MiB`);
      assert.ok(peak <= MOST_DECODED, `${what}: RSS rose by ${(peak / MIB).toFixed(1)} MiB`);
    }
    return `for ${(WIRE_BYTES / MIB).toFixed(1)} MiB of wire: ${shown.join(", ")}`;
  },
};

/** Rows about what one message costs. */
export const costRows: readonly Row[] = [inflation, decoding];
