import { describe, expect, it } from "vitest";
import { grpcMessage, grpcRequestFields } from "../../src/testing/raw-frames.ts";
import { settle } from "../../src/testing/virtual-clock.ts";
import { callUnary, WireServer } from "./wire-server.ts";

/** A server that has begun to end while it works on stream 1; `finish` answers that. */
async function draining() {
  let finish = (): void => {};
  const answer = new Promise<Buffer>((resolve) => {
    finish = () => resolve(Buffer.from("x"));
  });
  const wire = await WireServer.start({ unary: () => answer }, { drainAcceptMs: 0, drainTimeoutMs: 60_000 });
  const peer = await wire.connect();
  callUnary(peer, 1);
  await peer.roundTrip();
  const closed = wire.server.close();
  await settle(50);
  const goaways = () => peer.received.filter(({ type }) => type === "GOAWAY").map(({ lastStreamId }) => lastStreamId);
  return { wire, peer, finish, closed, goaways };
}

describe("a stream that was opened when the server's final GOAWAY was on its way", () => {
  it("is not worked on, and no later GOAWAY says that it may have been (RFC 9113 §6.8)", async () => {
    const { wire, peer, finish, closed, goaways } = await draining();
    callUnary(peer, 3);
    await settle(50);
    finish();
    await settle(50);
    expect(goaways()).toEqual([2 ** 31 - 1, 1, 1]);
    expect(wire.handled).toBe(1);
    await wire.clock.advanceUntil(closed);
  });

  it("may end with trailers: the calls that still run go on", async () => {
    const { wire, peer, finish, closed, goaways } = await draining();
    peer.headers(3, grpcRequestFields("/wire.v1.Wire/Unary"));
    peer.data(3, grpcMessage(Buffer.from("a"))).headers(3, [["x", "y"]], { end: true });
    await settle(50);
    expect(goaways()).toEqual([2 ** 31 - 1, 1]);
    finish();
    await peer.expect("HEADERS", ({ streamId, isEnd }) => streamId === 1 && isEnd);
    await wire.clock.advanceUntil(closed);
  });
});
