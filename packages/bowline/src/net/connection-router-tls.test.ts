import { once } from "node:events";
import { copyFileSync, readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { ConnectionOptions } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certPair, certPath } from "../../test/certs.ts";
import { settled } from "../../test/manual-clock.ts";
import { AUTHORITIES, answer, NetBench, PREFACE, type ReportedMisuse, released } from "../../test/net-bench.ts";
import { dial } from "./dial.ts";
import { explainFirstBytes } from "./first-bytes.ts";
import type { Listener } from "./listener.ts";
import { openTlsFiles, type TlsSettings } from "./tls/tls-files.ts";

let bench: NetBench;

beforeEach(() => {
  bench = new NetBench();
});

afterEach(() => bench.close());

describe("a TLS port", () => {
  const listenTls = (
    settings: TlsSettings = certPair("server"),
    options: Parameters<NetBench["listen"]>[1] = {},
  ): Promise<Listener> => bench.listen("127.0.0.1:0", { tls: bench.tls("server", settings), ...options });

  it("hands HTTP/1 over TLS to node:http, with ALPN or without", async () => {
    const http = createHttpServer((incoming, response) =>
      response.end(`${incoming.url} ${"encrypted" in incoming.socket}`),
    );
    const listener = await listenTls(certPair("server"), { onHttp1: (socket) => http.emit("connection", socket) });
    for (const ALPNProtocols of [["http/1.1"], undefined]) {
      const socket = bench.tlsClient(listener, { ALPNProtocols });
      socket.write("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      expect(String(await answer(socket))).toMatch(/^HTTP\/1\.1 200 .*\/x true/s);
      expect(socket.alpnProtocol).toBe(ALPNProtocols?.[0] ?? false);
    }
  });

  it("does not take HTTP/2 from who did not offer it by ALPN", async () => {
    const listener = await listenTls();
    const socket = bench.tlsClient(listener, { ALPNProtocols: undefined });
    socket.write(PREFACE);
    await answer(socket);
    expect((await bench.misuses.next()).kind).toBe("no-alpn");
  });

  it("closes on anything else than HTTP/2 from who agreed on it", async () => {
    const listener = await listenTls();
    const socket = bench.tlsClient(listener);
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await answer(socket);
    expect(await bench.misuses.next()).toMatchObject({
      kind: "garbage",
      text: "speaks no HTTP/2 over TLS, though it agreed on h2",
    });
  });

  it("tells a plaintext HTTP/2 client by an alert, which our client explains", async () => {
    const listener = await listenTls();
    const { link, handler } = bench.record(await dial(listener.address, { clock: bench.clock }));
    link.write(PREFACE);
    await handler.untilEvent("end");
    expect(explainFirstBytes(handler.bytes)).toMatch(/turn on tls for this target/);
    expect(await bench.misuses.next()).toMatchObject({
      kind: "plaintext-on-tls",
      text: expect.stringContaining("turn on tls at the client"),
    });
  });

  it("tells a plaintext HTTP/1 client in words", async () => {
    const listener = await listenTls();
    const socket = bench.client(listener);
    socket.write("GET / HTTP/1.1\r\n\r\n");
    expect(String(await answer(socket))).toMatch(/^HTTP\/1\.1 400 .*This port speaks TLS\.$/s);
    expect((await bench.misuses.next()).kind).toBe("plaintext-on-tls");
  });

  it.each<[string, ConnectionOptions, ReportedMisuse["kind"], RegExp, RegExp]>([
    [
      "TLS 1.1",
      { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
      "tls-handshake",
      /no TLS version that this server allows/,
      /PROTOCOL_VERSION/,
    ],
    [
      "TLS 1.2 with ciphers that HTTP/2 forbids",
      { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256" },
      "tls-handshake",
      /shares no cipher/,
      /HANDSHAKE_FAILURE/,
    ],
    [
      "another protocol by ALPN",
      { ALPNProtocols: ["spdy/3"] },
      "tls-handshake",
      /neither h2 nor http\/1\.1 by ALPN/,
      /NO_APPLICATION_PROTOCOL/,
    ],
  ])("refuses %s", async (_, options, kind, text, code) => {
    const listener = await listenTls();
    const [error] = await once(bench.tlsClient(listener, options), "error");
    expect(error.code).toMatch(code);
    const misuse = await bench.misuses.next();
    expect(misuse).toMatchObject({ kind, peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    expect(misuse.text).toMatch(text);
    await released(listener, 0);
  });

  it.each([
    // The client of TLS 1.3 leaves during the handshake, that of 1.2 after it.
    ["TLSv1.3", "closed the connection during the TLS handshake; it may not trust this server's certificate"],
    [
      "TLSv1.2",
      "left after the TLS handshake without a word; unless it is a probe, it may not trust this server's certificate",
    ],
  ] as const)("reports a client that does not trust our certificate (%s)", async (maxVersion, text) => {
    const listener = await listenTls();
    const socket = bench.tlsClient(listener, { ca: readFileSync(certPath("other-authority.crt")), maxVersion });
    await once(socket, "error");
    expect(await bench.misuses.next()).toMatchObject({ kind: "tls-handshake", text });
    await released(listener, 0);
  });

  it("lets nobody renegotiate", async () => {
    const listener = await listenTls();
    const socket = bench.tlsClient(listener, { maxVersion: "TLSv1.2" });
    await once(socket, "secureConnect");
    socket.write(PREFACE);
    const { handler } = await bench.links.next();
    const refused = await new Promise((resolve) => {
      socket.on("error", resolve);
      socket.on("close", () => resolve("closed"));
      socket.renegotiate({}, (error) => resolve(error ?? "renegotiated"));
    });
    expect(refused).not.toBe("renegotiated");
    socket.destroy();
    await handler.until(() => handler.has("closed") || handler.has("end"));
  });

  it("resumes no session: each connection is checked against the present certificates", async () => {
    const listener = await listenTls({ ...certPair("server"), authorities: AUTHORITIES });
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const options = {
        maxVersion,
        cert: readFileSync(certPath("client.crt")),
        key: readFileSync(certPath("client.key")),
      };
      const first = bench.tlsClient(listener, options);
      const sessions: Buffer[] = [];
      first.on("session", (session: Buffer) => sessions.push(session));
      first.write(PREFACE);
      const { link } = await bench.links.next();
      link.write(Buffer.from("hello"));
      await once(first, "data");
      const session = sessions.at(-1) ?? first.getSession();
      const second = bench.tlsClient(listener, { ...options, session });
      await once(second, "secureConnect");
      expect(second.isSessionReused()).toBe(false);
    }
  });

  it("bounds the handshake apart from the first bytes", async () => {
    const listener = await listenTls(certPair("server"), { handshakeTimeoutMs: 50 });
    const socket = bench.client(listener);
    // The start of a ClientHello record of 512 bytes, whose rest never comes.
    socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0]));
    await answer(socket);
    expect(await bench.misuses.next()).toMatchObject({
      kind: "timeout",
      text: "did not finish the TLS handshake in time",
    });
    const silent = bench.tlsClient(listener);
    await once(silent, "secureConnect");
    // The timer of the first bytes, and that of the certificate's files.
    while (bench.clock.timers < 2) await settled();
    await bench.clock.advance(50);
    await answer(silent);
    expect(await bench.misuses.next()).toMatchObject({
      kind: "timeout",
      text: "did not say within 50 ms what it speaks",
    });
  });

  describe("with client certificates", () => {
    const settings = (clientCertificates: "request" | "require"): TlsSettings => ({
      ...certPair("server"),
      authorities: AUTHORITIES,
      clientCertificates,
    });

    it("required, refuses a client without", async () => {
      const listener = await listenTls(settings("require"));
      await once(bench.tlsClient(listener), "error");
      expect(await bench.misuses.next()).toMatchObject({
        kind: "client-certificate",
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        text: expect.stringContaining("shows no certificate, which this server requires"),
      });
      expect(bench.links.all).toEqual([]);
    });

    it.each(["TLSv1.2", "TLSv1.3"] as const)(
      "required, refuses one from another authority (%s)",
      async (maxVersion) => {
        const listener = await listenTls(settings("require"));
        const pair = certPair("client-untrusted");
        const socket = bench.tlsClient(listener, {
          maxVersion,
          cert: readFileSync(pair.certificate),
          key: readFileSync(pair.key),
        });
        socket.on("secureConnect", () => socket.write(PREFACE));
        await answer(socket);
        expect(await bench.misuses.next()).toMatchObject({
          kind: "client-certificate",
          peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
          text: "shows a certificate that tls.authorities does not vouch for (UNABLE_TO_VERIFY_LEAF_SIGNATURE)",
        });
        expect(bench.links.all).toEqual([]);
      },
    );

    it("requested, tells the owner who has shown a good one", async () => {
      const listener = await listenTls(settings("request"));
      const names: [string, boolean][] = [];
      for (const name of ["client", "client-untrusted", "client-odd", undefined]) {
        const pair = name === undefined ? {} : certPair(name);
        const tls = bench.tls("client", { ...pair, authorities: AUTHORITIES });
        const { link } = bench.record(await dial(listener.address, { clock: bench.clock, tls }));
        link.write(PREFACE);
        const { tls: peer } = (await bench.links.next()).link.peer;
        names.push([peer?.subjectAltNames.join(" | ") ?? "", peer?.authorized ?? false]);
      }
      expect(names).toEqual([
        ["DNS:user.internal | URI:spiffe://shop/user", true],
        ["URI:spiffe://shop/user", false],
        ["URI:spiffe://shop/odd, DNS:admin.internal | DNS:odd.internal", true],
        ["", false],
      ]);
    });
  });

  it("changes certificates under load without losing a connection", async () => {
    const files = { certificate: bench.path("tls.crt"), key: bench.path("tls.key") };
    const put = (name: string): void => {
      copyFileSync(certPath(`${name}.key`), files.key);
      copyFileSync(certPath(`${name}.crt`), files.certificate);
    };
    put("server");
    let reloaded: () => void = () => {};
    const reload = new Promise<void>((resolve) => {
      reloaded = resolve;
    });
    const material = openTlsFiles("server", files, { clock: bench.clock, onReload: reloaded });
    const listener = await bench.listen("127.0.0.1:0", { tls: material });
    const serials: string[] = [];
    const handshake = async (): Promise<void> => {
      const socket = bench.tlsClient(listener);
      await once(socket, "secureConnect");
      serials.push(socket.getPeerX509Certificate()?.serialNumber ?? "");
      socket.write(PREFACE);
    };
    const old = bench.record(
      await dial(listener.address, { clock: bench.clock, tls: bench.tls("client", { authorities: AUTHORITIES }) }),
    );
    old.link.write(PREFACE);
    const oldServer = await bench.links.next();
    try {
      for (let round = 0; round < 10; round++) {
        const running = Promise.all(Array.from({ length: 5 }, handshake));
        if (round === 5) {
          put("server-next");
          await reload;
        }
        await running;
      }
    } finally {
      material.close();
    }
    expect(serials).toHaveLength(50);
    expect(new Set(serials)).toEqual(new Set(["1001", "1002"]));
    expect(serials.slice(-20)).toEqual(Array(20).fill("1002"));
    expect(bench.misuses.all).toEqual([]);
    oldServer.link.write(Buffer.from("still here"));
    await old.handler.untilText("still here");
  });
});
