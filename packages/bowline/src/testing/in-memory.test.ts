import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { collect, echoNotes, type NoteClient, type NoteHandlers, NoteService } from "../../test/client/note-service.ts";
import { failure, gate } from "../../test/client/outcomes.ts";
import { silentLogger } from "../observe/logger.ts";
import { Code } from "../rpc/code.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { type InMemory, type InMemoryOptions, inMemory } from "./in-memory.ts";
import { memoryRegistry } from "./memory-registry.ts";
import { memoryNetwork } from "./network/memory-network.ts";
import { grpcMessage, grpcRequestFields } from "./raw-frames.ts";
import { settle, VirtualClock } from "./virtual-clock.ts";

const open: InMemory<NoteClient>[] = [];

afterEach(async () => {
  for (const pair of open.splice(0)) await pair.close();
});

async function pairOf(handlers: Partial<NoteHandlers> = echoNotes, options?: InMemoryOptions) {
  const pair = await inMemory(NoteService, handlers, options);
  open.push(pair);
  return pair;
}

/** The same in virtual time. */
async function inVirtualTime(handlers: Partial<NoteHandlers>, options?: InMemoryOptions) {
  const clock = new VirtualClock();
  return { clock, ...(await pairOf(handlers, { clock, ...options })) };
}

const never = (): Promise<never> => new Promise(() => {});

describe("a service and its client in memory", () => {
  it("make calls of every kind, without a port", async () => {
    const { client, server, address } = await pairOf();
    expect(await client.say("one")).toBe("one");
    expect(await collect(client.follow("x"))).toEqual(["x", "x", "x"]);
    expect(await client.join(["a", "b"])).toBe("a b");
    expect(await collect(client.chat(["a", "b"]))).toEqual(["a", "b"]);
    expect([server.address, address, server.connectionCount]).toEqual(["server:1", "server:1", 1]);
  });

  it("answer UNIMPLEMENTED for a handler that was left out", async () => {
    const { client } = await pairOf({ say: (text) => text });
    expect(await client.say("x")).toBe("x");
    expect(await failure(client.read("x"))).toMatchObject({
      code: Code.UNIMPLEMENTED,
      text: "this test gave no handler for /note.v1.Notes/Read",
    });
    expect((await failure(collect(client.follow("x")))).code).toBe(Code.UNIMPLEMENTED);
  });

  it("keep the object of the handlers as this, of classes too", async () => {
    class Notes {
      #count = 0;
      say(): string {
        return `${++this.#count}`;
      }
    }
    const { client } = await pairOf(new Notes());
    expect([await client.say("x"), await client.say("x")]).toEqual(["1", "2"]);
  });

  it("take an object of a class that has more than handlers, as a server does", async () => {
    class Notes {
      readonly seen: string[] = [];
      say(text: string): string {
        return `${this.seen.push(text)}`;
      }
    }
    const notes = new Notes();
    const { client } = await pairOf(notes);
    expect([await client.say("x"), await client.say("y"), notes.seen]).toEqual(["1", "2", ["x", "y"]]);
  });

  it("refuse a handler that belongs to no method", async () => {
    const handlers = { says: () => "x" } as Partial<NoteHandlers>;
    await expect(inMemory(NoteService, handlers)).rejects.toThrow(/there is no method "says"; did you mean say\?/);
  });

  it("refuse options that are none, and leave the address free", async () => {
    const network = memoryNetwork();
    const client = { timeoutMS: 5 } as InMemoryOptions["client"];
    await expect(inMemory(NoteService, {}, { network, client })).rejects.toThrow(/did you mean timeoutMs/);
    await pairOf({}, { network });
  });

  it("refuse an unknown option, and faults that no network would have", async () => {
    const refused = async (options: object): Promise<string> => {
      const error: unknown = await inMemory(NoteService, {}, options).catch((reason: unknown) => reason);
      return String(error);
    };
    expect(await refused({ clok: new VirtualClock() })).toBe(
      "TypeError: inMemory options.clok is not an option; did you mean clock?",
    );
    expect(await refused({ faults: { delay: 5 } })).toBe(
      "TypeError: faults.delay is not an option; did you mean delayMs?",
    );
    expect(await refused({ network: memoryNetwork(), faults: {} })).toMatch(/^TypeError: .*give them to memoryNetwork/);
  });

  it("take addresses without a host, and ports by chance for several of one registry", async () => {
    const [network, registry] = [memoryNetwork(), memoryRegistry()];
    const options = { network, server: { name: "notes", registry } };
    const anywhere = await pairOf(echoNotes, { ...options, address: ":1" });
    expect([anywhere.address, await anywhere.client.say("x")]).toEqual(["[::]:1", "x"]);
    const addresses = ["notes:0", "notes:0", ":0"];
    const pairs = await Promise.all(addresses.map((address) => pairOf(echoNotes, { ...options, address })));
    for (const { client } of pairs) expect(await client.say("x")).toBe("x");
    const ids = registry.instances("notes").map(({ id }) => id);
    expect(ids).toEqual([anywhere, ...pairs].map(({ address }) => address));
    expect(new Set(ids).size).toBe(4);
  });

  it("go by the address of the server's own options, in the registry too", async () => {
    const registry = memoryRegistry();
    const { address } = await pairOf({}, { address: "a:1", server: { listen: "b:1", name: "notes", registry } });
    expect([address, registry.instances("notes").map(({ id }) => id)]).toEqual(["b:1", ["b:1"]]);
  });

  it("take what server and client are made with", async () => {
    const seen: string[] = [];
    const seenBy =
      (who: string) =>
      <C, R>(call: C, next: (call: C) => R): R => {
        seen.push(who);
        return next(call);
      };
    const { client } = await pairOf(echoNotes, {
      server: { interceptors: [seenBy("server")], maxReceiveBytes: 10 },
      client: { interceptors: [seenBy("client")] },
    });
    expect(await client.say("short")).toBe("short");
    expect(seen).toEqual(["client", "server"]);
    expect((await failure(client.say("longer than ten octets"))).code).toBe(Code.RESOURCE_EXHAUSTED);
  });

  it("show what a handler threw: in the log, and on standard error unless another logger is given", async () => {
    const crash = new Error("no such table");
    const say = (): never => {
      throw crash;
    };
    const quiet = await pairOf({ say }, { server: { logger: silentLogger } });
    expect((await failure(quiet.client.say("x"))).code).toBe(Code.UNKNOWN);
    expect(quiet.log).toEqual([]);
    const written: string[] = [];
    const { write } = process.stderr;
    process.stderr.write = (text) => written.push(String(text)) > 0;
    try {
      const { client, log } = await pairOf({ say });
      expect((await failure(client.say("x"))).code).toBe(Code.UNKNOWN);
      expect(log).toMatchObject([{ level: "error", message: "a handler failed", fields: { error: crash } }]);
    } finally {
      process.stderr.write = write;
    }
    expect(written.join("")).toContain("Error: no such table\\n    at ");
  });

  it("share a network with others, each at its address", async () => {
    const { network, client } = await pairOf({ say: async (text) => `${text}, says ${await other.client.say("I")}` });
    const other = await pairOf({ say: (text) => `${text} am the other` }, { network, address: "other:1" });
    expect(await client.say("hello")).toBe("hello, says I am the other");
    await other.close();
    expect((await failure(other.client.say("x"))).code).toBe(Code.CANCELLED);
    expect(network.links().map(({ address }) => address)).toEqual(["server:1"]);
  });

  it("close at once though a handler hangs and the link is frozen, and cancel the handler", async () => {
    const running = gate();
    const cancelled = gate<unknown>();
    const { client, network, close, clock, server } = await inVirtualTime({
      say: (_text, { signal }) => {
        signal.addEventListener("abort", () => cancelled.open(signal.reason));
        running.open();
        return never();
      },
    });
    const call = failure(client.say("x"));
    await running.opened;
    network.links()[0].freeze();
    await close();
    expect((await call).code).toBe(Code.CANCELLED);
    expect(RpcError.is(await cancelled.opened)).toBe(true);
    expect([network.links(), server.state]).toEqual([[], "closed"]);
    // A wheel of timers that is empty stops with its next tick.
    await clock.advance(5);
    expect(clock.pending).toBe(0);
  });

  it("close without time while their registry is out of reach", async () => {
    const registry = memoryRegistry();
    const { close, server } = await inVirtualTime(echoNotes, { server: { name: "notes", registry } });
    registry.fail();
    await close();
    expect([server.state, registry.instances("notes")]).toEqual(["closed", []]);
  });

  it("keep a process alive while a call waits in real time, and no longer than until close", async () => {
    const testing = new URL("index.ts", import.meta.url).href;
    const script = `
      import { inMemory, memoryNetwork, VirtualClock } from ${JSON.stringify(testing)};
      import { NoteService } from ${JSON.stringify(new URL("../../test/client/note-service.ts", import.meta.url).href)};
      const pair = await inMemory(NoteService, { say: () => new Promise(() => {}) });
      const error = await pair.client.say("x", { timeoutMs: 50 }).catch((error) => error);
      console.log(error.message.split(" ")[0]);
      await pair.close();
      const network = memoryNetwork({ clock: new VirtualClock() });
      network.listenRaw("raw:1");
      const peer = await network.dialRaw("raw:1", { timeoutMs: 50 });
      const silence = await peer.expect("SETTINGS").catch((error) => error);
      console.log(silence.message);
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
    expect(stdout.split("\n")).toEqual([
      "[DEADLINE_EXCEEDED]",
      "expected SETTINGS: nothing within 50 ms; received so far: nothing",
      "",
    ]);
  });
});

describe("virtual time", () => {
  it("brings a deadline of 5 s about at once, on both sides", async () => {
    const cancelled = gate<unknown>();
    const { client, clock } = await inVirtualTime({
      say: (_text, { signal }) => {
        signal.addEventListener("abort", () => cancelled.open(signal.reason));
        return never();
      },
    });
    const call = client.say("x", { timeoutMs: 5000 });
    await clock.advance(4990);
    expect(clock.now()).toBe(4990);
    expect(await failure(clock.advanceUntil(call))).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    expect(clock.now()).toBeGreaterThanOrEqual(5000);
    expect(clock.now()).toBeLessThanOrEqual(5010);
    expect(RpcError.is(await cancelled.opened)).toBe(true);
  });

  it("lets a handler see its time run out", async () => {
    const { client, clock } = await inVirtualTime({
      say: async (_text, context) => {
        const before = context.timeRemainingMs;
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 700));
        return `${before} ${context.timeRemainingMs}`;
      },
    });
    expect(await clock.advanceUntil(client.say("x", { timeoutMs: 1000 }))).toBe("1000 300");
  });

  it("runs retries behind their backoff", async () => {
    const times: number[] = [];
    const { client, clock } = await inVirtualTime(
      {
        read: () => {
          times.push(clock.now());
          if (times.length < 3) throw new RpcError(Code.UNAVAILABLE, "not yet");
          return "third time lucky";
        },
      },
      { client: { retry: { maxAttempts: 3, baseMs: 100, maxMs: 1000 }, timeoutMs: 0 } },
    );
    expect(await clock.advanceUntil(client.read("x"))).toBe("third time lucky");
    expect(times).toHaveLength(3);
    for (let i = 1; i < 3; i++) {
      expect(times[i] - times[i - 1]).toBeGreaterThan(0);
      expect(times[i] - times[i - 1]).toBeLessThanOrEqual(200 * i);
    }
  });

  it("kills a frozen link by keepalive, fails the call that is on it, and connects anew", async () => {
    const { client, clock, network } = await inVirtualTime(
      { say: (text) => (text === "wait" ? never() : text) },
      { client: { keepalive: { timeMs: 10_000, timeoutMs: 5000 }, timeoutMs: 0 } },
    );
    const call = failure(client.say("wait"));
    await settle();
    const [link] = network.links();
    link.freeze();
    // Silence is noticed by a twentieth late at most.
    await clock.advance(10_500);
    expect(link.toServer.queuedBytes).toBeGreaterThan(0);
    expect(await clock.advanceUntil(call)).toMatchObject({ code: Code.UNAVAILABLE, reason: "connection", sent: true });
    expect((await call).text).toMatch(/no sign of life within 5000 ms after a PING/);
    expect(clock.now()).toBeGreaterThanOrEqual(15_000);
    expect(clock.now()).toBeLessThan(17_000);
    expect(await clock.advanceUntil(client.say("again"))).toBe("again");
  });

  it("waits out the backoff of a client whose server is gone", async () => {
    const { client, clock, network, address } = await inVirtualTime({ say: (text) => text });
    await client.say("x");
    network.refuse(address);
    network.links()[0].reset();
    await settle();
    expect((await failure(client.say("x"))).code).toBe(Code.UNAVAILABLE);
    network.accept(address);
    const waiting = client.say("later", { waitForReady: true, timeoutMs: 10_000 });
    expect(await clock.advanceUntil(waiting)).toBe("later");
    expect(clock.now()).toBeGreaterThan(500);
    expect(clock.now()).toBeLessThanOrEqual(1200);
  });

  it("delays an answer by the network, to the millisecond", async () => {
    const { client, clock } = await inVirtualTime(echoNotes, { faults: { delayMs: 40 } });
    await clock.advanceUntil(client.say("connects"));
    const startedAt = clock.now();
    expect(await clock.advanceUntil(client.say("x"))).toBe("x");
    expect(clock.now() - startedAt).toBe(80);
  });

  it("drains a server in virtual time", async () => {
    const finish = gate();
    const { client, clock, server } = await inVirtualTime(
      { say: (text) => finish.opened.then(() => text) },
      { server: { drainAcceptMs: 2000, drainTimeoutMs: 30_000 } },
    );
    const call = client.say("x", { timeoutMs: 0 });
    await settle();
    const closed = server.close();
    await clock.advance(10_000);
    expect(server.state).toBe("draining");
    finish.open();
    expect(await call).toBe("x");
    await clock.advanceUntil(closed);
    expect(server.state).toBe("closed");
  });
});

describe("peers that misbehave", () => {
  it("see a server as any client would, frame by frame", async () => {
    const { network, address } = await pairOf();
    const client = await network.dialRaw(address);
    await client.handshake();
    client
      .headers(1, grpcRequestFields("/note.v1.Notes/Say"))
      .data(1, grpcMessage(Buffer.from("hello")), { end: true });
    expect((await client.expect("DATA")).data).toEqual(grpcMessage(Buffer.from("hello")));
    expect((await client.expect("HEADERS", (frame) => frame.isEnd)).headers).toMatchObject({ "grpc-status": "0" });
    client.frame("DATA", 0, 0);
    expect(await client.expect("GOAWAY")).toMatchObject({ errorCode: 1 });
  });
});
