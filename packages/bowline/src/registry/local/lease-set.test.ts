import { beforeEach, describe, expect, it } from "vitest";
import { LocalMachine, leaseText } from "../../../test/local-machine.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";

const OTHER = 2;

describe("who is alive in the eyes of a local watch", () => {
  let machine: LocalMachine;
  beforeEach(() => {
    machine = new LocalMachine();
  });
  const watch = (): WatchRecorder => new WatchRecorder(machine.registry(), "user.rpc");

  it("drops a process that is gone at the next look, and removes its file", async () => {
    const seen = watch();
    await machine.lease("a", { pid: OTHER });
    await machine.lease("b", { pid: 3 });
    machine.processes.running.set(OTHER, "start-2").set(3, "start-3");
    await machine.clock.advance(500);
    expect(seen.ids).toEqual(["a", "b"]);
    machine.kill(OTHER);
    await machine.clock.advance(500);
    expect(seen.ids).toEqual(["b"]);
    expect(machine.names).toEqual(["b.json"]);
  });

  it("takes a number that belongs to another process today for a process that is gone", async () => {
    await machine.lease("old", { pid: OTHER, startTime: "long ago" });
    machine.processes.running.set(OTHER, "today");
    const seen = watch();
    await machine.clock.advance(0);
    expect(seen.ids).toEqual([]);
    expect(machine.names).toEqual([]);
  });

  it("does not remove the file of a process that took the id of a dead one meanwhile", async () => {
    await machine.lease("a", { pid: OTHER });
    const { processes } = machine;
    const judge = processes.state.bind(processes);
    let successors = 0;
    processes.state = (process, closely) => {
      const state = judge(process, closely);
      if (state === "gone") {
        processes.running.set(3, "start-3");
        machine.files.write(machine.leasePath("a"), leaseText("a", { pid: 3 }));
        successors++;
      }
      return state;
    };
    const seen = watch();
    await machine.clock.advance(0);
    expect(machine.names).toEqual(["a.json"]);
    await machine.clock.advance(500);
    expect(seen.ids).toEqual(["a"]);
    expect(successors).toBe(1);
  });

  it("notices within 2 s that the number of a process it knew went to another", async () => {
    const seen = watch();
    machine.processes.running.set(OTHER, "start-2");
    await machine.lease("a", { pid: OTHER });
    await machine.clock.advance(500);
    machine.processes.running.set(OTHER, "another");
    expect(seen.ids).toEqual(["a"]);
    await machine.clock.advance(1_500);
    expect(seen.ids).toEqual([]);
  });

  it("keeps a stopped process for 15 s, leaves its file, and takes it back when it goes on", async () => {
    const seen = watch();
    machine.processes.running.set(OTHER, "start-2");
    await machine.lease("a", { pid: OTHER });
    await machine.clock.advance(15_000);
    expect(seen.ids).toEqual(["a"]);
    await machine.clock.advance(1_000);
    expect(seen.ids).toEqual([]);
    await machine.clock.advance(120_000);
    expect(machine.names).toEqual(["a.json"]);
    await machine.renew("a");
    await machine.clock.advance(500);
    expect(seen.ids).toEqual(["a"]);
  });

  it("does not blame the others for the time in which it was stopped itself", async () => {
    const seen = watch();
    machine.processes.running.set(OTHER, "start-2");
    await machine.lease("a", { pid: OTHER });
    await machine.clock.advance(500);
    machine.clock.skip(60_000);
    await machine.clock.advance(500);
    await machine.renew("a");
    await machine.clock.advance(5_000);
    expect(seen.ids).toEqual(["a"]);
    expect(seen.snapshots).toHaveLength(1);
  });

  it("goes by the heartbeat where the process can't be seen: out after 1.5 s, within 2 s", async () => {
    const seen = watch();
    await machine.lease("a", { pid: OTHER, pidSpace: "container" });
    for (let beat = 0; beat < 10; beat++) {
      await machine.clock.advance(500);
      await machine.renew("a");
    }
    expect(seen.ids).toEqual(["a"]);
    await machine.clock.advance(1_400);
    expect(seen.ids).toEqual(["a"]);
    await machine.clock.advance(600);
    expect(seen.ids).toEqual([]);
    expect(machine.names).toEqual(["a.json"]);
    await machine.clock.advance(60_000);
    expect(machine.names).toEqual([]);
  });

  it("does not take a container whose clock is an hour behind for rubbish, only for late", async () => {
    await machine.lease("a", { pid: OTHER, pidSpace: "container" });
    const file = machine.files.nodes.get(machine.leasePath("a"));
    const renew = (): void => {
      if (file !== undefined) file.modifiedMs = machine.files.wallTimeMs() - 3_600_000;
    };
    renew();
    const seen = watch();
    for (let beat = 0; beat < 240; beat++) {
      await machine.clock.advance(500);
      renew();
    }
    expect(seen.snapshots.map(({ instances }) => instances.length)).toEqual([0, 1]);
  });

  it("does not show what was left by a container that is gone", async () => {
    await machine.lease("a", { pid: OTHER, pidSpace: "container" });
    await machine.clock.advance(10_000);
    const seen = watch();
    await machine.clock.advance(0);
    expect(seen.last).toMatchObject({ instances: [], freshness: "live" });
  });
});
