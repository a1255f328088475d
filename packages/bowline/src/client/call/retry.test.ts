import { describe, expect, it } from "vitest";
import { answer, ChannelScene, endWith, textOf } from "../../../test/client/channel-scene.ts";
import { collect } from "../../../test/client/note-service.ts";
import { failure, outcomes } from "../../../test/client/outcomes.ts";
import type { Balancer } from "../../balancer/balancer.ts";
import { roundRobin } from "../../balancer/round-robin.ts";
import { CallContext, callStorage } from "../../rpc/call-context.ts";
import { Code } from "../../rpc/code.ts";
import { grpcMessage, grpcResponseFields } from "../../testing/raw-frames.ts";
import type { RawPeer } from "../../testing/raw-peer.ts";
import { settle } from "../../testing/virtual-clock.ts";
import type { Endpoint } from "../channel/endpoint.ts";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";
const REFUSED = 7;

/** Two endpoints by turns, connected. */
async function twoServers(options?: ConstructorParameters<typeof ChannelScene>[0]) {
  const scene = new ChannelScene(options);
  void scene.channel.connect().catch(() => {});
  await scene.instances(A, B);
  return { scene, a: await scene.dials[0].serve(), b: await scene.dials[1].serve() };
}

const retries = (headers: Readonly<Record<string, string>> | undefined): string | undefined =>
  headers?.["grpc-previous-rpc-attempts"];

describe("what no handler has seen", () => {
  it("is sent again at once, to another endpoint, whatever the method", async () => {
    const { scene, a, b } = await twoServers();
    const call = scene.call("say", "x");
    await a.expect("HEADERS");
    a.rst(1, REFUSED);
    const again = await b.expect("HEADERS");
    expect(retries(again.headers)).toBeUndefined();
    answer(b, 1, "x");
    expect(await call).toBe("x");
  });

  it.each([
    ["RST_STREAM", (peer: RawPeer) => peer.rst(1, REFUSED)],
    ["GOAWAY", (peer: RawPeer) => peer.goaway(0, 0)],
  ])("is not what was answered: a server that refuses it afterwards contradicts itself (%s)", async (_, refuse) => {
    const { scene, a, b } = await twoServers();
    const call = scene.call("say", "charge the card");
    await a.expect("HEADERS");
    a.headers(1, grpcResponseFields());
    a.data(1, grpcMessage(Buffer.from("done")));
    await settle();
    refuse(a);
    expect((await failure(call)).code).toBe(Code.UNAVAILABLE);
    expect(b.received.filter(({ type }) => type === "DATA")).toEqual([]);
  });

  it("is told from what one has seen by GOAWAY's last stream", async () => {
    const { scene, a, b } = await twoServers();
    const calls = ["1", "2", "3", "4"].map((text) => scene.call("say", text));
    await settle();
    a.goaway(1, 0);
    await settle();
    expect(b.received.filter(({ type }) => type === "DATA").map(({ data }) => textOf(data))).toEqual(["2", "4", "3"]);
    answer(a, 1, "1");
    for (const id of [1, 3, 5]) answer(b, id, `b${id}`);
    expect(await outcomes(calls)).toEqual(["1", "b1", "b5", "b3"]);
  });

  it("goes elsewhere even when it is the turn of the one that refused", async () => {
    const { scene, a, b } = await twoServers();
    const call = scene.call("say", "x");
    void scene.call("say", "y");
    await a.expect("HEADERS");
    await b.expect("HEADERS");
    a.rst(1, REFUSED);
    expect((await b.expect("HEADERS")).streamId).toBe(3);
    answer(b, 3, "x");
    expect(await call).toBe("x");
  });

  it("is given up after some attempts; then nothing was sent", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const call = scene.call("say", "x");
    for (let id = 1; id <= 11; id += 2) {
      await peer.expect("HEADERS");
      peer.rst(id, REFUSED);
    }
    const error = await failure(call);
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "refused", sent: false, attempt: 6 });
  });

  it("has the requests of a stream once more, as far as they were taken", async () => {
    const { scene, a, b } = await twoServers();
    let taken = 0;
    const requests = async function* (): AsyncGenerator<string> {
      for (const text of ["one", "two", "three"]) {
        taken++;
        yield text;
      }
    };
    const call = scene.call("join", requests());
    await a.expect("DATA", ({ data }) => textOf(data) === "two");
    a.rst(1, REFUSED);
    await b.expect("DATA", ({ isEnd }) => isEnd);
    const texts = b.received.filter(({ type }) => type === "DATA").map(({ data }) => textOf(data));
    expect(texts).toEqual(["one", "two", "three", ""]);
    answer(b, 1, "all");
    expect(await call).toBe("all");
    expect(taken).toBe(3);
  });

  it("does not lose the message that was awaited when an attempt was refused", async () => {
    const { scene, a, b } = await twoServers();
    const { promise: pushed, resolve: push } = Promise.withResolvers<void>();
    const requests = async function* (): AsyncGenerator<string> {
      yield "one";
      await pushed;
      yield "two";
    };
    const chat = collect(scene.stream("chat", requests()));
    await a.expect("DATA");
    a.rst(1, REFUSED);
    await b.expect("DATA");
    push();
    await b.expect("DATA", ({ data }) => textOf(data) === "two");
    await b.expect("DATA", ({ isEnd }) => isEnd);
    b.headers(1, grpcResponseFields())
      .data(1, grpcMessage(Buffer.from("ok")))
      .headers(1, [["grpc-status", "0"]], { end: true });
    expect(await chat).toEqual(["ok"]);
    expect(b.received.filter(({ type }) => type === "DATA")).toHaveLength(3);
  });

  it("is not repeated when more was taken than is kept", async () => {
    const { scene, a } = await twoServers();
    const call = scene.call("join", Array(70).fill("x"));
    await a.expect("DATA", ({ isEnd }) => isEnd);
    a.rst(1, REFUSED);
    expect(await failure(call)).toMatchObject({ code: Code.UNAVAILABLE, reason: "refused", sent: false });
  });

  it("of a server stream is repeated, too", async () => {
    const { scene, a, b } = await twoServers();
    const follow = collect(scene.stream("follow", "x"));
    await a.expect("HEADERS");
    a.rst(1, REFUSED);
    await b.expect("DATA");
    endWith(b, 1, 0);
    expect(await follow).toEqual([]);
  });
});

describe("an idempotent method", () => {
  it("is tried again elsewhere after a pause, and the server is told", async () => {
    const { scene, a, b } = await twoServers();
    const call = scene.call("read", "x");
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE);
    await scene.clock.advance(25);
    expect(retries((await b.expect("HEADERS")).headers)).toBe("1");
    answer(b, 1, "x");
    expect(await call).toBe("x");
    expect(scene.channel.stats[0].started).toBe(1);
  });

  it("tells the balancer of each attempt", async () => {
    const heard: string[] = [];
    const inner = roundRobin<Endpoint>({ random: () => 0 });
    const balancer: Balancer<Endpoint> = {
      name: "spy",
      update: (all) => inner.update(all),
      pick: (avoid) => inner.pick(avoid),
      done: ({ id }, result) => void heard.push(`${id} ${result}`),
    };
    const { scene, a, b } = await twoServers({ balancer });
    const call = scene.call("read", "x");
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE);
    await scene.clock.advance(25);
    answer(b, 1, "x");
    await call;
    expect(heard).toEqual([`${A} failed`, `${B} ok`]);
  });

  it("is given up where the balancer aborts the call when it hears of an attempt; its calls in flight stay right", async () => {
    const controller = new AbortController();
    const inner = roundRobin<Endpoint>({ random: () => 0 });
    let heard = 0;
    const balancer: Balancer<Endpoint> = {
      name: "impatient",
      update: (all) => inner.update(all),
      pick: (avoid) => inner.pick(avoid),
      done: () => {
        heard++;
        controller.abort();
      },
    };
    const { scene, a, b } = await twoServers({ balancer });
    const call = failure(scene.call("read", "x", { signal: controller.signal }));
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE);
    expect(await call).toMatchObject({ code: Code.CANCELLED, attempt: 1 });
    const counts = scene.channel.endpoints.map(({ inFlight, streaming }) => [inFlight, streaming]);
    expect([heard, counts]).toEqual([
      1,
      [
        [0, 0],
        [0, 0],
      ],
    ]);
    await scene.clock.advance(1000);
    expect(streams(b)).toEqual([]);
    await scene.channel.close();
    expect(scene.clock.pending).toBe(0);
  });

  it("fails with the last error; a handler may have run, even if the last one was refused", async () => {
    const { scene, a, b } = await twoServers();
    const call = failure(scene.call("read", "x"));
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE);
    await scene.clock.advance(25);
    for (let attempt = 0; attempt < 6; attempt++) {
      const [peer, id] = attempt % 2 === 0 ? [b, attempt + 1] : [a, attempt + 2];
      await peer.expect("HEADERS");
      peer.rst(id, REFUSED);
    }
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE, reason: "refused", sent: true, attempt: 7 });
  });

  it("is not tried again for other codes, nor when the caller has seen the answer's headers", async () => {
    const { scene, a, b } = await twoServers();
    const calls = [scene.call("read", "x"), scene.call("read", "y", { onHeader: () => {} })];
    await settle();
    endWith(a, 1, Code.INTERNAL);
    b.headers(1, grpcResponseFields()).headers(1, [["grpc-status", "14"]], { end: true });
    expect(await outcomes(calls)).toEqual(["[INTERNAL] ", "[UNAVAILABLE] "]);
  });

  it("waits as long as the server asks for, and not at all when it says -1 or nonsense", async () => {
    const { scene, a, b } = await twoServers();
    const call = scene.call("read", "x");
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE, [["grpc-retry-pushback-ms", "700"]]);
    await scene.clock.advance(699);
    expect(streams(b)).toEqual([]);
    await scene.clock.advance(1);
    answer(b, 1, "x");
    expect(await call).toBe("x");
    const stopped = ["-1", "soon"].map(() => scene.call("read", "x"));
    await settle();
    endWith(a, 3, Code.UNAVAILABLE, [["grpc-retry-pushback-ms", "-1"]]);
    endWith(b, 3, Code.UNAVAILABLE, [["grpc-retry-pushback-ms", "soon"]]);
    expect(await outcomes(stopped)).toEqual(["[UNAVAILABLE] ", "[UNAVAILABLE] "]);
  });

  it("is not tried again when there is no time left for it", async () => {
    const { scene, a } = await twoServers();
    const call = failure(scene.call("read", "x", { timeoutMs: 500 }));
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE, [["grpc-retry-pushback-ms", "600"]]);
    expect((await call).code).toBe(Code.UNAVAILABLE);
  });

  it("is not tried again inside a call that is a retry itself: one layer of a chain repeats", async () => {
    const { scene, a } = await twoServers();
    const parent = new CallContext();
    parent.isRetry = true;
    const call = callStorage.run(parent, () => scene.call("read", "x"));
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE);
    expect((await failure(call)).attempt).toBe(1);
  });

  it("is tried again while the budget lasts, which all clients of the channel share", async () => {
    const { scene, a, b } = await twoServers();
    const calls = Array.from({ length: 40 }, () => scene.call("read", "x"));
    await settle();
    for (let round = 0; round < 3; round++) {
      for (const peer of [a, b]) for (const id of streams(peer)) endWith(peer, id, Code.UNAVAILABLE);
      await scene.clock.advance(30);
    }
    await Promise.allSettled(calls);
    // 10 from the start and 40 × 10 %.
    expect(streams(a).length + streams(b).length).toBe(40 + 14);
  });

  it("can be cancelled in the pause", async () => {
    const { scene, a, b } = await twoServers();
    const controller = new AbortController();
    const call = failure(scene.call("read", "x", { signal: controller.signal }));
    await settle();
    endWith(a, 1, Code.UNAVAILABLE, [["grpc-retry-pushback-ms", "990"]]);
    await settle();
    expect(scene.channel.sleepingCount).toBe(1);
    controller.abort();
    expect(await call).toMatchObject({ code: Code.CANCELLED, sent: true, attempt: 1 });
    expect(scene.channel.sleepingCount).toBe(0);
    await scene.clock.advance(1000);
    expect(streams(b)).toEqual([]);
  });

  it("is not tried again with retries off", async () => {
    const { scene, a } = await twoServers({ retry: { maxAttempts: 1, baseMs: 0, maxMs: 0 } });
    const call = scene.call("read", "x");
    await a.expect("HEADERS");
    endWith(a, 1, Code.UNAVAILABLE);
    expect((await failure(call)).attempt).toBe(1);
  });
});

/** Ids of the streams that were opened, in order. */
function streams(peer: RawPeer): number[] {
  return peer.received.filter(({ type }) => type === "HEADERS").map(({ streamId }) => streamId);
}
