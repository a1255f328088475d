import { beforeEach, describe, expect, it } from "vitest";
import { instance, LocalMachine } from "../../../test/local-machine.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { MAX_LEASE_BYTES } from "./lease-file.ts";

const OTHER = 2;

describe("a local watch", () => {
  let machine: LocalMachine;
  beforeEach(() => {
    machine = new LocalMachine();
  });
  const watch = (): WatchRecorder => new WatchRecorder(machine.registry(), "user.rpc");

  it("hears of changes at once where the file system tells of them", async () => {
    const seen = watch();
    await machine.clock.advance(0);
    const registration = await machine.registry(OTHER).register("user.rpc", instance("a"));
    await machine.clock.advance(10);
    expect(seen.ids).toEqual(["a"]);
    await registration.update({ state: "draining" });
    await machine.clock.advance(10);
    expect(seen.last?.instances[0].state).toBe("draining");
    await registration.close();
    await machine.clock.advance(10);
    expect(seen.ids).toEqual([]);
  });

  it("waits for nothing after a quiet time, and not for files that are being written", async () => {
    const seen = watch();
    await machine.clock.advance(100);
    await machine.registry(OTHER).register("user.rpc", instance("a"));
    await machine.clock.advance(0);
    expect(seen.ids).toEqual(["a"]);
    await machine.clock.advance(100);
    const looks = machine.files.lists;
    machine.files.write(`${machine.path}/.half.tmp`, "{");
    await machine.clock.advance(20);
    expect(machine.files.lists).toBe(looks);
  });

  it.each(["loses its events", "can't be watched"])(
    "hears of changes within 500 ms where the file system %s",
    async (how) => {
      if (how === "loses its events") machine.files.tellsEvents = false;
      else machine.files.faults = [{ operation: "watch", part: "", code: "ENOSPC" }];
      const seen = watch();
      const registration = await machine.registry(OTHER).register("user.rpc", instance("a"));
      await machine.clock.advance(500);
      expect(seen.ids).toEqual(["a"]);
      await registration.update({ weight: 3 });
      await machine.clock.advance(500);
      expect(seen.last?.instances[0].weight).toBe(3);
      await registration.close();
      await machine.clock.advance(500);
      expect(seen.ids).toEqual([]);
      expect(seen.failures).toEqual([]);
    },
  );

  it("says nothing while nothing changes, and reads no file twice", async () => {
    const seen = watch();
    await machine.registry(OTHER).register("user.rpc", instance("a"));
    await machine.clock.advance(60_000);
    expect(seen.snapshots.map(({ instances }) => instances.length)).toEqual([0, 1]);
    expect(machine.files.reads).toHaveLength(1);
  });

  it("keeps the objects of instances that did not change", async () => {
    const seen = watch();
    const registry = machine.registry(OTHER);
    await registry.register("user.rpc", instance("a"));
    await machine.clock.advance(500);
    const before = seen.last?.instances[0];
    await registry.register("user.rpc", instance("b"));
    // Put again with the same content: nothing that anyone has to hear of.
    machine.files.write(machine.leasePath("a"), machine.files.nodes.get(machine.leasePath("a"))?.text ?? "");
    await machine.clock.advance(500);
    expect(seen.ids).toEqual(["a", "b"]);
    expect(seen.last?.instances[0]).toBe(before);
    expect(seen.snapshots).toHaveLength(3);
  });

  it("skips what is no lease, says so once for each file, and leaves it alone", async () => {
    const { files, path } = machine;
    await machine.registry(OTHER).register("user.rpc", instance("good"));
    files.write(`${path}/empty.json`, "");
    files.write(`${path}/half.json`, '{"format":1,');
    files.write(`${path}/huge.json`, "x".repeat(MAX_LEASE_BYTES + 1));
    files.write(`${path}/copy.json`, files.nodes.get(machine.leasePath("good"))?.text ?? "");
    files.write(`${path}/link.json`, "", "link");
    files.write(`${path}/pipe.json`, "", "device");
    files.write(`${path}/notes.txt`, "nobody's business");
    files.write(`${path}/locked.json`, "{}");
    files.faults = [{ operation: "read", part: "locked", code: "EACCES" }];
    const seen = watch();
    await machine.clock.advance(5_000);
    expect(seen.ids).toEqual(["good"]);
    expect(seen.messages.map((text) => text.replace(path, "").replace("local registry: skipped /", "")).sort()).toEqual(
      [
        "copy.json: it is the lease of another instance, good; remove it",
        "empty.json: it is empty; remove it",
        "half.json: it is no JSON; remove it",
        "huge.json: it has 65537 bytes, at most 65536 are read; remove it",
        "link.json: it is a link, no file; remove it",
        "locked.json: this user has no permission (EACCES); remove it",
        "pipe.json: it is a device, no file; remove it",
      ],
    );
    expect(machine.names).toHaveLength(9);
    files.write(`${path}/half.json`, "still nothing");
    await machine.clock.advance(500);
    expect(seen.failures).toHaveLength(8);
  });

  it("removes a file that was being written when its process died, but not one that is being written", async () => {
    const seen = watch();
    await machine.clock.advance(0);
    machine.files.write(`${machine.path}/.put-2-abc.tmp`, "half");
    await machine.clock.advance(14_000);
    expect(machine.names).toHaveLength(1);
    await machine.clock.advance(3_000);
    expect(machine.names).toEqual([]);
    expect(seen.failures).toEqual([]);
  });

  it("keeps the last set, stale, while the directory can't be read, and says so once", async () => {
    const seen = watch();
    await machine.registry(OTHER).register("user.rpc", instance("a"));
    await machine.clock.advance(500);
    machine.files.faults = [{ operation: "list", part: "user.rpc", code: "EACCES" }];
    await machine.clock.advance(10_000);
    expect(seen.last).toMatchObject({ freshness: "stale", revision: 3 });
    expect(seen.ids).toEqual(["a"]);
    expect(seen.messages).toEqual([
      `local registry: cannot read ${machine.path}: this user has no permission (EACCES); ` +
        "if that can't be changed, set the option directory of local() to another place",
    ]);
    machine.files.faults = [];
    await machine.clock.advance(500);
    expect(seen.last).toMatchObject({ freshness: "live", revision: 4 });
  });

  it("does not lose the living when the directory is taken away under them", async () => {
    const seen = watch();
    await machine.registry(OTHER).register("user.rpc", instance("a"));
    await machine.lease("silent", { pid: 3 });
    machine.processes.running.set(3, "start-3");
    await machine.clock.advance(500);
    expect(seen.ids).toEqual(["a", "silent"]);
    machine.files.delete("/run/user/1000");
    await machine.clock.advance(20);
    expect(seen.ids).toEqual(["a", "silent"]);
    expect(seen.last?.freshness).toBe("stale");
    await machine.clock.advance(3_000);
    // One put its file again, the other did not: now that is believed.
    expect(seen.last).toMatchObject({ freshness: "live", instances: [{ id: "a" }] });
    expect(seen.snapshots.every(({ instances }, index) => index < 2 || instances.some(({ id }) => id === "a"))).toBe(
      true,
    );
    const registration = await machine.registry(OTHER).register("user.rpc", instance("b"));
    await machine.clock.advance(10);
    expect(seen.ids).toEqual(["a", "b"]);
    await registration.close();
  });

  it("looks at once when it is asked to, and many questions are one look", async () => {
    machine.files.tellsEvents = false;
    const seen = watch();
    await machine.clock.advance(0);
    await machine.registry(OTHER).register("user.rpc", instance("a"));
    for (let i = 0; i < 1_000; i++) seen.watcher.refresh();
    expect(machine.clock.timers).toBe(3);
    await machine.clock.advance(10);
    expect(seen.ids).toEqual(["a"]);
  });

  it("leaves neither timers nor watches of the file system behind", async () => {
    const seen = watch();
    await machine.clock.advance(0);
    expect([machine.clock.timers, machine.files.watches]).toEqual([1, 1]);
    seen.watcher.refresh();
    seen.close();
    expect([machine.clock.timers, machine.files.watches]).toEqual([0, 0]);
  });

  it("leaves none behind when it is closed while it looks for the first time", async () => {
    const seen = watch();
    seen.close();
    await machine.clock.advance(500);
    expect([machine.clock.timers, machine.files.watches]).toEqual([0, 0]);
    expect(seen.snapshots).toEqual([]);
  });
});
