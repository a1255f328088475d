import { describe, expect, it } from "vitest";
import { answer, ChannelScene, endWith } from "../../../test/client/channel-scene.ts";
import { collect } from "../../../test/client/note-service.ts";
import { failure, gate } from "../../../test/client/outcomes.ts";
import { Code } from "../../rpc/code.ts";
import { Metadata } from "../../rpc/metadata.ts";
import { RpcError } from "../../rpc/rpc-error.ts";
import { grpcMessage, grpcResponseFields } from "../../testing/raw-frames.ts";
import { settle } from "../../testing/virtual-clock.ts";
import { after, before, type Interceptor } from "../interceptor.ts";

/** Writes its name down on the way in and out. */
function noting(name: string, notes: string[]): Interceptor {
  return async (call, next) => {
    notes.push(`${name} in`);
    const answer = await next(call);
    notes.push(`${name} out`);
    return answer;
  };
}

async function connected(interceptors: ConstructorParameters<typeof ChannelScene>[0] & object) {
  const scene = new ChannelScene(interceptors);
  return { scene, peer: await scene.connected() };
}

describe("interceptors", () => {
  it("run in the order of the list, each around all that follow", async () => {
    const notes: string[] = [];
    const { scene, peer } = await connected({ interceptors: [noting("a", notes), noting("b", notes)] });
    const call = scene.call("say", "x");
    await settle();
    answer(peer, 1, "x");
    expect(await call).toBe("x");
    expect(notes).toEqual(["a in", "b in", "b out", "a out"]);
  });

  it("stand where they are placed", () => {
    const one: Interceptor = async function one(call, next) {
      return next(call);
    };
    const scene = new ChannelScene({ interceptors: [one, after("trace", one), before("trace", one)] });
    const order = scene.pipeline.describe().split("\n");
    expect(order.map((line) => line.split(" ")[0])).toEqual([
      "one",
      "trace",
      "one",
      "metrics",
      "deadline",
      "one",
      "retry",
      "pick",
      "transport",
    ]);
    expect(order[0]).toBe("one  an interceptor of yours");
  });

  it("are counted or not by their place", async () => {
    const refuse: Interceptor = () => Promise.reject(new RpcError(Code.PERMISSION_DENIED, "no"));
    const outside = new ChannelScene({ interceptors: [before("metrics", refuse)] });
    const inside = new ChannelScene({ interceptors: [after("metrics", refuse)] });
    for (const scene of [outside, inside]) await failure(scene.call("say", "x"));
    expect(outside.channel.stats[0].started).toBe(0);
    expect(inside.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
    expect(inside.channel.stats[0].byCode[Code.PERMISSION_DENIED]).toBe(1);
  });

  it("can't stand where there is no place for them", () => {
    const one: Interceptor = (call, next) => next(call);
    expect(() => new ChannelScene({ interceptors: [after("retry", one)] })).toThrow(
      'interceptors run once a call: place them before("retry") or further out',
    );
    expect(() => new ChannelScene({ interceptors: [before("auth", one)] })).toThrow(
      'createClient options.interceptors: before: there is no layer "auth"; layers are trace, metrics, deadline, retry',
    );
    expect(() => new ChannelScene({ interceptors: [{} as never] })).toThrow(/^an interceptor is an async/);
  });

  it("see what the one before has put in place of request and metadata", async () => {
    const seen: unknown[] = [];
    const replace: Interceptor = (call, next) => {
      const metadata = new Metadata(call.metadata).set("x-token", "t").delete("x-drop");
      return next({ ...call, request: `${call.request}!`, metadata });
    };
    const mutate: Interceptor = (call, next) => {
      seen.push(call.request, call.metadata.get("x-token"), call.timeRemainingMs);
      call.request = `${call.request}?`;
      call.metadata.append("x-more", "m");
      return next(call);
    };
    const { scene, peer } = await connected({ interceptors: [replace, mutate] });
    const call = scene.call("say", "x", { metadata: { "x-drop": "1", "x-keep": "2" } });
    const { fields } = await peer.expect("HEADERS");
    expect((await peer.expect("DATA")).data?.toString("utf8", 5)).toBe("x!?");
    answer(peer, 1, "x");
    await call;
    expect(seen).toEqual(["x!", "t", 2000]);
    expect(fields?.filter(([name]) => name.startsWith("x-"))).toEqual([
      ["x-keep", "2"],
      ["x-token", "t"],
      ["x-more", "m"],
    ]);
  });

  it("may send no metadata at all", async () => {
    const strip: Interceptor = (call, next) => {
      call.metadata.delete("x-a");
      return next(call);
    };
    const { scene, peer } = await connected({ interceptors: [strip] });
    void scene.call("say", "x", { metadata: { "x-a": "1" } });
    expect((await peer.expect("HEADERS")).headers).not.toHaveProperty("x-a");
  });

  it("may change the answer, and turn a failure into one", async () => {
    const loud: Interceptor = async (call, next) => `${await next(call)}!`;
    const fallback: Interceptor = (call, next) => next(call).catch((error: RpcError) => `(${error.method})`);
    const { scene, peer } = await connected({ interceptors: [loud, fallback] });
    const calls = [scene.call("say", "x"), scene.call("say", "y")];
    await settle();
    answer(peer, 1, "x");
    endWith(peer, 3, Code.NOT_FOUND);
    expect(await Promise.all(calls)).toEqual(["x!", "(/note.v1.Notes/Say)!"]);
    // Both stand inside the layer that counts: what the caller sees is OK.
    expect(scene.channel.stats[0].byCode[0]).toBe(2);
  });

  it("that throw end the call with an error that says what it belongs to", async () => {
    const broken: Interceptor = () => {
      throw new Error("no token");
    };
    const { scene } = await connected({ interceptors: [broken] });
    const error = await failure(scene.call("say", "x"));
    expect(error).toMatchObject({
      code: Code.UNKNOWN,
      text: "no token",
      reason: "handler",
      method: "/note.v1.Notes/Say",
    });
    expect(error).toMatchObject({ sent: false, attempt: 0 });
  });

  it("may throw what nobody can write on, or what has no text", async () => {
    const [constant, bare] = [Object.freeze(new RpcError(Code.ABORTED, "as always")), Object.create(null)];
    for (const [thrown, code] of [
      [constant, Code.ABORTED],
      [bare, Code.UNKNOWN],
    ] as const) {
      const refuse: Interceptor = async () => {
        throw thrown;
      };
      const scene = new ChannelScene({ interceptors: [refuse] });
      expect(await failure(scene.call("say", "x"))).toMatchObject({ code, method: "/note.v1.Notes/Say" });
      expect(await failure(collect(scene.stream("follow", "x")))).toMatchObject({ code });
    }
  });

  it("may answer by themselves: nothing is sent, no timer stays", async () => {
    const cache: Interceptor = async () => "cached";
    const { scene, peer } = await connected({ interceptors: [cache] });
    expect(await scene.call("say", "x")).toBe("cached");
    await peer.roundTrip();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
    expect(scene.channel.wheel.size).toBe(0);
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
  });

  it("may answer while the call runs: it is given up, and what is inside has ended once", async () => {
    const impatient: Interceptor = async (call, next) => {
      void next(call);
      return "at once";
    };
    const notes: string[] = [];
    const { scene, peer } = await connected({ interceptors: [after("trace", impatient), noting("b", notes)] });
    expect(await scene.call("say", "x")).toBe("at once");
    expect(await peer.expect("RST_STREAM")).toMatchObject({ errorCode: 8 });
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
    expect(scene.channel.stats[0].byCode[Code.CANCELLED]).toBe(1);
    expect(scene.channel.endpoints[0].inFlight).toBe(0);
  });

  it("may call next once", async () => {
    const twice: Interceptor = async (call, next) => {
      await next(call).catch(() => {});
      return next(call);
    };
    const { scene, peer } = await connected({ interceptors: [twice] });
    const call = scene.call("say", "x");
    await settle();
    endWith(peer, 1, Code.ABORTED);
    expect((await failure(call)).message).toContain("[INTERNAL] an interceptor called next() twice");
  });

  it("don't keep a call from its deadline, and can't revive it", async () => {
    const door = gate();
    const slow: Interceptor = async (call, next) => {
      await door.opened;
      return next(call);
    };
    const outcomes: string[] = [];
    const outer: Interceptor = (call, next) =>
      next(call).catch((error: RpcError) => {
        outcomes.push(error.text);
        throw error;
      });
    const { scene, peer } = await connected({ interceptors: [outer, slow] });
    const call = failure(scene.call("say", "x"));
    await scene.clock.advance(2005);
    const text = "deadline of 2000 ms exceeded: an interceptor has not gone on with the call";
    expect((await call).text).toBe(text);
    expect(outcomes).toEqual([text]);
    door.open();
    await peer.roundTrip();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
  });
});

describe("a call that an interceptor has held too long", () => {
  it("is not sent any more", async () => {
    const door = gate();
    const slow: Interceptor = async (call, next) => {
      await door.opened;
      return next(call);
    };
    const { scene, peer } = await connected({ interceptors: [slow] });
    const call = failure(scene.call("say", "x", { timeoutMs: 7 }));
    // After the deadline, and before the wheel looks at it.
    await scene.clock.advance(8);
    door.open();
    expect((await call).code).toBe(Code.DEADLINE_EXCEEDED);
    await peer.roundTrip();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
  });
});

describe("interceptors of streams", () => {
  it("wrap requests and answers", async () => {
    const shout: Interceptor = async (call, next) => {
      const texts = call.request as AsyncIterable<string>;
      const request = (async function* () {
        for await (const text of texts) yield text.toUpperCase();
      })();
      const answers = (await next({ ...call, request })) as AsyncIterable<string>;
      return (async function* () {
        for await (const text of answers) yield `${text}!`;
      })();
    };
    const { scene, peer } = await connected({ interceptors: [shout] });
    const chat = collect(scene.stream("chat", ["a"]));
    expect((await peer.expect("DATA")).data?.toString("utf8", 5)).toBe("A");
    peer.headers(1, grpcResponseFields()).data(1, grpcMessage(Buffer.from("b")));
    peer.headers(1, [["grpc-status", "0"]], { end: true });
    expect(await chat).toEqual(["b!"]);
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
  });

  it("wrap what the ones further in give", async () => {
    const suffix =
      (mark: string): Interceptor =>
      async (call, next) => {
        const answers = (await next(call)) as AsyncIterable<string>;
        return (async function* () {
          for await (const text of answers) yield `${text}${mark}`;
        })();
      };
    const { scene, peer } = await connected({ interceptors: [suffix("1"), suffix("2"), suffix("3")] });
    const texts = collect(scene.stream("follow", "x"));
    await peer.expect("HEADERS");
    peer.headers(1, grpcResponseFields()).data(1, grpcMessage(Buffer.from("a")));
    peer.headers(1, [["grpc-status", "0"]], { end: true });
    expect(await texts).toEqual(["a321"]);
  });

  it("can make up for the failure of one further in, or for a deadline that it let pass", async () => {
    const fallback: Interceptor = (call, next) =>
      next(call).catch(async function* ({ code }: RpcError) {
        yield `instead of ${code}`;
      });
    const broken: Interceptor = () => Promise.reject(new RpcError(Code.UNAUTHENTICATED, "who are you"));
    const never: Interceptor = () => new Promise(() => {});
    const first = new ChannelScene({ interceptors: [fallback, broken] });
    expect(await collect(first.stream("follow", "x"))).toEqual([`instead of ${Code.UNAUTHENTICATED}`]);
    const second = new ChannelScene({ interceptors: [fallback, never] });
    const texts = collect(second.stream("follow", "x"));
    await second.clock.advance(2005);
    expect(await texts).toEqual([`instead of ${Code.DEADLINE_EXCEEDED}`]);
  });

  it("replace the requests of a call with one answer", async () => {
    const doubled: Interceptor = (call, next) => {
      const texts = call.request as Iterable<string>;
      return next({ ...call, request: [...texts, ...texts] });
    };
    const { scene, peer } = await connected({ interceptors: [doubled] });
    const call = scene.call("join", ["a"]);
    await peer.expect("DATA", ({ isEnd }) => isEnd);
    expect(peer.received.filter(({ data }) => (data?.length ?? 0) > 0)).toHaveLength(2);
    answer(peer, 1, "aa");
    expect(await call).toBe("aa");
  });

  it("may give answers of their own: the call has ended when those have", async () => {
    const own: Interceptor = async () =>
      (async function* () {
        yield "mine";
      })();
    const { scene } = await connected({ interceptors: [own], timeoutMs: 0 });
    expect(await collect(scene.stream("follow", "x"))).toEqual(["mine"]);
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
    expect(scene.channel.stats[0].byCode[0]).toBe(1);
  });

  it("may go on with the call only when somebody reads", async () => {
    const lazy: Interceptor = async (call, next) =>
      (async function* () {
        yield* (await next(call)) as AsyncIterable<string>;
      })();
    const { scene, peer } = await connected({ interceptors: [lazy] });
    const stream = scene.stream("follow", "x");
    await peer.roundTrip();
    expect(peer.received.some(({ type }) => type === "HEADERS")).toBe(false);
    const texts = collect(stream);
    await peer.expect("HEADERS");
    peer.headers(1, grpcResponseFields()).data(1, grpcMessage(Buffer.from("a")));
    peer.headers(1, [["grpc-status", "0"]], { end: true });
    expect(await texts).toEqual(["a"]);
  });

  it("are left with the loop, and the server hears of it", async () => {
    let isLeft = false;
    const watch: Interceptor = async (call, next) => {
      const answers = (await next(call)) as AsyncIterable<string>;
      return (async function* () {
        try {
          yield* answers;
        } finally {
          isLeft = true;
        }
      })();
    };
    const { scene, peer } = await connected({ interceptors: [watch] });
    const reading = (async () => {
      for await (const text of scene.stream("follow", "x")) return text;
      return "";
    })();
    await settle();
    peer.headers(1, grpcResponseFields()).data(1, grpcMessage(Buffer.from("a")));
    expect(await reading).toBe("a");
    expect(await peer.expect("RST_STREAM")).toMatchObject({ errorCode: 8 });
    expect(isLeft).toBe(true);
  });

  it("that throw or give nothing to iterate end the call", async () => {
    const broken: Interceptor = () => Promise.reject(new RpcError(Code.UNAUTHENTICATED, "who are you"));
    const wrong: Interceptor = async (call, next) => void (await next(call));
    const first = await connected({ interceptors: [broken] });
    const error = await failure(collect(first.scene.stream("follow", "x")));
    expect(error).toMatchObject({ code: Code.UNAUTHENTICATED, method: "/note.v1.Notes/Follow", sent: false });
    const second = await connected({ interceptors: [wrong] });
    const text = "an interceptor must give an async iterable for the streaming method /note.v1.Notes/Follow";
    expect((await failure(collect(second.scene.stream("follow", "x")))).text).toBe(text);
    expect(await second.peer.expect("RST_STREAM")).toMatchObject({ errorCode: 8 });
  });

  it("may fail without anybody reading: that is no end of the process", async () => {
    const broken: Interceptor = () => Promise.reject(new Error("unheard"));
    const { scene } = await connected({ interceptors: [broken] });
    scene.stream("follow", "x");
    await settle();
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
  });

  it("can be left before they have given anything", async () => {
    const never: Interceptor = () => new Promise(() => {});
    const { scene } = await connected({ interceptors: [never], timeoutMs: 0 });
    const iterator = scene.stream("follow", "x")[Symbol.asyncIterator]();
    const read = failure(iterator.next());
    await iterator.return?.();
    expect((await read).code).toBe(Code.CANCELLED);
    expect(scene.channel.stats[0]).toMatchObject({ started: 1, inFlight: 0 });
  });
});
