import { describe, expect, it, vi } from "vitest";
import { answer, ChannelScene, endWith } from "../../../test/client/channel-scene.ts";
import { NoteService } from "../../../test/client/note-service.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { CallContext, type ChildCall, callStorage } from "../../rpc/call-context.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { grpcMessage, grpcResponseFields, RawSetting } from "../../testing/raw-frames.ts";
import { settle } from "../../testing/virtual-clock.ts";

const A = "10.0.0.1:80";
const METHOD = "/note.v1.Notes/Say";

/** An AbortController whose listeners can be counted. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...all: Parameters<typeof addEventListener>): void => {
    listeners++;
    addEventListener.apply(signal, all);
  };
  signal.removeEventListener = (...all: Parameters<typeof removeEventListener>): void => {
    listeners--;
    removeEventListener.apply(signal, all);
  };
  return { controller, signal, count: () => listeners };
}

describe("a failure", () => {
  it("of the server's making carries code, text, details, metadata and where it came from", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const call = scene.call("say", "x");
    await settle();
    const details = Buffer.from([0x08, 3, 0x12, 3, ..."bad".split("").map((c) => c.charCodeAt(0)), 0x1a, 2, 0x0a, 0]);
    endWith(peer, 1, Code.INVALID_ARGUMENT, [
      ["grpc-message", "b%C3%A4d"],
      ["grpc-status-details-bin", details.toString("base64")],
      ["x-why", "because"],
    ]);
    const error = await failure(call);
    expect(error).toMatchObject({ code: Code.INVALID_ARGUMENT, origin: "remote", reason: undefined, method: METHOD });
    expect(error).toMatchObject({ instance: A, attempt: 1, sent: true, text: "bad" });
    expect(error.details).toEqual([{ typeUrl: "", value: new Uint8Array() }]);
    expect(error.metadata.get("x-why")).toBe("because");
  });

  it("of a message that can't be encoded says that nothing was sent", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const error = await failure(scene.call("say", { not: "a text" }));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", origin: "local", sent: false, attempt: 0 });
    await peer.roundTrip();
    expect(peer.received.filter(({ type }) => type === "DATA")).toEqual([]);
    expect(scene.channel.endpoints[0].inFlight).toBe(0);
  });

  it("of an answer that can't be decoded says that it was", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const call = scene.call("say", "x");
    await settle();
    answer(peer, 1, "\0");
    expect(await failure(call)).toMatchObject({ code: Code.INTERNAL, reason: "codec", origin: "local", sent: true });
  });

  it("of an answer with no message, or two, is UNIMPLEMENTED", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const calls = [scene.call("say", "x"), scene.call("say", "x")];
    await settle();
    endWith(peer, 1, 0);
    const message = grpcMessage(Buffer.from("x"));
    peer.headers(3, grpcResponseFields()).data(3, Buffer.concat([message, message]));
    for (const call of calls) expect(await failure(call)).toMatchObject({ code: 12, reason: "protocol" });
  });

  it("of one stream leaves the others alone", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const calls = [scene.call("say", "x"), scene.call("say", "y")];
    await settle();
    peer.headers(1, [["content-type", "application/grpc"]]);
    answer(peer, 3, "y");
    expect((await failure(calls[0])).text).toBe("the answer has no :status");
    expect(await calls[1]).toBe("y");
  });

  it("without an endpoint comes once, and never before the caller has its promise", async () => {
    const scene = new ChannelScene();
    void scene.channel.close();
    let rejections = 0;
    const call = scene.call("say", "x");
    call.catch(() => rejections++);
    expect(rejections).toBe(0);
    await settle();
    expect(rejections).toBe(1);
  });
});

describe("metadata", () => {
  it("go with the request in their order, duplicates and bytes too", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const metadata = new Metadata([
      ["x-a", "1"],
      ["x-bytes-bin", Uint8Array.of(0, 255, 7)],
      ["x-a", "2"],
    ]);
    const call = scene.call("say", "x", { metadata });
    const { fields } = await peer.expect("HEADERS");
    expect(fields?.filter(([name]) => name.startsWith("x-"))).toEqual([
      ["x-a", "1"],
      ["x-bytes-bin", "AP8H"],
      ["x-a", "2"],
    ]);
    answer(peer, 1, "x");
    await call;
  });

  it("of the answer are told before and after the message", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const told: unknown[] = [];
    const call = scene.call("say", "x", {
      onHeader: (header) => told.push(["header", ...header]),
      onTrailer: (trailer) => told.push(["trailer", ...trailer]),
    });
    await settle();
    peer.headers(
      1,
      grpcResponseFields([
        ["x-h", "1"],
        ["x-h", "2"],
      ]),
    );
    peer.data(1, grpcMessage(Buffer.from("x")));
    await settle();
    expect(told).toEqual([["header", ["x-h", "1"], ["x-h", "2"]]]);
    const trailers = [
      ["grpc-status", "0"],
      ["x-t-bin", "AQI"],
    ] as const;
    peer.headers(1, trailers as never, { end: true });
    await call;
    expect(told[1]).toEqual(["trailer", ["x-t-bin", Uint8Array.of(1, 2)]]);
  });

  it("are told with an error, too; without any the metadata are empty", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const told: unknown[] = [];
    const onTrailer = (trailer: Metadata): void => void told.push([...trailer]);
    const call = scene.call("say", "x", { onTrailer, onHeader: () => told.push("header") });
    await settle();
    endWith(peer, 1, Code.NOT_FOUND);
    await failure(call);
    expect(told).toEqual([[]]);
  });

  it("end the call when what hears of them throws", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const onHeader = (): never => {
      throw new Error("mine");
    };
    const call = scene.call("say", "x", { onHeader });
    await settle();
    peer.headers(1, grpcResponseFields());
    expect(await failure(call)).toMatchObject({ code: Code.UNKNOWN, text: "mine" });
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: 8 });
  });

  it("that are wrong start nothing", async () => {
    const scene = new ChannelScene();
    await scene.connected();
    const { signal, count } = countedSignal();
    await expect(scene.call("say", "x", { signal, metadata: { "grpc-x": "1" } })).rejects.toBeInstanceOf(TypeError);
    expect([count(), scene.channel.stats[0].inFlight]).toEqual([0, 0]);
  });
});

describe("a deadline", () => {
  it("is 2 s unless something else is said, and goes along", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const calls = [scene.call("say", "x"), scene.call("say", "x", { timeoutMs: 0 })];
    const [first, second] = [await peer.expect("HEADERS"), await peer.expect("HEADERS")];
    expect(first.headers?.["grpc-timeout"]).toBe("2000m");
    expect(second.headers).not.toHaveProperty("grpc-timeout");
    await scene.clock.advance(2004);
    const error = await failure(calls[0]);
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "deadline", origin: "local", sent: true });
    expect(error.text).toBe(`deadline of 2000 ms exceeded: no answer from ${A}`);
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: 8 });
    answer(peer, 3, "late");
    expect(await calls[1]).toBe("late");
  });

  it("counts from the call, whatever has been computed since the clock was read", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    let cached = scene.clock.fresh();
    scene.clock.now = () => cached;
    const { fresh } = scene.clock;
    scene.clock.fresh = () => {
      cached = fresh.call(scene.clock);
      return cached;
    };
    await scene.clock.advance(300);
    // As the process's clock, whose reading of a turn stays until it ends.
    cached -= 300;
    const call = scene.call("say", "x", { timeoutMs: 200 });
    expect((await peer.expect("HEADERS")).headers?.["grpc-timeout"]).toBe("200m");
    await scene.clock.advance(150);
    answer(peer, 1, "y");
    expect(await call).toBe("y");
  });

  it("is told from a cancellation by the server, which may see it pass a little before", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const [early, late] = [scene.call("say", "x", { timeoutMs: 101 }), scene.call("say", "x", { timeoutMs: 101 })];
    await settle();
    peer.rst(1, 8);
    expect(await failure(early)).toMatchObject({ code: Code.CANCELLED, origin: "remote" });
    await scene.clock.advance(102);
    peer.rst(3, 8);
    expect(await failure(late)).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "deadline", origin: "local" });
    expect(scene.channel.endpoints[0].inFlight).toBe(0);
  });

  it("is what is left of it when the call had to wait for a connection", async () => {
    const scene = new ChannelScene();
    const call = scene.call("say", "x", { timeoutMs: 1000 });
    await scene.instances(A);
    await scene.clock.advance(400);
    const peer = await scene.lastDial.serve();
    expect((await peer.expect("HEADERS")).headers?.["grpc-timeout"]).toBe("600m");
    answer(peer, 1, "x");
    await call;
  });

  it("passes while nothing is resolved, while connecting, and while all is full: each says so", async () => {
    const scene = new ChannelScene();
    const unresolved = failure(scene.call("say", "x", { timeoutMs: 100 }));
    await scene.clock.advance(105);
    await scene.instances(A);
    const connecting = failure(scene.call("say", "x", { timeoutMs: 100 }));
    await scene.clock.advance(105);
    await scene.lastDial.serve([[RawSetting.MAX_CONCURRENT_STREAMS, 0]]);
    const full = failure(scene.call("say", "x", { timeoutMs: 100 }));
    await scene.clock.advance(105);
    const texts = [await unresolved, await connecting, await full].map(({ text }) => text.split(": ")[1]);
    expect(texts).toEqual([
      "notes is not resolved yet",
      "still connecting to notes at 10.0.0.1:80",
      "all connections to notes have as many calls as they may",
    ]);
  });

  it("that passes while connecting to several names one of them: the target tells no address", async () => {
    const scene = new ChannelScene();
    const connecting = failure(scene.call("say", "x", { timeoutMs: 100 }));
    await scene.instances(A, "10.0.0.2:80", "10.0.0.3:80");
    await scene.clock.advance(105);
    expect((await connecting).text).toMatch(/still connecting to notes at 10\.0\.0\.[123]:80 and \d more$/);
  });
});

describe("a signal", () => {
  it("that is aborted already sends nothing; the call is counted", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const error = await failure(scene.call("say", "x", { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: Code.CANCELLED, reason: "cancelled", sent: false, attempt: 0 });
    await peer.roundTrip();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
  });

  it("that is aborted by the message while it is measured sends nothing", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const { controller, signal, count } = countedSignal();
    using measure = vi.spyOn(NoteService.methods.say.input, "measure");
    measure.mockImplementationOnce(() => {
      controller.abort();
      return 1;
    });
    const error = await failure(scene.call("say", "x", { signal }));
    expect(error).toMatchObject({ code: Code.CANCELLED, reason: "cancelled" });
    await peer.roundTrip();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
    expect(scene.channel.endpoints[0].inFlight).toBe(0);
    expect(count()).toBe(0);
  });

  it("ends a call that runs, on both sides, and loses its listener", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const { controller, signal, count } = countedSignal();
    const call = scene.call("say", "x", { signal });
    await settle();
    expect(count()).toBe(1);
    controller.abort(new Error("enough"));
    const error = await failure(call);
    expect(error).toMatchObject({ code: Code.CANCELLED, text: "cancelled: enough", sent: true });
    expect(error.cause).toMatchObject({ message: "enough" });
    expect(await peer.expect("RST_STREAM")).toMatchObject({ streamId: 1, errorCode: 8 });
    expect(count()).toBe(0);
  });

  it("loses its listener however a call ends", async () => {
    const scene = new ChannelScene();
    const { signal, count } = countedSignal();
    const peer = await scene.connected();
    const late = failure(scene.call("say", "x", { signal, timeoutMs: 10 }));
    const calls = [scene.call("say", "x", { signal }), scene.call("say", "x", { signal })];
    await settle();
    expect(count()).toBe(3);
    answer(peer, 3, "x");
    endWith(peer, 5, Code.NOT_FOUND);
    await Promise.allSettled(calls);
    await scene.clock.advance(20);
    await late;
    await failure(scene.call("say", {}, { signal }));
    void scene.channel.close();
    await failure(scene.call("say", "x", { signal }));
    expect(count()).toBe(0);
  });

  it("gives each call an error of its own, whatever its reason", async () => {
    const scene = new ChannelScene();
    const controller = new AbortController();
    const reason = new RpcError(Code.ABORTED, "sold out");
    const calls = ["x", "y"].map((text) => scene.call("say", text, { signal: controller.signal }));
    controller.abort(reason);
    const [first, second] = [await failure(calls[0]), await failure(calls[1])];
    expect(first).not.toBe(second);
    expect(first).toMatchObject({ code: Code.ABORTED, text: "sold out", method: METHOD, cause: reason });
    expect(reason.method).toBeUndefined();
  });
});

describe("a call that serves another", () => {
  it("leaves nothing behind there when it ends", async () => {
    class Parent extends CallContext {
      children = 0;
      override adopt(child: ChildCall): void {
        this.children++;
        super.adopt(child);
      }
      override disown(child: ChildCall): void {
        this.children--;
        super.disown(child);
      }
    }
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const parent = new Parent();
    const calls = callStorage.run(parent, () => ["a", "b", "c"].map((text) => scene.call("say", text)));
    await settle();
    expect(parent.children).toBe(3);
    answer(peer, 1, "a");
    endWith(peer, 3, Code.NOT_FOUND);
    await Promise.allSettled(calls.slice(0, 2));
    expect(parent.children).toBe(1);
    parent.cancel(new RpcError(Code.CANCELLED, "gone"));
    expect(await failure(calls[2])).toMatchObject({ code: Code.CANCELLED, reason: "cancelled", sent: true });
  });
});

describe("what is counted", () => {
  it("comes to what was started, and in flight to nothing", async () => {
    const scene = new ChannelScene();
    const peer = await scene.connected();
    const calls = ["a", "b", "c"].map((text) => scene.call("say", text));
    await settle();
    answer(peer, 1, "a");
    endWith(peer, 3, Code.NOT_FOUND);
    peer.rst(5, 2);
    await Promise.allSettled(calls);
    const [stats] = scene.channel.stats;
    expect(stats).toMatchObject({ started: 3, inFlight: 0 });
    expect([stats.byCode[0], stats.byCode[Code.NOT_FOUND], stats.byCode[Code.INTERNAL]]).toEqual([1, 1, 1]);
    expect(scene.channel.endpoints[0].inFlight).toBe(0);
    expect(scene.channel.wheel.size).toBe(0);
  });
});
