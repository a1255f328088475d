import { afterEach, describe, expect, it, vi } from "vitest";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { HttpError } from "../http/http-error.ts";
import type { HttpStream } from "../http/http-request.ts";
import type { Snapshot } from "../registry.ts";
import type { ClusterClient } from "./client.ts";
import { readSlice, type Slice } from "./endpoint-slice.ts";
import { SliceWatcher } from "./watcher.ts";

/** What a watch says, and how it ends: `open` when it is closed, `end` by the server, or with an error. */
interface Script {
  readonly lines?: readonly object[];
  readonly end: "open" | "end" | Error;
}

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  vi.unstubAllGlobals();
});

/** One service, whose cluster lists `address` and does with a watch from `version` what `watch` says. */
class Service {
  readonly clock: VirtualClock = new VirtualClock();
  readonly told: string[] = [];
  address = "10.0.0.1";
  version = "100";
  lists = 0;
  /** When the watches were asked for, in ms. */
  readonly watches: number[] = [];
  readonly watcher: SliceWatcher;
  /** Called for each snapshot. */
  hear: () => void = () => {};
  #write: (line: object) => void = () => {};

  constructor(watch: (version: string) => Script | Error, list: () => Error | undefined = () => undefined) {
    const client = {
      ownNamespace: async () => "shop",
      list: async () => {
        this.lists++;
        const failure = list();
        if (failure !== undefined) throw failure;
        return { slices: [slice(this.address)], resourceVersion: this.version, strangers: 0 };
      },
      watch: async (_name: unknown, version: string) => {
        this.watches.push(this.clock.fresh());
        const script = watch(version);
        if (script instanceof Error) throw script;
        return this.#stream(script);
      },
    } as unknown as ClusterClient;
    const name = { namespace: "shop", name: "user", port: undefined };
    const context = { clock: this.clock, random: () => 1, environment: {} };
    const handler = {
      snapshot: ({ revision, freshness, instances }: Snapshot) => {
        this.told.push(`${revision} ${freshness} ${instances.map(({ id }) => id)}`);
        this.hear();
      },
      failed: ({ message }: Error) => void this.told.push(message),
    };
    this.watcher = new SliceWatcher(
      "user",
      () => name,
      client,
      context,
      handler,
      () => undefined,
    );
    closers.push(() => this.watcher.close());
  }

  /** Says something in the watch that is open. */
  async say(line: object): Promise<void> {
    this.#write(line);
    await this.clock.advance(0);
  }

  #stream({ lines = [], end }: Script): HttpStream {
    const { promise: closed, reject: close } = Promise.withResolvers<never>();
    closed.catch(() => undefined);
    const said = [...lines];
    let isHeard = Promise.withResolvers<void>();
    this.#write = (line) => {
      said.push(line);
      isHeard.resolve();
    };
    async function* chunks(): AsyncGenerator<Buffer, void, undefined> {
      for (;;) {
        while (said.length > 0) yield Buffer.from(`${JSON.stringify(said.shift())}\n`);
        if (end === "end") return;
        if (end !== "open") throw end;
        await Promise.race([isHeard.promise, closed]);
        isHeard = Promise.withResolvers();
      }
    }
    return { status: 200, headers: {}, host: "h:1", chunks: chunks(), close: () => close(new Error("given up")) };
  }
}

const object = (address: string, resourceVersion: string): object => ({
  metadata: { name: "user-a", resourceVersion },
  addressType: "IPv4",
  ports: [{ port: 8080 }],
  endpoints: [{ addresses: [address] }],
});
let versions = 0;
const slice = (address: string): Slice => readSlice(object(address, `list-${++versions}`)) as Slice;
const change = (address: string, version: string): object => ({ type: "MODIFIED", object: object(address, version) });
const status = (code: number, message: string): object => ({ type: "ERROR", object: { code, message } });

const cutOff = new HttpError("closed", "h:1 closed the connection in the middle of its answer");

describe("a watch of EndpointSlices", () => {
  it.each<[string, Script, RegExp]>([
    ["an error", { lines: [status(500, "etcd is away")], end: "end" }, /ended with 500 \(etcd is away\)/],
    ["a cut connection", { end: cutOff }, /closed the connection/],
    ["nothing at all", { end: "end" }, /ended as soon as it had begun/],
  ])(
    "that a server ends with %s at once is begun ever more seldom, and is not live meanwhile",
    async (_, script, why) => {
      const service = new Service(() => script);
      await service.clock.advance(180_000);
      // After 1, 2, 4, 8, 16 and then each 30 s.
      expect(service.watches.length).toBe(10);
      const [first, stale, failure, ...more] = service.told;
      expect([first, stale]).toEqual(["1 live 10.0.0.1", "1 stale 10.0.0.1"]);
      expect(failure).toMatch(why);
      expect(more).toEqual([]);
    },
  );

  it("is live again, and failures are forgotten, once it has told something or lasted a second", async () => {
    let end: Script["end"] = cutOff;
    const service = new Service(() => ({ end }));
    await service.clock.advance(20_000);
    end = "open";
    await service.clock.advance(11_000);
    const opened = service.watches.at(-1) as number;
    expect(service.told.at(-1)).toMatch(/closed the connection/);
    await service.clock.advance(opened + 1000 - service.clock.fresh());
    expect(service.told.at(-1)).toBe("1 live 10.0.0.1");

    const other = new Service(() => ({ end }));
    await other.clock.advance(10);
    await other.say(change("10.0.0.2", "101"));
    expect(other.told).toEqual(["1 live 10.0.0.1", "2 live 10.0.0.2"]);
  });

  it("is begun from a new list after some that the server refused, as a restored cluster does whose versions went back", async () => {
    const tooLarge = new HttpError("status", "h:1 answered 504 (Too large resource version)", { status: 504 });
    const service = new Service((version) => (version === "100" ? tooLarge : { end: "open" }));
    await service.clock.advance(1000);
    service.version = "17";
    service.address = "10.0.0.7";
    await service.clock.advance(10_000);
    expect(service.lists).toBe(2);
    expect(service.told.at(-1)).toBe("2 live 10.0.0.7");
  });

  it("tells what came before an error", async () => {
    const lines = [change("10.0.0.2", "101"), status(500, "etcd is away")];
    const service = new Service((version) => (version === "100" ? { lines, end: "end" } : { end: "open" }));
    await service.clock.advance(10);
    expect(service.told.slice(0, 3)).toEqual(["1 live 10.0.0.1", "2 live 10.0.0.2", "2 stale 10.0.0.2"]);
    await service.clock.advance(3000);
    expect(service.told.at(-1)).toBe("2 live 10.0.0.2");
    expect(service.lists).toBe(1);
  });

  it("tells what new lists say while no watch works, and is stale between", async () => {
    const service = new Service(() => new HttpError("status", "h:1 answered 500", { status: 500 }));
    await service.clock.advance(1000);
    service.address = "10.0.0.2";
    await service.clock.advance(60_000);
    expect(service.lists).toBeGreaterThan(3);
    const before = ["1 live 10.0.0.1", "1 stale 10.0.0.1", "h:1 answered 500"];
    expect(service.told).toEqual([...before, "2 live 10.0.0.2", "2 stale 10.0.0.2"]);
  });

  it("goes on where it was, without a new list, after a server could not be reached for a while", async () => {
    let isAway = true;
    const away = new HttpError("unreachable", "cannot connect to h:1");
    const service = new Service(() => (isAway ? away : { end: "open" }));
    await service.clock.advance(120_000);
    isAway = false;
    await service.clock.advance(31_000);
    expect(service.told.at(-1)).toBe("1 live 10.0.0.1");
    expect(service.lists).toBe(1);
  });

  it("lists anew where its place is forgotten, without a word; and ever more seldom if that does not mend it", async () => {
    let gone: readonly object[] = [status(410, "too old resource version")];
    const service = new Service(() => {
      const lines = gone;
      gone = [];
      return lines.length > 0 ? { lines, end: "end" } : { end: "open" };
    });
    await service.clock.advance(5000);
    expect(service.lists).toBe(2);
    expect(service.told).toEqual(["1 live 10.0.0.1"]);

    const sick = new Service(() => ({ lines: [status(410, "too old resource version")], end: "end" }));
    await sick.clock.advance(180_000);
    expect(sick.lists).toBeLessThan(13);
    expect(sick.told.slice(0, 2)).toEqual(["1 live 10.0.0.1", "1 stale 10.0.0.1"]);
    expect(sick.told[2]).toMatch(/ended with 410 \(too old resource version\)/);
    expect(sick.told).toHaveLength(3);
  });

  it("is not ended by a handler that throws, whose error is not lost", async () => {
    const thrown: (() => void)[] = [];
    const service = new Service(() => ({ end: "open" }));
    service.hear = () => {
      throw new Error("a bug in a handler");
    };
    vi.stubGlobal("queueMicrotask", (callback: () => void) => thrown.push(callback));
    await service.clock.advance(10);
    await service.say(change("10.0.0.2", "101"));
    await service.say(change("10.0.0.3", "102"));
    expect(service.told).toEqual(["1 live 10.0.0.1", "2 live 10.0.0.2", "3 live 10.0.0.3"]);
    expect(service.watches).toHaveLength(1);
    for (const callback of thrown) expect(callback).toThrow("a bug in a handler");
    expect(thrown).toHaveLength(3);
  });
});
