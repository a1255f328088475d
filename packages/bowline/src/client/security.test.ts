import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { certPair, certPath } from "../../test/certs.ts";
import { useScene } from "../../test/client/client-scene.ts";
import { collect } from "../../test/client/note-service.ts";
import { failure } from "../../test/client/outcomes.ts";
import { Code } from "../rpc/code.ts";
import type { ClientOptions } from "./client-options.ts";

const scene = useScene();
const authorities = certPath("authority.crt");

/** The sentence that a call to a target fails with, after "no connection to TARGET: ". */
async function sentence(target: string, options: ClientOptions): Promise<string> {
  const error = await failure(scene.client(target, options).say("x"));
  expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: false });
  return error.text.replace(/^no connection to \S+: /, "");
}

describe("TLS", () => {
  it("carries all kinds of calls", async () => {
    const server = await scene.server({}, { tls: certPair("server") });
    const client = scene.client(`localhost:${server.port}`, { tls: { authorities } });
    const text = "x".repeat(100_000);
    expect(await client.say("x")).toBe("x");
    expect(await collect(client.follow(text))).toEqual([text, text, text]);
    expect((await client.join([text, text])).length).toBe(200_001);
    expect(await collect(client.chat(["a", "b"]))).toEqual(["a", "b"]);
  });

  it("asks the certificate for the target's name, not for the address behind it", async () => {
    const server = await scene.server({}, { tls: certPair("server-elsewhere") });
    const text = await sentence(`localhost:${server.port}`, { tls: { authorities } });
    expect(text).toMatch(/^cannot connect to \S+: its certificate is for DNS:other.internal, not for "localhost"; /);
  });

  it("asks for another name when told to, and sends it as :authority", async () => {
    const server = await scene.server({}, { tls: certPair("server-elsewhere") });
    const authority = "other.internal:443";
    const client = scene.client(`127.0.0.1:${server.port}`, { tls: { authorities }, authority });
    expect(await client.say("x")).toBe("x");
  });

  it("refuses a server whose authority is not trusted", async () => {
    const server = await scene.server({}, { tls: certPair("server-untrusted") });
    const text = await sentence(`localhost:${server.port}`, { tls: { authorities } });
    expect(text).toContain("its certificate was issued by an authority that this client does not trust");
  });

  it("to a plaintext server says so", async () => {
    const server = await scene.server();
    const text = await sentence(`localhost:${server.port}`, { tls: { authorities } });
    expect(text).toMatch(/plaintext/);
    expect(text).toContain("drop tls");
  });

  it("missing to a TLS server says so", async () => {
    const server = await scene.server({}, { tls: certPair("server") });
    const text = await sentence(server.address, {});
    expect(text).toContain(server.address);
    expect(text).toMatch(/TLS/);
    expect(text).toMatch(/turn on tls/);
  });
});

describe("mutual TLS", () => {
  const tls = { ...certPair("server"), authorities };

  it("shows the server who calls", async () => {
    const server = await scene.server({ say: (_text, { peer }) => peer.tls?.subjectAltNames.join() ?? "" }, { tls });
    const client = scene.client(`localhost:${server.port}`, { tls: { ...certPair("client"), authorities } });
    expect(await client.say("x")).toContain("URI:");
  });

  it("keeps those out who have no certificate, or a strange one", async () => {
    const server = await scene.server({}, { tls });
    const target = `localhost:${server.port}`;
    const none = await sentence(target, { tls: { authorities } });
    expect(none).toMatch(/client certificate|may not trust this client's certificate/);
    const strange = await sentence(target, { tls: { ...certPair("client-untrusted"), authorities } });
    expect(strange).toMatch(/client's certificate/);
  });
});

describe("a Unix socket", () => {
  it("carries calls", async () => {
    const directory = mkdtempSync(join(tmpdir(), "bowline-"));
    scene.onClose(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, "notes.sock");
    await scene.server({}, { listen: `unix:${path}` });
    expect(await scene.client(`unix://${path}`).say("hi")).toBe("hi");
    expect(await scene.client(`unix:${path}`, { maxWaitingCalls: 9 }).join(["a", "b"])).toBe("a b");
  });

  it("that is not there is named", async () => {
    const text = await sentence("unix:///no/such.sock", {});
    expect(text).toBe(
      "cannot connect to unix:/no/such.sock: there is no such socket file; start the server or correct the path",
    );
  });
});
