import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it } from "vitest";
import { Load } from "../../test/server/load.ts";
import { failure, useScenes } from "../../test/server/server-scene.ts";
import { type TextClient, TextService } from "../../test/server/text-service.ts";
import { type Client, createClient } from "../client/create-client.ts";
import { Code } from "../rpc/code.ts";

const scenes = useScenes();
const PROGRAM = join(import.meta.dirname, "../../test/server/signal-process.ts");
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Child {
  readonly process: ChildProcess;
  /** What its first line says. */
  readonly said: unknown;
  /** Exit code, or the signal that killed it. */
  readonly ended: Promise<number | string>;
  stderr: string;
}

async function startProcess(servers: number, options: object): Promise<Child> {
  const child = spawn(process.execPath, [PROGRAM, String(servers), JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  closers.push(() => child.kill("SIGKILL"));
  const ended = once(child, "close").then(([code, signal]) => code ?? signal);
  const result: Child = { process: child, said: undefined, ended, stderr: "" };
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    result.stderr += text;
  });
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    ended.then((code) => Promise.reject(new Error(`the process ended with ${code}: ${result.stderr}`))),
  ]);
  return Object.assign(result, { said: JSON.parse(String(line)) as unknown });
}

function connect(target: string): Client<TextClient> {
  const client = createClient(TextService, target, { retry: false, timeoutMs: 10_000 });
  closers.push(() => client.close());
  return client;
}

describe("a process that is asked to end", () => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "by %s drains and ends with 0, under load, without a failed call",
    async (signal) => {
      const other = await scenes.start();
      const child = await startProcess(1, { drainAcceptMs: 50 });
      const [address] = child.said as [string];
      const load = new Load(connect(`static:///${address},${other.server.address}`), 40);
      await load.more(1000);
      child.process.kill(signal);
      expect(await child.ended).toBe(0);
      await load.more(1000);
      const { calls, failures } = await load.stop();
      expect(failures).toEqual([]);
      expect(calls).toBeGreaterThanOrEqual(2000);
      expect(other.server.stats[0].started).toBeLessThan(calls);
      expect(child.stderr).toBe("");
    },
  );

  it("waits for all its servers", async () => {
    const child = await startProcess(2, { drainAcceptMs: 0 });
    const [one, two] = (child.said as string[]).map(connect);
    const answers = Promise.all([one.say("wait 50"), two.say("wait 300")]);
    await Promise.all([one.say("here"), two.say("here")]);
    child.process.kill("SIGTERM");
    expect(await answers).toEqual(["wait 50", "wait 300"]);
    expect(await child.ended).toBe(0);
  });

  it("once more ends at once, with what a shell makes of the signal", async () => {
    const child = await startProcess(1, { drainAcceptMs: 0, drainTimeoutMs: 60_000 });
    const client = connect((child.said as [string])[0]);
    const call = failure(client.say("hang", { timeoutMs: 0 }));
    await client.say("here");
    child.process.kill("SIGTERM");
    const again = setInterval(() => child.process.kill("SIGTERM"), 50);
    expect(await child.ended).toBe(143);
    clearInterval(again);
    expect(await call).toMatchObject({ code: Code.UNAVAILABLE });
  });

  it("while it is starting ends with 0 and without a word", async () => {
    const child = await startProcess(1, { hang: true });
    child.process.kill("SIGTERM");
    expect(await child.ended).toBe(0);
    expect(child.stderr).toBe("");
  });

  it("while one of its servers is starting lets the calls of the other finish", async () => {
    const child = await startProcess(2, { hang: true, drainAcceptMs: 0 });
    const client = connect((child.said as string[])[0]);
    const answer = client.say("wait 200");
    await client.say("here");
    child.process.kill("SIGTERM");
    expect(await answer).toBe("wait 200");
    expect(await child.ended).toBe(0);
    expect(child.stderr).toBe("");
  });

  it("dies of the signal when it handles signals itself, as any process does", async () => {
    const child = await startProcess(1, { handleSignals: false });
    child.process.kill("SIGTERM");
    expect(await child.ended).toBe("SIGTERM");
  });
});
