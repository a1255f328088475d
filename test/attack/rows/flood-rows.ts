import assert from "node:assert/strict";
import {
  grpcMessage,
  RawSetting,
  rawData,
  rawFrame,
  rawHeaders,
  rawPing,
  rawReset,
  rawSettings,
  rawWindowUpdate,
} from "bowline/testing";
import type { AttackedServer } from "../attacked-server.ts";
import { ended, pour } from "../pour.ts";
import { echoFields, expectHonestCall, Http2Code } from "../provocation.ts";
import type { Row } from "../row.ts";

const MIB = 2 ** 20;
const MAX_STREAMS = 100;
/** resetBurst, and what resetRate adds in the time that one connection may take. */
const MAX_RESETS = 1000 + 33 * 10;
const CANCEL = 8;

/** SlowRequest { sleep_ms } in its prefix. */
function slowRequest(sleepMs: number): Buffer {
  const bytes = [0x08];
  for (let rest = sleepMs; ; rest >>= 7) {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) return grpcMessage(Buffer.from(bytes));
  }
}

/** StreamRequest { count, payload_bytes } in its prefix. */
export function streamRequest(count: number, payloadBytes: number): Buffer {
  const varint = (value: number): number[] => (value > 127 ? [(value & 127) | 128, ...varint(value >> 7)] : [value]);
  return grpcMessage(Buffer.from([0x08, ...varint(count), 0x10, ...varint(payloadBytes)]));
}

/** A call of Echo.Slow that is complete: its handler runs. */
function slowCall(id: number, sleepMs: number): Buffer {
  return Buffer.concat([rawHeaders(id, echoFields("Slow")), rawData(id, slowRequest(sleepMs), { end: true })]);
}

const rapidReset: Row = {
  row: 1,
  role: "server",
  title: "Rapid Reset (CVE-2023-44487)",
  required: `handlers running <= ${MAX_STREAMS} a connection; closed after 1,000 resets + 33/s; honest >= 90 %`,
  reasons: ["resetBurst"],
  duringRatio: 0.9,
  options: { limits: { maxConcurrentStreams: MAX_STREAMS } },
  attack: async (server, _form, round) => {
    await server.report(true);
    const peer = await server.open();
    let opened = 0;
    for (; opened < 20_000 && !peer.hasOtherEnded && !peer.isClosed; opened += 50) {
      const burst = Array.from({ length: 50 }, (_, i) => {
        const id = 2 * (opened + i) + 1;
        return Buffer.concat([slowCall(id, 2000), rawReset(id, CANCEL)]);
      });
      peer.send(...burst);
      if (opened % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const goaway = await peer.expect("GOAWAY");
    assert.equal(goaway.errorCode, Http2Code.ENHANCE_YOUR_CALM);
    const { mostRunning, started } = await server.report();
    const bound = MAX_STREAMS * (round + 1);
    assert.ok(mostRunning <= bound, `${mostRunning} handlers ran at once, ${bound} are allowed`);
    assert.ok(started <= MAX_RESETS, `${started} handlers were started`);
    return `${started} handlers started, at most ${mostRunning} at once`;
  },
};

const tricks: readonly [what: string, trick: (id: number) => Buffer, cancels: boolean][] = [
  ["WINDOW_UPDATE 0", (id) => Buffer.concat([slowCall(id, 500), rawWindowUpdate(id, 0)]), true],
  ["WINDOW_UPDATE past 2^31-1", (id) => Buffer.concat([slowCall(id, 500), rawWindowUpdate(id, 0x7fffffff)]), true],
  [
    "PRIORITY of 4 octets",
    (id) => Buffer.concat([slowCall(id, 500), rawFrame("PRIORITY", 0, id, Buffer.alloc(4))]),
    true,
  ],
  [
    "PRIORITY on itself",
    (id) => Buffer.concat([slowCall(id, 500), rawFrame("PRIORITY", 0, id, selfPriority(id))]),
    true,
  ],
  ["DATA after END_STREAM", (id) => Buffer.concat([slowCall(id, 500), rawData(id, Buffer.of(1))]), true],
  [
    "more than content-length",
    (id) =>
      Buffer.concat([rawHeaders(id, echoFields("Slow", [["content-length", "3"]])), rawData(id, slowRequest(500))]),
    false,
  ],
];

function selfPriority(id: number): Buffer {
  const payload = Buffer.alloc(5);
  payload.writeUInt32BE(id);
  return payload;
}

async function makeReset(server: AttackedServer, what: string, trick: (id: number) => Buffer): Promise<number> {
  await server.report(true);
  const peer = await server.open();
  for (let i = 0; i < MAX_RESETS + 100 && !peer.hasOtherEnded; i += 100) {
    peer.send(...Array.from({ length: 100 }, (_, k) => trick(2 * (i + k) + 1)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const goaway = await peer.expect("GOAWAY").catch((error) => assert.fail(`${what}: ${error.message.slice(0, 200)}`));
  assert.equal(goaway.errorCode, Http2Code.ENHANCE_YOUR_CALM, what);
  assert.ok((goaway.debug ?? "").includes("resetBurst"), `${what}: ${goaway.debug}`);
  return (await server.report()).cancelled;
}

const madeYouReset: Row = {
  row: 2,
  role: "server",
  title: "MadeYouReset (CVE-2025-8671)",
  required: "counted like resets of the peer's own; the handler is cancelled",
  reasons: ["resetBurst"],
  attack: async (server) => {
    const cancelled: string[] = [];
    for (const [what, trick, cancels] of tricks) {
      const count = await makeReset(server, what, trick);
      assert.ok(!cancels || count > 0, `${what}: no handler was cancelled`);
      cancelled.push(`${what} ${count}`);
    }
    return `each of ${tricks.length} ways ends the connection; handlers cancelled: ${cancelled.join(", ")}`;
  },
};

const madeYouResetClient: Row = {
  row: 2,
  role: "client",
  title: "MadeYouReset by a server (CVE-2025-8671)",
  required: "resets that a client is made to send count too",
  reasons: ["resetBurst"],
  attack: async (client) => {
    const ends = await client.call(
      async (peer, ids) => {
        for (const id of ids) peer.windowUpdate(id, 0);
        const { errorCode, debug } = await peer.expect("GOAWAY");
        assert.equal(errorCode, Http2Code.ENHANCE_YOUR_CALM, debug);
      },
      { count: 60, client: { limits: { resetBurst: 50, resetRate: 1 } } },
    );
    assert.ok(ends.every(({ code }) => code !== 0 && code !== 4));
    return `connection ended; ${ends.length} calls failed at once`;
  },
};

const unreadFloods: readonly [what: string, chunk: Buffer][] = [
  ["PING", Buffer.concat(Array.from({ length: 3000 }, () => rawPing()))],
  ["SETTINGS", Buffer.concat(Array.from({ length: 3000 }, () => rawSettings()))],
  [
    "requests to be refused",
    Buffer.concat(Array.from({ length: 300 }, (_, i) => rawHeaders(2 * i + 1, [[":method", "GET"]], { end: true }))),
  ],
];

const unread: Row = {
  row: 10,
  role: "server",
  title: "PING, SETTINGS, RST floods by a peer that does not read (CVE-2019-9512)",
  required: "closed, or not read any more; <= 16 MiB are held",
  reasons: ["too_many_pings", "maxPendingAcks"],
  attack: async (server, form) => {
    const results: string[] = [];
    const before = (await server.memory()).heapBytes;
    for (const [what, chunk] of unreadFloods) {
      const socket = await server.openDeaf();
      const end = await pour(socket, chunk, 40 * MIB * form.scale);
      results.push(`${what} ${end}`);
      // What is held, buffers too; pages that a process keeps of 40 MiB that went through it are judged for all rows alike.
      const grown = (await server.memory()).heapBytes - before;
      assert.ok(grown <= 16 * MIB, `${what}: ${Math.round(grown / MIB)} MiB more are held`);
      // Once it has said GOAWAY a server takes what still comes, to throw it away, until it closes.
      if (end === "taken" && what !== "requests to be refused") await ended(socket);
      socket.destroy();
    }
    return results.join(", ");
  },
};

const unreadClient: Row = {
  row: 10,
  role: "client",
  title: "PING and SETTINGS floods by a server (CVE-2019-9512)",
  required: "the connection ends; calls fail at once",
  reasons: ["maxPendingAcks"],
  attack: async (client) => {
    for (const [what, chunk] of unreadFloods.slice(0, 2)) {
      const ends = await client.call(async (peer, _ids, socket) => {
        socket.pause();
        await pour(socket, chunk, 4 * MIB);
        socket.resume();
        await peer.closed;
      });
      assert.ok(ends[0].code !== 0 && ends[0].code !== 4, `${what}: ${ends[0].text}`);
    }
    return "both floods ended the connection";
  },
};

const dribble: Row = {
  row: 12,
  role: "server",
  title: "data dribble: windows of 1 byte (CVE-2019-9511)",
  required: "<= 64 KiB and a message wait on a stream; drips end the connection after 10,000 + 330/s",
  reasons: ["glitchBurst"],
  attack: async (server) => {
    await server.report(true);
    const peer = await server.open([[RawSetting.INITIAL_WINDOW_SIZE, 1]]);
    peer.headers(1, echoFields("ServerStream")).data(1, streamRequest(10_000, 8000), { end: true });
    await peer.expect("DATA");
    await expectHonestCallWithWindow(peer);
    const { producedBytes } = await server.report();
    assert.ok(producedBytes <= 65_536 + 2 * 8000, `${producedBytes} bytes were made for a window of 1`);
    for (let i = 0; i < 60 && !peer.hasOtherEnded; i++) {
      peer.send(...Array.from({ length: 500 }, () => rawWindowUpdate(1, 1)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { errorCode, debug } = await peer.expect("GOAWAY");
    assert.equal(errorCode, Http2Code.ENHANCE_YOUR_CALM, debug);
    return `${producedBytes} bytes made, then ended by ${debug}`;
  },
};

/** A call on a connection whose streams begin with a window of 1 byte. */
async function expectHonestCallWithWindow(peer: Awaited<ReturnType<AttackedServer["open"]>>): Promise<void> {
  peer.settings([[RawSetting.INITIAL_WINDOW_SIZE, 2]]);
  await peer.roundTrip();
}

const dribbleClient: Row = {
  row: 12,
  role: "client",
  title: "drips of window by a server (CVE-2019-9511)",
  required: "the connection ends after 10,000 + 330/s",
  reasons: ["glitchBurst"],
  attack: async (client) => {
    const [end] = await client.call(async (peer, [id]) => {
      for (let i = 0; i < 60 && !peer.hasOtherEnded; i++) {
        peer.send(...Array.from({ length: 500 }, () => rawWindowUpdate(id, 1)));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { errorCode, debug } = await peer.expect("GOAWAY");
      assert.equal(errorCode, Http2Code.ENHANCE_YOUR_CALM, debug);
    });
    assert.ok(end.code !== 0 && end.code !== 4, end.text);
    return end.text;
  },
};

const MOST_PER_TURN = 2 * 32;

const starvation: Row = {
  row: 30,
  role: "server",
  title: "event loop starved by many streams in one read",
  required: "<= 32 new streams of a connection in a turn (two connections: 64)",
  attack: async (server, form) => {
    await server.report(true);
    const peer = await server.open();
    const count = 500;
    for (let wave = 0; wave < 4 * form.scale; wave++) {
      const calls = Array.from({ length: count }, (_, i) => {
        const id = 2 * (wave * count + i) + 1;
        return Buffer.concat([rawHeaders(id, echoFields()), rawData(id, grpcMessage(Buffer.alloc(0)), { end: true })]);
      });
      peer.send(...calls);
      const last = 2 * (wave * count + count - 1) + 1;
      await peer.expect("HEADERS", (frame) => frame.streamId === last && frame.isEnd);
    }
    const { mostPerTurn } = await server.report();
    assert.ok(mostPerTurn <= MOST_PER_TURN, `${mostPerTurn} streams in one turn`);
    await expectHonestCall(peer);
    peer.destroy();
    return `at most ${mostPerTurn} in a turn`;
  },
};

/** Rows about frames in great number. */
export const floodRows: readonly Row[] = [
  rapidReset,
  madeYouReset,
  madeYouResetClient,
  unread,
  unreadClient,
  dribble,
  dribbleClient,
  starvation,
];
