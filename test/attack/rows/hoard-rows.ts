import assert from "node:assert/strict";
import {
  encodeLiterals,
  grpcMessage,
  type RawPeer,
  RawSetting,
  rawContinuation,
  rawData,
  rawHeaders,
} from "bowline/testing";
import type { AttackedServer } from "../attacked-server.ts";
import { ECHO_REQUEST, echoFields, Http2Code } from "../provocation.ts";
import type { Row } from "../row.ts";
import { streamRequest } from "./flood-rows.ts";
import { inserted } from "./header-rows.ts";

const MIB = 2 ** 20;

function times(count: number, make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** What the server's process holds more than before once `attack` is over: RSS or heap with buffers, as it may have had free pages. */
async function heldBy(server: AttackedServer, attack: () => Promise<void>): Promise<number> {
  const before = await server.memory();
  await attack();
  const after = await server.memory();
  return Math.max(after.rssBytes - before.rssBytes, after.heapBytes - before.heapBytes);
}

const unfinished: Row = {
  row: 3,
  role: "server",
  title: "header blocks that are never finished",
  required: "RSS grows by <= 1 MiB a connection",
  attack: async (server, form) => {
    const count = 200 * form.scale;
    const peers: RawPeer[] = [];
    const grown = await heldBy(server, async () => {
      for (let i = 0; i < count; i++) {
        const peer = await server.open();
        peer.send(rawHeaders(1, echoFields(), { endHeaders: false }));
        peer.send(...times(8, () => rawContinuation(1, Buffer.alloc(1900, 0x82), false)));
        peers.push(peer);
      }
    });
    for (const peer of peers) peer.destroy();
    assert.ok(grown <= count * MIB, `RSS grew by ${(grown / MIB).toFixed(1)} MiB`);
    return `${(grown / count / 1024).toFixed(0)} KiB a connection, ${count} of them`;
  },
};

const STREAMS = 1000;
const REFERENCES = 88;
/** The lowest reading counts: calls of the honest client come and go meanwhile. */
const ROUNDS = 3;
/** Connections at once, so that what else happens is little beside it. */
const HOARDERS = 4;
const NEWEST = 0xbe;

/** What references may be to: metadata, bytes, and lists that are joined. */
const SEEDS = ["x-seed", "x-seed-bin", "cookie", "tracestate", "grpc-accept-encoding"];

/**
 * Streams that wait for a window which never comes, each with `references` to one entry of the table, called `name`. What was sent,
 * in bytes.
 */
async function hoard(peer: RawPeer, streams: number, name: string, references: number): Promise<number> {
  const seed = inserted(name, "v".repeat(32));
  const block = encodeLiterals(echoFields("ServerStream"));
  let sent = 0;
  for (let i = 0; i < streams; i++) {
    const id = 2 * i + 1;
    const headers = Buffer.concat([block, i === 0 ? seed : Buffer.alloc(0), Buffer.alloc(references, NEWEST)]);
    const frames = [rawHeaders(id, headers), rawData(id, streamRequest(1, 10), { end: true })];
    sent += frames[0].length + frames[1].length;
    peer.send(...frames);
  }
  await peer.expect("HEADERS", ({ streamId }) => streamId === 2 * streams - 1);
  await peer.roundTrip();
  return sent;
}

const bomb: Row = {
  row: 6,
  role: "server",
  title: "HTTP/2 bomb held by shut windows: what references of one octet cost (CVE-2026-49975)",
  required:
    "<= 10 bytes of heap for each reference of one octet, 100 at most in a block; the whole connection <= 16 MiB",
  attack: async (server) => {
    const held = async (name: string, references: number): Promise<{ heap: number; sent: number }> => {
      const { connections } = await server.report();
      const opening = Array.from({ length: HOARDERS }, () => server.open([[RawSetting.INITIAL_WINDOW_SIZE, 0]]));
      const peers = await Promise.all(opening);
      let sent = 0;
      for (const peer of peers) sent += await hoard(peer, STREAMS, name, references);
      const heap = (await server.memory()).heapBytes;
      for (const peer of peers) peer.destroy();
      // Else what is freed late is counted with the next.
      while ((await server.report()).connections > connections);
      return { heap, sent };
    };
    // Code that is compiled on the way is heap, too.
    for (const name of SEEDS) await held(name, REFERENCES);
    const seen: string[] = [];
    for (const name of SEEDS) {
      const empty = (await server.memory()).heapBytes;
      const plain: number[] = [];
      const loaded: number[] = [];
      let octets = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const without = await held(name, 0);
        const full = await held(name, REFERENCES);
        plain.push(without.heap);
        loaded.push(full.heap);
        octets = full.sent - without.sent;
      }
      const ratio = (Math.min(...loaded) - Math.min(...plain)) / octets;
      const inAll = (Math.min(...loaded) - empty) / HOARDERS / MIB;
      assert.ok(inAll <= 16, `${name}: ${inAll.toFixed(1)} MiB of heap a connection`);
      assert.ok(ratio <= 10, `${name}: ${ratio.toFixed(1)} bytes of heap for an octet`);
      seen.push(`${name} ${ratio.toFixed(1)}:1, ${inAll.toFixed(1)} MiB a connection`);
    }
    return `${HOARDERS * STREAMS * REFERENCES} octets of references each: ${seen.join("; ")}`;
  },
};

const STALL_MS = 1000;

const slowReadStall: Row = {
  row: 29,
  role: "server",
  title: "1,000 finished answers that nobody takes (CVE-2019-9517)",
  required: `each reset after stallTimeoutMs (here ${STALL_MS}, default 30,000), drips of window or not; RSS grows by <= 16 MiB`,
  options: { limits: { stallTimeoutMs: STALL_MS } },
  isLong: true,
  isWaiting: true,
  attack: async (server) => {
    const streams = 1000;
    const grown = await heldBy(server, async () => {
      const peer = await server.open([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
      for (let id = 1; id < 2 * streams; id += 2)
        peer.headers(id, echoFields()).data(id, answered(3000), { end: true });
      const dripping = setInterval(() => {
        for (let id = 1; id < 200; id += 2) peer.windowUpdate(id, 1);
      }, 100);
      try {
        const resets = new Set<number>();
        while (resets.size < streams) {
          const { streamId, errorCode } = await peer.expect("RST_STREAM");
          assert.equal(errorCode, Http2Code.ENHANCE_YOUR_CALM);
          resets.add(streamId);
        }
      } finally {
        clearInterval(dripping);
      }
      peer.destroy();
    });
    assert.ok(grown <= 16 * MIB, `RSS grew by ${(grown / MIB).toFixed(1)} MiB`);
    return `${streams} streams reset, RSS grew by ${(grown / MIB).toFixed(1)} MiB`;
  },
};

/** EchoRequest whose answer has this many bytes. */
function answered(bytes: number): Buffer {
  return grpcMessage(Buffer.concat([Buffer.from([0x0a, (bytes & 127) | 128, bytes >> 7]), Buffer.alloc(bytes)]));
}

const MAX_STREAMS = 1024;

const halfOpen: Row = {
  row: 37,
  role: "server",
  title: "half-open streams that never end: all that a connection may have, and more",
  required: `${MAX_STREAMS} are held, those beyond refused; RSS grows by <= 16 MiB; the place of one that ends is given again`,
  reasons: ["maxConcurrentStreams"],
  attack: async (server) => {
    const peer = await server.open();
    const grown = await heldBy(server, async () => {
      for (let i = 0; i < MAX_STREAMS + 100; i++) peer.headers(2 * i + 1, echoFields("BidiStream"));
      for (let i = 0; i < 100; i++) {
        const { errorCode } = await peer.expect("RST_STREAM", ({ streamId }) => streamId > 2 * MAX_STREAMS);
        assert.equal(errorCode, Http2Code.REFUSED_STREAM);
      }
    });
    assert.ok(grown <= 16 * MIB, `RSS grew by ${(grown / MIB).toFixed(1)} MiB`);
    peer.rst(1, Http2Code.CANCEL);
    const refusals = await servedAt(peer, 99_999);
    peer.destroy();
    assert.ok(refusals < PATIENCE, "the place of the stream that has ended was not given again");
    return `100 refused, RSS grew by ${(grown / MIB).toFixed(1)} MiB`;
  },
};

/** The handler of a stream that has ended needs a moment to end, too. */
const PATIENCE = 200;

/** Calls until one is served; how many were refused before. */
async function servedAt(peer: RawPeer, firstId: number): Promise<number> {
  for (let refusals = 0; refusals < PATIENCE; refusals++) {
    const id = firstId + 2 * refusals;
    peer.headers(id, echoFields()).data(id, ECHO_REQUEST, { end: true });
    const served = peer.expect("HEADERS", ({ streamId, isEnd }) => streamId === id && isEnd).then(() => true);
    const refused = peer.expect("RST_STREAM", ({ streamId }) => streamId === id).then(() => false);
    refused.catch(() => {});
    served.catch(() => {});
    if (await Promise.race([served, refused])) return refusals;
  }
  return PATIENCE;
}

const windowGames: Row = {
  row: 38,
  role: "server",
  title: "window of the connection given in small pieces to many streams that wait",
  required: "each piece costs little: 4,000 of them, and honest calls go on; no more than the windows allow is made",
  attack: async (server, form) => {
    const peer = await server.open();
    await server.report(true);
    const streams = 500 * form.scale;
    for (let i = 0; i < streams; i++) {
      peer.headers(2 * i + 1, echoFields("ServerStream")).data(2 * i + 1, streamRequest(1000, 1000), { end: true });
    }
    await peer.expect("HEADERS", ({ streamId }) => streamId === 2 * streams - 1);
    for (let wave = 0; wave < 8; wave++) {
      for (let i = 0; i < 500; i++) peer.windowUpdate(0, 64);
      await peer.roundTrip();
    }
    const { producedBytes } = await server.report();
    const bound = 4 * MIB + 65_535 + 4000 * 64 + streams * 2 * 1000;
    assert.ok(producedBytes <= bound, `${producedBytes} bytes were made, ${bound} are allowed`);
    peer.destroy();
    return `${(producedBytes / MIB).toFixed(1)} MiB made for ${streams} streams`;
  },
};

/** Rows about what is held for a peer that takes its time. */
export const hoardRows: readonly Row[] = [unfinished, bomb, slowReadStall, halfOpen, windowGames];
