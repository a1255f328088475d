import { describe, expect, it } from "vitest";
import { ChannelScene } from "../../../test/client/channel-scene.ts";
import { collect } from "../../../test/client/note-service.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { Code } from "../../rpc/code.ts";
import { grpcMessage, grpcResponseFields } from "../../testing/raw-frames.ts";
import type { RawPeer } from "../../testing/raw-peer.ts";
import { settle } from "../../testing/virtual-clock.ts";

/** Headers that are not the end: the answer has begun. */
function begin(peer: RawPeer): void {
  peer.headers(1, grpcResponseFields());
}

function end(peer: RawPeer, status: string = "0"): void {
  peer.headers(1, [["grpc-status", status]], { end: true });
}

describe("a server stream", () => {
  /** A call that is under way to the only server, and what its balancer hears. */
  async function observed() {
    const outcomes: unknown[] = [];
    const balancer = {
      name: "spy",
      all: [] as { isReady: boolean }[],
      update(all: never) {
        this.all = all;
      },
      pick: () => balancer.all[0] as never,
      done: (_endpoint: unknown, result: string, elapsedMs: number) => void outcomes.push([result, elapsedMs]),
    };
    const scene = new ChannelScene({ balancer, timeoutMs: 0, retry: { maxAttempts: 1, baseMs: 25, maxMs: 1000 } });
    await scene.instances();
    void scene.channel.connect();
    await scene.instances("10.0.0.1:80");
    const peer = await scene.lastDial.serve();
    const texts = collect(scene.stream("follow", "x"));
    await scene.clock.advance(30);
    const [endpoint] = scene.channel.endpoints;
    return { scene, peer, texts, outcomes, counts: () => [endpoint.inFlight, endpoint.streaming] };
  }

  it("stands once its headers are back, counts for the balancer with its first message, and as in flight until its end", async () => {
    const { scene, peer, texts, outcomes, counts } = await observed();
    expect([outcomes, counts()]).toEqual([[], [1, 0]]);
    // Its first message may take long: it waits for news.
    begin(peer);
    await scene.clock.advance(5000);
    expect([outcomes, counts()]).toEqual([[], [1, 1]]);
    peer.data(1, grpcMessage(Buffer.from("a")));
    await settle();
    expect([outcomes, counts()]).toEqual([[["ok", 5030]], [1, 1]]);
    end(peer);
    expect(await texts).toEqual(["a"]);
    expect([outcomes.length, counts()]).toEqual([1, [0, 0]]);
  });

  it("that fails behind its headers counts for the balancer as its status says", async () => {
    const { peer, texts, outcomes, counts } = await observed();
    begin(peer);
    end(peer, "14");
    expect(await failure(texts)).toMatchObject({ code: Code.UNAVAILABLE });
    expect([outcomes, counts()]).toEqual([[["failed", 30]], [0, 0]]);
  });

  it("that has no answer but its status counts for the balancer as that says", async () => {
    const { peer, texts, outcomes, counts } = await observed();
    peer.headers(1, [...grpcResponseFields(), ["grpc-status", "14"]], { end: true });
    expect(await failure(texts)).toMatchObject({ code: Code.UNAVAILABLE });
    expect([outcomes, counts()]).toEqual([[["failed", 30]], [0, 0]]);
  });
});
