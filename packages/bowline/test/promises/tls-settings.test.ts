// TlsSettings of both sides. More: src/net/tls/tls-files.test.ts, dial-tls.test.ts, src/client/security.test.ts, src/server/protocols.test.ts.
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { openChannelCount } from "../../src/client/channel/channel-pool.ts";
import { createClient } from "../../src/client/create-client.ts";
import type { TlsSettings } from "../../src/net/tls/tls-files.ts";
import { Code } from "../../src/rpc/code.ts";
import { certPair, certPath } from "../certs.ts";
import { useScene } from "../client/client-scene.ts";
import { NoteService } from "../client/note-service.ts";
import { failure } from "../client/outcomes.ts";
import { thrown } from "./refusals.ts";

const scene = useScene();
const authorities = certPath("authority.crt");

/** What a client with these settings throws; nothing stays open. */
function refusal(tls: unknown): string {
  const before = openChannelCount();
  const text = thrown(() => createClient(NoteService, "localhost:1", { tls: tls as TlsSettings }));
  expect(openChannelCount()).toBe(before);
  return text;
}

/** What a bare TLS client sees of a server. */
function seen(port: number, options: ConnectionOptions = {}): Promise<{ protocol: string | null; serial: string }> {
  return new Promise((resolve, reject) => {
    const ca = readFileSync(authorities);
    const socket = connect({ port, host: "localhost", ca, ALPNProtocols: ["h2"], ...options }, () => {
      resolve({ protocol: socket.getProtocol(), serial: socket.getPeerCertificate().serialNumber });
      socket.destroy();
    });
    socket.once("error", reject);
    scene.onClose(() => socket.destroy());
  });
}

describe("a client's settings", () => {
  it.each<[unknown, string]>([
    [{ ca: "x.pem" }, "tls.ca is not an option; known are certificate, key, passphrase, authorities, "],
    [{ rejectUnauthorized: false }, "tls.rejectUnauthorized is not an option; known are certificate, "],
    [{ authority: "x.pem" }, "tls.authority is not an option; did you mean authorities?"],
    [{ certificate: certPath("client.crt") }, "tls.key is missing, while createClient options.tls.certificate is set"],
    [{ key: certPath("client.key") }, "tls.certificate is missing, while createClient options.tls.key is set"],
    [{ clientCertificates: "require" }, "tls.clientCertificates is an option of servers; a client shows"],
    [{ minVersion: "1.3" }, 'tls.minVersion is "1.3"; allowed: "TLSv1.2", "TLSv1.3"'],
    [{ passphrase: 7 }, "tls.passphrase is 7: give a string"],
    [{ authorities: "" }, "tls.authorities is empty; give the path of a PEM file, or the PEM itself"],
    [{ authorities: 5 }, "tls.authorities is empty; give the path of a PEM file"],
    [{ authorities: "no\npem" }, 'tls.authorities is neither a path nor PEM ("-----BEGIN …" is missing)'],
    [{ authorities: "/no/such.pem" }, "tls.authorities (/no/such.pem): there is no such file; correct the path or put"],
    [{ authorities: [authorities, "/no/such.pem"] }, "tls.authorities (/no/such.pem): there is no such file"],
    [{ ...certPair("client"), key: certPath("server.key") }, "tls.key"],
  ])("that are wrong throw at once, with the setting and the fix: %o", (tls, text) => {
    expect(refusal(tls)).toContain(`TypeError: createClient options.${text}`);
  });

  it("true trusts the authorities that come with Node, hence not the tests' own; false is plaintext", async () => {
    const server = await scene.server({}, { tls: certPair("server") });
    const target = `localhost:${server.port}`;
    const error = await failure(scene.client(target, { tls: true }).say("x"));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false });
    expect(error.text).toContain("issued by an authority that this client does not trust");
    expect((await failure(scene.client(target, { tls: false }).say("x"))).text).toMatch(/turn on tls/);
    expect(await scene.client(target, { tls: { authorities } }).say("x")).toBe("x");
  });

  it("may be paths, PEM texts and bytes, one authority or several", async () => {
    const server = await scene.server({}, { tls: { ...certPair("server"), authorities } });
    const { certificate, key } = certPair("client");
    for (const tls of [
      { certificate, key, authorities },
      {
        certificate: readFileSync(certificate, "utf8"),
        key: readFileSync(key),
        authorities: [readFileSync(authorities)],
      },
      { certificate, key, authorities: [certPath("other-authority.crt"), authorities] },
    ]) {
      expect(await scene.client(`localhost:${server.port}`, { tls }).say("x")).toBe("x");
    }
  });
});

describe("minVersion", () => {
  it("is TLSv1.2 by default, and the bound that is set", async () => {
    const usual = await scene.server({}, { tls: certPair("server") });
    expect(await seen(usual.port, { maxVersion: "TLSv1.2" })).toMatchObject({ protocol: "TLSv1.2" });
    expect(await seen(usual.port)).toMatchObject({ protocol: "TLSv1.3" });
    const strict = await scene.server({}, { tls: { ...certPair("server"), minVersion: "TLSv1.3" } });
    expect(await seen(strict.port)).toMatchObject({ protocol: "TLSv1.3" });
    await expect(seen(strict.port, { maxVersion: "TLSv1.2" })).rejects.toThrow(/protocol version/);
    const client = scene.client(`localhost:${strict.port}`, { tls: { authorities, minVersion: "TLSv1.3" } });
    expect(await client.say("x")).toBe("x");
  });
});

describe("files of a server", () => {
  it("are read again when they change: new connections get the new certificate, those that are there stay", async () => {
    const directory = mkdtempSync(join(tmpdir(), "bowline-"));
    scene.onClose(() => rmSync(directory, { recursive: true, force: true }));
    const [certificate, key] = [join(directory, "tls.crt"), join(directory, "tls.key")];
    const put = (name: string): void => {
      copyFileSync(certPath(`${name}.key`), key);
      copyFileSync(certPath(`${name}.crt`), certificate);
    };
    put("server");
    const server = await scene.server({}, { tls: { certificate, key } });
    const client = scene.client(`localhost:${server.port}`, { tls: { authorities } });
    expect(await client.say("x")).toBe("x");
    const { serial } = await seen(server.port);
    put("server-next");
    let next = serial;
    // The file system tells of the change; each look is a connection.
    for (let i = 0; i < 500 && next === serial; i++) next = (await seen(server.port)).serial;
    expect(next).not.toBe(serial);
    expect(await client.say("still")).toBe("still");
    expect(client.channel.state).toBe("ready");
  });

  it("that don't fit make the start reject, and the server is closed", async () => {
    const tls = { ...certPair("server"), key: certPath("client.key") };
    const start = scene.server({}, { tls });
    await expect(start).rejects.toThrow(/^createServer options\.tls\.key \(.*client\.key\)/);
  });
});

describe("clientCertificates", () => {
  const target = (port: number): string => `localhost:${port}`;

  it.each([
    ["require, which is the default with authorities", undefined, false],
    ["require", "require", false],
    ["request", "request", true],
    ["none", "none", true],
  ] as const)("%s: a client without one is served or not", async (_name, clientCertificates, isServed) => {
    const { port } = await scene.server({}, { tls: { ...certPair("server"), authorities, clientCertificates } });
    const without = scene.client(target(port), { tls: { authorities } }).say("x");
    if (isServed) expect(await without).toBe("x");
    else expect(await failure(without)).toMatchObject({ code: Code.UNAVAILABLE });
    const withOne = scene.client(target(port), { tls: { authorities, ...certPair("client") } });
    expect(await withOne.say("x")).toBe("x");
  });

  it("request: the handler sees who is authorized", async () => {
    const { port } = await scene.server(
      { say: (_text, { peer }) => String(peer.tls?.authorized ?? "nobody") },
      { tls: { ...certPair("server"), authorities, clientCertificates: "request" } },
    );
    const shown = async (tls: TlsSettings): Promise<string> => scene.client(target(port), { tls }).say("?");
    expect(await shown({ authorities, ...certPair("client") })).toBe("true");
    expect(await shown({ authorities, ...certPair("client-untrusted") })).toBe("false");
    expect(await shown({ authorities })).toBe("false");
  });
});
