// Metadata: what may be in it, and that it goes over the wire as it is. More: src/rpc/metadata.test.ts, src/client/messages.test.ts.
import { describe, expect, it } from "vitest";
import { Code } from "../../src/rpc/code.ts";
import { Metadata, type MetadataInit } from "../../src/rpc/metadata.ts";
import { RpcError } from "../../src/rpc/rpc-error.ts";
import { failure, useScenes } from "../server/server-scene.ts";
import { thrown, wrong } from "./refusals.ts";

const scenes = useScenes();
const BYTES = Uint8Array.of(0, 255, 10);

describe("keys", () => {
  it("are kept in lower case, and found in any case", () => {
    const metadata = new Metadata({ "X-Tenant": "a" }).append("x-TENANT", "b");
    expect([...metadata]).toEqual([
      ["x-tenant", "a"],
      ["x-tenant", "b"],
    ]);
    expect([metadata.get("X-TENANT"), metadata.has("x-Tenant"), metadata.getAll("X-tenant")]).toEqual([
      "a",
      true,
      ["a", "b"],
    ]);
  });

  it.each(["", "a b", "a:b", "ü", "a\nb", "a/b", ":path", "emoji-😀"])(
    "may hold a-z, 0-9, _, - and . only: %j",
    (key) => {
      const text = `TypeError: metadata key ${JSON.stringify(key)} is not allowed: use a-z, 0-9, '_', '-' and '.'`;
      expect(thrown(() => new Metadata({ [key]: "x" }))).toBe(text);
      expect(thrown(() => new Metadata().append(key, "x"))).toBe(text);
      expect(thrown(() => new Metadata().set(key, "x"))).toBe(text);
    },
  );

  it.each([
    "grpc-timeout",
    "grpc-anything",
    "GRPC-Status",
    "te",
    "content-type",
    "Content-Length",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "host",
    "User-Agent",
  ])("that belong to gRPC and HTTP/2 are refused: %s", (key) => {
    expect(thrown(() => new Metadata({ [key]: "x" }))).toBe(
      `TypeError: metadata key "${key.toLowerCase()}" belongs to gRPC and can't be set; choose another name`,
    );
  });

  it.each([5, undefined, null, Symbol("x")])("are texts, whoever asks: %s", (key) => {
    const text = `TypeError: a metadata key must be a string, not ${String(key)}`;
    const metadata = new Metadata();
    for (const use of [
      () => metadata.append(wrong(key), "x"),
      () => metadata.set(wrong(key), "x"),
      () => metadata.get(wrong(key)),
      () => metadata.getBinary(wrong(key)),
      () => metadata.getAll(wrong(key)),
      () => metadata.has(wrong(key)),
      () => metadata.delete(wrong(key)),
    ]) {
      expect(thrown(use)).toBe(text);
    }
  });
});

describe("values", () => {
  it.each(["ü", "a\nb", "a\0b", "\t", "\x7f", "日本"])("of plain keys are printable ASCII: %j", (value) => {
    expect(thrown(() => new Metadata({ a: value }))).toBe(
      'TypeError: metadata "a" has a character outside printable ASCII; use a -bin key for other text',
    );
  });

  it("of -bin keys are bytes, of others texts", () => {
    expect(thrown(() => new Metadata({ "a-bin": "x" }))).toBe(
      'TypeError: metadata "a-bin" must be a Uint8Array, because its name ends with -bin',
    );
    expect(thrown(() => new Metadata({ a: BYTES }))).toBe(
      'TypeError: metadata "a" must be a string; bytes need a key that ends with -bin',
    );
    const metadata = new Metadata({ a: "~ !", "a-bin": BYTES });
    expect([metadata.get("a"), metadata.getBinary("a")]).toEqual(["~ !", undefined]);
    expect([metadata.get("a-bin"), metadata.getBinary("a-bin")]).toEqual([undefined, BYTES]);
    expect([metadata.get("b"), metadata.getBinary("b"), metadata.getAll("b")]).toEqual([undefined, undefined, []]);
  });

  it("that are refused leave what was there before", () => {
    const metadata = new Metadata({ a: "1" });
    thrown(() => metadata.set("a", "ü"));
    thrown(() => metadata.append("a", wrong(5)));
    expect([...metadata]).toEqual([["a", "1"]]);
  });
});

describe("what it can be made of", () => {
  it.each([null, "a=b", 5, true, Symbol("x")])("is an object, pairs or a Metadata, not %s", (init) => {
    expect(thrown(() => new Metadata(wrong(init)))).toBe(
      `TypeError: metadata can't be made of ${String(init)}: give an object, pairs of key and value, or a Metadata`,
    );
  });

  it.each([[["a", "b"]], [[5]], [new Set(["ab"])]])("pairs are pairs: %o", (init) => {
    expect(thrown(() => new Metadata(wrong(init)))).toMatch(/^TypeError: metadata: \w+ is no pair of key and value$/);
  });

  it("another Metadata is copied: each changes alone", () => {
    const one = new Metadata({ a: "1" });
    const other = new Metadata(one).set("a", "2");
    one.append("b", "3");
    expect([one.toJSON(), other.toJSON()]).toEqual([{ a: ["1"], b: ["3"] }, { a: ["2"] }]);
  });
});

describe("a multi-map", () => {
  it("append adds behind, set replaces all, delete removes all, size counts duplicates", () => {
    const metadata = new Metadata().append("a", "1").append("b", "2").append("a", "3");
    expect(metadata.size).toBe(3);
    expect(metadata.get("a")).toBe("1");
    metadata.set("a", "4");
    expect([...metadata]).toEqual([
      ["b", "2"],
      ["a", "4"],
    ]);
    expect(metadata.delete("b").size).toBe(1);
    expect(metadata.has("b")).toBe(false);
  });

  it("is shown by JSON.stringify with values a key and bytes as base64, whatever the keys", () => {
    const metadata = new Metadata({ a: ["1", "2"], "b-bin": BYTES, __proto__x: "3", constructor: "4" });
    expect(JSON.parse(JSON.stringify(metadata))).toEqual({
      a: ["1", "2"],
      "b-bin": ["AP8K"],
      __proto__x: ["3"],
      constructor: ["4"],
    });
  });
});

describe("over the wire", () => {
  it("order and duplicates are kept, and what gRPC adds is not seen; outer spaces are dropped", async () => {
    let seen: [string, string | Uint8Array][] = [];
    const scene = await scenes.start({
      say: (text, context) => {
        seen = [...context.metadata].filter(([key]) => key !== "traceparent");
        return text;
      },
    });
    const metadata: MetadataInit = [
      ["b", "2"],
      ["a-bin", BYTES],
      ["b", " 1 "],
      ["c", ""],
      ["a-bin", new Uint8Array()],
    ];
    await scene.client().say("x", { metadata });
    expect(seen[0]).toEqual(["user-agent", expect.stringMatching(/^grpc-bowline\//)]);
    expect(seen.slice(1)).toEqual([
      ["b", "2"],
      ["a-bin", BYTES],
      ["b", "1"],
      ["c", ""],
      ["a-bin", new Uint8Array()],
    ]);
  });

  it("more than the server takes are not sent: RESOURCE_EXHAUSTED, and the connection lives", async () => {
    const client = (await scenes.start()).client();
    await client.channel.connect();
    const tooMuch: MetadataInit[] = [{ a: "x".repeat(16_384) }, { "a-bin": new Uint8Array(100_000) }];
    for (const metadata of tooMuch) {
      const error = await failure(client.say("x", { metadata }));
      expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, reason: "limit", sent: false, origin: "local" });
      expect(error.text).toContain("above what the server takes (16384 with all headers)");
    }
    expect(await client.say("x", { metadata: { a: "x".repeat(8000) } })).toBe("x");
  });

  it("beside a status arrive where they fit, and are dropped, the status kept, where they don't", async () => {
    const scene = await scenes.start({
      say: (text) => {
        throw new RpcError(Code.NOT_FOUND, "no", { metadata: new Metadata({ a: "x".repeat(Number(text)) }) });
      },
    });
    const client = scene.client({ limits: { maxHeaderListBytes: 2048 } });
    const fits = await failure(client.say("1300"));
    expect([fits.message, fits.metadata.get("a")?.length]).toEqual(["[NOT_FOUND] no", 1300]);
    const tooMuch = await failure(client.say("1500"));
    expect([tooMuch.message, tooMuch.metadata.size]).toEqual(["[NOT_FOUND] no", 0]);
    expect(scene.log.lines.map((line) => line.text)).toEqual(["a handler gave what can't be sent"]);
  });

  describe.each([
    ["header", "say"],
    ["trailer", "say"],
    ["header", "repeat"],
    ["trailer", "repeat"],
  ] as const)("more %s than the client takes from %s", (which, method) => {
    it.each([20_000, 100_000])("cost that call only, %d bytes: INTERNAL with the reason, logged", async (bytes) => {
      const scene = await scenes.start({
        say: (text, context) => {
          if (text === "much") context[which].set("a", "x".repeat(bytes));
          return text;
        },
        async *repeat(text, context) {
          context[which].set("a", "x".repeat(bytes));
          yield text;
        },
      });
      const client = scene.client();
      const bystander = client.chat(
        (async function* () {
          yield "still here";
          await new Promise(() => {});
        })(),
      );
      const answers = bystander[Symbol.asyncIterator]();
      expect((await answers.next()).value).toBe("still here");
      const call = method === "say" ? client.say("much") : client.repeat("x")[Symbol.asyncIterator]();
      const error = await failure(
        "then" in call
          ? call
          : (async () => {
              for (;;) if ((await call.next()).done === true) return;
            })(),
      );
      expect(error).toMatchObject({ code: Code.INTERNAL, origin: "remote" });
      expect(error.text).toMatch(
        new RegExp(`^the handler's ${which} metadata take ${bytes + 33} bytes, the client accepts`),
      );
      expect(scene.log.lines.map(({ text }) => text)).toEqual(["a handler gave what can't be sent"]);
      expect(await client.say("after")).toBe("after");
      expect(scene.server.connectionCount).toBe(1);
      await answers.return?.();
    });
  });
});
