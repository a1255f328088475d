// createClient, Client and Channel: what they are made of, how they are misused, how they end.
// Sharing of channels, kinds of targets: src/client/create-client.test.ts; states of a channel in time: channel.test.ts beside it.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { openChannelCount } from "../../src/client/channel/channel-pool.ts";
import { createClient } from "../../src/client/create-client.ts";
import { HealthCheckResponseSchema, Health as HealthDescriptor } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { Health } from "../../src/gen/grpc/health/v1/health_rpc.ts";
import { quantileMs } from "../../src/observe/method-stats.ts";
import { Code } from "../../src/rpc/code.ts";
import { useScene } from "../client/client-scene.ts";
import { collect, NoteService } from "../client/note-service.ts";
import { failure, gate } from "../client/outcomes.ts";
import { thrown, wrong } from "./refusals.ts";

const scene = useScene();
const TARGET = "static:///127.0.0.1:1";

describe("createClient", () => {
  it.each([undefined, null, "note.v1.Notes", {}, { typeName: "a" }, { typeName: "a", methods: null }, class {}])(
    "needs a generated service, not %o",
    (service) => {
      expect(thrown(() => createClient(wrong(service), TARGET))).toBe(
        "TypeError: createClient: the first argument must be a generated service, such as UserService of user_rpc.ts",
      );
    },
  );

  it("tells the service that describes messages from the one that can be called", () => {
    const text =
      "grpc.health.v1.Health has no methods that can be called; give the service from the file that ends with _rpc.ts, " +
      "which `bowline generate` writes beside the _pb.ts";
    expect(thrown(() => createClient(wrong(HealthDescriptor), TARGET))).toBe(`TypeError: createClient: ${text}`);
    const incomplete = { ...NoteService, methods: { say: { ...NoteService.methods.say, kind: "both" } } };
    expect(thrown(() => createClient(wrong(incomplete), TARGET))).toContain("note.v1.Notes has no methods that can");
  });

  it.each([undefined, null, 8080, {}, new URL("dns:///a:1")])("needs a target that is a text, not %o", (target) => {
    const before = openChannelCount();
    const given = target === null ? "null" : typeof target;
    expect(thrown(() => createClient(NoteService, wrong(target)))).toBe(
      `TypeError: target: expected a text, got ${given}. Correct: "dns:///user.internal:8080"`,
    );
    expect(openChannelCount()).toBe(before);
  });

  it("connects nothing before the first call", async () => {
    const raw = await scene.tcpServer(() => {});
    const client = scene.client(raw.address);
    expect([client.channel.state, client.channel.endpoints.length, raw.sockets.length]).toEqual(["idle", 0, 0]);
    const call = failure(client.say("x"));
    expect(client.channel.state).toBe("connecting");
    await client.close();
    await call;
  });

  it("makes an object with the methods of the service, and nothing that can be mistaken for a promise", () => {
    const client = scene.client(TARGET);
    expect(Object.keys(client).sort()).toEqual(
      ["channel", "chat", "close", "describe", "follow", "join", "read", "say"].sort(),
    );
    expect("then" in client).toBe(false);
  });
});

describe("a request of the wrong type", () => {
  it.each([
    ["say", 5],
    ["say", undefined],
    ["say", null],
    ["say", { a: 1 }],
  ] as const)("of %s, %o, is INTERNAL: the message can't be encoded, nothing was sent", async (method, request) => {
    const server = await scene.server();
    const client = scene.client(server.address);
    await client.channel.connect();
    const error = await failure(client[method](wrong(request)));
    expect(error).toMatchObject({ code: Code.INTERNAL, reason: "codec", origin: "local", sent: false, attempt: 0 });
    expect(error.text).toMatch(/^the message can't be encoded: /);
    expect(server.stats.every(({ started }) => started === 0)).toBe(true);
    expect(await client.say("x")).toBe("x");
  });

  it("is a message of another type, too", async () => {
    const server = await scene.server();
    const client = createClient(Health, server.address);
    scene.onClose(() => client.close());
    const other = create(HealthCheckResponseSchema, { status: 1 });
    expect(await failure(client.check(wrong(other)))).toMatchObject({ code: Code.INTERNAL, reason: "codec" });
    expect((await client.check({ service: "" })).status).toBe(1);
  });

  it("in a stream ends the call, after what came before it", async () => {
    const client = scene.client((await scene.server()).address);
    for (const item of [5, undefined, null]) {
      expect(await failure(client.join(wrong(["a", item, "b"])))).toMatchObject({
        code: Code.INTERNAL,
        reason: "codec",
      });
      expect(await failure(collect(client.chat(wrong([item]))))).toMatchObject({
        code: Code.INTERNAL,
        reason: "codec",
      });
    }
  });

  it.each([
    ["a text", "abc", "string"],
    ["one message", { id: 1 }, "object"],
    ["null", null, "null"],
    ["a function that makes them", async function* () {}, "function"],
  ])("for a stream of requests is what can't be iterated: %s", async (_what, requests, given) => {
    const client = scene.client(TARGET);
    const text = (method: string): string =>
      `TypeError: /note.v1.Notes/${method} takes an (async) iterable of messages, such as an array or a generator, not ${given}`;
    expect(String(await client.join(wrong(requests)).catch((error: unknown) => error))).toBe(text("Join"));
    expect(thrown(() => client.chat(wrong(requests)))).toBe(text("Chat"));
    expect(client.channel.state).toBe("idle");
  });

  it.each<[string, unknown, Code, string]>([
    ["an Error", new Error("boom"), Code.UNKNOWN, "boom"],
    ["a text", "boom", Code.UNKNOWN, "boom"],
    ["null", null, Code.UNKNOWN, "null"],
  ])(
    "a stream of requests that throws %s ends the call with it, at the server with CANCELLED",
    async (_what, value, code, text) => {
      const ended = gate<unknown>();
      const server = await scene.server({
        async join(texts, { signal }) {
          signal.addEventListener("abort", () => ended.open(signal.reason));
          for await (const _text of texts);
          return "never";
        },
      });
      const requests = async function* () {
        yield "a";
        throw value;
      };
      expect(await failure(scene.client(server.address).join(requests()))).toMatchObject({
        code,
        text,
        origin: "local",
      });
      expect(await ended.opened).toMatchObject({ code: Code.CANCELLED });
    },
  );
});

describe("a stream of answers", () => {
  it("is one iteration: read to its end it gives nothing more, by a second loop or iterator", async () => {
    const client = scene.client((await scene.server()).address);
    const answers = client.follow("x");
    expect(await collect(answers)).toEqual(["x", "x", "x"]);
    expect(await collect(answers)).toEqual([]);
    expect(answers[Symbol.asyncIterator]()).toBe(answers[Symbol.asyncIterator]());
  });

  it("that failed fails whoever reads on: an empty end would look like success", async () => {
    const server = await scene.server({
      async *follow(text) {
        yield text;
        throw new Error("boom");
      },
    });
    const answers = scene.client(server.address).follow("x");
    const error = await failure(collect(answers));
    expect(error).toMatchObject({ code: Code.UNKNOWN });
    expect(await failure(collect(answers))).toBe(error);
  });

  it("that was left tells whoever reads on that it was, and may be left again", async () => {
    const client = scene.client((await scene.server()).address);
    const answers = client.follow("x");
    for await (const _text of answers) break;
    const iterator = answers[Symbol.asyncIterator]();
    expect(await failure(iterator.next())).toMatchObject({
      code: Code.CANCELLED,
      reason: "cancelled",
      text: "the stream was left before its end",
    });
    expect(await iterator.return?.()).toEqual({ value: undefined, done: true });
    expect(client.channel.endpoints[0].inFlight).toBe(0);
  });

  it("that nobody reads is no unhandled rejection when it fails", async () => {
    const failures: unknown[] = [];
    const note = (error: unknown): unknown => failures.push(error);
    process.on("unhandledRejection", note);
    try {
      const client = scene.client(TARGET);
      client.follow("x");
      client.chat(["x"]);
      await failure(client.say("x"));
      await new Promise((resolve) => setImmediate(resolve));
      expect(failures).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });

  it("may be left while requests still go: the server hears of it, the requests' finally runs", async () => {
    const left = gate();
    const server = await scene.server();
    const requests = async function* () {
      try {
        for (;;) yield "x";
      } finally {
        left.open();
      }
    };
    for await (const text of scene.client(server.address).chat(requests(), { timeoutMs: 0 })) {
      expect(text).toBe("x");
      break;
    }
    await left.opened;
  });
});

describe("close", () => {
  it("ends running calls of all kinds with CANCELLED, and refuses further ones alike", async () => {
    const running = gate();
    let started = 0;
    const hold = (): Promise<never> => {
      if (++started === 2) running.open();
      return new Promise(() => {});
    };
    const server = await scene.server({ say: hold, follow: hold as never });
    const client = scene.client(server.address);
    const calls = [client.say("x"), collect(client.follow("x"))].map(failure);
    await running.opened;
    const closing = client.close();
    expect(client.close()).toBe(closing);
    await closing;
    const after = [client.say("x"), client.join(["x"]), collect(client.follow("x")), collect(client.chat(["x"]))];
    for (const error of [...(await Promise.all(calls)), ...(await Promise.all(after.map(failure)))]) {
      expect(error).toMatchObject({
        code: Code.CANCELLED,
        reason: "closed",
        text: `the channel to static:///${server.address} is closed`,
      });
    }
    expect(await failure(client.channel.connect())).toMatchObject({ code: Code.CANCELLED, reason: "closed" });
    expect(client.channel.state).toBe("closed");
  });

  it("of a client that shares its channel leaves the others', and even its own calls, until the last has let go", async () => {
    const server = await scene.server();
    const [one, other] = [scene.client(server.address), scene.client(server.address)];
    await one.close();
    expect([await one.say("x"), await other.say("y")]).toEqual(["x", "y"]);
    await other.close();
    expect(await failure(one.say("x"))).toMatchObject({ reason: "closed" });
  });
});

describe("channel", () => {
  it("says each new state to who listens, until told to stop; a call may come in any", async () => {
    const server = await scene.server();
    const client = scene.client(server.address);
    const [all, first]: [string[], string[]] = [[], []];
    client.channel.onState((state) => all.push(state));
    const stop = client.channel.onState((state) => {
      first.push(state);
      stop();
    });
    await client.channel.connect();
    expect(client.channel.endpoints.map(({ address }) => address)).toEqual([server.address]);
    await client.close();
    expect(all).toEqual(["connecting", "ready", "closed"]);
    expect(first).toEqual(["connecting"]);
  });

  it("connect rejects with the signal's error, aborted before or while it waits", async () => {
    const raw = await scene.tcpServer(() => {});
    const { channel } = scene.client(raw.address);
    expect(await failure(channel.connect(AbortSignal.abort()))).toMatchObject({
      code: Code.CANCELLED,
      reason: "cancelled",
    });
    const controller = new AbortController();
    const connecting = failure(channel.connect(controller.signal));
    controller.abort(new Error("no time"));
    expect(await connecting).toMatchObject({ code: Code.CANCELLED, text: "cancelled: no time" });
    expect(channel.state).toBe("connecting");
  });

  it("counts calls by method and code", async () => {
    const server = await scene.server();
    const client = scene.client(server.address);
    await client.say("a");
    await client.say("b");
    await failure(client.say("c", { signal: AbortSignal.abort() }));
    const [say] = client.channel.stats;
    expect(say).toMatchObject({ method: "/note.v1.Notes/Say", started: 3, inFlight: 0 });
    expect([say.byCode[Code.OK], say.byCode[Code.CANCELLED]]).toEqual([2, 1]);
    expect(quantileMs(say.histogram(), 0.5)).toBeGreaterThan(0);
    expect(say.histogram()).not.toBe(say.histogram());
  });
});

describe("quantileMs", () => {
  it("is 0 for an empty histogram, and takes shares from 0 to 1", () => {
    const empty = new Float64Array(256);
    for (const q of [0, 0.5, 1]) expect(quantileMs(empty, q)).toBe(0);
    for (const q of [-0.1, 1.1, 99, Number.NaN]) {
      expect(thrown(() => quantileMs(empty, q))).toBe(
        `RangeError: quantileMs: q is ${q}; give a share from 0 to 1, such as 0.99`,
      );
    }
  });
});
