import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createNetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Load } from "../../../test/server/load.ts";
import { useWorkers } from "../../../test/server/workers/worker-scene.ts";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { createLocalRegistry, local } from "../../registry/local/local.ts";
import { systemClock } from "../../rpc/clock.ts";
import { systemRandom } from "../../rpc/random.ts";

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

describe("a start that fails", { timeout: 60_000 }, () => {
  it.each([
    ["ready", "server.start(): worker 2 could not start: no database"],
    ["before", "server.start(): worker 2 ended with code 1 before it served; what it wrote says why"],
  ] as const)("in one worker (%s) fails in the primary and leaves nothing running", async (broken, message) => {
    const scene = await workers.start({ workers: 2, broken });
    expect(scene.said).toMatchObject({ failed: message, state: "closed" });
    expect(scene.said).toMatchObject({ workers: [{ state: "stopped" }, { state: "stopped" }] });
    // Workers hold its standard error open: it closes when they have ended.
    expect(await scene.ended).toBe(1);
  });

  it("because a worker's program never starts a server says so", async () => {
    const scene = await workers.start({ workers: { count: 2, startTimeoutMs: 3000 }, broken: "hangs" });
    expect(scene.said.failed).toMatch(
      /worker [12] did not reach start\(\) .* within 3000 ms \(workers\.startTimeoutMs\)/,
    );
    expect(await scene.ended).toBe(1);
  });

  it("because the port is taken says by whom, once", async () => {
    const holder = createNetServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    closers.push(() => holder.close());
    const { port } = holder.address() as { port: number };
    const scene = await workers.start({ workers: 3, listen: `127.0.0.1:${port}` });
    const text = `cannot listen on 127.0.0.1:${port}: port ${port} is taken by process ${process.pid}`;
    expect(scene.said.failed).toContain(`server.start(): worker 1 could not start: ${text}`);
    expect(await scene.ended).toBe(1);
    expect(scene.stderr).toBe("");
  });
});

describe("workers in a registry", { timeout: 60_000 }, () => {
  /** A registry in a folder of its own, with what it shows. */
  function useRegistry(): { readonly directory: string; readonly seen: WatchRecorder } {
    const directory = temporaryDirectory();
    const registry = createLocalRegistry({ directory }, { clock: systemClock, random: systemRandom, environment: {} });
    closers.unshift(() => registry.close());
    return { directory, seen: new WatchRecorder(registry, "text.rpc") };
  }

  it("are one instance at a shared port, and fail no call when they stop under load", async () => {
    const { directory, seen } = useRegistry();
    const options = { workers: 2, name: "text.rpc", directory, drainAcceptMs: 500 };
    const scene = await workers.start({ ...options, instanceId: "one" });
    const other = await workers.start({ ...options, instanceId: "two" });
    const { instances } = await seen.untilIds("one", "two");
    expect(instances.map(({ addresses }) => addresses[0].address)).toEqual([scene.address, other.address]);
    const load = new Load(scene.client("text.rpc", { registry: local({ directory }) }), 20);
    await load.more(500);
    scene.process.kill("SIGTERM");
    await seen.untilIds("two");
    await load.more(500);
    expect(await scene.ended).toBe(0);
    await load.more(500);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(scene.stderr).toBe("");
    await other.ask({ ask: "close" });
    await seen.untilIds();
  });

  it("are an instance each with ports of their own, and are in again once they serve again", async () => {
    const { directory, seen } = useRegistry();
    const scene = await workers.start({
      workers: { count: 3, ports: "own" },
      name: "text.rpc",
      instanceId: "text",
      directory,
    });
    const all = await scene.workers();
    const { instances } = await seen.untilIds("text-1", "text-2", "text-3");
    const addresses = all.map(({ address }) => address);
    expect(new Set(addresses).size).toBe(3);
    expect(instances.map((instance) => instance.addresses[0].address)).toEqual(addresses);
    const client = scene.client("text.rpc", { registry: local({ directory }), balancer: "round_robin" });
    const reached = new Set<number>();
    while (reached.size < 3) reached.add(Number(await client.say("pid")));
    expect(reached).toEqual(new Set(ids(all)));
    process.kill(all[1].pid, "SIGKILL");
    await seen.untilIds("text-1", "text-3");
    await seen.untilIds("text-1", "text-2", "text-3");
    // It is in the registry a moment before the process that started it hears of it.
    let [, second] = await scene.workers();
    while (second.state !== "serving") [, second] = await scene.workers();
    expect(second.restarts).toBe(1);
    while (!reached.has(second.pid)) reached.add(Number(await client.say("pid")));
    scene.process.kill("SIGTERM");
    await seen.untilIds();
    expect(await scene.ended).toBe(0);
  });

  it("advertise ports one after another, though all read one variable", async () => {
    const { directory, seen } = useRegistry();
    closers.push(() => vi.unstubAllEnvs());
    vi.stubEnv("BOWLINE_ADVERTISE", "lb.example.com:30080");
    const options = { name: "text.rpc", instanceId: "text", directory, selfCheck: false };
    await workers.start({ workers: { count: 2, ports: "own" }, ...options });
    const { instances } = await seen.untilIds("text-1", "text-2");
    const addresses = instances.map((instance) => instance.addresses[0].address);
    expect(addresses).toEqual(["lb.example.com:30080", "lb.example.com:30081"]);
  });

  it("listen on ports one after another", async () => {
    const port = await freePorts(3);
    const scene = await workers.start({ workers: { count: 3, ports: "own" }, listen: `127.0.0.1:${port}` });
    expect((await scene.workers()).map(({ address }) => address)).toEqual(
      [0, 1, 2].map((offset) => `127.0.0.1:${port + offset}`),
    );
    expect(scene.address).toBe(`127.0.0.1:${port}`);
  });

  it("are paused, weighted and resumed together by their primary, also one that has just started again", async () => {
    const { directory, seen } = useRegistry();
    const options = { name: "text.rpc", instanceId: "text", directory };
    const scene = await workers.start({ workers: { count: 2, ports: "own" }, ...options });
    await seen.untilIds("text-1", "text-2");
    await scene.ask({ ask: "weight", weight: 4 });
    await seen.until(({ instances }) => instances.every(({ weight }) => weight === 4));
    await scene.ask({ ask: "pause" });
    await seen.untilIds();
    const [one] = await scene.workers();
    process.kill(one.pid, "SIGKILL");
    await scene.until(
      () => scene.workers(),
      ([first]) => first.state === "serving" && first.restarts === 1,
    );
    expect(seen.ids).toEqual([]);
    await scene.ask({ ask: "resume" });
    const { instances } = await seen.untilIds("text-1", "text-2");
    expect(instances.map(({ weight }) => weight)).toEqual([4, 4]);
    // All have answered, and without an error.
    expect(scene.stderr).not.toContain("have not done");
  });
});

describe("a process that can't have workers", { timeout: 60_000 }, () => {
  const server = new URL("../create-server.ts", import.meta.url).href;
  const create = `const { createServer } = await import(${JSON.stringify(server)}); const server = createServer({ listen: "127.0.0.1:0", workers: 1 });`;

  /** What a program writes on its standard error until it has ended. */
  async function errors(...args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [...args], { stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
    await once(child, "close");
    return text;
  }

  function program(source: string): string {
    const path = join(temporaryDirectory(), "program.mjs");
    writeFileSync(path, source);
    return path;
  }

  it.each([
    [
      "a worker thread",
      'import { Worker } from "node:worker_threads"; new Worker(CREATE, { eval: true });',
      "start the server in the main thread",
    ],
    [
      "another's worker",
      'import cluster from "node:cluster"; if (cluster.isPrimary) cluster.fork(); else { CREATE }',
      "is a worker of another node:cluster already",
    ],
    [
      "one with two such servers",
      "CREATE await server.start(); await createServer({ workers: 2 }).start();",
      "another server of this process has workers already",
    ],
  ])("says why: %s", async (_what, source, reason) => {
    const isThread = source.includes("new Worker");
    const text = isThread ? JSON.stringify(`(async () => { ${create} })()`) : create;
    expect(await errors(program(source.replace("CREATE", () => text)))).toContain(reason);
  });

  it("says why: one that runs no file", async () => {
    expect(await errors("--input-type=module", "-e", create)).toContain("name one in workers.entry");
  });
});

/** The first of several ports in a row that are free now, below those that systems give out for port 0. */
async function freePorts(count: number): Promise<number> {
  for (let first = 20_000 + (process.pid % 10_000); ; first += count) {
    const bound = await Promise.all(Array.from({ length: count }, (_, i) => listenOnce(first + i)));
    if (bound.every((port) => port > 0)) return first;
  }
}

/** The port that was bound, and is free again; 0 if it is taken. */
async function listenOnce(port: number): Promise<number> {
  const server = createNetServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(0));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
