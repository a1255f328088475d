import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Load } from "../../../test/server/load.ts";
import { failure } from "../../../test/server/server-scene.ts";
import { useWorkers } from "../../../test/server/workers/worker-scene.ts";
import { createClient } from "../../client/create-client.ts";
import { HealthCheckResponse_ServingStatus as Serving } from "../../gen/grpc/health/v1/health_pb.ts";
import { Health as HealthRpc } from "../../gen/grpc/health/v1/health_rpc.ts";
import { Code } from "../../rpc/code.ts";

const workers = useWorkers();
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const ids = (list: readonly { readonly pid: number }[]): number[] => list.map(({ pid }) => pid);

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "bowline-workers-"));
  closers.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe("workers that share a port", { timeout: 60_000 }, () => {
  it("get new connections in turn", async () => {
    const scene = await workers.start({ workers: 2 });
    const [one, two] = await scene.workers();
    expect([one, two]).toMatchObject([
      { id: 1, address: scene.address, state: "serving", restarts: 0 },
      { id: 2, address: scene.address, state: "serving", restarts: 0 },
    ]);
    const reached = ids(await scene.clients(6));
    expect(reached.filter((pid) => pid === one.pid)).toHaveLength(3);
    expect(reached.filter((pid) => pid === two.pid)).toHaveLength(3);
  });

  it("serve a Unix socket too, whose file goes with them", async () => {
    const path = join(temporaryDirectory(), "socket");
    const scene = await workers.start({ workers: 2, listen: `unix:${path}` });
    expect(new Set(ids(await scene.clients(4))).size).toBe(2);
    scene.process.kill("SIGKILL");
    await scene.ended;
    // What the killed primary left behind is in nobody's way.
    const next = await workers.start({ workers: 2, listen: `unix:${path}` });
    expect(await next.client().say("here")).toBe("here");
    await next.ask({ ask: "close" });
    expect(await failure(next.client().say("gone?"))).toMatchObject({ code: Code.UNAVAILABLE });
  });

  it("refuse what passes maxConnections, each for itself", async () => {
    const scene = await workers.start({ workers: 2, maxConnections: 1 });
    const reached = await scene.clients(2);
    expect(new Set(ids(reached)).size).toBe(2);
    expect(await failure(scene.client().say("too many"))).toMatchObject({ code: Code.UNAVAILABLE });
    await scene.until(
      () => scene.stats(),
      ({ misbehaved }) => misbehaved["too-many-connections"] > 0,
    );
    for (const { client } of reached) expect(await client.say("still here")).toBe("still here");
  });

  it("are counted together, and no call is lost when they stop", async () => {
    const scene = await workers.start({ workers: 2 });
    const reached = await scene.clients(4);
    for (const { client } of reached) for (let i = 0; i < 10; i++) await client.say("count me");
    await failure(reached[0].client.say("fail"));
    await fetch(`http://${scene.address}/`);
    const { misbehaved } = await scene.until(
      () => scene.stats(),
      (stats) => stats.connections === 4 && stats.misbehaved.http1 === 1,
    );
    expect(misbehaved).toEqual({ http1: 1 });
    // Counted in the second in which they are told to stop.
    for (const { client } of reached) await client.say("count me too");
    await scene.ask({ ask: "close" });
    const { methods, timed, connections } = await scene.stats();
    expect(methods[0]).toEqual({ method: "/text.v1.Text/Say", started: 49, inFlight: 0, ok: 48 });
    expect(timed[0]).toBe(49);
    expect(connections).toBe(0);
    expect((await scene.workers()).map(({ state }) => state)).toEqual(["stopped", "stopped"]);
  });
});

describe("the health of workers", { timeout: 60_000 }, () => {
  const service = "text.v1.Text";

  it("is the same whichever of them is asked, and whoever has set it", async () => {
    const scene = await workers.start({ workers: 2 });
    const [one, two] = await scene.clients(2);
    const health = createClient(HealthRpc, scene.address, { timeoutMs: 0 });
    const other = createClient(HealthRpc, scene.address, { timeoutMs: 0, idleTimeoutMs: 900_000 });
    scene.onClose(health);
    scene.onClose(other);
    const watches = [health, other].map((client) => client.watch({ service })[Symbol.asyncIterator]());
    const next = async (): Promise<unknown[]> =>
      (await Promise.all(watches.map((watch) => watch.next()))).map(({ value }) => value?.status);
    // One after another, so that each reaches another worker.
    for (const watch of watches) expect((await watch.next()).value?.status).toBe(Serving.SERVING);
    await one.client.say(`health ${service} NOT_SERVING`);
    expect(await next()).toEqual([Serving.NOT_SERVING, Serving.NOT_SERVING]);
    expect(await scene.ask({ ask: "health" })).toMatchObject({ "": "SERVING", [service]: "NOT_SERVING" });
    await two.client.say(`health ${service} SERVING`);
    expect(await next()).toEqual([Serving.SERVING, Serving.SERVING]);
    await scene.ask({ ask: "set", service, status: "NOT_SERVING" });
    expect(await next()).toEqual([Serving.NOT_SERVING, Serving.NOT_SERVING]);
  });

  it("is told to one that is started later", async () => {
    const scene = await workers.start({ workers: 1 });
    await scene.ask({ ask: "set", service: "", status: "NOT_SERVING" });
    await failure(scene.client().say("exit 1"));
    await scene.until(
      () => scene.workers(),
      ([{ restarts, state }]) => restarts === 1 && state === "serving",
    );
    const health = createClient(HealthRpc, scene.address);
    scene.onClose(health);
    expect(await health.check({})).toMatchObject({ status: Serving.NOT_SERVING });
  });
});

describe("a worker that dies", { timeout: 60_000 }, () => {
  it("is started again while the others go on without a failed call", async () => {
    const scene = await workers.start({ workers: 2 });
    const [one, two] = await scene.clients(2);
    const load = new Load(two.client, 10);
    await load.more(500);
    process.kill(one.pid, "SIGKILL");
    const [first, second] = await scene.until(
      () => scene.workers(),
      ([{ restarts, state }]) => restarts === 1 && state === "serving",
    );
    await load.more(500);
    const { failures, calls } = await load.stop();
    expect(failures).toEqual([]);
    expect(calls).toBeGreaterThanOrEqual(1000);
    expect(second).toMatchObject({ pid: two.pid, restarts: 0 });
    expect(first.pid).not.toBe(one.pid);
    expect(new Set(ids(await scene.clients(2)))).toEqual(new Set([first.pid, second.pid]));
    expect(scene.stderr).toMatch(/worker 1 was ended by SIGKILL; it is started again in \d+ ms/);
    expect(scene.stderr).toContain("worker 1 serves again");
  });

  it.each([
    { count: 1, ports: "shared" },
    { count: 2, ports: "shared" },
    { count: 2, ports: "own" },
  ] as const)("is started again by a primary that waits for nothing else: all $count, $ports", async (options) => {
    const scene = await workers.start({ workers: options, isIdle: true });
    for (const { pid } of await scene.workers()) process.kill(pid, "SIGKILL");
    const all = await scene.until(
      () => scene.workers(),
      (list) => list.every(({ state, restarts }) => state === "serving" && restarts === 1),
    );
    for (const { address } of all) expect(await scene.client(address).say("here")).toBe("here");
    scene.process.kill("SIGTERM");
    expect(await scene.ended).toBe(0);
  });

  it("gets the same port again, though it was any free one and nobody else has held it", async () => {
    const scene = await workers.start({ workers: 1 });
    await failure(scene.client().say("exit 7"));
    const [worker] = await scene.until(
      () => scene.workers(),
      ([{ restarts, state }]) => restarts === 1 && state === "serving",
    );
    expect(worker.address).toBe(scene.address);
    expect(await scene.client().say("pid")).toBe(String(worker.pid));
    expect(scene.stderr).toContain("worker 1 ended with code 7");
  });

  it("is not started again when it has closed its server itself", async () => {
    const scene = await workers.start({ workers: 2 });
    const [one, two] = await scene.clients(2);
    await one.client.say("close");
    const [first] = await scene.until(
      () => scene.workers(),
      ([{ state }]) => state !== "serving",
    );
    expect(first).toMatchObject({ state: "closed", restarts: 0 });
    expect(new Set(ids(await scene.clients(2)))).toEqual(new Set([two.pid]));
    scene.process.kill("SIGTERM");
    expect(await scene.ended).toBe(0);
  });
});

describe("the end of workers", { timeout: 60_000 }, () => {
  it.each([
    ["SIGTERM to the primary", (scene) => scene.process.kill("SIGTERM")],
    ["Ctrl-C, which reaches all of them", (scene) => scene.signalGroup("SIGINT")],
  ] satisfies [string, (scene: Awaited<ReturnType<typeof workers.start>>) => void][])(
    "by %s lets calls in flight finish",
    async (_how, signal) => {
      const scene = await workers.start({ workers: 2 });
      const reached = await scene.clients(4);
      const answers = reached.map(({ client }) => client.say("wait 400"));
      // On one connection what was sent before has been taken when this is answered.
      await Promise.all(reached.map(({ client }) => client.say("here")));
      signal(scene);
      expect(await Promise.all(answers)).toEqual(reached.map(() => "wait 400"));
      expect(await scene.ended).toBe(0);
      expect(scene.stderr).toBe("");
    },
  );

  it("comes in order when the primary is killed", async () => {
    const scene = await workers.start({ workers: 2 });
    const reached = await scene.clients(2);
    const answers = reached.map(({ client }) => client.say("wait 400"));
    await Promise.all(reached.map(({ client }) => client.say("here")));
    scene.process.kill("SIGKILL");
    expect(await Promise.all(answers)).toEqual(["wait 400", "wait 400"]);
    expect(await scene.ended).toBe("SIGKILL");
    expect(scene.stderr).toBe("");
  });

  it("comes at once by a second signal", async () => {
    const scene = await workers.start({ workers: 2, drainTimeoutMs: 60_000 });
    const reached = await scene.clients(2);
    const calls = reached.map(({ client }) => failure(client.say("hang", { timeoutMs: 0 })));
    await Promise.all(reached.map(({ client }) => client.say("here")));
    scene.process.kill("SIGTERM");
    const again = setInterval(() => scene.process.kill("SIGTERM"), 50);
    expect(await scene.ended).toBe(143);
    clearInterval(again);
    for (const call of calls) expect(await call).toMatchObject({ code: Code.UNAVAILABLE });
  });

  it("comes without a word while one of them is starting", async () => {
    const scene = workers.launch({ workers: 2, broken: "never ready" });
    await scene.until(
      () => scene.workers(),
      ([one]) => one.state === "serving",
    );
    scene.process.kill("SIGTERM");
    expect(await scene.ended).toBe(0);
    expect(scene.stderr).toBe("");
  });

  it("comes for one that does nothing any more, too", async () => {
    const scene = await workers.start({ workers: 2, drainTimeoutMs: 0, drainAcceptMs: 0 });
    const [one] = await scene.clients(2);
    await one.client.say("block");
    const blocked = failure(one.client.say("never answered", { timeoutMs: 0 }));
    scene.process.kill("SIGTERM");
    expect(await scene.ended).toBe(0);
    expect(scene.stderr).toContain("did not stop in time: killed");
    expect(await blocked).toMatchObject({ code: Code.UNAVAILABLE });
  });
});
