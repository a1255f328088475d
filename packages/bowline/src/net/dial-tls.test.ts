import { copyFileSync, readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer, type Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certPair, certPath } from "../../test/certs.ts";
import { AUTHORITIES, NetBench, PREFACE } from "../../test/net-bench.ts";
import { type DialOptions, dial } from "./dial.ts";
import { DialError, type DialErrorKind } from "./dial-error.ts";
import { openTlsFiles, type TlsSettings } from "./tls/tls-files.ts";

let bench: NetBench;

beforeEach(() => {
  bench = new NetBench();
});

afterEach(() => bench.close());

/** The error of a dial that must fail. */
async function failure(address: string, options: Partial<DialOptions> = {}): Promise<DialError> {
  try {
    const link = await dial(address, { clock: bench.clock, ...options });
    bench.record(link);
  } catch (error) {
    if (error instanceof DialError) return error;
    throw error;
  }
  throw new Error(`${address} answered`);
}

async function expectFailure(
  address: string,
  options: Partial<DialOptions>,
  kind: DialErrorKind,
  message: RegExp,
): Promise<void> {
  const error = await failure(address, options);
  expect(error.message).toMatch(message);
  expect(error).toMatchObject({ kind, address, name: "DialError" });
}

const clientTls = (settings: TlsSettings = { authorities: AUTHORITIES }): Partial<DialOptions> => ({
  tls: bench.tls("client", settings),
});

describe("dial with TLS", () => {
  async function tlsServer(name: string, settings: TlsSettings = {}): Promise<string> {
    const listener = await bench.listen("127.0.0.1:0", {
      tls: bench.tls("server", { ...certPair(name), ...settings }),
    });
    return listener.address;
  }

  it("verifies the server, agrees on h2 and tells both sides who the other is", async () => {
    const address = await tlsServer("server", { authorities: AUTHORITIES });
    const options = clientTls({ ...certPair("client"), authorities: AUTHORITIES });
    const client = bench.record(await dial(address, { clock: bench.clock, ...options }));
    client.link.write(PREFACE);
    const server = await bench.links.next();
    expect(server.link.peer.tls).toMatchObject({ alpn: "h2", authorized: true, commonName: "user" });
    expect(server.link.peer.tls?.subjectAltNames).toEqual(["DNS:user.internal", "URI:spiffe://shop/user"]);
    expect(client.link.peer.tls).toMatchObject({ alpn: "h2", authorized: true, commonName: "localhost" });
    expect(client.link.peer.tls?.subjectAltNames).toContain("DNS:localhost");
    server.link.write(Buffer.from("hello"));
    await client.handler.untilText("hello");
  });

  it("believes anybody where that is asked for by its name, and says that nobody was verified", async () => {
    const address = await tlsServer("server");
    const options = { ...clientTls({}), dangerouslySkipVerification: true };
    const client = bench.record(await dial(address, { clock: bench.clock, ...options }));
    expect(client.link.peer.tls).toMatchObject({ alpn: "h2", authorized: false });
  });

  it("knows the peer's names after the connection is gone", async () => {
    const address = await tlsServer("server", { authorities: AUTHORITIES });
    const client = bench.record(
      await dial(address, { clock: bench.clock, ...clientTls({ ...certPair("client"), authorities: AUTHORITIES }) }),
    );
    client.link.write(PREFACE);
    const server = await bench.links.next();
    client.link.destroy();
    await server.handler.untilEvent("end");
    server.link.end();
    await server.handler.untilEvent("closed");
    expect(server.link.peer.tls).toMatchObject({ authorized: true, commonName: "user" });
    expect(server.link.peer.remoteAddress).toBe(client.link.peer.localAddress);
  });

  it("still gets the answer after it has ended its own side", async () => {
    const address = await tlsServer("server");
    const client = bench.record(await dial(address, { clock: bench.clock, ...clientTls() }));
    client.link.write(PREFACE);
    client.link.end();
    const server = await bench.links.next();
    await server.handler.untilEvent("end");
    server.link.write(Buffer.from("answer"));
    server.link.end();
    await client.handler.untilEvent("closed");
    expect(client.handler.text).toBe("answer");
    expect(client.handler.error).toBeUndefined();
  });

  it("works over Unix sockets, for the name localhost unless another is set", async () => {
    const target = `unix:${bench.path("s")}`;
    await bench.listen(target, { tls: bench.tls("server", certPair("server-elsewhere")) });
    const options = { clock: bench.clock, ...clientTls() };
    await expectFailure(target, options, "tls", /not for "localhost"; set authority/);
    bench.record(await dial(target, { ...options, serverName: "other.internal" }));
  });

  it("moves much data, also while the reader pauses", async () => {
    const address = await tlsServer("server");
    const { link, handler } = bench.record(await dial(address, { clock: bench.clock, ...clientTls() }));
    link.write(PREFACE);
    const server = await bench.links.next();
    handler.onData = () => {
      link.pause();
      setImmediate(() => link.resume());
    };
    const message = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, index) => index % 251));
    server.link.write(message);
    server.link.end();
    await handler.untilEvent("end");
    expect(handler.bytes.equals(message)).toBe(true);
    link.end();
    await handler.untilEvent("closed");
    expect(handler.error).toBeUndefined();
  });

  it.each<[string, string, Partial<DialOptions>, RegExp]>([
    [
      "an unknown authority",
      "server-untrusted",
      {},
      /issued by an authority that this client does not trust; put .* into tls\.authorities$/,
    ],
    [
      "a certificate signed by itself",
      "server-alone",
      {},
      /signed by itself; put that certificate into tls\.authorities/,
    ],
    ["another name", "server-elsewhere", {}, /is for DNS:other\.internal, not for "127\.0\.0\.1"; set authority/],
    [
      "another name than the one wanted",
      "server",
      { serverName: "user.internal" },
      /is for DNS:localhost, .*, not for "user\.internal"/,
    ],
  ])("refuses %s", async (_, name, options, message) => {
    const address = await tlsServer(name);
    await expectFailure(address, { ...clientTls(), ...options }, "tls", message);
  });

  it("refuses an expired certificate", async () => {
    const pair = certPair("server-expired");
    const server = createTlsServer({ cert: readFileSync(pair.certificate), key: readFileSync(pair.key) });
    await expectFailure(
      await bench.serve(server),
      clientTls(),
      "tls",
      /its certificate has expired; renew it at the server$/,
    );
  });

  it("trusts Node's own authorities when none are given, and hence not the tests' one", async () => {
    await expectFailure(await tlsServer("server"), clientTls({}), "tls", /does not trust/);
  });

  it("refuses a peer that agreed on nothing or on something else by ALPN", async () => {
    const pair = certPair("server");
    const settings = { cert: readFileSync(pair.certificate), key: readFileSync(pair.key) };
    const address = await bench.serve(createTlsServer(settings));
    await expectFailure(address, clientTls(), "protocol", /speaks TLS but did not agree on HTTP\/2 \(ALPN\)/);
    const other = await bench.serve(createTlsServer({ ...settings, ALPNProtocols: ["http/1.1"] }));
    await expectFailure(other, clientTls(), "protocol", /speaks TLS but did not agree on HTTP\/2 \(ALPN\)/);
  });

  it.each<[string, () => Server]>([
    ["HTTP/1", () => createHttpServer()],
    ["HTTP/2", () => createHttp2Server().on("sessionError", () => {}) as unknown as Server],
    ["a SETTINGS frame", () => createServer((socket) => socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])))],
    ["an HTTP/1.1 status line", () => createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))],
    ["an SSH banner", () => createServer((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"))],
  ])("recognizes a plaintext port by %s", async (_, create) => {
    await expectFailure(
      await bench.serve(create()),
      clientTls(),
      "protocol",
      /the port speaks plaintext, not TLS; drop tls for this target or turn it on at the server$/,
    );
  });

  it("recognizes our own plaintext port", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    await expectFailure(listener.address, clientTls(), "protocol", /the port speaks plaintext, not TLS/);
  });

  it("says what it may be when the peer closes during the handshake", async () => {
    const address = await bench.serve(createServer((socket) => socket.once("data", () => socket.destroy())));
    await expectFailure(
      address,
      clientTls(),
      "closed",
      /during the TLS handshake: either that port speaks plaintext \(drop tls\), or the server refused/,
    );
  });

  it("names an alert that arrives after the handshake by the link's end", async () => {
    const address = await tlsServer("server", { authorities: AUTHORITIES });
    const { handler } = bench.record(await dial(address, { clock: bench.clock, ...clientTls() }));
    await handler.untilEvent("closed");
    expect(handler.error).toMatchObject({
      kind: "tls",
      message: expect.stringMatching(/the server asks for a client certificate; set tls\.certificate and tls\.key$/),
    });
  });

  it("says what it may be when the server drops an untrusted client certificate", async () => {
    const address = await tlsServer("server", { authorities: AUTHORITIES });
    const options = clientTls({ ...certPair("client-untrusted"), authorities: AUTHORITIES });
    const { handler } = bench.record(await dial(address, { clock: bench.clock, ...options }));
    await handler.untilEvent("closed");
    expect(handler.events).toEqual(["closed"]);
    expect(handler.error?.message).toMatch(
      /without a word; it may not trust this client's certificate \(tls\.certificate\)/,
    );
    expect(handler.error).toMatchObject({ kind: "closed" });
  });

  it("shows with each dial the certificate that its files hold then", async () => {
    const address = await tlsServer("server", { authorities: AUTHORITIES });
    const put = (name: string): void => {
      copyFileSync(certPath(`${name}.key`), bench.path("tls.key"));
      copyFileSync(certPath(`${name}.crt`), bench.path("tls.crt"));
    };
    put("client-odd");
    let reloaded: () => void = () => {};
    const reload = new Promise<void>((resolve) => {
      reloaded = resolve;
    });
    const settings = { certificate: bench.path("tls.crt"), key: bench.path("tls.key"), authorities: AUTHORITIES };
    const tls = openTlsFiles("client", settings, { clock: bench.clock, onReload: reloaded });
    const names: (string | undefined)[] = [];
    for (const name of ["client-odd", "client"]) {
      put(name);
      if (name === "client") await reload;
      const { link } = bench.record(await dial(address, { clock: bench.clock, tls }));
      link.write(PREFACE);
      names.push((await bench.links.next()).link.peer.tls?.commonName);
    }
    tls.close();
    expect(names).toEqual(["odd", "user"]);
  });

  it("names the versions when there is none in common", async () => {
    const pair = certPair("server");
    const old = createTlsServer({
      cert: readFileSync(pair.certificate),
      key: readFileSync(pair.key),
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.2",
    });
    const options = clientTls({ authorities: AUTHORITIES, minVersion: "TLSv1.3" });
    await expectFailure(await bench.serve(old), options, "tls", /no TLS version in common/);
  });
});
