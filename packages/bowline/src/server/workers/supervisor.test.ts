import { beforeEach, describe, expect, it } from "vitest";
import { ADDRESS, SupervisorScene, states } from "../../../test/server/workers/supervisor-scene.ts";
import type { Timer } from "../../rpc/clock.ts";
import { settle } from "../../testing/virtual-clock.ts";

let clock: SupervisorScene["clock"];
let heard: SupervisorScene["heard"];
let log: SupervisorScene["log"];
let serving: SupervisorScene["serving"];
let workers: SupervisorScene["workers"];
beforeEach(() => {
  ({ clock, heard, log, serving, workers } = new SupervisorScene());
});

describe("a worker that ends", () => {
  it("keeps the process of the primary until it is started again, or shall not be", async () => {
    let held = 0;
    const hold = (): Timer => {
      held++;
      return { cancel: () => void held-- };
    };
    Object.assign(clock, { hold });
    const supervisor = await serving();
    expect(held).toBe(0);
    workers.of(1).ends();
    workers.of(2).ends();
    expect(held).toBe(2);
    await clock.advance(100);
    expect(held).toBe(0);
    workers.of(1).ends();
    workers.of(2).ends();
    expect(held).toBe(2);
    await supervisor.stop(0);
    expect(held).toBe(0);
  });

  it("is started again later when the system can't start it now", async () => {
    const supervisor = await serving();
    workers.launchError = new Error("spawn ENOMEM");
    workers.of(1).ends();
    await clock.advance(100);
    expect(states(supervisor)).toEqual(["restarting", "serving"]);
    expect(log.lines.at(-1)).toMatchObject({
      level: "error",
      text: "worker 1 could not be started: spawn ENOMEM; it is started again in 200 ms",
    });
    workers.launchError = null;
    await clock.advance(200);
    expect(supervisor.workers[0]).toMatchObject({ state: "starting", restarts: 2 });
  });

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
    const cause = Object.assign(new Error("bind EADDRINUSE"), { code: "EADDRINUSE" });
    workers.of(1).failsWith(Object.assign(new Error("cannot listen", { cause }), { kind: "in-use" }));
    expect(workers.of(2).mayGo).toBe(false);
    workers.of(1).ends();
    expect(log.lines.at(-1)).toMatchObject({
      text: "worker 1 could not start: cannot listen; it is started again in 200 ms",
      fields: { error: { message: "cannot listen", kind: "in-use", cause: { code: "EADDRINUSE" } } },
    });
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
