// CallOptions: wrong values, and what each does. More of wrong values: src/client/create-client.test.ts.
import { describe, expect, it } from "vitest";
import type { CallOptions } from "../../src/client/call-options.ts";
import { Code } from "../../src/rpc/code.ts";
import { Metadata } from "../../src/rpc/metadata.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { grpcMessage, grpcResponseFields } from "../../src/testing/raw-frames.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { useScene } from "../client/client-scene.ts";
import { collect } from "../client/note-service.ts";
import { eventually, failure, gate } from "../client/outcomes.ts";
import { allowed, NO_NUMBERS, type NumberOption, outOfRange } from "./refusals.ts";

const scene = useScene();
const TARGET = "static:///127.0.0.1:1";
const TIMEOUT: NumberOption = { name: "timeoutMs", min: 0, max: 0x7fffffff, unit: "ms", zero: "no deadline" };

/** How a call with these options rejects; nothing is counted, nothing is begun. */
async function refusal(options: unknown): Promise<string> {
  const client = scene.client(TARGET);
  const text = String(await client.say("x", options as CallOptions).then(String, (error) => error));
  expect([client.channel.state, client.channel.stats[0].started]).toEqual(["idle", 0]);
  return text;
}

describe("timeoutMs", () => {
  it.each(outOfRange(TIMEOUT))(
    "can't be %d: the call rejects with field, value, range and what 0 means",
    async (value) => {
      expect(await refusal({ timeoutMs: value })).toBe(
        `RangeError: call options.timeoutMs is ${value}: ${allowed(TIMEOUT)}`,
      );
    },
  );

  it("must be a number", async () => {
    for (const [value, shown] of NO_NUMBERS) {
      expect(await refusal({ timeoutMs: value })).toBe(
        `TypeError: call options.timeoutMs is ${shown}: ${allowed(TIMEOUT)}`,
      );
    }
  });

  it("wins over the client's, shorter or longer; 0 is no deadline", async () => {
    const clock = new VirtualClock();
    const timeouts: (string | undefined)[] = [];
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      for (const id of [1, 3, 5, 7]) {
        timeouts.push((await peer.expect("HEADERS")).headers?.["grpc-timeout"]);
        peer.headers(id, grpcResponseFields([["grpc-status", "5"]]), { end: true });
      }
    });
    const client = scene.client(raw.address, { clock, timeoutMs: 5000 });
    await client.channel.connect();
    for (const timeoutMs of [100, 60_000, 0, undefined]) await failure(client.say("x", { timeoutMs }));
    expect(timeouts).toEqual(["100m", "60000m", undefined, "5000m"]);
  });

  it("is for the whole call: waiting for an endpoint counts, and the error says what was waited for", async () => {
    const clock = new VirtualClock();
    const raw = await scene.tcpServer(() => {});
    const client = scene.client(raw.address, { clock });
    const call = failure(client.say("x", { timeoutMs: 300, waitForReady: true }));
    await clock.advance(320);
    const error = await call;
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: "deadline", sent: false, attempt: 0 });
    expect(error.text).toBe(`deadline of 300 ms exceeded: still connecting to static:///${raw.address}`);
  });
});

describe("signal", () => {
  it("that is aborted before the call sends nothing and rejects with CANCELLED", async () => {
    const server = await scene.server();
    const client = scene.client(server.address);
    await client.say("connected");
    for (const call of [
      () => client.say("x", { signal: AbortSignal.abort() }),
      () => client.join(["x"], { signal: AbortSignal.abort() }),
      () => collect(client.follow("x", { signal: AbortSignal.abort() })),
      () => collect(client.chat(["x"], { signal: AbortSignal.abort() })),
    ]) {
      expect(await failure(call())).toMatchObject({
        code: Code.CANCELLED,
        reason: "cancelled",
        text: "cancelled by the caller",
        attempt: 0,
        sent: false,
      });
    }
    expect(server.stats.reduce((sum, each) => sum + each.started, 0)).toBe(1);
  });

  it("that is aborted while the call runs ends it on both sides", async () => {
    const running = gate();
    const aborted = gate<unknown>();
    const server = await scene.server({
      say: (_text, context) => {
        context.signal.addEventListener("abort", () => aborted.open(context.signal.reason));
        running.open();
        return new Promise(() => {});
      },
    });
    const controller = new AbortController();
    const call = failure(scene.client(server.address).say("x", { signal: controller.signal }));
    await running.opened;
    controller.abort();
    expect(await call).toMatchObject({ code: Code.CANCELLED, origin: "local", sent: true });
    expect(await aborted.opened).toMatchObject({ name: "RpcError", code: Code.CANCELLED });
  });

  it.each([
    ["a reason that is an RpcError gives its code", new RpcError(Code.ABORTED, "why"), Code.ABORTED, "why"],
    [
      "a reason with the code OK is CANCELLED: a call can't fail with OK",
      new RpcError(Code.OK, "why"),
      Code.CANCELLED,
      "",
    ],
    ["an error's message is told", new Error("why"), Code.CANCELLED, "cancelled: why"],
    ["any other reason is CANCELLED", "why", Code.CANCELLED, "cancelled by the caller"],
  ])("%s", async (_name, reason, code, text) => {
    const client = scene.client(TARGET);
    const error = await failure(client.say("x", { signal: AbortSignal.abort(reason) }));
    expect(error.code).toBe(code);
    expect(error.text).toContain(text);
    expect(error.cause).toBe(reason);
  });

  it("a timeout of the platform's is CANCELLED, with its message", async () => {
    const error = await failure(scene.client(TARGET).say("x", { signal: AbortSignal.timeout(0), waitForReady: true }));
    expect(error).toMatchObject({ code: Code.CANCELLED, reason: "cancelled" });
    expect(error.text).toContain("aborted due to timeout");
  });
});

describe("waitForReady", () => {
  it("is false by default: without a usable endpoint a call fails at once with UNAVAILABLE, true lets it wait", async () => {
    const server = await scene.server();
    const { address } = server;
    const client = scene.client(address);
    await server.close();
    const error = await failure(client.say("x"));
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, sent: false, attempt: 0 });
    expect(error.text).toContain("nothing listens on this port; start the server or correct the address");
    const waits = client.say("x", { waitForReady: true });
    expect(await failure(client.say("x", { waitForReady: false }))).toMatchObject({ code: Code.UNAVAILABLE });
    await scene.server({}, { listen: address });
    await client.channel.connect();
    expect(await waits).toBe("x");
  });
});

describe("metadata", () => {
  it.each([
    [{ a: undefined }, 'metadata "a" must be a string'],
    [{ a: 5 }, 'metadata "a" must be a string'],
    [{ "x-ü": "1" }, 'metadata key "x-ü" is not allowed'],
    [{ "a-bin": "text" }, 'metadata "a-bin" must be a Uint8Array'],
    [[["a"]], 'metadata "a" must be a string'],
    [["a"], "metadata: string is no pair of key and value"],
    [[[5, "x"]], "a metadata key must be a string, not 5"],
  ])("that can't be sent make the call reject with the key's name: %j", async (metadata, text) => {
    expect(await refusal({ metadata })).toContain(`TypeError: ${text}`);
  });

  it.each([
    ["an object", { a: ["1", "2"], "b-bin": Uint8Array.of(1) }],
    [
      "pairs",
      [
        ["a", "1"],
        ["a", "2"],
        ["b-bin", Uint8Array.of(1)],
      ] as [string, string | Uint8Array][],
    ],
    ["a Map", new Map<string, string | string[]>([["a", "1"]])],
    ["Headers", new Headers({ a: "1" })],
    ["a Metadata", new Metadata({ a: "1" })],
  ])("may be %s", async (_what, metadata) => {
    const server = await scene.server({ say: (_text, context) => context.metadata.getAll("a").join() });
    expect(await scene.client(server.address).say("x", { metadata: metadata as Metadata })).toMatch(/^1/);
  });
});

describe("what is no object of options", () => {
  it.each([
    ["a Metadata", new Metadata({ a: "b" }), "TypeError: call options is a list: metadata goes in as { metadata }"],
    ["a Map", new Map(), "TypeError: call options is a list: metadata goes in as { metadata }"],
    ["an array", [], "TypeError: call options: give an object of options, not an array"],
    ["a signal", AbortSignal.abort(), "TypeError: call options is an AbortSignal: give { signal }"],
    ["a function, as for a callback", () => {}, "TypeError: call options: give an object of options, not a function"],
    ["a number, as for a deadline", 500, "TypeError: call options: give an object of options, not 500"],
  ])("is told what to be: %s", async (_what, options, text) => {
    expect(await refusal(options)).toBe(text);
  });
});

describe("onHeader and onTrailer", () => {
  interface Heard {
    readonly events: string[];
    readonly options: CallOptions;
  }

  function listen(more: CallOptions = {}): Heard {
    const events: string[] = [];
    const show = (name: string) => (metadata: Metadata) => void events.push(`${name} ${metadata.size}`);
    return { events, options: { ...more, onHeader: show("header"), onTrailer: show("trailer") } };
  }

  it("are called once each, the header before the first message, the trailer when the call has ended; empty when there are none", async () => {
    const server = await scene.server({
      async *follow(text, context) {
        context.header.set("h", "1");
        yield text;
        yield text;
      },
    });
    const { events, options } = listen();
    for await (const text of scene.client(server.address).follow("note", options)) events.push(text);
    // What has arrived may be read later than the end is told.
    expect(events.filter((event) => event !== "trailer 0")).toEqual(["header 1", "note", "note"]);
    expect(events.indexOf("trailer 0")).toBeGreaterThan(0);
    expect(events).toHaveLength(4);
  });

  it("onHeader is not called when the call fails before; onTrailer is, with what came beside the status", async () => {
    const server = await scene.server({
      say: () => {
        throw new RpcError(Code.NOT_FOUND, "no", { metadata: new Metadata({ a: "1", b: "2" }) });
      },
    });
    const { events, options } = listen();
    await failure(scene.client(server.address).say("x", options));
    expect(events).toEqual(["trailer 2"]);
  });

  it("onTrailer is called with nothing when the connection broke", async () => {
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      await peer.expect("HEADERS");
      peer.headers(1, grpcResponseFields([["h", "1"]])).data(1, grpcMessage(Buffer.from("x")));
      await peer.roundTrip();
      peer.destroy();
    });
    const { events, options } = listen();
    await failure(collect(scene.client(raw.address).follow("x", options)));
    expect(events).toEqual(["header 1", "trailer 0"]);
  });

  it.each(["cancelled", "deadline", "not sent"])(
    "onTrailer is not called when this side ended the call: %s",
    async (how) => {
      const clock = new VirtualClock();
      const running = gate();
      const server = await scene.server({
        say: () => {
          running.open();
          return new Promise(() => {});
        },
      });
      const controller = new AbortController();
      const { events, options } = listen({ signal: controller.signal, timeoutMs: 100 });
      const client = scene.client(server.address, { clock });
      await client.channel.connect();
      const request = how === "not sent" ? (5 as never) : "x";
      const call = failure(client.say(request, options));
      if (how !== "not sent") await running.opened;
      if (how === "cancelled") controller.abort();
      if (how === "deadline") await clock.advance(120);
      await call;
      await eventually(() => client.channel.stats[0].inFlight === 0);
      expect(events).toEqual([]);
    },
  );
});
