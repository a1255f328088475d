import { describe, expect, it } from "vitest";
import { answer, ChannelScene, type ChannelSceneOptions } from "../../../test/client/channel-scene.ts";
import { failure } from "../../../test/client/outcomes.ts";
import { MemoryFileSystem } from "../../../test/memory-file-system.ts";
import { instanceAt } from "../../registry/instance/instance.ts";
import { Code } from "../../rpc/code.ts";
import { seededRandom } from "../../rpc/random.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import { SnapshotStore } from "./snapshot-store.ts";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";
const C = "10.0.0.3:80";
const HOUR_MS = 3_600_000;

/** A disk that outlives channels. */
class Disk {
  readonly #clock: VirtualClock = new VirtualClock();
  readonly files: MemoryFileSystem = new MemoryFileSystem(() => this.#clock.now());

  store(clock: VirtualClock = this.#clock): SnapshotStore {
    const random = seededRandom(3);
    return new SnapshotStore({ files: this.files, clock, random, folder: "/c", source: "notes", warn: () => {} });
  }

  /** A client of an hour ago knew these. */
  async knows(...addresses: string[]): Promise<void> {
    const store = this.store();
    store.keep(addresses.map((address) => instanceAt(address)));
    await store.close();
    await this.#clock.advance(HOUR_MS);
  }
}

async function started(knownAnHourAgo: readonly string[], options: ChannelSceneOptions = {}): Promise<ChannelScene> {
  const disk = new Disk();
  await disk.knows(...knownAnHourAgo);
  return new ChannelScene({ disk: disk.store(), waitsForRegistry: true, ...options });
}

function addresses(scene: ChannelScene): string[] {
  return scene.channel.endpoints.map(({ address }) => address);
}

describe("a channel that starts while the registry is out of reach", () => {
  it("uses what it knew last, as soon as the registry fails", async () => {
    const scene = await started([A, B]);
    const call = scene.call("say", "x");
    await scene.registryFails("etcd: no connection to 10.9.9.9:2379");
    expect(addresses(scene)).toEqual([A, B]);
    expect(scene.channel.discovery).toMatchObject({ freshness: "disk", ageMs: HOUR_MS, frozen: false, suspects: 0 });
    answer(await scene.dials[0].serve(), 1, "x");
    expect(await call).toBe("x");
    expect(scene.channel.describe()).toMatch(
      /^notes {2}ready, disk at revision 0 \(known from a snapshot on disk 60 min ago: etcd: no connection to 10.9.9.9:2379\); 2 endpoints\n/,
    );
  });

  it("counts the entries that the registry can't read, and says so", async () => {
    let skipped = 3;
    const scene = new ChannelScene({
      watch: (handler) => {
        queueMicrotask(() => handler.snapshot({ instances: [instanceAt(A)], revision: 1, freshness: "live" }));
        return {
          get skipped() {
            return skipped;
          },
          refresh() {},
          close() {},
        };
      },
    });
    expect(scene.channel.discovery.unreadable).toBe(0);
    void scene.call("say", "x").catch(() => {});
    await settle();
    expect(scene.channel.discovery.unreadable).toBe(3);
    expect(scene.channel.describe()).toContain("1 endpoints, 3 entries that can't be read\n");
    skipped = 0;
    expect(scene.channel.discovery.unreadable).toBe(0);
    await scene.channel.close();
  });

  it("uses it after half a second when the registry says nothing at all", async () => {
    const scene = await started([A]);
    void scene.call("say", "x");
    await scene.clock.advance(499);
    expect(scene.channel.discovery.freshness).toBe("none");
    await scene.clock.advance(1);
    expect([scene.channel.discovery.freshness, addresses(scene)]).toEqual(["disk", [A]]);
  });

  it("says how old that is when nobody of it can be reached", async () => {
    const scene = await started([A]);
    const call = scene.call("say", "x");
    await scene.registryFails("etcd is down");
    scene.lastDial.refuse();
    expect((await failure(call)).text).toBe(
      `no connection to notes: cannot connect to ${A}: refused (known from a snapshot on disk 60 min ago: etcd is down)`,
    );
  });

  it("lets calls wait until their deadline when it knew nothing, and names the registry's error", async () => {
    const scene = await started([]);
    const late = failure(scene.call("say", "x", { timeoutMs: 300 }));
    const served = scene.call("say", "x", { timeoutMs: 5000 });
    await scene.registryFails("etcd: no connection to 10.9.9.9:2379; check the option hosts");
    await scene.clock.advance(1000);
    const error = await late;
    expect(error.code).toBe(Code.DEADLINE_EXCEEDED);
    expect(error.text).toBe(
      "deadline of 300 ms exceeded: notes is not resolved yet: etcd: no connection to 10.9.9.9:2379; check the option hosts",
    );
    await scene.instances(A);
    answer(await scene.lastDial.serve(), 1, "x");
    expect(await served).toBe("x");
  });

  it("is not held up by what it knew when the registry answers", async () => {
    const scene = await started([A]);
    void scene.channel.connect();
    await scene.instances(B);
    await scene.clock.advance(1000);
    expect([addresses(scene), scene.channel.discovery.freshness]).toEqual([[B], "live"]);
  });
});

describe("the first word of a registry after a start from disk", () => {
  it("takes out who is not listed and not connected", async () => {
    const scene = await started([A, B, C]);
    void scene.channel.connect();
    await scene.registryFails("down");
    await scene.instances(B);
    expect(addresses(scene)).toEqual([B]);
  });

  it("leaves who is connected for a minute, and as long as nobody who is listed can be reached", async () => {
    const scene = await started([A, B, C]);
    void scene.channel.connect();
    await scene.registryFails("down");
    const peer = await scene.dials[0].serve();
    await scene.instances(B);
    await scene.clock.advance(100_000);
    expect(addresses(scene)).toEqual([A, B]);
    const call = scene.call("say", "x");
    answer(peer, 1, "x");
    expect(await call).toBe("x");
    await scene.dials[1].serve();
    await settle();
    expect(addresses(scene)).toEqual([B]);
  });

  it("that there is nobody is not believed", async () => {
    const scene = await started([A, B]);
    void scene.channel.connect();
    await scene.registryFails("down");
    await scene.dials[0].serve();
    await scene.instances();
    await scene.clock.advance(600_000);
    expect(scene.channel.endpoints.map(({ reach }) => reach)).toContain("up");
    expect(scene.channel.state).toBe("ready");
  });
});

describe("a registry that is lost", () => {
  it("takes nobody away, however long it lasts, and the channel says how old its knowledge is", async () => {
    const scene = await started([]);
    const peer = await scene.connected();
    await scene.list([instanceAt(A)], "stale");
    for (let i = 0; i < 3; i++) await scene.registryFails("etcd: no quorum");
    expect(scene.warnings).toEqual(["etcd: no quorum"]);
    await scene.clock.advance(300_000);
    expect(scene.channel.discovery).toMatchObject({ freshness: "stale", ageMs: 300_000 });
    expect(scene.channel.discovery.error?.message).toBe("etcd: no quorum");
    const call = scene.call("say", "x");
    answer(peer, 1, "x");
    expect(await call).toBe("x");
    peer.destroy();
    await settle();
    scene.lastDial.refuse();
    await settle();
    expect((await failure(scene.call("say", "x"))).text).toBe(
      `no connection to notes: cannot connect to ${A}: refused (known from the registry 5 min ago: etcd: no quorum)`,
    );
    await scene.instances(A);
    expect(scene.channel.discovery).toMatchObject({ freshness: "live", ageMs: 0, error: null });
  });

  it("does not count as the end of a suspect's minute", async () => {
    const scene = await started([]);
    void scene.channel.connect();
    await scene.instances(A, B);
    for (const dial of [...scene.dials]) await dial.serve();
    await scene.instances(A);
    await scene.list([instanceAt(A)], "stale");
    await scene.clock.advance(HOUR_MS);
    expect(addresses(scene)).toEqual([A, B]);
    await scene.instances(A);
    await scene.clock.advance(59_999);
    expect(addresses(scene)).toEqual([A, B]);
    await scene.clock.advance(1);
    expect(addresses(scene)).toEqual([A]);
  });
});

describe("what is kept on disk", () => {
  it("is the last live list that was believed", async () => {
    const disk = new Disk();
    const keep = async (lists: (scene: ChannelScene) => Promise<unknown>): Promise<string[] | undefined> => {
      const clock = new VirtualClock();
      const scene = new ChannelScene({ disk: disk.store(clock), waitsForRegistry: true });
      void scene.channel.connect().catch(() => {});
      await scene.instances(A, B, C);
      for (const dial of [...scene.dials]) await dial.serve();
      await lists(scene);
      await scene.channel.close();
      expect(clock.pending).toBe(0);
      return (await disk.store().load())?.instances.map(({ id }) => id);
    };
    expect(await keep((scene) => scene.instances(A, B))).toEqual([A, B]);
    expect(await keep((scene) => scene.instances(A))).toEqual([A, B, C]);
    expect(await keep((scene) => scene.instances())).toEqual([A, B, C]);
    expect(await keep((scene) => scene.list([instanceAt(A)], "stale"))).toEqual([A, B, C]);
  });
});

describe("a channel that rested", () => {
  it("goes back to what it knew while the registry is silent, and believes the registry when it speaks", async () => {
    const scene = await started([C], { idleTimeoutMs: 10_000 });
    const peer = await scene.connected();
    await scene.clock.advance(20_000);
    expect([scene.channel.state, scene.watches]).toEqual(["idle", 0]);
    await peer.closed;
    void scene.channel.connect();
    await scene.clock.advance(1000);
    expect(addresses(scene)).toEqual([A]);
    const late = failure(scene.call("say", "x", { timeoutMs: 300 }));
    await scene.registryFails("etcd is down");
    scene.lastDial.refuse();
    await scene.clock.advance(400);
    expect((await late).text).toBe(
      `deadline of 300 ms exceeded: no connection to notes: cannot connect to ${A}: refused ` +
        "(known from before; the registry has not answered yet: etcd is down)",
    );
    await scene.instances(B);
    expect(addresses(scene)).toEqual([B]);
  });
});
