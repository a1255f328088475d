import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { grpcMessage, PREFACE, RawSetting, rawData, rawHeaders, rawSettings, rawWindowUpdate } from "bowline/testing";
import type { AttackedServer } from "../attacked-server.ts";
import { ended } from "../pour.ts";
import { echoFields, expectHonestCall, Http2Code } from "../provocation.ts";
import type { Row } from "../row.ts";
import { streamRequest } from "./flood-rows.ts";

const MIB = 2 ** 20;

const SETTINGS_ACK = rawSettings().fill(1, 4, 5);
const GREETING = Buffer.concat([PREFACE, rawSettings(), SETTINGS_ACK]);

/** What slow peers have said when they fall silent. */
const halves: readonly Buffer[] = [
  Buffer.alloc(0),
  PREFACE.subarray(0, 10),
  PREFACE,
  Buffer.concat([PREFACE, rawSettings()]),
  Buffer.concat([GREETING, rawHeaders(1, echoFields(), { endHeaders: false })]),
];

const slowloris: Row = {
  row: 4,
  role: "server",
  title: "preface, SETTINGS or header block never completed",
  required: "1,000 connections closed after 10 s; RSS grows by <= 100 MiB",
  reasons: ["timeout", "SETTINGS_TIMEOUT", "handshakeTimeoutMs"],
  isLong: true,
  isWaiting: true,
  attack: async (server, form) => {
    const before = (await server.memory()).rssBytes;
    const sockets: Socket[] = [];
    for (let i = 0; i < 1000 * form.scale; i++) {
      const socket = await server.socket();
      socket.write(halves[i % halves.length]);
      sockets.push(socket);
    }
    const begunAt = performance.now();
    const grown = server.residentBytes - before;
    assert.ok(grown <= 100 * MIB, `RSS grew by ${Math.round(grown / MIB)} MiB`);
    await Promise.all(sockets.map(ended));
    const seconds = (performance.now() - begunAt) / 1000;
    assert.ok(seconds < 15, `the last was closed after ${seconds.toFixed(1)} s`);
    return `${sockets.length} closed after ${seconds.toFixed(1)} s; ${(grown / MIB).toFixed(1)} MiB`;
  },
};

const slowlorisClient: Row = {
  row: 4,
  role: "client",
  title: "header block of an answer never completed",
  required: "the connection ends after handshakeTimeoutMs",
  reasons: ["handshakeTimeoutMs"],
  attack: async (client) => {
    const [end] = await client.call(
      async (peer, [id]) => {
        peer.headers(id, [[":status", "200"]], { endHeaders: false });
        const { debug } = await peer.expect("GOAWAY");
        assert.match(debug ?? "", /handshakeTimeoutMs/);
      },
      { client: { limits: { handshakeTimeoutMs: 200 } } },
    );
    assert.ok(end.code !== 0 && end.code !== 4, end.text);
    return end.text;
  },
};

const STALL_MS = 1000;

const stall: Row = {
  row: 6,
  role: "server",
  title: "answers stalled by a shut window, with drips (CVE-2026-49975)",
  required: `reset after stallTimeoutMs (here ${STALL_MS}, default 30,000), drips of window or not`,
  reasons: ["stallTimeoutMs"],
  isLong: true,
  isWaiting: true,
  options: { limits: { stallTimeoutMs: STALL_MS } },
  attack: async (server) => {
    const peer = await server.open([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    peer.headers(1, echoFields("ServerStream")).data(1, streamRequest(1, 60_000), { end: true });
    const dripping = setInterval(() => peer.send(rawWindowUpdate(1, 1)), 50);
    try {
      const { errorCode } = await peer.expect("RST_STREAM", ({ streamId }) => streamId === 1);
      assert.equal(errorCode, Http2Code.ENHANCE_YOUR_CALM);
    } finally {
      clearInterval(dripping);
    }
    peer.destroy();
    return `reset with ${peer.received.filter(({ type }) => type === "DATA").length} bytes taken`;
  },
};

const PAYLOAD = 200_000;

const tinyData: Row = {
  row: 15,
  role: "server",
  title: "DATA of 1 byte each inside the window (2026)",
  required: "<= 4 x payload + 256 KiB held",
  attack: async (server) => {
    const before = (await server.memory()).heapBytes;
    const peer = await server.open([[RawSetting.INITIAL_WINDOW_SIZE, MIB]]);
    peer.windowUpdate(0, MIB);
    const body = grpcMessage(Buffer.concat([Buffer.of(0x0a, 0xc0, 0x9a, 0x0c), Buffer.alloc(PAYLOAD)]));
    peer.send(rawHeaders(1, echoFields("ClientStream")));
    for (let at = 0; at < PAYLOAD; at += 1000) {
      peer.send(...Array.from({ length: 1000 }, (_, i) => rawData(1, body.subarray(at + i, at + i + 1))));
    }
    await peer.roundTrip();
    const held = (await server.memory()).heapBytes - before;
    assert.ok(held <= 4 * PAYLOAD + 256 * 1024, `${held} bytes are held for ${PAYLOAD}`);
    peer.data(1, body.subarray(PAYLOAD), { end: true });
    const trailers = await peer.expect("HEADERS", (frame) => frame.isEnd);
    assert.equal(trailers.headers?.["grpc-status"], "0");
    peer.destroy();
    return `${held} bytes held for ${PAYLOAD}, then served`;
  },
};

const SETTLE_MS = 10_000;

const leftovers: Row = {
  row: 16,
  role: "server",
  title: "window overflow 10,000 times: nothing is left behind (CVE-2026-21714)",
  required: "heap grows by <= 5 MiB in all",
  reasons: ["FLOW_CONTROL_ERROR"],
  isLong: true,
  attack: async (server, form, round) => {
    const overflow = Buffer.concat([GREETING, rawWindowUpdate(0, 0x7fffffff)]);
    const batch = async (): Promise<void> => {
      const sockets = await Promise.all(Array.from({ length: 20 }, () => server.socket()));
      for (const socket of sockets) socket.write(overflow);
      await Promise.all(sockets.map(ended));
      for (const socket of sockets) socket.destroy();
    };
    for (let i = 0; i < 5; i++) await batch();
    const before = (await server.memory()).heapBytes;
    // Once is enough for the heap; later rounds are there for the honest calls beside them.
    const count = round === 0 ? 10_000 * form.scale : 200;
    for (let i = 0; i < count / 20; i++) await batch();
    const grown = (await server.memory()).heapBytes - before;
    assert.ok(grown <= 5 * MIB, `the heap grew by ${(grown / MIB).toFixed(1)} MiB`);
    // The honest one, and what may still be on its way to its end.
    const endAt = performance.now() + SETTLE_MS;
    let { connections } = await server.report();
    while (connections > 2 && performance.now() < endAt) ({ connections } = await server.report());
    assert.ok(connections <= 2, `${connections} connections are left`);
    return `${count} times: heap grew by ${(grown / MIB).toFixed(2)} MiB, ${connections} connection left`;
  },
};

const MAX_CONNECTIONS = 100;

const manyConnections: Row = {
  row: 26,
  role: "server",
  title: "many idle connections",
  required: `at most maxConnections (here ${MAX_CONNECTIONS}) are held; those there are go on`,
  reasons: ["too-many-connections"],
  options: { maxConnections: MAX_CONNECTIONS },
  isLong: true,
  attack: async (server) => {
    const sockets: Socket[] = [];
    for (let i = 0; i < 2 * MAX_CONNECTIONS; i++) {
      const socket = await server.socket();
      socket.write(GREETING);
      sockets.push(socket);
    }
    const isOver = sockets.map(ended);
    await Promise.any(isOver);
    const { connections } = await server.report();
    assert.ok(connections <= MAX_CONNECTIONS, `${connections} connections are open`);
    for (const socket of sockets) socket.destroy();
    await Promise.all(isOver);
    return `${connections} of ${sockets.length} connections held`;
  },
};

const MAX_DESCRIPTORS = 60;

const noDescriptors: Row = {
  row: 26,
  role: "server",
  title: "no descriptors left (EMFILE, CVE-2023-4785)",
  required: "the accept loop survives; a connection is served once there are descriptors again",
  // Where there is no /proc, libuv takes and closes such connections by itself, and Node hears nothing of it.
  reasons: existsSync("/proc/self/limits") ? ["few-descriptors", "accept-failed"] : [],
  maxDescriptors: MAX_DESCRIPTORS,
  isLong: true,
  attack: async (server) => {
    const sockets = await Promise.all(Array.from({ length: 2 * MAX_DESCRIPTORS }, () => server.socket()));
    for (const socket of sockets) socket.write(GREETING);
    const isOver = sockets.map(ended);
    await Promise.any(isOver);
    const { connections } = await server.report();
    const { descriptors } = server;
    assert.ok(connections < MAX_DESCRIPTORS, `${connections} connections with ${MAX_DESCRIPTORS} descriptors`);
    // The one that is missing is libuv's, for just this.
    assert.ok(!(descriptors < MAX_DESCRIPTORS - 1), `${descriptors} of ${MAX_DESCRIPTORS} descriptors are in use`);
    await reported(server, noDescriptors.reasons ?? []);
    for (const socket of sockets) socket.destroy();
    await Promise.all(isOver);
    // Descriptors are free again when the server has seen the ends of all that it held or still had to accept.
    while ((await server.report()).connections > 1) await new Promise((resolve) => setImmediate(resolve));
    const refused = await servedAgain(server);
    return `${connections} of ${sockets.length} connections held with ${descriptors} descriptors, served after ${refused} more`;
  },
};

/** Waits until each reason was counted. */
async function reported(server: AttackedServer, reasons: readonly string[]): Promise<void> {
  for (const endAt = performance.now() + SETTLE_MS; performance.now() < endAt; ) {
    const { misbehaved } = await server.report();
    if (reasons.every((reason) => reason in misbehaved)) return;
  }
  throw new Error(`${reasons.join(" and ")} are not counted after ${SETTLE_MS / 1000} s`);
}

/** Tries until a connection is served: the first may still meet the want of descriptors. How many did. */
async function servedAgain(server: AttackedServer): Promise<number> {
  for (let refused = 0; ; refused++) {
    try {
      const peer = await server.open();
      await expectHonestCall(peer);
      peer.destroy();
      return refused;
    } catch (error) {
      if (refused > 20) throw error;
    }
  }
}

const certificates = fileURLToPath(new URL("../../../packages/bowline/test/certs/", import.meta.url));

/** How a TLS connection went: what it agreed on, or why not. */
async function tlsOutcome(server: AttackedServer, options: object): Promise<string> {
  const socket = connectTls({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  const error = once(socket, "error").then(([each]) => `refused: ${(each as Error).message}`);
  const closed = once(socket, "close").then(() => "closed");
  const secure = once(socket, "secureConnect").then(() => spoken(socket));
  for (const each of [error, closed, secure]) each.catch(() => {});
  const outcome = await Promise.race([error, closed, secure]);
  socket.destroy();
  return outcome;
}

/** Says the preface and waits for SETTINGS or the end. */
async function spoken(socket: TLSSocket): Promise<string> {
  socket.write(GREETING);
  const data = once(socket, "data").then(([chunk]) => ((chunk as Buffer)[3] === 4 ? "served" : "refused: no HTTP/2"));
  return Promise.race([data, once(socket, "end").then(() => "refused: ended")]);
}

/** What a client gets that wants to agree on keys again, in TLS 1.2. */
async function renegotiation(server: AttackedServer): Promise<string> {
  const options = { rejectUnauthorized: false, maxVersion: "TLSv1.2", ALPNProtocols: ["h2"] } as const;
  const socket = connectTls({ port: server.port, host: "127.0.0.1", ...options });
  await once(socket, "secureConnect");
  socket.resume().write(GREETING);
  const outcome = await new Promise<string>((resolve) => {
    socket.on("error", (error) => resolve(error.message));
    socket.on("close", () => resolve("closed"));
    socket.renegotiate({}, (error) => resolve(error?.message ?? "renegotiated"));
  });
  socket.destroy();
  return outcome;
}

const KEY_UPDATES = 1000;

/** A TLS 1.3 client that asks for new keys again and again (RFC 8446 section 4.6.3); Node has no way to, openssl has. */
async function keyUpdates(server: AttackedServer): Promise<string> {
  const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${server.port}`, "-tls1_3", "-alpn", "h2"]);
  child.stdin.on("error", () => {});
  const gone = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(`KeyUpdate SKIPPED: ${error.message}`));
    child.on("exit", () => resolve("ended"));
  });
  child.stdout.resume();
  // It says so for each: K sends an update and asks for one. One command is read at a time.
  let sent = 0;
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    sent += text.split("KEYUPDATE").length - 1;
    child.stdin.write("K\n");
  });
  child.stdin.write("K\n");
  while (sent < KEY_UPDATES && child.exitCode === null && child.signalCode === null) {
    const failed = await Promise.race([gone, once(child.stderr, "data").then(() => "")]);
    if (failed !== "") return failed === "ended" ? `connection ended after ${sent} KeyUpdates` : failed;
  }
  child.kill();
  await gone;
  return `${sent} KeyUpdates borne`;
}

const tls: Row = {
  row: 27,
  role: "server",
  title: "old TLS, no ALPN, weak ciphers, renegotiation, KeyUpdate flood",
  required: "refused before any HTTP/2; TLS 1.2 with AEAD and h2 is served; KeyUpdates without end hurt nobody",
  reasons: ["tls-handshake"],
  isOverTls: true,
  options: { tls: { certificate: `${certificates}server.crt`, key: `${certificates}server.key` } },
  isLong: true,
  attack: async (server) => {
    const h2 = { ALPNProtocols: ["h2"] };
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    const weak = { maxVersion: "TLSv1.2", ciphers: "AES128-SHA" };
    const outcomes = {
      "TLS 1.3 with h2": await tlsOutcome(server, h2),
      "TLS 1.2 with h2": await tlsOutcome(server, { ...h2, maxVersion: "TLSv1.2" }),
      "TLS 1.1": await tlsOutcome(server, { ...h2, ...old }),
      "a CBC cipher": await tlsOutcome(server, { ...h2, ...weak }),
      "no ALPN": await tlsOutcome(server, {}),
      "ALPN without h2": await tlsOutcome(server, { ALPNProtocols: ["spdy/3"] }),
    };
    for (const [what, outcome] of Object.entries(outcomes)) {
      assert.equal(outcome === "served", what.endsWith("with h2"), `${what}: ${outcome}`);
    }
    assert.notEqual(await renegotiation(server), "renegotiated");
    const flood = await keyUpdates(server);
    const shown = Object.entries(outcomes).map(([what, outcome]) => `${what} ${outcome.slice(0, 30)}`);
    return [...shown, "renegotiation refused", flood].join(", ");
  },
};

const abandonedBody: Row = {
  row: 28,
  role: "server",
  title: "bodies of requests that were answered early",
  required: "read on for <= 64 KiB and <= 5 s, then RST_STREAM",
  isLong: true,
  isWaiting: true,
  attack: async (server, _form, round) => {
    const peer = await server.open();
    const post = echoFields().map(([name, value]) => [name, name === "content-type" ? "text/plain" : value] as const);
    peer.headers(1, post);
    for (let i = 0; i < 8; i++) peer.data(1, Buffer.alloc(10_000));
    const flooded = await peer.expect("RST_STREAM", ({ streamId }) => streamId === 1);
    assert.equal(flooded.errorCode, Http2Code.NO_ERROR);
    if (round > 0) return "as before";
    const begunAt = performance.now();
    peer.headers(3, post);
    const silent = await peer.expect("RST_STREAM", ({ streamId }) => streamId === 3);
    assert.equal(silent.errorCode, Http2Code.NO_ERROR);
    const seconds = (performance.now() - begunAt) / 1000;
    assert.ok(seconds < 7, `reset after ${seconds.toFixed(1)} s`);
    peer.destroy();
    return `reset after 64 KiB, and after ${seconds.toFixed(1)} s of silence`;
  },
};

const slowRead: Row = {
  row: 29,
  role: "server",
  title: "1,000 streams whose answers nobody reads (CVE-2019-9517)",
  required: "<= 4 MiB and two messages a stream are made; others are served",
  attack: async (server, form) => {
    await server.report(true);
    const peer = await server.open([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    const streams = 1000 * form.scale;
    for (let i = 0; i < streams; i++) {
      const id = 2 * i + 1;
      peer.headers(id, echoFields("ServerStream")).data(id, streamRequest(10_000, 4000), { end: true });
    }
    await peer.expect("HEADERS", ({ streamId }) => streamId === 2 * streams - 1);
    await peer.roundTrip();
    const { producedBytes } = await server.report();
    const bound = 4 * MIB + streams * 2 * 4000;
    assert.ok(producedBytes <= bound, `${producedBytes} bytes were made, ${bound} are allowed`);
    peer.destroy();
    return `${(producedBytes / MIB).toFixed(1)} MiB made for ${streams} streams`;
  },
};

/** Rows about what a peer may hold: memory, connections, time. */
export const resourceRows: readonly Row[] = [
  slowloris,
  slowlorisClient,
  stall,
  tinyData,
  leftovers,
  manyConnections,
  noDescriptors,
  tls,
  abandonedBody,
  slowRead,
];
