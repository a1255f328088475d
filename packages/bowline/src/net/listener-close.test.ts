import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certPair } from "../../test/certs.ts";
import { accepted, NetBench, PREFACE } from "../../test/net-bench.ts";
import type { Listener } from "./listener.ts";

/** More than the kernel takes for a client that does not read. */
const LAST_WORDS = Buffer.alloc(16_777_216, "x");

let bench: NetBench;

beforeEach(() => {
  bench = new NetBench();
});

afterEach(() => bench.close());

/** A client that has sent the preface and reads nothing yet, while its link has last words for it and has ended. */
async function ending(kind: string): Promise<{ listener: Listener; client: Socket }> {
  const isTls = kind === "TLS";
  const listener = await bench.listen("127.0.0.1:0", isTls ? { tls: bench.tls("server", certPair("server")) } : {});
  const client = isTls ? bench.tlsClient(listener) : bench.client(listener);
  client.pause().write(PREFACE);
  const { link } = await bench.links.next();
  link.write(LAST_WORDS);
  link.end();
  return { listener, client };
}

async function bytesOf(client: Socket): Promise<number> {
  let bytes = 0;
  client.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  client.once("end", () => client.end());
  client.resume();
  await new Promise((resolve) => client.once("close", resolve));
  return bytes;
}

describe("close of a listener", () => {
  it.each(["plaintext", "TLS"])("lets connections that are ending say their last words: %s", async (kind) => {
    const { listener, client } = await ending(kind);
    const closed = listener.close(1500);
    expect(await bytesOf(client)).toBe(LAST_WORDS.length);
    await closed;
    expect(listener.connections).toBe(0);
  });

  it.each(["plaintext", "TLS"])("waits no longer than it was told: %s", async (kind) => {
    const { listener, client } = await ending(kind);
    const closed = listener.close(1500);
    await bench.clock.advance(1500);
    await closed;
    expect(await bytesOf(client)).toBeLessThan(LAST_WORDS.length);
  });

  it("destroys all others at once", async () => {
    const listener = await bench.listen("127.0.0.1:0");
    const silent = bench.client(listener);
    const speaking = bench.client(listener);
    speaking.write(PREFACE);
    await bench.links.next();
    await accepted(listener, 2);
    const gone = [silent, speaking].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of [silent, speaking]) socket.resume();
    await listener.close(1500);
    await Promise.all(gone);
  });
});
