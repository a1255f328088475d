import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type NoteClient, NoteService } from "../../../test/client/note-service.ts";
import { eventually, failure } from "../../../test/client/outcomes.ts";
import { silentLogger } from "../../observe/logger.ts";
import { seededRandom } from "../../rpc/random.ts";
import { inMemory } from "../../testing/in-memory.ts";
import { memoryRegistry } from "../../testing/memory-registry.ts";
import { memoryNetwork } from "../../testing/network/memory-network.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import type { ClientOptions } from "../client-options.ts";
import { type Client, createClient } from "../create-client.ts";

const SEED = 15;
const MINUTE_MS = 60_000;
/** Open loop: a call each, whatever became of the one before. */
const CALL_EVERY_MS = 200;

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  // Registry first: servers that stop want to tell it.
  for (const each of open.splice(0)) await each.close();
});

/** Servers, a registry and clients in virtual time. */
class Experiment {
  readonly clock: VirtualClock = new VirtualClock();
  readonly random: () => number = seededRandom(SEED);
  readonly network = memoryNetwork({ clock: this.clock, random: this.random, faults: { delayMs: 1 } });
  readonly registry = memoryRegistry();
  readonly servers: Map<string, { close(): Promise<void> }> = new Map();
  readonly answers: Map<string, number> = new Map();
  readonly failures: string[] = [];
  started = 0;

  constructor() {
    open.push({ close: async () => this.registry.recover() });
  }

  /** Answers with its name. */
  async start(...addresses: string[]): Promise<void> {
    for (const address of addresses) {
      const say = (): string => address;
      const { network, clock, random, registry } = this;
      const pair = await inMemory(
        NoteService,
        { say, read: say },
        { network, clock, random, address, server: { name: "notes", registry, network, clock, random } },
      );
      this.servers.set(address, pair);
      open.push(pair);
    }
  }

  /** The machine answers, and nothing listens there. */
  kill(address: string): void {
    this.network.refuse(address);
    for (const link of this.network.links(address)) link.reset();
  }

  client(options: ClientOptions = {}): Client<NoteClient> {
    const { network, clock, random, registry } = this;
    const settings: ClientOptions = { network, clock, random, registry, timeoutMs: 500, logger: silentLogger };
    const client = createClient(NoteService, "notes", { ...settings, ...options });
    open.push(client);
    return client;
  }

  /** Calls for a time, each as it comes. */
  async run(
    client: Pick<NoteClient, "read">,
    ms: number,
    eachSecond: (second: number) => void = () => {},
  ): Promise<void> {
    for (let at = 0; at < ms; at += CALL_EVERY_MS) {
      if (at % 1000 === 0) eachSecond(at / 1000);
      this.started++;
      client.read("x").then(
        (name) => this.answers.set(name, (this.answers.get(name) ?? 0) + 1),
        (error: Error) => this.failures.push(error.message),
      );
      await this.clock.advance(CALL_EVERY_MS);
    }
  }

  /** Calls that were started are those that ended, each once. */
  expectNoFailure(): void {
    expect(this.failures).toEqual([]);
    expect([...this.answers.values()].reduce((sum, count) => sum + count, 0)).toBe(this.started);
  }
}

const HOSTS = Array.from({ length: 10 }, (_, i) => `notes-${i}:80`);

describe(`a registry that is wrong for minutes while all hosts live (experiments 15 and 18, seed ${SEED})`, () => {
  async function experiment() {
    const all = new Experiment();
    await all.start(...HOSTS);
    const client = all.client();
    await all.run(client, 5000);
    return { all, client };
  }

  it("and lists nobody: no call fails, and no host is lost", async () => {
    const { all, client } = await experiment();
    all.registry.lose("notes");
    await all.run(client, 5 * MINUTE_MS);
    expect(client.channel.discovery).toMatchObject({ frozen: true, suspects: 10, freshness: "live" });
    all.registry.recover();
    await all.run(client, 5000);
    expect(client.channel.discovery).toMatchObject({ frozen: false, suspects: 0 });
    all.expectNoFailure();
    expect(all.answers.size).toBe(10);
  });

  it("and lists one of ten: no call fails, and the one does not get all of them", async () => {
    const { all, client } = await experiment();
    all.registry.lose(
      "notes",
      HOSTS.slice(1).map((address) => idAt(all, address)),
    );
    await all.run(client, 5 * MINUTE_MS);
    all.registry.recover();
    all.expectNoFailure();
    expect(client.channel.endpoints).toHaveLength(10);
    expect(Math.max(...all.answers.values()) / all.started).toBeLessThan(0.3);
  });

  it("and can't be reached: no call fails, though a host dies meanwhile", async () => {
    const { all, client } = await experiment();
    all.registry.fail(new Error("etcd: no quorum"));
    await all.run(client, 5 * MINUTE_MS, (second) => {
      if (second === 60) all.kill(HOSTS[3]);
    });
    expect(client.channel.discovery).toMatchObject({ freshness: "stale", suspects: 0 });
    expect(client.channel.discovery.ageMs).toBeGreaterThan(4 * MINUTE_MS);
    expect(client.channel.endpoints).toHaveLength(10);
    all.registry.recover();
    await all.run(client, 5000);
    expect(client.channel.discovery).toMatchObject({ freshness: "live", ageMs: 0 });
    all.expectNoFailure();
  });

  it("and comes and goes each second: no call fails, and no connection is made anew", async () => {
    const { all, client } = await experiment();
    const ids = HOSTS.map((address) => idAt(all, address));
    const before = client.channel.endpoints.map(({ activity }) => activity).length;
    const endpoints = [...client.channel.endpoints];
    await all.run(client, 2 * MINUTE_MS, (second) => {
      all.registry.recover();
      if (second % 2 === 0) all.registry.lose("notes", ids.slice(0, 3 + (second % 8)));
    });
    all.registry.recover();
    await all.run(client, 1000);
    expect(client.channel.endpoints).toHaveLength(before);
    expect(client.channel.endpoints.filter((endpoint) => !endpoints.includes(endpoint))).toEqual([]);
    all.expectNoFailure();
  });
});

describe("most of a fleet that loses its power, without a word", () => {
  it("is out of the set within half a minute, and calls fail until they time out only", async () => {
    const all = new Experiment();
    await all.start(...HOSTS);
    const client = all.client();
    await all.run(client, 5000);
    for (const address of HOSTS.slice(4)) all.network.cutOff(address);
    await all.run(client, 10_000);
    all.registry.lose(
      "notes",
      HOSTS.slice(4).map((address) => idAt(all, address)),
    );
    await all.run(client, 1000);
    expect(client.channel.discovery).toMatchObject({ frozen: true, suspects: 6 });
    await all.run(client, 29_000);
    expect(client.channel.endpoints.map(({ address }) => address)).toEqual(HOSTS.slice(0, 4));
    expect(client.channel.discovery).toMatchObject({ frozen: false, suspects: 0 });
    const { length } = all.failures;
    await all.run(client, MINUTE_MS);
    expect(all.failures).toHaveLength(length);
    for (const address of HOSTS) all.network.restore(address);
  });
});

describe("a fleet that is rolled over to new addresses", () => {
  it("has no failed call, and nobody left of the old", async () => {
    const all = new Experiment();
    await all.start(...HOSTS.slice(0, 4));
    const client = all.client();
    await all.run(client, 2000);
    for (const [i, address] of HOSTS.slice(0, 4).entries()) {
      await all.start(HOSTS[4 + i]);
      await all.run(client, 5000);
      const closing = all.servers.get(address)?.close();
      await all.run(client, 5000);
      await closing;
    }
    await all.run(client, 70_000);
    all.expectNoFailure();
    expect(client.channel.endpoints.map(({ address }) => address)).toEqual(HOSTS.slice(4, 8));
  });
});

describe("a client that starts while the registry is out of reach", () => {
  it("calls those that one before it knew", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bowline-outage-"));
    try {
      const all = new Experiment();
      await all.start(...HOSTS.slice(0, 3));
      const before = all.client({ snapshotFolder: folder });
      await all.run(before, 2000);
      await before.close();
      all.registry.fail(new Error("etcd: no quorum"));
      const after = all.client({ snapshotFolder: folder });
      void after.channel.connect().catch(() => {});
      // The disk is not in virtual time.
      await eventually(() => after.channel.discovery.freshness === "disk");
      await all.run(after, MINUTE_MS);
      all.registry.recover();
      await all.run(after, 2000);
      expect(after.channel.discovery).toMatchObject({ freshness: "live", suspects: 0 });
      all.expectNoFailure();
      await after.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("waits for it until the deadline when nobody knew anything, and says why", async () => {
    const all = new Experiment();
    all.registry.fail(new Error("etcd: no quorum"));
    const client = all.client();
    const late = failure(client.read("x"));
    await all.clock.advance(600);
    expect((await late).text).toBe("deadline of 500 ms exceeded: notes is not resolved yet: etcd: no quorum");
  });
});

/** The id with which the server at an address is registered. */
function idAt(all: Experiment, address: string): string {
  const found = all.registry.instances("notes").find(({ addresses }) => addresses[0].address === address);
  if (found === undefined) throw new Error(`nobody is registered at ${address}`);
  return found.id;
}
