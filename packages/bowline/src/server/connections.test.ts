import { describe, expect, it } from "vitest";
import { RecordingLogger } from "../../test/server/server-scene.ts";
import type { ServerTransportOptions } from "../grpc/server-transport.ts";
import type { Link } from "../http2/link.ts";
import { Misbehaviour } from "../observe/misbehaviour.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { Connections } from "./connections.ts";

/** A link that only says when it was destroyed. */
function link(destroyed: number[], number: number): Link {
  return { destroy: () => void destroyed.push(number) } as Partial<Link> as Link;
}

describe("connections that come while the server starts", () => {
  const make = (): Connections =>
    new Connections({} as ServerTransportOptions, new Misbehaviour(new VirtualClock(), new RecordingLogger()));

  it("are bounded: the oldest go, nobody waits that long", () => {
    const connections = make();
    const destroyed: number[] = [];
    for (let i = 0; i < 10_003; i++) connections.accept(link(destroyed, i));
    expect(destroyed).toEqual([0, 1, 2]);
    expect(connections.count).toBe(0);
  });

  it("are closed when the start fails", () => {
    const connections = make();
    const destroyed: number[] = [];
    for (let i = 0; i < 3; i++) connections.accept(link(destroyed, i));
    connections.close(new RpcError(Code.UNAVAILABLE, "could not start"));
    expect(destroyed).toEqual([0, 1, 2]);
  });
});
