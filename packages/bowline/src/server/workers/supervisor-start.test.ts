import { beforeEach, describe, expect, it } from "vitest";
import { ADDRESS, START, SupervisorScene, states } from "../../../test/server/workers/supervisor-scene.ts";
import { settle } from "../../testing/virtual-clock.ts";

let clock: SupervisorScene["clock"];
let log: SupervisorScene["log"];
let make: SupervisorScene["make"];
let workers: SupervisorScene["workers"];
beforeEach(() => {
  ({ clock, log, make, workers } = new SupervisorScene());
});

describe("the start of workers", () => {
  it("resolves when all serve", async () => {
    const supervisor = make({ count: 3 });
    let isStarted = false;
    const started = supervisor.start().then(() => {
      isStarted = true;
    });
    expect(states(supervisor)).toEqual(["starting", "starting", "starting"]);
    for (const each of workers.launched) each.asks();
    for (const each of workers.launched) each.binds(ADDRESS);
    workers.of(3).serves(ADDRESS);
    workers.of(1).serves(ADDRESS);
    await settle();
    expect(isStarted).toBe(false);
    workers.of(2).serves(ADDRESS);
    await started;
    expect(supervisor.workers[1]).toEqual({ id: 2, pid: 101, address: ADDRESS, state: "serving", restarts: 0 });
    expect(clock.pending).toBe(0);
  });

  it("lets nobody bind a shared port before all are there, then one, then the others", () => {
    void make({ count: 3 }).start();
    const [one, two, three] = workers.launched;
    two.asks();
    three.asks();
    expect(workers.launched.some(({ mayGo }) => mayGo)).toBe(false);
    one.asks();
    expect(workers.launched.map(({ mayGo }) => mayGo)).toEqual([true, false, false]);
    expect(one.received).toEqual([{ bowline: "go", listen: "10.0.0.1:0", isFirst: true, ...START }]);
    one.binds(ADDRESS);
    expect(workers.launched.map(({ mayGo }) => mayGo)).toEqual([true, true, true]);
    expect(two.received).toMatchObject([{ listen: "10.0.0.1:0", isFirst: false }]);
  });

  it("lets all bind ports of their own at once", () => {
    void make({ ports: "own" }).start();
    workers.of(2).asks();
    expect(workers.launched.map(({ mayGo }) => mayGo)).toEqual([false, true]);
  });

  it("fails with what a worker reports", async () => {
    const supervisor = make();
    const started = supervisor.start();
    for (const each of workers.launched) each.asks();
    workers.of(1).fails("no database");
    const error = await started.catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      message: "server.start(): worker 1 could not start: no database",
      cause: { name: "RangeError", message: "no database", stack: "there" },
    });
    const stopped = supervisor.stop(0);
    expect(workers.of(2).received).toEqual([{ bowline: "stop", withinMs: 0 }]);
    for (const each of workers.launched) each.ends();
    await stopped;
    expect(states(supervisor)).toEqual(["stopped", "stopped"]);
    expect(log.lines).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it("fails when a worker ends before it serves, and ends those at once that have not asked yet", async () => {
    const supervisor = make();
    const started = supervisor.start();
    workers.of(1).ends("was ended by SIGSEGV");
    await expect(started).rejects.toThrow(
      new Error("server.start(): worker 1 was ended by SIGSEGV before it served; what it wrote says why"),
    );
    const stopped = supervisor.stop(0);
    expect(workers.of(2)).toMatchObject({ wasKilled: true, received: [] });
    workers.of(2).ends();
    await stopped;
    await clock.advance(60_000);
    expect(workers.launched).toHaveLength(2);
  });

  it("fails when a worker's program never gets to start(), but waits for `ready` as long as that takes", async () => {
    const started = make({ startTimeoutMs: 1000 }).start();
    workers.of(1).asks();
    await clock.advance(1000);
    expect(workers.launched.map(({ wasKilled }) => wasKilled)).toEqual([false, true]);
    workers.of(2).ends("was ended by SIGKILL");
    await expect(started).rejects.toThrow(
      /^server\.start\(\): worker 2 did not reach start\(\) .* within 1000 ms \(workers\.startTimeoutMs\).*workers\.entry/,
    );
  });
});

describe("a start that a worker breaks off", () => {
  it("fails when it closes its server before it serves, though it lives on", async () => {
    const started = make().start();
    for (const each of workers.launched) each.asks();
    workers.of(1).binds(ADDRESS);
    workers.of(1).serves(ADDRESS);
    workers.of(2).closes();
    await expect(started).rejects.toThrow(new Error("server.start(): worker 2 closed its server before it served"));
  });

  it("resolves without those that have served and closed their server again", async () => {
    const supervisor = make({ count: 3 });
    const started = supervisor.start();
    for (const each of workers.launched) each.asks();
    for (const each of workers.launched) each.binds(ADDRESS);
    for (const id of [1, 2]) workers.of(id).serves(ADDRESS);
    workers.of(1).closes();
    workers.of(2).closes();
    workers.of(2).ends();
    workers.of(3).serves(ADDRESS);
    await started;
    expect(states(supervisor)).toEqual(["closed", "stopped", "serving"]);
    expect(clock.pending).toBe(0);
  });

  it("resolves when the one that it still waited for is the only one that serves", async () => {
    const started = make().start();
    for (const each of workers.launched) each.asks();
    workers.of(1).binds(ADDRESS);
    workers.of(1).serves(ADDRESS);
    workers.of(1).closes();
    workers.of(2).binds(ADDRESS);
    workers.of(2).serves(ADDRESS);
    await started;
  });

  it("fails when the system can't start its process, and starts no other", async () => {
    workers.launchError = Object.assign(new Error("spawn E2BIG"), { code: "E2BIG" });
    const error = await make()
      .start()
      .catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      message: "server.start(): worker 1 could not be started: spawn E2BIG",
      cause: { code: "E2BIG" },
    });
    expect(log.lines).toEqual([]);
  });

  it("is told of one whose `ready` takes long", async () => {
    void make().start();
    for (const each of workers.launched) each.asks();
    for (const each of workers.launched) each.binds(ADDRESS);
    workers.of(1).serves(ADDRESS);
    await clock.advance(29_999);
    expect(log.lines).toEqual([]);
    await clock.advance(1);
    const text = "worker 2 does not serve 30000 ms after it has bound its port: `ready` takes its time";
    expect(log.lines).toEqual([{ level: "warn", text, fields: { worker: 2, pid: 101 } }]);
  });
});
