import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { useScene } from "../../../test/client/client-scene.ts";
import { collect, type NoteClient } from "../../../test/client/note-service.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { compressionNames } from "../../codec/compression.ts";
import { Code } from "../../rpc/code.ts";
import { grpcMessage, grpcResponseFields } from "../../testing/raw-frames.ts";
import type { RawPeer } from "../../testing/raw-peer.ts";
import type { CallOptions } from "../call-options.ts";
import type { ClientOptions } from "../client-options.ts";
import type { Interceptor } from "../interceptor.ts";

const scene = useScene();
const LONG = "compressible ".repeat(500);

/** A request as it came: the encoding that it names, and its messages with their flags. */
interface Seen {
  readonly encoding: string | undefined;
  readonly acceptEncoding: string | undefined;
  readonly messages: readonly (readonly [boolean, string])[];
}

/** A client of a server that writes requests down and answers "ok". */
async function observed(options: ClientOptions = {}) {
  const seen: Seen[] = [];
  const raw = await scene.rawServer(async (peer) => {
    await peer.handshake();
    for (;;) seen.push(await answerNext(peer));
  });
  return { client: scene.client(raw.address, options), seen };
}

async function answerNext(peer: RawPeer): Promise<Seen> {
  const { headers, streamId } = await peer.expect("HEADERS");
  const isOfThis = (frame: { streamId: number; isEnd: boolean }): boolean => frame.streamId === streamId;
  await peer.expect("DATA", (frame) => isOfThis(frame) && frame.isEnd);
  const data = peer.received.flatMap((frame) => (frame.type === "DATA" && isOfThis(frame) ? (frame.data ?? []) : []));
  peer.headers(streamId, grpcResponseFields()).data(streamId, grpcMessage(Buffer.from("ok")));
  peer.headers(streamId, [["grpc-status", "0"]], { end: true });
  return {
    encoding: headers?.["grpc-encoding"],
    acceptEncoding: headers?.["grpc-accept-encoding"],
    messages: messagesOf(Buffer.concat(data)),
  };
}

function messagesOf(data: Buffer): [boolean, string][] {
  const messages: [boolean, string][] = [];
  for (let at = 0; at < data.length; ) {
    const end = at + 5 + data.readUInt32BE(at + 1);
    const bytes = data.subarray(at + 5, end);
    messages.push([data[at] === 1, (data[at] === 1 ? gunzipSync(bytes) : bytes).toString()]);
    at = end;
  }
  return messages;
}

const gzip: CallOptions = { compression: "gzip" };

const KINDS: [string, (client: NoteClient, options?: CallOptions) => Promise<unknown>][] = [
  ["unary", (client, options) => client.say(LONG, options)],
  ["server-streaming", (client, options) => collect(client.follow(LONG, options))],
  ["client-streaming", (client, options) => client.join([LONG], options)],
  ["bidirectional", (client, options) => collect(client.chat([LONG], options))],
];

describe("the compression of a call", () => {
  it.each(KINDS)("is its own: %s", async (_kind, call) => {
    const { client, seen } = await observed();
    for (const options of [gzip, undefined, gzip, { compression: "identity" }]) await call(client, options);
    expect(seen.map(({ encoding, messages }) => [encoding, messages])).toEqual([
      ["gzip", [[true, LONG]]],
      [undefined, [[false, LONG]]],
      ["gzip", [[true, LONG]]],
      [undefined, [[false, LONG]]],
    ]);
    expect(new Set(seen.map(({ acceptEncoding }) => acceptEncoding))).toEqual(new Set([compressionNames.join(",")]));
  });

  it.each(KINDS)("wins over the client's: %s", async (_kind, call) => {
    const { client, seen } = await observed({ compression: "br" });
    await call(client, { compression: "identity" });
    await call(client, gzip);
    expect(seen.map(({ encoding, messages }) => [encoding, messages])).toEqual([
      [undefined, [[false, LONG]]],
      ["gzip", [[true, LONG]]],
    ]);
  });

  it("leaves small messages alone, and names the encoding all the same", async () => {
    const { client, seen } = await observed({ compressFromBytes: 10 });
    await client.join(["x".repeat(9), "x".repeat(10)], gzip);
    expect(seen).toMatchObject([
      {
        encoding: "gzip",
        messages: [
          [false, "x".repeat(9)],
          [true, "x".repeat(10)],
        ],
      },
    ]);
  });

  it("may differ from that of the answers", async () => {
    const server = await scene.server({
      say: (text, context) => {
        context.compression = "br";
        context.compressIf = () => true;
        return `${text} ${context.isCompressed}`;
      },
    });
    const client = scene.client(server.address);
    const compressIf = (): boolean => true;
    expect(await client.say("x", { compression: "deflate", compressIf })).toBe("x true");
    expect(await client.say("x", { compression: "identity", compressIf })).toBe("x false");
  });

  it("that the server does not know ends the call with UNIMPLEMENTED", async () => {
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      const { streamId } = await peer.expect("HEADERS");
      const status: [string, string] = ["grpc-status", String(Code.UNIMPLEMENTED)];
      peer.headers(streamId, grpcResponseFields([status, ["grpc-accept-encoding", "identity"]]), { end: true });
    });
    expect(await failure(scene.client(raw.address).say(LONG, gzip))).toMatchObject({ code: Code.UNIMPLEMENTED });
  });

  it("stays with the call when it is repeated", async () => {
    const encodings: unknown[] = [];
    const raw = await scene.rawServer(async (peer) => {
      await peer.handshake();
      const { headers } = await peer.expect("HEADERS");
      encodings.push(headers?.["grpc-encoding"]);
      peer.rst(1, 7);
      encodings.push((await answerNext(peer)).messages);
    });
    await scene.client(raw.address).say(LONG, gzip);
    expect(encodings).toEqual(["gzip", [[true, LONG]]]);
  });
});

describe("compressIf of a call", () => {
  it("is asked for each message, whatever its size", async () => {
    const { client, seen } = await observed();
    const compressIf = (message: unknown): boolean => message === "yes";
    await client.join(["yes", LONG, "yes"], { ...gzip, compressIf });
    await client.say("yes", { ...gzip, compressIf });
    expect(seen.map(({ messages }) => messages)).toEqual([
      [
        [true, "yes"],
        [false, LONG],
        [true, "yes"],
      ],
      [[true, "yes"]],
    ]);
  });

  it("decides on the client's compression, too, and is not asked without one", async () => {
    const { client, seen } = await observed({ compression: "gzip" });
    let count = 0;
    const compressIf = (): boolean => {
      count++;
      return false;
    };
    await client.say(LONG, { compressIf });
    await client.say(LONG, { compressIf, compression: "identity" });
    expect(seen.map(({ encoding, messages }) => [encoding, messages])).toEqual([
      ["gzip", [[false, LONG]]],
      [undefined, [[false, LONG]]],
    ]);
    expect(count).toBe(1);
  });

  it.each(KINDS)("ends the call by what it throws: %s", async (_kind, call) => {
    const { client } = await observed();
    const compressIf = (): never => {
      throw new Error("no idea");
    };
    expect(await failure(call(client, { ...gzip, compressIf }))).toMatchObject({ text: "no idea", origin: "local" });
    expect(client.channel.endpoints[0].inFlight).toBe(0);
  });
});

describe("options that are wrong", () => {
  const known = compressionNames.map((name) => `"${name}"`).join(", ");

  it.each<[CallOptions, string]>([
    [{ compression: "lzma" }, `TypeError: call options.compression is "lzma": give one of ${known}`],
    [{ compression: "GZIP" }, `TypeError: call options.compression is "GZIP": give one of ${known}`],
    [{ compression: 1 as never }, `TypeError: call options.compression is 1: give one of ${known}`],
    [{ compressIf: true as never }, "TypeError: call options.compressIf is true: give a function"],
    [
      { compresIf: () => true } as never,
      "TypeError: call options.compresIf is not an option; did you mean compressIf?",
    ],
  ])("are told: %o", async (options, text) => {
    const { client, seen } = await observed();
    const error = await client.say("x", options).catch((thrown: unknown) => thrown);
    expect(String(error)).toBe(text);
    expect(() => client.follow("x", options)).toThrow(text.replace("TypeError: ", ""));
    expect(seen).toEqual([]);
  });
});

describe("an interceptor", () => {
  const intercepted = async (interceptor: Interceptor) =>
    observed({ compression: "gzip", interceptors: [interceptor] });

  it("sees how requests are compressed, and may change it", async () => {
    const views: unknown[] = [];
    const { client, seen } = await intercepted((call, next) => {
      views.push([call.compression, typeof call.compressIf]);
      call.compression = call.compression === "gzip" ? "identity" : "gzip";
      call.compressIf = () => true;
      return next(call);
    });
    await client.say("x");
    await client.say("x", { compression: "identity", compressIf: () => false });
    expect(views).toEqual([
      ["gzip", "object"],
      ["identity", "function"],
    ]);
    expect(seen.map(({ encoding, messages }) => [encoding, messages])).toEqual([
      [undefined, [[false, "x"]]],
      ["gzip", [[true, "x"]]],
    ]);
  });

  it("that puts a call together by itself leaves it as it was", async () => {
    const { client, seen } = await intercepted(({ method, metadata, request }, next) =>
      next({ method, metadata, request } as never),
    );
    await client.say(LONG);
    expect(seen).toMatchObject([{ encoding: "gzip", messages: [[true, LONG]] }]);
  });

  it("ends the call by a name that nobody knows", async () => {
    const { client } = await intercepted((call, next) => next({ ...call, compression: "lzma" }));
    expect((await failure(client.say("x"))).text).toMatch(
      /^compression of a call is "lzma": give one of identity, gzip/,
    );
  });
});
