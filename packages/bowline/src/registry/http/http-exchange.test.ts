import { afterEach, describe, expect, it } from "vitest";
import { answerText, HttpPeer } from "../../../test/http-peer.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { HttpClient } from "./http-client.ts";
import { readHttpHosts } from "./http-host.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const GET = { method: "GET", path: "/v1/x" } as const;

/** A server that answers nothing but streams, and a client whose one connection is taken by a request that is held. */
async function busy(): Promise<{ peer: HttpPeer; client: HttpClient; clock: VirtualClock }> {
  const arrived = Promise.withResolvers<void>();
  const peer = await HttpPeer.start(({ path, response }) => {
    if (path === "/held") arrived.resolve();
    else response.flushHeaders();
  });
  const clock = new VirtualClock();
  const hosts = readHttpHosts(peer.address, { owner: "consul registry", port: 8500, isTls: false });
  const client = new HttpClient({ owner: "consul registry", hosts, clock, maxConnections: 1 });
  closers.push(
    () => peer.close(),
    () => client.close(),
  );
  client.request({ ...GET, path: "/held", timeoutMs: 600_000 }).catch(() => undefined);
  await arrived.promise;
  return { peer, client, clock };
}

describe("a request for which no connection is free", () => {
  it("is given up when its time is over", async () => {
    const { client, clock } = await busy();
    const waiting = client.request({ ...GET, timeoutMs: 700 });
    await expect(clock.advanceUntil(waiting, 700)).rejects.toThrow(
      /no connection to 127\.0\.0\.1:\d+ was free or came about within 700 ms/,
    );
  });

  it("is given up by its signal, and when its client is closed", async () => {
    const { client } = await busy();
    const cancelling = new AbortController();
    const cancelled = client.request({ ...GET, signal: cancelling.signal });
    const closed = client.request(GET);
    setImmediate(() => cancelling.abort());
    await expect(cancelled).rejects.toMatchObject({ kind: "cancelled" });
    client.close();
    await expect(closed).rejects.toMatchObject({ kind: "cancelled" });
  });

  it("is not sent once it was given up", async () => {
    const { peer, client, clock } = await busy();
    await expect(clock.advanceUntil(client.request({ ...GET, timeoutMs: 700 }), 700)).rejects.toThrow(/was free/);
    peer.handler = ({ response }) => answerText(response, 200);
    peer.requests[0].response.end("{}");
    await client.request({ ...GET, path: "/next" });
    expect(peer.requests.map(({ path }) => path)).toEqual(["/held", "/next"]);
  });
});

describe("a stream", () => {
  it("holds up no request, and no other stream", async () => {
    const { peer, client } = await busy();
    await Promise.all([client.stream(GET), client.stream(GET)]);
    peer.requests[0].response.end("{}");
    peer.handler = ({ response }) => answerText(response, 200);
    expect((await client.request({ ...GET, path: "/next" })).status).toBe(200);
    // One for all that has an end, one for each stream.
    expect(peer.connections).toBe(3);
  });
});
