import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get as httpGet, request as httpRequest, type IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { get as httpsGet } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { certPair, certPath } from "../../test/certs.ts";
import { failure, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { type TextHandlers, TextService } from "../../test/server/text-service.ts";
import { createClient } from "../client/create-client.ts";
import type { LinkPeer } from "../http2/link.ts";
import type { TlsSettings } from "../net/tls/tls-files.ts";
import { Code } from "../rpc/code.ts";
import { RawPeer } from "../testing/raw-peer.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";

const scenes = useScenes();
const AUTHORITIES = certPath("authority.crt");
const HINT = "This port serves gRPC over HTTP/2. Call it with a gRPC client, such as grpcurl.\n";

async function body(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}

/** An HTTP/2 request by Node's own client; its status, headers and body. */
async function http2Request(
  scene: ServerScene,
  headers: Record<string, string>,
  data = "",
): Promise<{ headers: Record<string, unknown>; text: string }> {
  const session = connectHttp2(`http://${scene.server.address}`);
  scene.onClose(() => void session.destroy());
  const stream = session.request(headers, { endStream: data === "" });
  if (data !== "") stream.write(data);
  const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) text += chunk;
  session.destroy();
  return { headers: answer, text };
}

/** An echo that writes down who calls. */
function noting(peers: LinkPeer[]): TextHandlers["say"] {
  return (text, { peer }) => {
    peers.push(peer);
    return text;
  };
}

/** A server with TLS, which wants client certificates as `tls` says. */
function secure(tls: Partial<TlsSettings> = {}, peers: LinkPeer[] = []): Promise<ServerScene> {
  return scenes.start({ say: noting(peers) }, { tls: { ...certPair("server"), ...tls } as TlsSettings });
}

describe("HTTP/1.1", () => {
  it("is answered with 404 and a hint", async () => {
    const scene = await scenes.start();
    const [response] = (await once(httpGet(`http://${scene.server.address}/healthz`), "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(404);
    expect(response.headers.connection).toBe("close");
    expect(await body(response)).toBe(HINT);
    expect(scene.server.misbehaved).toEqual(new Map([["http1", 1]]));
    expect(scene.log.lines[0].text).toBe("speaks HTTP/1, this port serves gRPC over HTTP/2: answered with 404");
  });

  it("is answered so over TLS too", async () => {
    const scene = await secure();
    const url = `https://localhost:${scene.server.port}/`;
    const [response] = (await once(httpsGet(url, { ca: readFileSync(AUTHORITIES) }), "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(404);
    expect(await body(response)).toBe(HINT);
  });

  it("is answered before a request without end has ended", async () => {
    const scene = await scenes.start();
    const request = httpRequest(`http://${scene.server.address}/`, { method: "POST" });
    request.on("error", () => {}).write("never ends");
    const [response] = (await once(request, "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(404);
    expect(await body(response)).toBe(HINT);
  });

  it("leaves nothing open when the client stays", async () => {
    const clock = new VirtualClock();
    const scene = await scenes.start({}, { clock });
    const socket = connect({ port: scene.server.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {}).write("GET / HTTP/1.1\r\n\r\n");
    await once(socket.resume(), "end");
    const closed = once(socket, "close");
    await clock.advance(1000);
    socket.end();
    await closed;
    await scene.server.close();
  });
});

describe("HTTP/2 that is no gRPC", () => {
  it("is answered with 415 for a foreign content type", async () => {
    const scene = await scenes.start();
    const { headers, text } = await http2Request(
      scene,
      { ":method": "POST", ":path": "/text.v1.Text/Say", "content-type": "application/json" },
      "{}",
    );
    expect(headers).toMatchObject({ ":status": 415, "content-type": "text/plain; charset=utf-8" });
    expect(text).toBe('This port serves gRPC: content-type must be application/grpc, not "application/json".\n');
    expect(Number(headers["content-length"])).toBe(text.length);
  });

  it("is answered with 405 for another method than POST", async () => {
    const scene = await scenes.start();
    const { headers, text } = await http2Request(scene, { ":method": "GET", ":path": "/" });
    expect(headers).toMatchObject({ ":status": 405, allow: "POST" });
    expect(text).toBe("This port serves gRPC: requests are POST, not GET.\n");
  });

  it("costs the connection nothing: gRPC goes on beside it", async () => {
    const scene = await scenes.start();
    await http2Request(scene, { ":method": "GET", ":path": "/" });
    expect(await scene.client().say("x")).toBe("x");
    expect(scene.server.misbehaved.size).toBe(0);
  });
});

describe("TLS and plaintext mixed up", () => {
  it("a TLS client on a plaintext port: both sides are told", async () => {
    const scene = await scenes.start();
    const client = scene.client({ tls: { authorities: AUTHORITIES }, authority: "localhost" });
    const error = await failure(client.say("x"));
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.text).toMatch(
      /the port speaks plaintext, not TLS; drop tls for this target or turn it on at the server/,
    );
    expect(scene.server.misbehaved.get("tls-on-plaintext")).toBe(1);
    expect(scene.log.lines[0]).toMatchObject({
      level: "warn",
      text: "speaks TLS, this port does not: drop tls at the client, or turn it on here",
      fields: { kind: "tls-on-plaintext", peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
    });
  });

  it("a plaintext client on a TLS port: both sides are told", async () => {
    const scene = await secure();
    const error = await failure(scene.client().say("x"));
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.text).toMatch(
      /speaks TLS on this port and refused a plaintext connection: turn on tls for this target/,
    );
    expect(scene.server.misbehaved.get("plaintext-on-tls")).toBe(1);
    expect(scene.log.lines[0].text).toBe("speaks plaintext, this port speaks TLS: turn on tls at the client");
  });
});

describe("mutual TLS", () => {
  const tls = { authorities: AUTHORITIES, clientCertificates: "require" } as const;

  it("tells the handler who calls", async () => {
    const peers: LinkPeer[] = [];
    const scene = await secure(tls, peers);
    const client = scene.client({ tls: { authorities: AUTHORITIES, ...certPair("client") }, authority: "localhost" });
    await client.say("x");
    expect(peers[0].tls).toMatchObject({ alpn: "h2", authorized: true, commonName: "user" });
    expect(peers[0].tls?.subjectAltNames).toEqual(["DNS:user.internal", "URI:spiffe://shop/user"]);
  });

  it.each([
    ["no certificate", {}, /client certificate/],
    ["one that is not trusted", certPair("client-untrusted"), /certificate/],
  ] as const)("refuses %s, and says so on both sides", async (_name, own, text) => {
    const scene = await secure(tls);
    const client = scene.client({ tls: { authorities: AUTHORITIES, ...own }, authority: "localhost" });
    const error = await failure(client.say("x"));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, text: expect.stringMatching(text) });
    await scene.eventually(() => scene.server.misbehaved.has("client-certificate"));
    expect(scene.log.lines[0].text).toMatch(/certificate/);
    expect(scene.server.stats[0].started).toBe(0);
  });

  it("is optional on demand: then the handler sees nobody", async () => {
    const peers: LinkPeer[] = [];
    const scene = await secure({ authorities: AUTHORITIES, clientCertificates: "request" }, peers);
    const client = scene.client({ tls: { authorities: AUTHORITIES }, authority: "localhost" });
    await client.say("x");
    expect(peers[0].tls).toMatchObject({ alpn: "h2", authorized: false, commonName: "", subjectAltNames: [] });
  });
});

describe("addresses", () => {
  let directory = "";
  afterEach(() => directory !== "" && rmSync(directory, { recursive: true, force: true }));

  it("may be a Unix socket", async () => {
    directory = mkdtempSync(join(tmpdir(), "bowline-server-"));
    const path = join(directory, "s");
    const peers: LinkPeer[] = [];
    const scene = await scenes.start({ say: noting(peers) }, { listen: `unix:${path}` });
    expect([scene.server.address, scene.server.port]).toEqual([`unix:${path}`, 0]);
    expect(await scene.client().say("x")).toBe("x");
    expect(peers[0].remoteAddress).toMatch(/^unix:/);
  });

  it("may be IPv6, and all interfaces", async () => {
    const six = await scenes.start({}, { listen: "[::1]:0" });
    expect(six.server.address).toBe(`[::1]:${six.server.port}`);
    expect(await six.client().say("x")).toBe("x");
    const all = await scenes.start({}, { listen: ":0" });
    for (const host of ["127.0.0.1", "[::1]"]) {
      const client = createClient(TextService, `${host}:${all.server.port}`);
      expect(await client.say(host)).toBe(host);
      await client.close();
    }
  });
});

describe("lines about clients that do wrong", () => {
  it("do not tell of those that just go, however they do it", async () => {
    const scene = await scenes.start();
    for (const go of ["destroy", "end", "resetAndDestroy"] as const) {
      const socket = connect(scene.server.port, "127.0.0.1").on("error", () => {});
      await new RawPeer(socket, { role: "client", acknowledges: true }).handshake();
      expect(scene.server.connectionCount).toBe(1);
      socket[go]();
      await scene.eventually(() => scene.server.connectionCount === 0);
    }
    expect(scene.server.misbehaved.size).toBe(0);
    expect(scene.log.lines).toEqual([]);
  });

  it("are ten in 10 s at most; the rest is counted, and told of later", async () => {
    const clock = new VirtualClock();
    const scene = await scenes.start({}, { clock });
    const misbehave = async (): Promise<void> => {
      const socket = connect(scene.server.port, "127.0.0.1").on("error", () => {});
      socket.write(Buffer.of(0, 1, 2, 3));
      await once(socket.resume(), "close");
    };
    for (let i = 0; i < 15; i++) await misbehave();
    expect(scene.server.misbehaved).toEqual(new Map([["garbage", 15]]));
    expect(scene.log.lines).toHaveLength(10);
    await clock.advance(10_001);
    await misbehave();
    expect(scene.log.lines.slice(10)).toMatchObject([
      { text: "more connections misbehaved", fields: { suppressed: 5 } },
      { text: "speaks neither HTTP nor TLS", fields: { kind: "garbage" } },
    ]);
  });
});
