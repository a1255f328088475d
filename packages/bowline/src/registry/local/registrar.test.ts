import { beforeEach, describe, expect, it } from "vitest";
import { instance, LocalMachine } from "../../../test/local-machine.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";

const OTHER = 2;
const ROOT = "/run/user/1000/bowline";

/** Lets a chain of promises come so many steps further. */
async function microtasks(steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) await null;
}

describe("a local registration", () => {
  let machine: LocalMachine;
  beforeEach(() => {
    machine = new LocalMachine();
  });

  it("renews its lease each 500 ms without writing it again", async () => {
    await machine.registry().register("user.rpc", instance("a"));
    const file = machine.files.nodes.get(machine.leasePath("a"));
    await machine.clock.advance(5_400);
    expect(machine.files.nodes.get(machine.leasePath("a"))).toBe(file);
    expect(machine.files.wallTimeMs() - (file?.modifiedMs ?? 0)).toBe(400);
  });

  it("puts its file back at the next heartbeat, and makes the directory again", async () => {
    const registration = await machine.registry().register("user.rpc", instance("a"));
    machine.files.delete(machine.leasePath("a"));
    await machine.clock.advance(500);
    expect(machine.names).toEqual(["a.json"]);
    machine.files.delete("/run");
    await machine.clock.advance(500);
    expect(machine.names).toEqual(["a.json"]);
    expect(registration.state).toBe("registered");
    expect(machine.reports).toEqual([]);
  });

  it("puts back what it was told last", async () => {
    const registration = await machine.registry().register("user.rpc", instance("a"));
    await registration.update({ state: "draining", weight: 0 });
    machine.files.delete(machine.path);
    await machine.clock.advance(500);
    const seen = new WatchRecorder(machine.registry(OTHER), "user.rpc");
    await machine.clock.advance(0);
    expect(seen.last?.instances).toEqual([{ ...instance("a"), state: "draining", weight: 0 }]);
  });

  const faults: [string, string, RegExp][] = [
    ["makeDirectory", "EROFS", /cannot use .*: the file system is read-only \(EROFS\)/],
    ["makeDirectory", "EACCES", /cannot use .*: this user has no permission \(EACCES\)/],
    ["makeDirectory", "ENOTDIR", /cannot use .*: a part of the path is a file/],
    ["writeAtomically", "ENOSPC", /cannot write .*a\.json: the disk is full: free space there \(ENOSPC\)/],
    ["writeAtomically", "EMFILE", /too many open files: raise its limit/],
    ["writeAtomically", "EIO", /cannot write .*: EIO/],
  ];
  it.each(faults)("is refused with one clear error when %s fails with %s", async (operation, code, message) => {
    machine.files.faults = [{ operation: operation as "facts", part: "", code }];
    const refused = machine.registry().register("user.rpc", instance("a"));
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toThrow(/set the option directory of local\(\) to another place/);
    await expect(refused).rejects.toMatchObject({ cause: { code } });
    expect(machine.clock.timers).toBe(0);
  });

  it("may be tried again after it was refused", async () => {
    const registry = machine.registry();
    machine.files.faults = [{ operation: "writeAtomically", part: "", code: "ENOSPC" }];
    await expect(registry.register("user.rpc", instance("a"))).rejects.toThrow();
    machine.files.faults = [];
    expect((await registry.register("user.rpc", instance("a"))).state).toBe("registered");
  });

  it("reports a heartbeat that fails once, goes on trying, and recovers", async () => {
    const registration = await machine.registry().register("user.rpc", instance("a"));
    machine.files.faults = [{ operation: "touch", part: "", code: "EROFS" }];
    await machine.clock.advance(5_000);
    expect(machine.reports.map(({ message }) => message)).toEqual([
      expect.stringMatching(/cannot renew .*a\.json: the file system is read-only/),
    ]);
    expect(registration.state).toBe("pending");
    machine.files.faults = [];
    await machine.clock.advance(500);
    expect(registration.state).toBe("registered");
  });

  it("stays alive while a change can't be written, and writes it when it can", async () => {
    const registration = await machine.registry().register("user.rpc", instance("a"));
    const seen = new WatchRecorder(machine.registry(OTHER), "user.rpc");
    machine.files.faults = [{ operation: "writeAtomically", part: "", code: "ENOSPC" }];
    await expect(registration.update({ weight: 5 })).rejects.toThrow(/disk is full/);
    await machine.clock.advance(30_000);
    expect(seen.last?.instances).toEqual([instance("a")]);
    machine.files.faults = [];
    await machine.clock.advance(1_000);
    expect(seen.last?.instances).toEqual([{ ...instance("a"), weight: 5 }]);
  });

  it("writes the last of many changes that come together", async () => {
    const registration = await machine.registry().register("user.rpc", instance("a"));
    await Promise.all([1, 2, 3, 4].map((weight) => registration.update({ weight })));
    expect(machine.files.nodes.get(machine.leasePath("a"))?.text).toContain('"weight": 4');
  });

  it("writes the last change even if an earlier one is being written", async () => {
    const registration = await machine.registry().register("user.rpc", instance("a"));
    for (let steps = 0; steps < 30; steps++) {
      const earlier = registration.update({ weight: 0 });
      await microtasks(steps);
      await Promise.all([earlier, registration.update({ weight: steps + 1 })]);
      expect(machine.files.nodes.get(machine.leasePath("a"))?.text).toContain(`"weight": ${steps + 1},`);
    }
  });

  it("leaves no file when it is closed while it writes", async () => {
    const registry = machine.registry();
    for (let steps = 0; steps < 30; steps++) {
      const registration = await registry.register("user.rpc", instance("a"));
      machine.files.delete(machine.path);
      const update = registration.update({ weight: 2 });
      await microtasks(steps);
      await Promise.all([update, registration.close()]);
      await machine.clock.advance(1_000);
      expect(machine.names).toEqual([]);
      expect([registration.state, machine.clock.timers]).toEqual(["closed", 0]);
    }
  });

  it("leaves neither file nor timer when the registry is closed while it registers", async () => {
    const registry = machine.registry();
    const refused = expect(registry.register("user.rpc", instance("a"))).rejects.toThrow(/closed/);
    await registry.close();
    await refused;
    expect([machine.names, machine.clock.timers]).toEqual([[], 0]);
  });

  it("says why when its file can't be removed", async () => {
    const registration = await machine.registry().register("user.rpc", instance("a"));
    machine.files.faults = [{ operation: "remove", part: "", code: "EROFS" }];
    await expect(registration.close()).rejects.toThrow(/cannot remove .*a\.json: the file system is read-only/);
    expect(registration.state).toBe("closed");
  });

  it("is refused when a living process has the id, and allowed when that process is gone", async () => {
    const first = machine.registry(OTHER);
    await first.register("user.rpc", instance("a"));
    await expect(first.register("user.rpc", instance("a"))).rejects.toThrow(
      /instance "a" of user.rpc is registered by this process/,
    );
    const second = machine.registry(3);
    await expect(second.register("user.rpc", instance("a"))).rejects.toThrow(
      /by process 2; each instance needs an id of its own/,
    );
    machine.kill(OTHER);
    expect((await second.register("user.rpc", instance("a"))).state).toBe("registered");
  });

  it("removes what dead processes left", async () => {
    for (let pid = 10; pid < 60; pid++) await machine.lease(`dead-${pid}`, { pid });
    await machine.registry().register("user.rpc", instance("a"));
    expect(machine.names).toEqual(["a.json"]);
  });

  it("keeps namespaces apart", async () => {
    const [blue, green] = ["blue", "green"].map((namespace) => machine.registry(1, { directory: ROOT, namespace }));
    const seen = new WatchRecorder(green, "user.rpc");
    await blue.register("user.rpc", instance("a"));
    await green.register("user.rpc", instance("b"));
    await machine.clock.advance(500);
    expect(seen.ids).toEqual(["b"]);
  });

  it.each([
    ["belongs to another user", { ownerId: 1001 }, /it belongs to user 1001, this process runs as user 1000/],
    ["others may write to", { permissions: 0o770 }, /other users may write there; .*chmod 700/],
    ["is a link", { kind: "link" }, /it is a symbolic link/],
    ["is a file", { kind: "file" }, /it is no directory/],
  ] as const)("does not use a directory that %s", async (_, change, message) => {
    await machine.files.makeDirectory(ROOT);
    Object.assign(machine.files.nodes.get(ROOT) ?? {}, change);
    const registry = machine.registry();
    await expect(registry.register("user.rpc", instance("a"))).rejects.toThrow(message);
    const seen = new WatchRecorder(registry, "user.rpc");
    await machine.clock.advance(5_000);
    expect(seen.messages).toEqual([expect.stringMatching(message)]);
    expect(seen.snapshots).toEqual([]);
    expect([...machine.files.nodes.keys()].filter((path) => path.startsWith(`${ROOT}/`))).toEqual([]);
  });

  it("does not trust a directory that took the place of its own", async () => {
    await machine.registry().register("user.rpc", instance("a"));
    machine.files.delete(ROOT);
    await machine.files.makeDirectory(ROOT);
    Object.assign(machine.files.nodes.get(ROOT) ?? {}, { ownerId: 1001 });
    await machine.clock.advance(2_000);
    expect(machine.reports.map(({ message }) => message)).toEqual([expect.stringMatching(/belongs to user 1001/)]);
    expect(machine.names).toEqual([]);
  });
});
