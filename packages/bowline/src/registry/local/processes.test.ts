import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WatchRecorder } from "../../../test/watch-recorder.ts";
import { systemClock } from "../../rpc/clock.ts";
import { systemRandom } from "../../rpc/random.ts";
import type { Registry } from "../registry.ts";
import { createLocalRegistry } from "./local.ts";

const PROGRAM = fileURLToPath(new URL("../../../test/local-registry-process.ts", import.meta.url));
const SERVICE = "user.rpc";

describe("processes that find each other through a local registry", { timeout: 30_000 }, () => {
  let directory: string;
  let registry: Registry;
  let seen: WatchRecorder;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "bowline-test-"));
    const context = { clock: systemClock, random: systemRandom, environment: {} };
    registry = createLocalRegistry({ directory, namespace: "blue" }, context);
    seen = new WatchRecorder(registry, SERVICE);
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map(kill));
    await registry.close();
    await rm(directory, { recursive: true });
  });

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Starts a process; resolves when it says that it is registered. */
  async function start(id: string, namespace: string = "blue"): Promise<ChildProcess> {
    const child = spawn(process.execPath, [PROGRAM, directory, namespace, SERVICE, id], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    const failed = once(child, "exit").then(([code]) => Promise.reject(new Error(`${id} ended with code ${code}`)));
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), failed]);
    failed.catch(() => {});
    return child;
  }

  /** Milliseconds until the watch shows these ids and no others. */
  async function timeUntilIds(...ids: string[]): Promise<number> {
    const begun = performance.now();
    await seen.untilIds(...ids);
    return performance.now() - begun;
  }

  it("drop one that was killed within 2 s, and remove its file", async () => {
    const [a] = await Promise.all(["a", "b", "c"].map((id) => start(id)));
    await seen.untilIds("a", "b", "c");
    a.kill("SIGKILL");
    expect(await timeUntilIds("b", "c")).toBeLessThan(2_000);
    expect(seen.failures).toEqual([]);
    expect((await readdir(join(directory, "blue", SERVICE))).sort()).toEqual(["b.json", "c.json"]);
  });

  it("drop one that ends in order within 300 ms", async () => {
    const [a] = await Promise.all(["a", "b"].map((id) => start(id)));
    await seen.untilIds("a", "b");
    const exit = once(a, "exit");
    // From when it says so: how fast a busy machine wakes it up is not the registry's doing.
    const closedAt = once(a.stdout as NodeJS.ReadableStream, "data").then(() => performance.now());
    a.kill("SIGTERM");
    await seen.untilIds("b");
    expect(performance.now() - (await closedAt)).toBeLessThan(300);
    expect(await exit).toEqual([0, null]);
  });

  it("keep one that is stopped, which balancers avoid, and see it end when it goes on", async () => {
    const stopped = await start("stopped");
    await seen.untilIds("stopped");
    stopped.kill("SIGSTOP");
    // One behind another: longer than a heartbeat may be late before the process is looked at closely.
    for (const id of ["b", "c", "d", "e"]) await kill(await start(id));
    await seen.untilIds("stopped");
    const withInstances = seen.snapshots.filter(({ instances }) => instances.length > 0);
    expect(withInstances.every(({ instances }) => instances.some(({ id }) => id === "stopped"))).toBe(true);
    stopped.kill("SIGCONT");
    stopped.kill("SIGTERM");
    await seen.untilIds();
  });

  it("do not see another namespace", async () => {
    await Promise.all([start("blue-1"), start("green-1", "green")]);
    await start("blue-2");
    await seen.untilIds("blue-1", "blue-2");
    expect(seen.snapshots.flatMap(({ instances }) => instances.map(({ id }) => id))).not.toContain("green-1");
  });

  it("can start all at once", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    await Promise.all(ids.map((id) => start(id)));
    await seen.untilIds(...ids);
    await Promise.all(children.map(kill));
    expect(await timeUntilIds()).toBeLessThan(2_000);
    expect(seen.failures).toEqual([]);
  });
});
