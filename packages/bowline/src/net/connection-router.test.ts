import { once } from "node:events";
import {
  type ClientRequest,
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  request,
} from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { settled } from "../../test/manual-clock.ts";
import { Arrivals, accepted, answer, NetBench, PREFACE, released } from "../../test/net-bench.ts";
import type { Link } from "../http2/link.ts";
import { ConnectionRouter } from "./connection-router.ts";
import { dial } from "./dial.ts";

let bench: NetBench;

beforeEach(() => {
  bench = new NetBench();
});

afterEach(() => bench.close());

describe("a plaintext port", () => {
  it("knows HTTP/2 however its preface is cut", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const { link } = bench.record(await dial(listener.address, { clock: bench.clock }));
    for (const byte of PREFACE) {
      link.write(Uint8Array.of(byte));
      await settled();
    }
    const { handler } = await bench.links.next();
    await handler.until(() => handler.bytes.equals(PREFACE));
    link.write(Buffer.from("more"));
    await handler.untilText("more");
  });

  it("hands on all that has come to a connection that waited, chunk by chunk", async () => {
    const connections = new Arrivals<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => connections.add(socket));
    const { link } = bench.record(await dial(await bench.serve(server), { clock: bench.clock }));
    const socket = await connections.next();
    for (const piece of [PREFACE.subarray(0, 5), PREFACE.subarray(5), "one ", "two "]) {
      const before = socket.readableLength;
      link.write(Buffer.from(piece));
      while (socket.readableLength === before) await settled();
    }
    const onHttp2 = (taken: Link): void => bench.links.add(bench.record(taken));
    new ConnectionRouter({ clock: bench.clock, handshakeTimeoutMs: 1000, onHttp2 }).accepted(socket);
    const { handler } = await bench.links.next();
    link.write(Buffer.from("three"));
    await handler.until(() => handler.text === `${PREFACE}one two three`);
  });

  it("hands HTTP/1 to node:http, with nothing missing", async () => {
    const http = echoServer();
    const listener = await bench.listen("127.0.0.1:0", { onHttp1: (socket) => http.emit("connection", socket) });
    const body = "x".repeat(300_000);
    for (let round = 0; round < 2; round++) {
      const sent = request({ port: listener.port, host: "127.0.0.1", method: "POST" });
      sent.end(body);
      expect(await bodyOf(sent)).toBe(body);
    }
  });

  it("serves pipelined HTTP/1 requests that came in one chunk, and byte by byte", async () => {
    const http = createHttpServer((incoming, response) => response.end(incoming.url));
    const listener = await bench.listen("127.0.0.1:0", { onHttp1: (socket) => http.emit("connection", socket) });
    const text = "GET /one HTTP/1.1\r\nhost: a\r\n\r\nGET /two HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    const whole = bench.client(listener);
    whole.write(text);
    expect(String(await answer(whole))).toMatch(/\/one.*\/two$/s);
    const cut = bench.client(listener);
    cut.setNoDelay(true);
    const answered = answer(cut);
    for (const character of text) {
      cut.write(character);
      await settled();
    }
    expect(String(await answered)).toMatch(/\/one.*\/two$/s);
  });

  it("answers HTTP/1 with a hint where nobody takes it", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const socket = bench.client(listener);
    socket.write("GET / HTTP/1.1\r\n\r\n");
    expect(String(await answer(socket))).toMatch(/^HTTP\/1\.1 400 .*This port speaks HTTP\/2 only\.$/s);
    expect((await bench.misuses.next()).kind).toBe("http1");
  });

  it("tells a TLS client so in its own way, and reports it", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const socket = bench.tlsClient(listener);
    expect((await once(socket, "error"))[0]).toMatchObject({ code: "ERR_SSL_WRONG_VERSION_NUMBER" });
    expect(await bench.misuses.next()).toEqual({
      kind: "tls-on-plaintext",
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      text: "speaks TLS, this port does not: drop tls at the client, or turn it on here",
    });
    await released(listener, 0);
  });

  it("closes on garbage", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const socket = bench.client(listener);
    socket.write(Buffer.from([0, 1, 2, 3]));
    expect((await answer(socket)).length).toBe(0);
    expect((await bench.misuses.next()).kind).toBe("garbage");
  });

  it("says nothing of probes that connect and go", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const ending = bench.client(listener);
    const resetting = bench.client(listener);
    const speaking = bench.client(listener);
    speaking.write("PRI");
    await accepted(listener, 3);
    ending.end();
    resetting.resetAndDestroy();
    speaking.end();
    await released(listener, 0);
    expect(bench.misuses.all).toEqual([]);
    expect(bench.clock.timers).toBe(0);
  });

  it("waits ten seconds for the preface and no longer, however it drips", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const socket = bench.client(listener);
    socket.write("PRI *");
    await accepted(listener);
    await bench.clock.advance(9999);
    expect(listener.connections).toBe(1);
    socket.write(" HTTP");
    await bench.clock.advance(1);
    await answer(socket);
    expect(await bench.misuses.next()).toMatchObject({
      kind: "timeout",
      text: "did not say within 10000 ms what it speaks",
    });
    await released(listener, 0);
  });

  it("does not wait for ever for a refused client to read its answer", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const socket = bench.keep(connect({ port: listener.port, host: "127.0.0.1", allowHalfOpen: true }));
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await answer(socket);
    expect(listener.connections).toBe(1);
    await bench.clock.advance(1000);
    await released(listener, 0);
  });
});

/** An HTTP/1 server that echoes, and is closed by its connections' end. */
function echoServer(): HttpServer {
  return createHttpServer((incoming, response) => incoming.pipe(response));
}

async function bodyOf(sent: ClientRequest): Promise<string> {
  const [response]: IncomingMessage[] = await once(sent, "response");
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk;
  return body;
}
