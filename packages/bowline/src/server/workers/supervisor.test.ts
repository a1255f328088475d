import { beforeEach, describe, expect, it } from "vitest";
import { RecordingLogger } from "../../../test/server/server-scene.ts";
import { FakeWorkers } from "../../../test/server/workers/fake-workers.ts";
import { settle, VirtualClock } from "../../testing/virtual-clock.ts";
import { Supervisor } from "./supervisor.ts";
import type { FromWorker } from "./worker-messages.ts";
import type { WorkerPlan } from "./worker-options.ts";

const ADDRESS = "10.0.0.1:41234";

let clock: VirtualClock;
let log: RecordingLogger;
let workers: FakeWorkers;
let heard: (readonly [number, FromWorker["bowline"] | "ended"])[];
beforeEach(() => {
  clock = new VirtualClock();
  log = new RecordingLogger();
  workers = new FakeWorkers();
  heard = [];
});

const START = { statuses: { database: "NOT_SERVING" }, isPaused: false, weight: null } as const;

function make(plan: Partial<WorkerPlan> = {}, listen: string = "10.0.0.1:0"): Supervisor {
  return new Supervisor({
    plan: { count: 2, ports: "shared", entry: undefined, startTimeoutMs: 30_000, ...plan },
    listen,
    clock,
    // No jitter: delays are 100, 200, 400 … ms.
    random: () => 0.5,
    logger: log,
    launch: workers.launch,
    owner: {
      workerStart: START,
      received: (id, { bowline }) => heard.push([id, bowline]),
      ended: (id) => heard.push([id, "ended"]),
    },
  });
}

async function serving(plan: Partial<WorkerPlan> = {}): Promise<Supervisor> {
  const supervisor = make(plan);
  const started = supervisor.start();
  workers.allServe(ADDRESS);
  await started;
  return supervisor;
}

const states = (supervisor: Supervisor): string[] => supervisor.workers.map(({ state }) => state);

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

describe("a worker that ends", () => {
  it("is started again after 100 ms, 200 ms and so on up to 30 s, and says so", async () => {
    const supervisor = await serving();
    const delays: number[] = [];
    for (let i = 0; i < 11; i++) {
      const before = workers.launched.length;
      workers.of(1).ends("ended with code 1");
      expect(states(supervisor)).toEqual(["restarting", "serving"]);
      const endedAt = clock.now();
      while (workers.launched.length === before) await clock.advance(50);
      delays.push(clock.now() - endedAt);
    }
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    expect(supervisor.workers[0]).toMatchObject({ restarts: 11, state: "starting", address: "" });
    expect(log.lines[1]).toEqual({
      level: "error",
      text: "worker 1 ended with code 1; it is started again in 200 ms",
      fields: { worker: 1, restarts: 1 },
    });
  });

  it("waits 100 ms again once it has served for 10 s", async () => {
    await serving();
    workers.of(1).ends();
    await clock.advance(100);
    workers.of(1).asks();
    workers.of(1).binds(ADDRESS);
    workers.of(1).serves(ADDRESS);
    await clock.advance(9999);
    workers.of(1).ends();
    await clock.advance(199);
    expect(workers.launched).toHaveLength(3);
    await clock.advance(1);
    expect(workers.launched).toHaveLength(4);
    workers.of(1).asks();
    workers.of(1).binds(ADDRESS);
    workers.of(1).serves(ADDRESS);
    await clock.advance(10_000);
    workers.of(1).ends();
    await clock.advance(100);
    expect(workers.launched).toHaveLength(5);
  });

  it("binds what the others have, as they did", async () => {
    await serving();
    workers.of(1).ends();
    await clock.advance(100);
    workers.of(1).asks();
    expect(workers.of(1).received).toMatchObject([{ listen: "10.0.0.1:0", isFirst: false }]);
    workers.of(1).binds(ADDRESS);
    workers.of(1).serves(ADDRESS);
    expect(log.lines.at(-1)).toMatchObject({ level: "info", text: "worker 1 serves again" });
  });

  it("binds the same port though all others have ended too, one after another", async () => {
    await serving();
    workers.of(1).ends();
    workers.of(2).ends();
    await clock.advance(100);
    workers.of(1).asks();
    workers.of(2).asks();
    expect(workers.of(2).received).toEqual([]);
    expect(workers.of(1).received).toMatchObject([{ listen: ADDRESS, isFirst: true }]);
    workers.of(1).fails("cannot listen");
    expect(workers.of(2).mayGo).toBe(false);
    workers.of(1).ends();
    expect(log.lines.at(-1)?.text).toBe("worker 1 could not start: cannot listen; it is started again in 200 ms");
    expect(workers.of(2).received).toMatchObject([{ listen: ADDRESS, isFirst: true }]);
  });

  it("is ended when it was given another port than the others", async () => {
    await serving();
    workers.of(1).ends();
    await clock.advance(100);
    workers.of(1).asks();
    workers.of(1).binds("10.0.0.1:999");
    expect(workers.of(1).wasKilled).toBe(true);
    workers.of(1).ends("was ended by SIGKILL");
    expect(log.lines.at(-1)?.text).toBe(
      `worker 1 was given 10.0.0.1:999 instead of ${ADDRESS}; it is started again in 200 ms`,
    );
  });

  it("is killed when it has reported a failed start and does not end by itself", async () => {
    await serving();
    workers.of(1).ends();
    await clock.advance(100);
    workers.of(1).asks();
    workers.of(1).fails("no database");
    await clock.advance(1999);
    expect(workers.of(1).wasKilled).toBe(false);
    await clock.advance(1);
    expect(workers.of(1).wasKilled).toBe(true);
  });

  it("is not started again when it has closed its server itself", async () => {
    const supervisor = await serving();
    workers.of(1).says({ bowline: "closed" });
    expect(supervisor.workers[0]).toMatchObject({ state: "closed", address: "", pid: 100 });
    workers.of(1).ends();
    expect(supervisor.workers[0]).toMatchObject({ state: "stopped", pid: 0 });
    await clock.advance(60_000);
    expect(workers.launched).toHaveLength(2);
  });

  it("is heard no more when another has taken its place", async () => {
    await serving();
    const old = workers.of(1);
    old.ends();
    await clock.advance(100);
    heard.length = 0;
    old.serves(ADDRESS);
    old.ends();
    expect(heard).toEqual([]);
  });
});

describe("the stop of workers", () => {
  it("tells all at once and resolves when all have ended", async () => {
    const supervisor = await serving();
    let isStopped = false;
    const stopped = supervisor.stop(700).then(() => {
      isStopped = true;
    });
    for (const each of workers.launched) expect(each.received.at(-1)).toEqual({ bowline: "stop", withinMs: 700 });
    expect(states(supervisor)).toEqual(["stopping", "stopping"]);
    workers.of(1).ends();
    await settle();
    expect(isStopped).toBe(false);
    workers.of(2).ends();
    await stopped;
    expect(clock.pending).toBe(0);
    expect(log.lines).toEqual([]);
  });

  it("kills whoever overstays by 5 s, and says so", async () => {
    const supervisor = await serving();
    const stopped = supervisor.stop(700);
    workers.of(1).ends();
    await clock.advance(5699);
    expect(workers.of(2).wasKilled).toBe(false);
    await clock.advance(1);
    expect(workers.of(2).wasKilled).toBe(true);
    workers.of(2).ends("was ended by SIGKILL");
    await stopped;
    expect(log.lines).toMatchObject([{ level: "warn", text: "worker 2 did not stop in time: killed" }]);
  });

  it("leaves those away that wait for their restart, and stops those that are closed", async () => {
    const supervisor = await serving();
    workers.of(1).ends();
    workers.of(2).says({ bowline: "closed" });
    const stopped = supervisor.stop(0);
    expect(workers.of(2).received.at(-1)).toEqual({ bowline: "stop", withinMs: 0 });
    workers.of(2).ends();
    await stopped;
    await clock.advance(60_000);
    expect(workers.launched).toHaveLength(2);
  });

  it("admits nobody any more", async () => {
    const supervisor = await serving();
    workers.of(1).ends();
    await clock.advance(100);
    void supervisor.stop(0);
    workers.of(1).asks();
    expect(workers.of(1).mayGo).toBe(false);
    expect(workers.of(1).wasKilled).toBe(true);
  });
});

describe("words to workers", () => {
  it("reach all that can listen: who has not asked yet hears all of it then", async () => {
    const supervisor = await serving({ count: 3 });
    workers.of(1).ends();
    workers.of(2).ends();
    await clock.advance(100);
    workers.of(2).asks();
    supervisor.broadcast((id) => ({ bowline: "health", service: "a", status: "SERVING", isEcho: id === 3 }));
    expect(workers.of(1).received).toEqual([]);
    expect(workers.of(2).received.at(-1)).toMatchObject({ isEcho: false });
    expect(workers.of(3).received.at(-1)).toMatchObject({ isEcho: true });
  });
});
