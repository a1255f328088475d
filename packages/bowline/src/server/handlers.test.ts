import { describe, expect, it } from "vitest";
import { failure, gate, type ServerScene, useScenes } from "../../test/server/server-scene.ts";
import { collect, type TextHandlers } from "../../test/server/text-service.ts";
import { Code } from "../rpc/code.ts";
import { Metadata } from "../rpc/metadata.ts";
import { RpcError } from "../rpc/rpc-error.ts";

const scenes = useScenes();

/** A value of the wrong type, as JavaScript's users give it. */
const wrong = (value: unknown): never => value as never;

function handledCodes(scene: ServerScene, method: string): Record<string, number> {
  const stats = scene.server.stats.find((each) => each.method === `/text.v1.Text/${method}`);
  const codes = [...(stats?.byCode ?? [])].flatMap((count, code) => (count > 0 ? [[code, count]] : []));
  return Object.fromEntries(codes);
}

describe("handlers", () => {
  it("answer calls of all four kinds", async () => {
    const scene = await scenes.start();
    const client = scene.client();
    expect(await client.say("hi")).toBe("hi");
    expect(await collect(client.repeat("hi"))).toEqual(["hi", "hi", "hi"]);
    expect(await client.join(["a", "b", "c"])).toBe("a b c");
    expect(await collect(client.chat(["x", "y"]))).toEqual(["x", "y"]);
    expect(scene.log.lines).toEqual([]);
    expect(handledCodes(scene, "Chat")).toEqual({ [Code.OK]: 1 });
  });

  it("may be methods of a class, sync or async, give promises of any make, arrays and sync generators", async () => {
    class Service {
      readonly #greeting = "hello";
      say(text: string) {
        // biome-ignore lint/suspicious/noThenProperty: a promise that is no Promise is the case
        return wrong({ then: (resolve: (answer: string) => void) => resolve(`${this.#greeting} ${text}`) });
      }
      async repeat(text: string) {
        return [text, text];
      }
      join() {
        return "early";
      }
      *chat() {
        yield this.#greeting;
      }
    }
    const scene = await scenes.start(new Service());
    const client = scene.client();
    expect(await client.say("you")).toBe("hello you");
    expect(await collect(client.repeat("x"))).toEqual(["x", "x"]);
    expect(await client.join(["unread"])).toBe("early");
    expect(await collect(client.chat([]))).toEqual(["hello"]);
  });

  it("end a call with a status, its details and trailers by an RpcError", async () => {
    const detail = { typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: Uint8Array.of(10, 1, 65) };
    const scene = await scenes.start({
      say(_text, context) {
        context.header.set("h", "1");
        context.trailer.set("t", "2");
        throw new RpcError(Code.FAILED_PRECONDITION, "not now: ü\n", {
          details: [detail],
          metadata: new Metadata({ "e-bin": Uint8Array.of(0, 255) }),
        });
      },
    });
    let header: Metadata | undefined;
    const error = await failure(scene.client().say("x", { onHeader: (metadata) => (header = metadata) }));
    expect(error).toMatchObject({ code: Code.FAILED_PRECONDITION, text: "not now: ü\n", origin: "remote" });
    expect(error.details).toEqual([detail]);
    expect(error.metadata.get("t")).toBe("2");
    expect(error.metadata.getBinary("e-bin")).toEqual(Uint8Array.of(0, 255));
    expect(header?.get("h")).toBe("1");
    expect(scene.log.lines).toEqual([]);
  });

  it("send a lone status in one block of headers, without inventing a header", async () => {
    const scene = await scenes.start({ say: () => Promise.reject(new RpcError(Code.NOT_FOUND, "nobody")) });
    let hasHeader = false;
    const error = await failure(scene.client().say("x", { onHeader: () => (hasHeader = true) }));
    expect(error).toMatchObject({ code: Code.NOT_FOUND, text: "nobody" });
    expect(hasHeader).toBe(false);
  });

  it("send header and trailer with an answer, and with a stream of them", async () => {
    const mark = (context: { header: Metadata; trailer: Metadata }): void => {
      context.header.append("h", "1").append("h", "2");
      context.trailer.set("t-bin", Uint8Array.of(7));
    };
    const scene = await scenes.start({
      say(text, context) {
        mark(context);
        return text;
      },
      async *repeat(text, context) {
        mark(context);
        yield text;
        expect(() => context.header.set("late", "lost")).toThrow("context.header was changed after it had been sent");
        context.trailer.set("late", "kept");
      },
    });
    const client = scene.client();
    const seen: Metadata[] = [];
    const onMetadata = {
      onHeader: (each: Metadata) => seen.push(each),
      onTrailer: (each: Metadata) => seen.push(each),
    };
    await client.say("x", onMetadata);
    await collect(client.repeat("x", onMetadata));
    const [header, trailer, streamHeader, streamTrailer] = seen;
    for (const each of [header, streamHeader]) expect(each.getAll("h")).toEqual(["1", "2"]);
    for (const each of [trailer, streamTrailer]) expect(each.getBinary("t-bin")).toEqual(Uint8Array.of(7));
    expect(streamHeader.get("late")).toBeUndefined();
    expect(streamTrailer.get("late")).toBe("kept");
  });
});

describe("what a handler throws by mistake", () => {
  const secret = new Error("password of the database: hunter2");
  const mistakes: [string, Partial<TextHandlers>][] = [
    [
      "a sync throw",
      {
        say: () => {
          throw secret;
        },
      },
    ],
    ["a rejected promise", { say: () => Promise.reject(secret) }],
    [
      "something that is no Error",
      {
        say: () => {
          throw wrong("hunter2");
        },
      },
    ],
  ];

  it.each(mistakes)(
    "%s is UNKNOWN, hidden from the caller, and logged once with its stack",
    async (_name, handlers) => {
      const scene = await scenes.start(handlers);
      const error = await failure(scene.client().say("x"));
      expect(error).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed" });
      expect(scene.log.lines).toHaveLength(1);
      const [{ level, text, fields }] = scene.log.lines;
      expect({ level, text }).toEqual({ level: "error", text: "a handler failed" });
      expect(fields).toMatchObject({ method: "/text.v1.Text/Say", peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
      expect([secret, "hunter2"]).toContain(fields.error);
    },
  );

  const generators: [string, number, TextHandlers["repeat"]][] = [
    [
      "before it gives an iterable",
      0,
      () => {
        throw secret;
      },
    ],
    [
      "before the first message",
      0,
      // biome-ignore lint/correctness/useYield: it does not come to that
      async function* () {
        throw secret;
      },
    ],
    [
      "after messages",
      2,
      async function* () {
        yield "a";
        yield "b";
        throw secret;
      },
    ],
    [
      "in a sync generator",
      1,
      function* () {
        yield "a";
        throw secret;
      },
    ],
  ];

  it.each(generators)("a streaming handler %s: the messages before are read first", async (_name, count, repeat) => {
    const scene = await scenes.start({ repeat });
    const texts: string[] = [];
    const read = async (): Promise<void> => {
      for await (const text of scene.client().repeat("x")) texts.push(text);
    };
    expect(await failure(read())).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed" });
    expect(texts).toHaveLength(count);
    expect(scene.log.lines).toHaveLength(1);
  });

  const useless: [string, RegExp, Partial<TextHandlers>][] = [
    ["undefined", /Say gave undefined for a message/, { say: () => wrong(undefined) }],
    ["null, later", /Say gave null for a message/, { say: async () => wrong(null) }],
    ["what can't be encoded", /the message can't be encoded/, { say: () => wrong(42) }],
    ["what can't be encoded, later", /the message can't be encoded/, { say: async () => wrong({}) }],
  ];

  it.each(useless)("an answer that is %s is INTERNAL, says why, and is logged", async (_name, text, handlers) => {
    const scene = await scenes.start(handlers);
    const client = scene.client();
    const error = await failure(client.say("x"));
    expect(error).toMatchObject({ code: Code.INTERNAL, text: expect.stringMatching(text) });
    expect(scene.log.lines.map((line) => line.text)).toEqual(["a handler gave what can't be sent"]);
    // The connection's tables are still in step.
    expect(await collect(client.repeat("y"))).toHaveLength(3);
  });

  const uselessStreams: [string, RegExp, TextHandlers["repeat"]][] = [
    ["no iterable", /Repeat must give an \(async\) iterable/, () => wrong(42)],
    ["a promise of none", /must give an \(async\) iterable/, async () => wrong(undefined)],
    ["an iterable of nothing", /gave undefined for a message/, () => wrong([undefined])],
    [
      "an iterable of what can't be encoded",
      /can't be encoded/,
      async function* () {
        yield "ok";
        yield wrong(42);
      },
    ],
  ];

  it.each(uselessStreams)("a stream that is %s is INTERNAL and logged", async (_name, text, repeat) => {
    const scene = await scenes.start({ repeat });
    const error = await failure(collect(scene.client().repeat("x")));
    expect(error).toMatchObject({ code: Code.INTERNAL, text: expect.stringMatching(text) });
    expect(scene.log.lines.map((line) => line.text)).toEqual(["a handler gave what can't be sent"]);
  });

  /** An error that was whole when it was made. */
  const spoilt = (change: object = { details: [{ typeUrl: "x", value: undefined }] }): RpcError =>
    Object.assign(new RpcError(Code.ABORTED, "no", { metadata: { a: "1" } }), change);

  it.each([
    ["details that are none", spoilt()],
    ["metadata that are none", Object.defineProperty(spoilt({}), "metadataIfAny", { value: { a: 1 } })],
    ["details that are none, of another server", spoilt({ details: [5], origin: "remote" })],
  ])("an error with %s ends the call with its code and text, and is logged", async (_name, error) => {
    const scene = await scenes.start({ say: () => Promise.reject(error) });
    const client = scene.client();
    expect(await failure(client.say("x"))).toMatchObject({ code: Code.ABORTED, text: "no", details: [] });
    expect(scene.log.lines.map((line) => line.text)).toEqual(["details or metadata of a status can't be sent"]);
    expect(await client.join(["y"])).toBe("y");
  });

  it.each(["join", "chat"] as const)("such an error ends what %s reads beside", async (method) => {
    const reading = gate<unknown>();
    const read = async (requests: AsyncIterable<string>): Promise<void> => {
      for await (const _ of requests);
    };
    const fail = async (requests: AsyncIterable<string>): Promise<never> => {
      read(requests).then(reading.open, reading.open);
      throw spoilt();
    };
    const scene = await scenes.start({ [method]: fail });
    const requests = async function* (): AsyncIterable<string> {
      yield "x";
      await reading.opened;
    };
    const client = scene.client();
    const call = method === "join" ? client.join(requests()) : collect(client.chat(requests()));
    expect(await failure(call)).toMatchObject({ code: Code.ABORTED });
    expect(await reading.opened).toMatchObject({ code: Code.CANCELLED, text: "the call has ended" });
  });

  it("such an error behind messages that wait for the client ends this call alone", async () => {
    // More than the client's window, and no more beyond it than a stream may have waiting.
    const answer = "y".repeat(100_000);
    const scene = await scenes.start({
      async *repeat() {
        yield answer;
        throw spoilt();
      },
    });
    const client = scene.client({ limits: { streamWindowBytes: 65_535 } });
    const error = await failure(collect(client.repeat("x")));
    expect(error).toMatchObject({ code: Code.ABORTED, text: "no" });
    expect(scene.log.lines.map((line) => line.text)).toEqual(["details or metadata of a status can't be sent"]);
    expect(await client.join(["y"])).toBe("y");
  });

  it("an error with code OK is UNKNOWN", async () => {
    const scene = await scenes.start({
      say: () => {
        throw new RpcError(Code.OK, "fine");
      },
    });
    expect(await failure(scene.client().say("x"))).toMatchObject({ code: Code.UNKNOWN });
    expect(scene.log.lines).toHaveLength(1);
  });
});
