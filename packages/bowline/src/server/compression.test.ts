import { randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { failure, useScenes } from "../../test/server/server-scene.ts";
import { collect, type TextHandlers } from "../../test/server/text-service.ts";
import { acceptEncoding } from "../codec/compression.ts";
import { Code } from "../rpc/code.ts";
import { grpcMessage, grpcRequestFields, RawSetting } from "../testing/raw-frames.ts";
import type { HeaderList } from "../testing/raw-hpack.ts";
import type { RawPeer } from "../testing/raw-peer.ts";
import type { ServerContext } from "./server-context.ts";
import type { ServerOptions } from "./server-options.ts";

const scenes = useScenes();
const GZIP = [["grpc-accept-encoding", "identity,gzip"]] as const;
const LONG = "compressible ".repeat(500);

/** An answer as it came. */
interface Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  /** Whether each message was compressed, and what it is. */
  readonly messages: readonly (readonly [boolean, string])[];
}

/** Sends a request with messages and gives the answer as it came. */
async function exchange(
  peer: RawPeer,
  method: string,
  messages: readonly Buffer[],
  more: HeaderList = [],
): Promise<Answer> {
  const streamId = 1;
  peer.headers(streamId, grpcRequestFields(`/text.v1.Text/${method}`, more));
  peer.data(streamId, Buffer.concat(messages), { end: true });
  const last = await peer.expect("HEADERS", (frame) => frame.isEnd);
  const first = peer.received.find(({ type }) => type === "HEADERS");
  const data = Buffer.concat(peer.received.flatMap((frame) => (frame.type === "DATA" ? (frame.data ?? []) : [])));
  return { headers: first?.headers ?? {}, trailers: last.headers ?? {}, messages: messagesOf(data) };
}

function messagesOf(data: Buffer): [boolean, string][] {
  const messages: [boolean, string][] = [];
  for (let at = 0; at < data.length; ) {
    const end = at + 5 + data.readUInt32BE(at + 1);
    const bytes = data.subarray(at + 5, end);
    const isCompressed = data[at] === 1;
    messages.push([isCompressed, (isCompressed ? gunzipSync(bytes) : bytes).toString()]);
    at = end;
  }
  return messages;
}

async function peerOf(handlers: Partial<TextHandlers>, options: ServerOptions = {}) {
  const scene = await scenes.start(handlers, options);
  const peer = await scene.rawPeer();
  await peer.handshake([[RawSetting.INITIAL_WINDOW_SIZE, 1 << 24]]);
  peer.windowUpdate(0, 1 << 24);
  return { scene, peer };
}

const plain = (text: string): Buffer => grpcMessage(Buffer.from(text));
const zipped = (text: string): Buffer => grpcMessage(gzipSync(text), true);

/** `say`, with something done to its context first. */
function sayWith(act: (context: ServerContext) => void): Partial<TextHandlers> {
  return {
    say: (text, context) => {
      act(context);
      return text;
    },
  };
}

describe("context.compression", () => {
  it("is identity by default, and the answer is sent as it is", async () => {
    let seen = "";
    const { peer } = await peerOf(sayWith((context) => (seen = context.compression)));
    const answer = await exchange(peer, "Say", [plain(LONG)], GZIP);
    expect(seen).toBe("identity");
    expect(answer.headers["grpc-encoding"]).toBeUndefined();
    expect(answer.messages).toEqual([[false, LONG]]);
  });

  it("is the server's option for clients that take it", async () => {
    const seen: string[] = [];
    const handlers = sayWith((context) => seen.push(context.compression));
    for (const more of [GZIP, []]) {
      const { peer } = await peerOf(handlers, { compression: "gzip" });
      const answer = await exchange(peer, "Say", [plain(LONG)], more);
      expect(answer.messages).toEqual([[more.length > 0, LONG]]);
    }
    expect(seen).toEqual(["gzip", "identity"]);
  });

  it.each(["Say", "Repeat", "Join", "Chat"])("compresses the answers of one call: %s", async (method) => {
    const gzip = (context: ServerContext): void => void (context.compression = "gzip");
    const { peer } = await peerOf({
      ...sayWith(gzip),
      async *repeat(text, context) {
        gzip(context);
        yield text;
      },
      async join(texts, context) {
        gzip(context);
        return (await collect(texts)).join("");
      },
      async *chat(texts, context) {
        gzip(context);
        yield* texts;
      },
    });
    const answer = await exchange(peer, method, [plain(LONG)], GZIP);
    expect(answer.headers["grpc-encoding"]).toBe("gzip");
    expect(answer.messages).toEqual([[true, LONG]]);
    expect(answer.trailers["grpc-status"]).toBe("0");
  });

  it("names the encoding even if the only message is too small for it", async () => {
    const { peer } = await peerOf(sayWith((context) => (context.compression = "gzip")));
    const answer = await exchange(peer, "Say", [plain("short")], GZIP);
    expect(answer.headers["grpc-encoding"]).toBe("gzip");
    expect(answer.messages).toEqual([[false, "short"]]);
  });

  it("turns the server's compression off for one call", async () => {
    const { peer } = await peerOf(
      sayWith((context) => (context.compression = "identity")),
      { compression: "gzip" },
    );
    const answer = await exchange(peer, "Say", [plain(LONG)], GZIP);
    expect(answer.headers["grpc-encoding"]).toBeUndefined();
    expect(answer.messages).toEqual([[false, LONG]]);
  });

  it.each<[string, HeaderList]>([
    ["says nothing", []],
    ["takes others only", [["grpc-accept-encoding", "identity, br"]]],
  ])("stays identity for a client that %s", async (_what, more) => {
    let seen = "";
    const { peer } = await peerOf(
      sayWith((context) => {
        context.compression = "gzip";
        seen = context.compression;
      }),
    );
    const answer = await exchange(peer, "Say", [plain(LONG)], more);
    expect(seen).toBe("identity");
    expect(answer.headers["grpc-encoding"]).toBeUndefined();
    expect(answer.messages).toEqual([[false, LONG]]);
  });

  it("can't be a name that nobody knows", async () => {
    let thrown: unknown;
    const { peer } = await peerOf(
      sayWith((context) => {
        try {
          context.compression = "lzma";
        } catch (error) {
          thrown = error;
        }
      }),
    );
    await exchange(peer, "Say", [plain("x")], GZIP);
    expect(thrown).toEqual(
      new TypeError(`context.compression is "lzma": give one of ${acceptEncoding.replaceAll(",", ", ")}`),
    );
  });

  it("can't be set after the first answer", async () => {
    let thrown: unknown;
    const { peer } = await peerOf({
      async *repeat(text, context) {
        yield text;
        try {
          context.compression = "gzip";
        } catch (error) {
          thrown = error;
        }
      },
    });
    await exchange(peer, "Repeat", [plain("x")], GZIP);
    expect(String(thrown)).toMatch(/^Error: context\.compression was set after the first answer/);
  });
});

describe("context.compressIf", () => {
  it("is asked for each answer, whatever its size, and may change on the way", async () => {
    const { peer } = await peerOf({
      async *repeat(_text, context) {
        context.compression = "gzip";
        context.compressIf = (message) => message === "yes";
        yield "yes";
        yield LONG;
        yield "yes";
        context.compressIf = null;
        yield "yes";
        yield LONG;
        expect(context.compressIf).toBeNull();
      },
    });
    const answer = await exchange(peer, "Repeat", [plain("x")], GZIP);
    expect(answer.messages).toEqual([
      [true, "yes"],
      [false, LONG],
      [true, "yes"],
      [false, "yes"],
      [true, LONG],
    ]);
  });

  it("keeps the order of messages when the thread pool compresses some of them", async () => {
    const large = Array.from({ length: 20_000 }, (_, i) => (i * 7919) % 999_983).join(" ");
    const texts = Array.from({ length: 40 }, (_, i) => (i % 3 === 0 ? `${i} ${large}` : `${i}`));
    const scene = await scenes.start({
      async *chat(incoming, context) {
        context.compression = "gzip";
        context.compressIf = (message) => (message as string).length > 100;
        yield* incoming;
      },
    });
    const client = scene.client();
    const compressIf = (message: unknown): boolean => (message as string).length > 100;
    const answers = await collect(client.chat(texts, { compression: "gzip", compressIf }));
    expect(answers.map((text) => text.slice(0, 5))).toEqual(texts.map((text) => text.slice(0, 5)));
    expect(answers.every((text, i) => text === texts[i])).toBe(true);
  });

  it("is not asked without compression", async () => {
    let count = 0;
    const scene = await scenes.start(
      sayWith((context) => {
        context.compressIf = () => {
          count++;
          return true;
        };
      }),
    );
    expect(await scene.client().say("x")).toBe("x");
    expect(count).toBe(0);
  });

  it("ends the call like an error of the handler when it throws", async () => {
    const scene = await scenes.start(
      sayWith((context) => {
        context.compression = "gzip";
        context.compressIf = () => {
          throw new Error("secret");
        };
      }),
    );
    expect(await failure(scene.client().say("x"))).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed" });
    expect(scene.log.lines).toMatchObject([{ level: "error", text: "a handler failed" }]);
  });

  it("must be a function or null", async () => {
    const scene = await scenes.start(sayWith((context) => (context.compressIf = true as never)));
    await failure(scene.client().say("x"));
    expect(String(scene.log.lines[0].fields.error)).toMatch(
      /TypeError: context\.compressIf is boolean: give a function/,
    );
  });
});

describe("context.isCompressed", () => {
  it("tells how the request came", async () => {
    const seen: boolean[] = [];
    for (const message of [plain("x"), zipped("x")]) {
      const { peer } = await peerOf(sayWith((context) => seen.push(context.isCompressed)));
      const answer = await exchange(peer, "Say", [message], [["grpc-encoding", "gzip"]]);
      expect(answer.messages).toEqual([[false, "x"]]);
    }
    expect(seen).toEqual([false, true]);
  });

  it("tells it of the message read last, one by one", async () => {
    const seen: [string, boolean][] = [];
    const { peer } = await peerOf({
      async *chat(texts, context) {
        for await (const text of texts) {
          seen.push([text, context.isCompressed]);
          yield text;
          seen.push([text, context.isCompressed]);
        }
      },
    });
    await exchange(peer, "Chat", [plain("a"), zipped("b"), zipped("c"), plain("d")], [["grpc-encoding", "gzip"]]);
    const expected = (["a", "b", "c", "d"] as const).map((text) => [text, text === "b" || text === "c"]);
    expect(seen).toEqual(expected.flatMap((each) => [each, each]));
  });
});

describe("interceptors", () => {
  it("see and set the same as the handler", async () => {
    const seen: unknown[] = [];
    const { peer } = await peerOf(
      sayWith((context) => seen.push(context.compression)),
      {
        interceptors: [
          (call, next) => {
            seen.push(call.context.isCompressed, call.context.compression);
            call.context.compression = "gzip";
            call.context.compressIf = () => true;
            return next(call);
          },
        ],
      },
    );
    const answer = await exchange(peer, "Say", [zipped("x")], [...GZIP, ["grpc-encoding", "gzip"]]);
    expect(seen).toEqual([true, "identity", "gzip"]);
    expect(answer.messages).toEqual([[true, "x"]]);
  });
});

describe("a request", () => {
  it("of an unknown encoding is refused, and told what would be taken", async () => {
    const { peer } = await peerOf({});
    const { trailers } = await exchange(peer, "Say", [plain("x")], [["grpc-encoding", "lzma"]]);
    expect(trailers).toMatchObject({
      ":status": "200",
      "grpc-status": String(Code.UNIMPLEMENTED),
      "grpc-message": `grpc-encoding "lzma" is not supported; supported are ${acceptEncoding}`,
      "grpc-accept-encoding": acceptEncoding,
    });
  });

  it("that is marked compressed under grpc-encoding identity is refused", async () => {
    const { peer } = await peerOf({});
    const { trailers } = await exchange(peer, "Say", [zipped("x")], [["grpc-encoding", "identity"]]);
    expect(trailers).toMatchObject({ "grpc-status": String(Code.INTERNAL) });
    expect(trailers["grpc-message"]).toMatch(/name no grpc-encoding/);
  });

  it("of a stream may be as large as the limit though it can't be compressed", async () => {
    const bytes = randomBytes(5000);
    const compressed = gzipSync(bytes);
    expect(compressed.length).toBeGreaterThan(bytes.length);
    const { peer } = await peerOf(
      { join: async (texts) => String((await collect(texts)).length) },
      { maxReceiveBytes: 5000 },
    );
    const answer = await exchange(peer, "Join", [grpcMessage(compressed, true)], [["grpc-encoding", "gzip"]]);
    expect(answer.messages).toEqual([[false, "1"]]);
  });
});
