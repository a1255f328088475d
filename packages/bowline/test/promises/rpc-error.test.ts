// RpcError and Code, alone and over the wire. More: src/server/handlers.test.ts, src/grpc/wire/status.test.ts, error-details.test.ts.
import { describe, expect, it } from "vitest";
import { retryInfo } from "../../src/grpc/error-details.ts";
import { Code, codeName, toCode } from "../../src/rpc/code.ts";
import { Metadata } from "../../src/rpc/metadata.ts";
import { RpcError, type RpcErrorReason } from "../../src/rpc/rpc-error.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { failure, gate, heldSay, useScenes } from "../server/server-scene.ts";
import { thrown, wrong } from "./refusals.ts";

const scenes = useScenes();
const CODES = Object.entries(Code) as [keyof typeof Code, Code][];

describe("Code", () => {
  it("has the 17 numbers of gRPC, 0 to 16, each with its name", () => {
    expect(CODES.map(([, code]) => code)).toEqual(Array.from({ length: 17 }, (_, i) => i));
    for (const [name, code] of CODES) expect(codeName(code)).toBe(name);
    expect(codeName(5)).toBe("NOT_FOUND");
  });

  it.each([-1, 17, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    "%d is none: its name and its code are UNKNOWN",
    (value) => {
      expect([codeName(value), toCode(value)]).toEqual(["UNKNOWN", Code.UNKNOWN]);
    },
  );

  it("toCode leaves what is one, and takes no text for one", () => {
    for (const [, code] of CODES) expect(toCode(code)).toBe(code);
    expect(toCode(wrong("5"))).toBe(Code.UNKNOWN);
    expect(toCode(wrong(null))).toBe(Code.UNKNOWN);
  });
});

describe("an RpcError", () => {
  it("is an Error whose message starts with the code in brackets", () => {
    const error = new RpcError(Code.NOT_FOUND, "no such user");
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message, error.text, error.code]).toEqual([
      "RpcError",
      "[NOT_FOUND] no such user",
      "no such user",
      Code.NOT_FOUND,
    ]);
  });

  it("without options is local, unsent, of no attempt, with nothing more to say", () => {
    const error = new RpcError(Code.INTERNAL, "x");
    expect(error).toMatchObject({ origin: "local", attempt: 0, sent: false, details: [] });
    expect([error.reason, error.method, error.instance, error.cause, error.metadataIfAny]).toEqual(
      Array.from({ length: 5 }, () => undefined),
    );
    expect(error.metadata).toBe(error.metadata);
    expect(error.metadata.size).toBe(0);
    expect("cause" in error).toBe(false);
  });

  it("keeps what it is given; one from a peer was sent unless it is told otherwise", () => {
    const options = { metadata: new Metadata({ a: "b" }), details: [retryInfo({ delayMs: 1 })], cause: null };
    const more = { reason: "refused", method: "/a.B/C", instance: "i", attempt: 2 } as const;
    const error = new RpcError(Code.ABORTED, "x", { ...options, ...more, origin: "remote" });
    expect(error).toMatchObject({ ...options, ...more, origin: "remote", sent: true });
    expect(new RpcError(Code.ABORTED, "x", { origin: "remote", sent: false }).sent).toBe(false);
    expect(new RpcError(Code.ABORTED, "x", { sent: true }).sent).toBe(true);
  });

  it.each([
    [99, "99"],
    [-1, "-1"],
    [1.5, "1.5"],
    ["NOT_FOUND", '"NOT_FOUND"'],
    ["5", '"5"'],
    [undefined, "undefined"],
    [null, "null"],
  ])("can't have the code %j: TypeError with the way to write one", (code, shown) => {
    expect(thrown(() => new RpcError(wrong(code), "x"))).toBe(
      `TypeError: RpcError: the code is ${shown}; give a number from 0 to 16, such as Code.NOT_FOUND`,
    );
  });

  it("takes any text, so that a strange cause hides no error", () => {
    expect(new RpcError(Code.INTERNAL, wrong(undefined)).text).toBe("undefined");
    expect(new RpcError(Code.INTERNAL, wrong(new Error("inner"))).text).toBe("Error: inner");
    expect(new RpcError(Code.INTERNAL, wrong(7)).message).toBe("[INTERNAL] 7");
  });

  it("is told from anything else, of another copy of the package too", () => {
    const error = new RpcError(Code.INTERNAL, "x");
    const foreign = { [Symbol.for("bowline.RpcError")]: true };
    expect([error, foreign].map((each) => RpcError.is(each))).toEqual([true, true]);
    for (const value of [undefined, null, "x", 7, {}, new Error("x"), Symbol("x"), () => {}]) {
      expect(RpcError.is(value)).toBe(false);
    }
  });

  it("can be made from what was thrown: itself, CANCELLED for aborts, else UNKNOWN with it as cause", () => {
    const error = new RpcError(Code.INTERNAL, "x");
    expect(RpcError.from(error)).toBe(error);
    for (const value of ["boom", null, undefined, 7, { a: 1 }]) {
      expect(RpcError.from(value)).toMatchObject({ code: Code.UNKNOWN, reason: "handler", text: String(value) });
    }
    const cause = new Error("boom");
    expect(RpcError.from(cause)).toMatchObject({ code: Code.UNKNOWN, text: "boom", cause });
    const aborted = new DOMException("gone", "AbortError");
    expect(RpcError.from(aborted)).toMatchObject({ code: Code.CANCELLED, reason: "cancelled", cause: aborted });
  });

  it("can be made from what has no text, and from a frozen one, whose copy the call may write on", () => {
    const bare = Object.create(null);
    expect(RpcError.from(bare)).toMatchObject({ code: Code.UNKNOWN, cause: bare });
    const metadata = new Metadata({ a: "b" });
    const frozen = Object.freeze(new RpcError(Code.NOT_FOUND, "x", { metadata, reason: "limit", cause: 7 }));
    const copy = RpcError.from(frozen);
    copy.method = "/a.B/C";
    expect(copy).toMatchObject({ code: Code.NOT_FOUND, text: "x", reason: "limit", cause: 7, method: "/a.B/C" });
    expect(copy.metadata.get("a")).toBe("b");
  });
});

describe("an RpcError over the wire", () => {
  it.each(CODES.filter(([name]) => name !== "OK"))(
    "arrives with the code %s, its text, details and metadata",
    async (_name, code) => {
      const details = [retryInfo({ delayMs: 1500 })];
      const scene = await scenes.start({
        say: () => {
          const metadata = new Metadata({ "x-why": "because" });
          throw new RpcError(code, "% ü\n日本 ", { details, metadata, reason: "limit", method: "/other" });
        },
      });
      const error = await failure(scene.client().say("x"));
      expect(error).toMatchObject({
        code,
        text: "% ü\n日本 ",
        origin: "remote",
        sent: true,
        attempt: 1,
        method: "/text.v1.Text/Say",
      });
      expect(error.details).toEqual(details);
      expect(error.metadata.get("x-why")).toBe("because");
      // What Bowline says of its own decisions on one side is not said of the other's.
      expect(error.reason).toBeUndefined();
      expect(error.instance).toBe(scene.server.address);
    },
  );

  it("without text and details arrives so", async () => {
    const scene = await scenes.start({ say: () => Promise.reject(new RpcError(Code.ABORTED, "")) });
    const error = await failure(scene.client().say("x"));
    expect(error).toMatchObject({ message: "[ABORTED] ", text: "", details: [] });
  });

  it("too long for a header arrives cut, its code kept", async () => {
    const text = "long ".repeat(20_000);
    const scene = await scenes.start({
      say: () =>
        Promise.reject(new RpcError(Code.ABORTED, text, { details: [{ typeUrl: "a/b", value: Buffer.from(text) }] })),
    });
    const client = scene.client();
    const error = await failure(client.say("x"));
    expect(error).toMatchObject({ code: Code.ABORTED, details: [] });
    expect(error.text).toMatch(/^long long .*\.\.\.$/);
    expect(error.text.length).toBeLessThan(8192);
  });

  it.each<[string, () => unknown]>([
    ["a text", () => "boom"],
    ["null", () => null],
    ["undefined", () => undefined],
    ["an object", () => ({ code: 5 })],
    ["an Error", () => new Error("secret: password")],
  ])(
    "of a handler that throws %s is UNKNOWN and tells the caller nothing of it; the log has it",
    async (_what, make) => {
      const value = make();
      const scene = await scenes.start({
        say: () => {
          throw value;
        },
      });
      const error = await failure(scene.client().say("x"));
      expect(error).toMatchObject({ code: Code.UNKNOWN, text: "the handler failed", origin: "remote", details: [] });
      expect(scene.log.lines).toMatchObject([{ level: "error", text: "a handler failed" }]);
      expect(scene.log.lines[0].fields.error).toBe(value);
    },
  );
});

describe("reasons", () => {
  it("of our own decisions are one of a list; each says what it is about, and whether the request was sent", async () => {
    const running = gate();
    const clock = new VirtualClock();
    const scene = await scenes.start({ say: heldSay(running) });
    const client = scene.client({ clock });
    await client.channel.connect();
    const got: [RpcErrorReason | undefined, boolean][] = [];
    const record = async (call: Promise<unknown>): Promise<void> => {
      const { reason, sent } = await failure(call);
      got.push([reason, sent]);
    };
    const late = record(client.say("x", { timeoutMs: 30 }));
    await running.opened;
    await clock.advance(50);
    await late;
    await record(client.say("x", { signal: AbortSignal.abort() }));
    await record(client.say(wrong(5)));
    await record(client.say("x", { metadata: { a: "x".repeat(20_000) } }));
    await client.close();
    await record(client.say("x"));
    expect(got).toEqual([
      ["deadline", true],
      ["cancelled", false],
      ["codec", false],
      ["limit", false],
      ["closed", false],
    ]);
  });
});
