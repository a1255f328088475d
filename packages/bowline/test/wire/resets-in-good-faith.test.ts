import { describe, expect, it } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { ErrorCode } from "../../src/http2/frames.ts";
import { Code } from "../../src/rpc/code.ts";
import type { RawPeer } from "../../src/testing/raw-peer.ts";
import { failure } from "../client/outcomes.ts";
import { callUnary, WireServer } from "./wire-server.ts";
import { WIRE } from "./wire-service.ts";

const never = (): Promise<never> => new Promise(() => {});
const limits = { resetBurst: 10, resetRate: 1 };

/** Opens so many calls, which give themselves 100 ms. */
function begin(peer: RawPeer, calls: number, first = 1): void {
  for (let i = 0; i < calls; i++) callUnary(peer, first + 2 * i, "x", [["grpc-timeout", "100m"]]);
}

function giveUp(peer: RawPeer, calls: number, first = 1): void {
  for (let i = 0; i < calls; i++) peer.rst(first + 2 * i, ErrorCode.CANCEL);
}

describe("resets of calls whose time is over", () => {
  it("do not count, be they a little earlier or later than the server's own end", async () => {
    await using wire = await WireServer.start({ unary: never }, { limits });
    const peer = await wire.connect();
    begin(peer, 60);
    await peer.roundTrip();
    await wire.clock.advance(60);
    giveUp(peer, 30);
    await peer.roundTrip();
    await wire.clock.advance(60);
    giveUp(peer, 30, 61);
    await peer.roundTrip();
    expect(peer.received.filter(({ type }) => type === "GOAWAY")).toEqual([]);
  });

  it("count where the caller has hardly waited", async () => {
    await using wire = await WireServer.start({ unary: never }, { limits });
    const peer = await wire.connect();
    begin(peer, 20);
    await peer.roundTrip();
    await wire.clock.advance(20);
    giveUp(peer, 20);
    expect(await peer.expect("GOAWAY")).toMatchObject({ debug: expect.stringContaining("resetBurst") });
  });

  it("count once for each: the same stream over and over is a flood", async () => {
    await using wire = await WireServer.start({}, { limits });
    const peer = await wire.connect();
    begin(peer, 5);
    await peer.roundTrip();
    for (let i = 0; i < 5 + 10 + 1; i++) peer.rst(1, ErrorCode.CANCEL);
    expect(await peer.expect("GOAWAY")).toMatchObject({ debug: expect.stringContaining("resetBurst") });
  });

  it("cost calls of others nothing", async () => {
    await using wire = await WireServer.start({ unary: never }, { limits });
    const { clock, network } = wire;
    const client = createClient(WIRE, wire.server.address, { network, clock, retry: false });
    const late = Array.from({ length: 100 }, () => failure(client.unary(Buffer.from("x"), { timeoutMs: 50 })));
    const other = failure(client.unary(Buffer.from("x"), { timeoutMs: 500 }));
    await clock.advance(400);
    for (const error of await Promise.all(late)) expect(error.code).toBe(Code.DEADLINE_EXCEEDED);
    expect(wire.server.connectionCount).toBe(1);
    await clock.advance(200);
    expect((await other).code).toBe(Code.DEADLINE_EXCEEDED);
    await clock.advanceUntil(client.close());
  });
});
