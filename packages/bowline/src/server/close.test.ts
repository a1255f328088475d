import { connect, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { certPair } from "../../test/certs.ts";
import { ScriptedRegistry } from "../../test/server/scripted-registry.ts";
import { failure, gate, heldSay, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { collect } from "../../test/server/text-service.ts";
import { dial } from "../net/dial.ts";
import { systemClock } from "../rpc/clock.ts";
import { Code } from "../rpc/code.ts";
import { grpcMessage, grpcRequestFields, RawSetting } from "../testing/raw-frames.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";

const scenes = useScenes();
const NO_ERROR = 0;
const MAX_ID = 0x7fffffff;
const SHUTTING_DOWN = "the server is shutting down";

/** A socket that has sent `text`, once the server has answered or taken it. */
async function socketTo(scene: ServerScene, text: string | Buffer = ""): Promise<Socket> {
  const socket = connect(scene.server.port, "127.0.0.1");
  scene.onClose(() => void socket.destroy());
  socket.on("error", () => {}).resume();
  await new Promise((resolve) => socket.once("connect", resolve));
  if (text.length > 0) await new Promise((resolve) => socket.write(text, resolve));
  return socket;
}

const gone = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once("close", resolve));

describe("close", () => {
  it("goes in order: NOT_SERVING, out of the registry, GOAWAY, takes calls, GOAWAY with the last, finishes, ends", async () => {
    const registry = new ScriptedRegistry();
    const running = gate();
    const finish = gate();
    const clock = new VirtualClock();
    const scene = await scenes.start(
      { say: heldSay(running, finish) },
      { name: "text.rpc", registry, clock, drainAcceptMs: 2000, drainTimeoutMs: 30_000 },
    );
    const peer = await scene.rawPeer();
    await peer.handshake();
    const say = (id: number): void => {
      peer.headers(id, grpcRequestFields("/text.v1.Text/Say")).data(id, grpcMessage(Buffer.from("x")), { end: true });
    };
    say(1);
    await running.opened;
    registry.onUpdate = async () => {
      registry.events.push(
        `health ${scene.server.health.get("")}, ${peer.received.some(({ type }) => type === "GOAWAY")}`,
      );
    };
    const closed = scene.server.close();
    expect(scene.server.state).toBe("draining");
    expect(await peer.expect("GOAWAY")).toMatchObject({
      lastStreamId: MAX_ID,
      errorCode: NO_ERROR,
      debug: SHUTTING_DOWN,
    });
    expect(registry.events.slice(1)).toEqual(["update draining", "health NOT_SERVING, false", "leave"]);
    // Calls that are on their way are still taken.
    say(3);
    await peer.roundTrip();
    await clock.advance(2000);
    expect(await peer.expect("GOAWAY")).toMatchObject({ lastStreamId: 3, errorCode: NO_ERROR, debug: SHUTTING_DOWN });
    await expect(dial(scene.server.address, { clock: systemClock })).rejects.toMatchObject({ kind: "refused" });
    // Later ones are not: the client knows, and sends them elsewhere.
    say(5);
    await peer.roundTrip();
    finish.open();
    for (const id of [1, 3]) {
      const trailers = await peer.expect("HEADERS", (frame) => frame.streamId === id && frame.isEnd);
      expect(trailers.headers).toMatchObject({ "grpc-status": "0" });
    }
    expect(await peer.closed).toBeUndefined();
    await closed;
    expect(scene.server.state).toBe("closed");
    expect(peer.received.filter((frame) => frame.streamId === 5)).toEqual([]);
    expect(scene.log.lines).toEqual([]);
  });

  it("stops listening to signals, as a start that fails does", async () => {
    const listening = (): number => process.listenerCount("SIGTERM") + process.listenerCount("SIGINT");
    const before = listening();
    const scene = await scenes.start({}, { handleSignals: true });
    expect(listening()).toBe(before + 2);
    await scene.server.close();
    expect(listening()).toBe(before);
    const failing = scenes.make({}, { handleSignals: true, ready: () => Promise.reject(new Error("no")) });
    await expect(failing.server.start()).rejects.toThrow("no");
    expect(listening()).toBe(before);
  });

  it("twice is once", async () => {
    const { server } = await scenes.start();
    const first = server.close();
    expect(server.close()).toBe(first);
    await first;
    await server[Symbol.asyncDispose]();
  });

  it("lets calls of all kinds finish", async () => {
    const running: (() => void)[] = [];
    const started = new Promise<void>((resolve) => {
      running.push(resolve);
    });
    let count = 0;
    const finish = gate();
    const arrive = async (): Promise<void> => {
      if (++count === 4) running[0]();
      await finish.opened;
    };
    const scene = await scenes.start(
      {
        say: (text) => arrive().then(() => text),
        async *repeat(text) {
          yield text;
          await arrive();
          yield text;
        },
        join: async (texts) => {
          await arrive();
          return (await collect(texts)).join("");
        },
        async *chat(texts) {
          await arrive();
          yield* texts;
        },
      },
      { drainTimeoutMs: 10_000 },
    );
    const client = scene.client();
    const answers = Promise.all([
      client.say("a"),
      collect(client.repeat("b")),
      client.join(["c", "d"]),
      collect(client.chat(["e", "f"])),
    ]);
    await started;
    const closed = scene.server.close();
    finish.open();
    expect(await answers).toEqual(["a", ["b", "b"], "cd", ["e", "f"]]);
    await closed;
  });

  it("cancels what still runs after drainTimeoutMs, with UNAVAILABLE and the reason", async () => {
    const clock = new VirtualClock();
    const signals: AbortSignal[] = [];
    const scene = await scenes.start(
      {
        say: (_text, { signal }) => {
          signals.push(signal);
          return new Promise(() => {});
        },
        async *repeat(text, { signal }) {
          signals.push(signal);
          yield text;
          await new Promise(() => {});
        },
      },
      { clock, drainAcceptMs: 0, drainTimeoutMs: 30_000 },
    );
    const client = scene.client({ timeoutMs: 0 });
    const texts: string[] = [];
    const read = async (): Promise<void> => {
      for await (const text of client.repeat("x")) texts.push(text);
    };
    const failures = Promise.all([failure(client.say("x")), failure(read())]);
    await scene.eventually(() => signals.length === 2);
    const closed = scene.server.close();
    await clock.advance(29_900);
    expect(signals.map((signal) => signal.aborted)).toEqual([false, false]);
    await clock.advance(200);
    await closed;
    const text = "the server has stopped; the call still ran after 30000 ms (drainTimeoutMs)";
    for (const error of await failures) expect(error).toMatchObject({ code: Code.UNAVAILABLE, text, origin: "remote" });
    expect(texts).toEqual(["x"]);
    expect(signals.map((signal) => signal.reason)).toMatchObject([{ text }, { text }]);
    expect(scene.log.lines).toMatchObject([{ level: "warn", fields: { calls: 2 }, text: /cancelled$/ }]);
  });

  it("takes at most drainTimeoutMs in all, drainAcceptMs included", async () => {
    const clock = new VirtualClock();
    const registry = new ScriptedRegistry();
    const options = { clock, name: "text.rpc", registry, drainAcceptMs: 20_000, drainTimeoutMs: 1000 };
    const { server } = await scenes.start({}, options);
    let isClosed = false;
    const closed = server.close().then(() => (isClosed = true));
    await clock.advance(900);
    expect(isClosed).toBe(false);
    await clock.advance(200);
    await closed;
  });

  it("waits for those that have its address from the registry, though nobody is connected", async () => {
    const clock = new VirtualClock();
    const registry = new ScriptedRegistry();
    const scene = await scenes.start(
      {},
      { clock, name: "text.rpc", registry, drainAcceptMs: 2000, drainTimeoutMs: 30_000 },
    );
    const closed = scene.server.close();
    await clock.advance(1900);
    // A newcomer is served like any other: it found no better server.
    expect(await scene.client().say("late")).toBe("late");
    await clock.advance(200);
    await closed;
  });
});

describe("close with a registry that", () => {
  const options = { name: "text.rpc", drainTimeoutMs: 30_000, drainAcceptMs: 0 };

  it("fails goes on, and says so", async () => {
    const registry = new ScriptedRegistry();
    registry.onLeave = () => Promise.reject(new Error("disk full"));
    const scene = await scenes.start({}, { ...options, registry });
    await scene.server.close();
    expect(scene.log.lines).toMatchObject([{ level: "warn", text: /taking the instance out of the registry failed/ }]);
  });

  it("takes its time is asked though there is none for calls", async () => {
    const registry = new ScriptedRegistry();
    registry.onLeave = () => new Promise((resolve) => setImmediate(resolve));
    const scene = await scenes.start({}, { ...options, drainTimeoutMs: 0, registry });
    await scene.server.close();
    expect(registry.instances).toEqual([]);
    expect(scene.log.lines).toEqual([]);
  });

  it("does not answer goes on after 5 s", async () => {
    const clock = new VirtualClock();
    const registry = new ScriptedRegistry();
    registry.onLeave = () => new Promise(() => {});
    const scene = await scenes.start({}, { ...options, clock, registry });
    const closed = scene.server.close();
    await clock.advance(5100);
    await closed;
    expect(scene.log.lines).toMatchObject([{ level: "warn", text: /the registry does not answer/ }]);
  });

  it("does not take the announcement is asked to take the instance out after 1 s", async () => {
    const clock = new VirtualClock();
    const registry = new ScriptedRegistry();
    registry.onUpdate = () => new Promise(() => {});
    const scene = await scenes.start({}, { ...options, clock, registry });
    const closed = scene.server.close();
    await clock.advance(1000);
    await closed;
    expect(registry.events).toEqual(["register text.rpc", "update draining", "leave"]);
    expect(scene.log.lines).toEqual([]);
  });
});

describe("close does not wait for", () => {
  it("a client that is idle", async () => {
    const scene = await scenes.start({}, { drainAcceptMs: 60_000, drainTimeoutMs: 60_000 });
    const client = scene.client();
    await client.say("x");
    await scene.rawPeer();
    await client.close();
    await scene.server.close();
  });

  it("an idle client that ignores both GOAWAYs", async () => {
    const scene = await scenes.start({}, { drainTimeoutMs: 60_000 });
    const peer = await scene.rawPeer();
    await peer.handshake();
    await scene.server.close();
    expect(peer.received.filter(({ type }) => type === "GOAWAY").length).toBeGreaterThanOrEqual(2);
  });

  it("a client that opens more and more calls after both GOAWAYs", async () => {
    const running = gate();
    const finish = gate();
    const scene = await scenes.start({ say: heldSay(running, finish) }, { drainTimeoutMs: 60_000 });
    const peer = await scene.rawPeer();
    await peer.handshake();
    const fields = grpcRequestFields("/text.v1.Text/Say");
    peer.headers(1, fields).data(1, grpcMessage(Buffer.from("x")), { end: true });
    await running.opened;
    const closed = scene.server.close();
    await peer.expect("GOAWAY", (frame) => frame.lastStreamId === 1);
    for (let id = 3; id < 100; id += 2) peer.headers(id, fields).data(id, grpcMessage(Buffer.from("x")), { end: true });
    await peer.roundTrip();
    finish.open();
    await closed;
  });

  it("a client in the middle of its TLS handshake, one that says nothing, one that keeps HTTP/1.1 alive", async () => {
    const secure = await scenes.start({}, { tls: certPair("server"), drainTimeoutMs: 60_000 });
    const plain = await scenes.start({}, { drainTimeoutMs: 60_000 });
    const sockets = [
      await socketTo(secure, Buffer.of(0x16, 3, 1, 2, 0, 1)),
      await socketTo(plain),
      await socketTo(plain, "PRI * HT"),
      await socketTo(plain, "GET / HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n"),
    ];
    const ends = sockets.map(gone);
    await Promise.all([secure.server.close(), plain.server.close()]);
    await Promise.all(ends);
  });

  it("a client that does not read its answer", async () => {
    const scene = await scenes.start({}, { drainTimeoutMs: 0 });
    const peer = await scene.rawPeer();
    await peer.handshake([[RawSetting.INITIAL_WINDOW_SIZE, 0]]);
    peer
      .headers(1, grpcRequestFields("/text.v1.Text/Say"))
      .data(1, grpcMessage(Buffer.alloc(1000, "x")), { end: true });
    await peer.expect("HEADERS");
    await scene.server.close();
    await peer.closed;
  });
});
