import { generateKeyPairSync } from "node:crypto";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { describe, expect, it } from "vitest";
import { useScene } from "../../test/client/client-scene.ts";
import { gate } from "../../test/client/outcomes.ts";
import { systemClock } from "../rpc/clock.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { checkKeySet, fetchKeySet } from "./key-set.ts";

const scene = useScene();
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
const jwk = ec.publicKey.export({ format: "jwk" });

/** The URL of an issuer, with something in it that no log may show. */
async function issuer(answer: RequestListener): Promise<URL> {
  const server = createHttpServer(answer);
  scene.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new URL(`http://127.0.0.1:${(server.address() as { port: number }).port}/keys?api_key=s3cr3t`);
}

describe("a key set of an issuer", () => {
  it("is what it publishes", async () => {
    const url = await issuer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
    const clock = new VirtualClock();
    expect(await fetchKeySet(url, clock)).toEqual({ keys: [jwk] });
    expect(clock.pending).toBe(0);
  });

  it.each<[string, RequestListener]>([
    ["it answered with status 503", (_request, response) => response.writeHead(503).end("no")],
    ["it answered with status 302", (_request, response) => response.writeHead(302, { location: "/" }).end()],
    ["SyntaxError", (_request, response) => response.end("<html>s3cr3t</html>")],
    ["it sent more than 1 MiB", (_request, response) => response.end("x".repeat(2_000_000))],
    ["UND_ERR_SOCKET", (request) => request.socket.destroy()],
  ])("that can't be had says why, without a secret: %s", async (why, answer) => {
    const url = await issuer(answer);
    await expect(fetchKeySet(url, systemClock)).rejects.toMatchObject({
      safeText: `the keys of ${url.origin}/keys can't be had: ${why}`,
    });
  });

  it("must come within 3 s", async () => {
    const asked = gate();
    const url = await issuer(() => asked.open());
    const clock = new VirtualClock();
    const keys = fetchKeySet(url, clock).catch((error: unknown) => error);
    await asked.opened;
    await clock.advance(3000);
    expect(await keys).toMatchObject({
      safeText: expect.stringMatching(/can't be had: it gave nothing within 3000 ms$/),
    });
  });
});

describe("keys that are given", () => {
  it("may be of kinds that sign nothing, beside those that do", () => {
    const x25519 = generateKeyPairSync("x25519").publicKey.export({ format: "jwk" });
    const keys = [jwk, { ...jwk, use: "enc", x: "AAAA" }, x25519, { kty: "AKP", alg: "ML-DSA-44", pub: "AAAA" }];
    expect(() => checkKeySet("keys", { keys: keys as never })).not.toThrow();
  });

  it.each<[unknown, string]>([
    [undefined, "jwks.keys is no list of keys, or empty: give the public keys of the issuer"],
    [[], "jwks.keys is no list of keys, or empty: give the public keys of the issuer"],
    [[jwk, "s3cr3t"], "jwks.keys[1] is no JSON Web Key: give an object"],
    [[ec.privateKey.export({ format: "jwk" })], "jwks.keys[0] is secret: give the public key, which can only verify"],
    [[{ kty: "oct", k: "s3cr3t" }], "jwks.keys[0] is secret: give the public key, which can only verify"],
    [[{ ...jwk, crv: "P-999" }], "jwks.keys[0] can't be used (ERR_CRYPTO_INVALID_CURVE): give it as the issuer"],
    [[{ ...jwk, x: "AAAA" }], "jwks.keys[0] can't be used (ERR_CRYPTO_INVALID_JWK): give it as the issuer"],
    [[weak.publicKey.export({ format: "jwk" })], "jwks.keys[0] has 1024 bits: RSA needs 2048"],
  ])("are told when no token can be verified with them: case %#", (keys, message) => {
    expect(() => checkKeySet("jwks", { keys: keys as never })).toThrow(message);
  });
});
