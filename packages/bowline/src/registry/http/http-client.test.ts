import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { certPath } from "../../../test/certs.ts";
import { answerJson, answerText, HttpPeer, type PeerHandler } from "../../../test/http-peer.ts";
import { systemClock } from "../../rpc/clock.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { HttpClient, type HttpClientOptions } from "./http-client.ts";
import { HttpError } from "./http-error.ts";
import { readHttpHosts } from "./http-host.ts";
import { readLines } from "./lines.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function peer(handler: PeerHandler, tls?: Parameters<typeof HttpPeer.start>[1]): Promise<HttpPeer> {
  const started = await HttpPeer.start(handler, tls);
  closers.push(() => started.close());
  return started;
}

/** A plain TCP server that does with a connection what it is told. */
async function tcp(connected: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    connected(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

function client(hosts: string | readonly string[], options: Partial<HttpClientOptions> = {}): HttpClient {
  const made = new HttpClient({
    owner: "consul registry",
    hosts: readHttpHosts(hosts, { owner: "consul registry", port: 8500, isTls: false }),
    clock: systemClock,
    ...options,
  });
  closers.push(() => made.close());
  return made;
}

const GET = { method: "GET", path: "/v1/x" } as const;

async function failure(work: Promise<unknown>): Promise<HttpError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof HttpError)) throw new Error(`expected an HttpError, got ${String(error)}`);
  return error;
}

/** A port of the loopback that nobody listens on. */
async function closedPort(): Promise<string> {
  const gone = await HttpPeer.start(() => {});
  const { address } = gone;
  await gone.close();
  return address;
}

describe("an HTTP client of registries", () => {
  it("sends method, path, query, headers and body, and gives the answer", async () => {
    const server = await peer(({ response }) => answerJson(response, { ok: true }, 200, { "x-consul-index": "7" }));
    const own = client(`http://${server.address}/base`, { headers: async () => ({ "x-token": "secret" }) });
    const query = { a: "1 2", b: ["x", "y"], c: undefined };
    const { value, answer } = await own.json({ method: "PUT", path: "/v1/x", query, json: { n: 1 } });
    expect(value).toEqual({ ok: true });
    expect(answer).toMatchObject({ status: 200, host: server.address, headers: { "x-consul-index": "7" } });
    const [request] = server.requests;
    expect(`${request.method} ${request.path}?${request.query}`).toBe("PUT /base/v1/x?a=1+2&b=x&b=y");
    expect(request.headers).toMatchObject({ "x-token": "secret", "content-type": "application/json" });
    expect(request.body).toBe('{"n":1}');
    expect(own.localAddress).toBe("127.0.0.1");
  });

  it("speaks over a Unix socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bowline-http-"));
    const server = createHttpServer((_request, response) => response.end("{}")).listen(join(folder, "s"));
    closers.push(
      () => rmSync(folder, { recursive: true }),
      () => server.close(),
    );
    const own = client(`unix:${join(folder, "s")}`);
    expect((await own.json(GET)).value).toEqual({});
    own.close();
    const gone = await failure(client(`unix:${join(folder, "none")}`).request(GET));
    expect(gone.message).toMatch(/there is no such socket file; start the server or correct the path/);
  });

  it("sends forms, and an empty body by its length", async () => {
    const server = await peer(({ response }) => answerText(response, 200));
    const own = client(server.address);
    await own.request({ method: "POST", path: "/login", form: { user: "a b", password: "ü&" } });
    await own.request({ method: "PUT", path: "/x" });
    expect(server.requests[0].body).toBe("user=a+b&password=%C3%BC%26");
    expect(server.requests[1].headers["content-length"]).toBe("0");
  });

  it("keeps its connections, a bounded number", async () => {
    const server = await peer(({ response }) => answerText(response, 200));
    const own = client(server.address, { maxConnections: 3 });
    await Promise.all(Array.from({ length: 40 }, () => own.request(GET)));
    for (let round = 0; round < 10; round++) await own.request(GET);
    expect(server.requests).toHaveLength(50);
    expect(server.connections).toBe(3);
  });

  it("tells that a host has ended a connection that was kept, and of no other end", async () => {
    const server = await peer(({ response }) => answerText(response, 200));
    let isHeard = (): void => {};
    const heard = new Promise<void>((resolve) => {
      isHeard = resolve;
    });
    const lost: string[] = [];
    const onLost = (host: string): void => {
      lost.push(host);
      isHeard();
    };
    const [own, other] = [client(server.address, { onLost }), client(server.address, { onLost })];
    await own.request({ ...GET, headers: { connection: "close" } });
    // Of more than it keeps the rest is ended by this side.
    for (let round = 0; round < 2; round++) await Promise.all(Array.from({ length: 20 }, () => own.request(GET)));
    const cancelling = new AbortController();
    server.handler = () => cancelling.abort();
    await expect(own.request({ ...GET, signal: cancelling.signal })).rejects.toThrow(/given up/);
    server.handler = ({ response }) => answerText(response, 200);
    await other.request(GET);
    other.close();
    await own.request(GET);
    expect(lost).toEqual([]);
    server.cut();
    await heard;
    expect(lost[0]).toBe(server.address);
  });

  it("sends a request again when the server had closed the kept connection meanwhile", async () => {
    const server = await peer(({ response }) => answerText(response, 200));
    const own = client(server.address);
    await own.request(GET);
    server.handler = ({ response }) => {
      server.handler = ({ response: second }) => answerText(second, 200);
      response.socket?.resetAndDestroy();
    };
    expect((await own.request(GET)).status).toBe(200);
    expect(server.connections).toBe(2);
  });

  it("goes on to the next host when one can't be reached or answers 503, and stays with the one that answers", async () => {
    const bad = await peer(({ response }) => answerText(response, 503, "no leader"));
    const good = await peer(({ response }) => answerText(response, 200));
    const own = client([await closedPort(), bad.address, good.address]);
    expect((await own.request(GET)).host).toBe(good.address);
    await own.request(GET);
    expect(own.preferredHost).toBe(good.address);
    expect(bad.requests).toHaveLength(1);
    expect(good.requests).toHaveLength(2);
  });

  it("asks no other host what one has refused for good", async () => {
    const first = await peer(({ response }) => answerText(response, 403, "Permission denied"));
    const second = await peer(({ response }) => answerText(response, 200));
    const own = client([first.address, second.address], {
      advice: (status) => (status === 403 ? "give a token" : undefined),
    });
    const error = await failure(own.request(GET));
    expect(error.message).toBe(
      `consul registry: GET /v1/x: ${first.address} answered 403 (Permission denied): give a token`,
    );
    expect(error).toMatchObject({ kind: "status", status: 403, text: "Permission denied", isTransient: false });
    expect(second.requests).toHaveLength(0);
  });

  it("asks the one host that a request names, and only that", async () => {
    const first = await peer(({ response }) => answerText(response, 200));
    const second = await peer(({ response }) => answerText(response, 500, "out of order"));
    const own = client([first.address, second.address]);
    const error = await failure(own.request({ ...GET, host: second.address }));
    expect(error).toMatchObject({ status: 500, host: second.address, isTransient: true });
    expect(own.preferredHost).toBe(first.address);
    await expect(own.request({ ...GET, host: "other:1" })).rejects.toThrow(TypeError);
  });

  it("tells what each host said when none answers, without the query", async () => {
    const bad = await peer(({ response }) => answerText(response, 500, "out\r\nof   order"));
    const dead = await closedPort();
    const error = await failure(client([dead, bad.address]).request({ ...GET, query: { token: "secret" } }));
    expect(error.message).toBe(
      `consul registry: GET /v1/x: cannot connect to ${dead}: nothing listens on this port; start the server or correct the address; ` +
        `${bad.address} answered 500 (out of order)`,
    );
  });

  it("follows no redirect, and says where it points without what may be secret", async () => {
    const server = await peer(({ response }) => {
      response.writeHead(307, { location: "http://user:pw@10.0.0.9:8500/v2?token=secret" });
      response.end();
    });
    const error = await failure(client(server.address).request(GET));
    expect(error.kind).toBe("redirect");
    expect(error.message).toMatch(
      /answered 307 and points to http:\/\/10\.0\.0\.9:8500\/v2, which is not followed; set consul\(…\)\.hosts/,
    );
  });

  it("bounds what it reads", async () => {
    const server = await peer(({ response }) => {
      response.write("x".repeat(70_000));
    });
    const error = await failure(client(server.address, { maxBodyBytes: 65_536 }).request(GET));
    expect(error).toMatchObject({ kind: "too-large", isTransient: false });
    expect(error.message).toMatch(/more than the 65536 bytes that are allowed/);
  });

  it("tells HTML, an empty answer, and a port of another protocol from JSON", async () => {
    const html = await peer(({ response }) => response.end("<html><title>Welcome</title></html>"));
    const error = await failure(client(html.address).json(GET));
    expect(error.kind).toBe("malformed");
    expect(error.message).toMatch(
      /answered with "<html><title>Welcome<\/title><\/html>" where JSON was expected; check that consul\(…\)\.hosts/,
    );
    const empty = await peer(({ response }) => response.end());
    expect((await failure(client(empty.address).json(GET))).message).toMatch(/answered with nothing where JSON/);
    const ssh = await tcp((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"));
    const other = await failure(client(ssh).request(GET));
    expect(other.kind).toBe("malformed");
    expect(other.message).toMatch(/something that is no HTTP\/1\.1 .*; it may be another program's port, or speak TLS/);
  });

  it("tells an answer that is cut off, at once or in the middle", async () => {
    const silent = await tcp((socket) => socket.once("data", () => socket.destroy()));
    expect((await failure(client(silent).request(GET))).message).toMatch(
      /closed the connection without an answer; it may expect TLS \(set tls, or write https:\/\/\)/,
    );
    const half = await tcp((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"));
    const error = await failure(client(half).request(GET));
    expect(error).toMatchObject({ kind: "closed", isTransient: true });
    expect(error.message).toMatch(/closed the connection in the middle of its answer/);
  });

  it("waits no longer than it may for an answer, its head or its end", async () => {
    for (const text of ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"]) {
      const arrived = Promise.withResolvers<void>();
      const host = await tcp((socket) => socket.once("data", () => socket.write(text, () => arrived.resolve())));
      const clock = new VirtualClock();
      const failed = failure(client(host, { clock, requestTimeoutMs: 700 }).request(GET));
      await arrived.promise;
      const error = await clock.advanceUntil(failed, 701);
      expect(error.kind).toBe("timeout");
      expect(error.message).toMatch(/within 700 ms/);
      expect(clock.pending).toBe(0);
    }
  });

  it("gives up when it is told to, and when it is closed", async () => {
    const arrived = Promise.withResolvers<void>();
    const server = await peer(() => arrived.resolve());
    const own = client(server.address);
    const giveUp = new AbortController();
    const first = failure(own.request({ ...GET, signal: giveUp.signal }));
    await arrived.promise;
    giveUp.abort();
    expect((await first).kind).toBe("cancelled");
    const second = failure(own.request(GET));
    own.close();
    expect((await second).kind).toBe("cancelled");
    expect((await failure(own.request(GET))).kind).toBe("cancelled");
  });

  it("gives a body bit by bit, and tells how it ended", async () => {
    const server = await peer(({ response, query }) => {
      response.write('{"a":1}\n{"b"');
      response.write(":2}\n");
      if (query.has("cut")) setImmediate(() => response.destroy());
      else response.end();
    });
    const own = client(server.address);
    const stream = await own.stream(GET);
    const lines: string[] = [];
    for await (const some of readLines(stream.chunks, 100)) lines.push(...some);
    expect(lines).toEqual(['{"a":1}', '{"b":2}']);
    const cut = await own.stream({ ...GET, query: { cut: "1" } });
    expect(await failure(drain(cut.chunks))).toMatchObject({ kind: "closed" });
  });

  it("ends a stream that is silent for too long, one that is closed, and one that nobody reads on", async () => {
    const closed: Promise<void>[] = [];
    const server = await peer(({ response }) => {
      closed.push(new Promise((resolve) => response.once("close", () => resolve())));
      response.write("first\n");
    });
    const clock = new VirtualClock();
    const own = client(server.address, { clock });
    const silent = await own.stream({ ...GET, idleTimeoutMs: 30_000 });
    const reader = silent.chunks[Symbol.asyncIterator]();
    await reader.next();
    const failed = failure(reader.next());
    await clock.advance(30_000);
    expect((await failed).message).toMatch(/sent nothing for 30000 ms/);
    const dropped = await own.stream(GET);
    for await (const _chunk of dropped.chunks) break;
    const ended = await own.stream(GET);
    const rest = failure(drain(ended.chunks));
    ended.close();
    expect((await rest).kind).toBe("cancelled");
    await Promise.all(closed);
    expect(clock.pending).toBe(0);
  });
});

describe("an HTTP client with TLS", () => {
  const authorities = certPath("authority.crt");

  it("checks the server's certificate against the authorities", async () => {
    const server = await peer(({ response }) => answerText(response, 200), { name: "server" });
    const own = client(`https://${server.address}`, { tls: { authorities } });
    expect((await own.request(GET)).status).toBe(200);
    const error = await failure(client(`https://${server.address}`).request(GET));
    expect(error).toMatchObject({ kind: "tls", isTransient: false });
    expect(error.message).toMatch(
      /an authority that this client does not trust; put that authority's certificate into tls\.authorities/,
    );
  });

  it("asks for another name when it is told to, and names the setting when the name is wrong", async () => {
    const server = await peer(({ response }) => answerText(response, 200), { name: "server-elsewhere" });
    const wrong = client(`https://${server.address}`, { tls: { authorities } });
    expect((await failure(wrong.request(GET))).message).toMatch(
      /certificate is not for "127\.0\.0\.1"; set tls\.serverName/,
    );
    const right = client(`https://${server.address}`, { tls: { authorities, serverName: "other.internal" } });
    expect((await right.request(GET)).status).toBe(200);
  });

  it("believes anybody only when it is told so by a loud name", async () => {
    const server = await peer(({ response }) => answerText(response, 200), { name: "server-untrusted" });
    const own = client(`https://${server.address}`, { tls: { dangerouslySkipVerification: true } });
    expect((await own.request(GET)).status).toBe(200);
  });

  it("shows a certificate where the server asks for one", async () => {
    const tls = { name: "server", requestCert: true, rejectUnauthorized: true, ca: [readFileSync(authorities)] };
    const server = await peer(({ response }) => answerText(response, 200), tls);
    const pair = { certificate: certPath("client.crt"), key: certPath("client.key") };
    const own = client(`https://${server.address}`, { tls: { authorities, ...pair } });
    expect((await own.request(GET)).status).toBe(200);
    const error = await failure(client(`https://${server.address}`, { tls: { authorities } }).request(GET));
    expect(error.message).toMatch(
      /the server asks for a client certificate; set tls\.certificate and tls\.key|closed the connection/,
    );
  });

  it("says when one side speaks TLS and the other does not", async () => {
    const plain = await peer(({ response }) => answerText(response, 200));
    expect((await failure(client(`https://${plain.address}`).request(GET))).message).toMatch(
      /the port speaks plaintext, not TLS/,
    );
    const server = await peer(({ response }) => answerText(response, 200), { name: "server" });
    const error = await failure(client(server.address).request(GET));
    expect(["closed", "malformed", "status"]).toContain(error.kind);
  });

  it("names the option when a file can't be used", () => {
    expect(() => client("https://a:1", { tls: { authorities: "/nowhere/ca.pem" } })).toThrow(
      /consul registry: tls\.authorities/,
    );
  });
});

async function drain(chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) void chunk;
}
