import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { certPath } from "../../test/certs.ts";
import { useScene } from "../../test/client/client-scene.ts";
import { NoteService } from "../../test/client/note-service.ts";
import { eventually, failure } from "../../test/client/outcomes.ts";
import { roundRobin } from "../balancer/round-robin.ts";
import { staticRegistry } from "../registry/static.ts";
import { Code } from "../rpc/code.ts";
import type { CallOptions } from "./call-options.ts";
import { openChannelCount } from "./channel/channel-pool.ts";
import type { ClientOptions } from "./client-options.ts";
import { createClient } from "./create-client.ts";

const scene = useScene();
const TARGET = "static:///127.0.0.1:1";

/** What making a client with these options throws. */
function refusal(options: unknown, target: string = TARGET): string {
  const before = openChannelCount();
  try {
    createClient(NoteService, target, options as ClientOptions);
  } catch (error) {
    expect(openChannelCount()).toBe(before);
    return String(error);
  }
  throw new Error("nothing was thrown");
}

/** What a call with these options throws. */
async function callRefusal(options: unknown): Promise<string> {
  const client = scene.client(TARGET);
  return String(await client.say("x", options as CallOptions).then(String, (error) => error));
}

describe("options of a client", () => {
  it("that don't exist are named, with the nearest that does", () => {
    expect(refusal({ timeout: 5 })).toBe(
      "TypeError: createClient options.timeout is not an option; did you mean timeoutMs?",
    );
  });

  it.each([
    [{ timeoutMs: -1 }, "RangeError: createClient options.timeoutMs is -1: give a number of ms from 0 to 2147483647"],
    [
      { balancer: "random" },
      'TypeError: createClient options.balancer is random: give "p2c", "round_robin", "consistent_hash" or a function',
    ],
    [{ balancer: () => 7 }, "TypeError: createClient options.balancer: the function must return an object with update"],
    [{ tls: "yes" }, "TypeError: createClient options.tls: give true, false or TLS settings"],
    [{ compression: "lzma" }, 'TypeError: createClient options.compression is "lzma": give one of'],
    [{ retry: { maxAttempts: 9 } }, "RangeError: createClient options.retry.maxAttempts is 9: give a whole number"],
    [
      { keepalive: { timeMs: 50 } },
      "RangeError: createClient options.keepalive.timeMs is 50: give a number of ms from 10000",
    ],
    [{ limits: { streams: 1 } }, "TypeError: limits.streams is not a limit; known are maxConcurrentStreams"],
    [{ interceptors: [7] }, "TypeError: an interceptor is an async (call, next) => …"],
    [
      { without: ["tracing"] },
      'TypeError: createClient options.without: there is no layer "tracing"; layers are trace, metrics',
    ],
    [{ tls: { authorities: "/no/such.pem" } }, "TypeError: createClient options.tls.authorities"],
  ])("that are wrong are named with what is allowed: %o", (options, text) => {
    expect(refusal(options)).toContain(text);
  });

  it("that are undefined are as good as absent", async () => {
    const server = await scene.server();
    const client = scene.client(server.address, {
      retry: { maxAttempts: undefined },
      timeoutMs: undefined,
      tls: undefined,
    });
    expect(await client.read("x")).toBe("x");
  });

  it("and a target must make sense", () => {
    expect(refusal({}, "user.rpc")).toContain("a bare service name needs a registry");
    expect(refusal({}, "static:///")).toContain("TypeError");
    expect(() => createClient({} as never, TARGET)).toThrow(
      "createClient: the first argument must be a generated service",
    );
  });
});

describe("options of a call", () => {
  it.each([
    [{ timeout: 1 }, "TypeError: call options.timeout is not an option; did you mean timeoutMs?"],
    [{ timeoutMs: 1, deadline: undefined }, "TypeError: call options.deadline is not an option; known are timeoutMs"],
    [{ timeoutMs: "5" }, 'TypeError: call options.timeoutMs is "5": give a number of ms from 0 to 2147483647'],
    [{ timeoutMs: Number.NaN }, "TypeError: call options.timeoutMs is NaN: give a number"],
    [{ timeoutMs: -1 }, "RangeError: call options.timeoutMs is -1: give a number"],
    [{ metadata: null }, "TypeError: call options.metadata is null: give an object"],
    [{ metadata: { "grpc-x": "1" } }, 'TypeError: metadata key "grpc-x" belongs to gRPC'],
    [{ waitForReady: 1 }, "TypeError: call options.waitForReady is 1: give a boolean"],
    [{ hashKey: 7 }, "TypeError: call options.hashKey is 7: give a string"],
    [{ onHeader: {} }, "TypeError: call options.onHeader is an object: give a function"],
    [{ onTrailer: 1 }, "TypeError: call options.onTrailer is 1: give a function"],
    [
      { signal: new AbortController() },
      "TypeError: call options.signal is no AbortSignal: give the signal of an AbortController",
    ],
    [7, "TypeError: call options: give an object of options, not 7"],
    [null, "TypeError: call options: give an object of options, not null"],
  ])("that are wrong make it reject: %o", async (options, text) => {
    expect(await callRefusal(options)).toContain(text);
  });

  it("that are undefined, or inherited, are no mistake", async () => {
    const server = await scene.server();
    const client = scene.client(server.address);
    const options: CallOptions = { timeoutMs: undefined, metadata: undefined, signal: undefined };
    expect(await client.say("x", options)).toBe("x");
    expect(await client.say("x", Object.create({ timeoutMs: 900 }))).toBe("x");
    expect(await client.say("x", {})).toBe("x");
  });

  it("throw at once where there is no promise to reject", () => {
    const client = scene.client(TARGET);
    expect(() => client.follow("x", { timeout: 1 } as never)).toThrow(TypeError);
    expect(() => client.chat(7 as never)).toThrow(
      "/note.v1.Notes/Chat takes an (async) iterable of messages, such as an array or a generator, not number",
    );
  });

  it("and requests that can't be iterated make a client stream reject", async () => {
    const client = scene.client(TARGET);
    await expect(client.join(null as never)).rejects.toThrow("/note.v1.Notes/Join takes an (async) iterable");
  });
});

describe("channels", () => {
  it("are shared by clients of one target and the same settings", () => {
    const pem = readFileSync(certPath("authority.crt"));
    const pairs: [ClientOptions, ClientOptions][] = [
      [{}, { timeoutMs: 7, retry: { maxAttempts: 3 }, interceptors: [] }],
      [{ limits: { maxHeaderFields: 50 } }, { limits: { maxHeaderFields: 50 } }],
      [{ tls: { authorities: [pem] } }, { tls: { authorities: [Buffer.from(pem)] } }],
      [{ keepalive: { timeMs: 20_000 } }, { keepalive: { timeMs: 20_000, timeoutMs: undefined } }],
    ];
    for (const [one, other] of pairs) {
      expect(scene.client(TARGET, one).channel).toBe(scene.client("direct:///127.0.0.1:1", other).channel);
    }
  });

  it("are not shared otherwise", () => {
    const own = (): ReturnType<typeof roundRobin> => roundRobin();
    const all: [string, ClientOptions][] = [
      [TARGET, {}],
      ["static:///127.0.0.1:2", {}],
      [TARGET, { maxReceiveBytes: 1 }],
      [TARGET, { balancer: own as never }],
      [TARGET, { tls: true }],
      [TARGET, { authority: "a" }],
      [TARGET, { limits: { maxHeaderFields: 50 } }],
    ];
    const channels = all.map(([target, options]) => scene.client(target, options).channel);
    expect(new Set(channels).size).toBe(all.length);
  });

  it("are closed by their last client", async () => {
    const server = await scene.server();
    const before = openChannelCount();
    const one = scene.client(server.address);
    const other = scene.client(server.address);
    expect(openChannelCount()).toBe(before + 1);
    await one.say("x");
    await one.close();
    await one.close();
    expect(await other.say("x")).toBe("x");
    await other.close();
    expect([openChannelCount(), other.channel.state]).toEqual([before, "closed"]);
    expect((await failure(other.say("x"))).reason).toBe("closed");
    expect(await scene.client(server.address).say("again")).toBe("again");
  });

  it("close with `await using`", async () => {
    const server = await scene.server();
    const before = openChannelCount();
    {
      await using client = createClient(NoteService, server.address);
      expect(await client.say("x")).toBe("x");
      expect(openChannelCount()).toBe(before + 1);
    }
    expect(openChannelCount()).toBe(before);
  });
});

describe("targets", () => {
  it.each([
    ["bare address", (port: number) => `127.0.0.1:${port}`],
    ["static", (port: number) => `static:///127.0.0.1:${port}`],
    ["direct", (port: number) => `direct:///127.0.0.1:${port}`],
    ["dns", (port: number) => `dns:///localhost:${port}`],
    ["bare name", (port: number) => `localhost:${port}`],
  ])("of the kind %s", async (_kind, target) => {
    const server = await scene.server();
    const client = scene.client(target(server.port));
    expect(await client.say("hi")).toBe("hi");
    expect(client.channel.state).toBe("ready");
  });

  it("with all addresses of a list", async () => {
    const names = ["a", "b"];
    const servers = await Promise.all(names.map((name) => scene.server({ say: () => name })));
    const client = scene.client(`static:///${servers.map(({ address }) => address).join(",")}`, {
      balancer: "round_robin",
    });
    await client.channel.connect();
    await eventually(() => client.channel.endpoints.filter(({ isReady }) => isReady).length === 2);
    await Promise.all([1, 2, 3, 4].map(() => client.say("x")));
    expect(servers.map(({ stats }) => stats[0].started)).toEqual([2, 2]);
  });

  it("in turn, beginning where the option random says", async () => {
    const servers = await Promise.all(["a", "b"].map((name) => scene.server({ say: () => name })));
    const target = `static:///${servers.map(({ address }) => address).join(",")}`;
    const firstOf = async (chance: number): Promise<string> => {
      const client = scene.client(target, { balancer: "round_robin", random: () => chance });
      await client.channel.connect();
      await eventually(() => client.channel.endpoints.filter(({ isReady }) => isReady).length === 2);
      return client.say("x");
    };
    expect(await Promise.all([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9].map(firstOf))).toEqual([..."aaaabbbb"]);
  });

  it("by the key of each call, the same instance for the same key", async () => {
    const names = ["a", "b", "c"];
    const servers = await Promise.all(names.map((name) => scene.server({ say: () => name })));
    const target = `static:///${servers.map(({ address }) => address).join(",")}`;
    const client = scene.client(target, { balancer: "consistent_hash" });
    await client.channel.connect();
    await eventually(() => client.channel.endpoints.filter(({ isReady }) => isReady).length === 3);
    const ask = (): Promise<string[]> =>
      Promise.all(Array.from({ length: 50 }, (_, i) => client.say("x", { hashKey: `user-${i}` })));
    const answers = await ask();
    expect([...new Set(answers)].sort()).toEqual(names);
    expect(await ask()).toEqual(answers);
    await expect(client.say("x")).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      text: "the balancer consistent_hash needs the call option hashKey",
    });
  });

  it("by name in a registry", async () => {
    const server = await scene.server();
    const client = scene.client("notes", { registry: staticRegistry([server.address]) });
    expect(await client.say("hi")).toBe("hi");
  });
});

describe("a client", () => {
  it("says what happens around each call", () => {
    const client = scene.client(TARGET);
    expect(
      client
        .describe()
        .split("\n")
        .map((line) => line.split("  ")[0]),
    ).toEqual(["trace", "metrics", "deadline", "retry", "pick", "transport"]);
  });

  it("hides its own parts behind methods of the same name", async () => {
    const close = { ...NoteService.methods.say, localName: "close" };
    const server = await scene.server();
    const client = createClient({ ...NoteService, methods: { close } }, server.address);
    expect(await (client as unknown as { close(text: string): Promise<string> }).close("x")).toBe("x");
    await client[Symbol.asyncDispose]();
  });
});
