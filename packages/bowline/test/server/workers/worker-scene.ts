import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { ClientOptions } from "../../../src/client/client-options.ts";
import { type Client, createClient } from "../../../src/client/create-client.ts";
import type { WorkerInfo } from "../../../src/server/workers/worker-slot.ts";
import { type TextClient, TextService } from "../text-service.ts";
import type { ProgramOptions, Question } from "./worker-program.ts";

const PROGRAM = join(import.meta.dirname, "worker-program.ts");

/** What the primary says of all calls. */
export interface Stats {
  readonly methods: readonly { readonly method: string; started: number; inFlight: number; ok: number }[];
  /** Calls in the histogram, by method. */
  readonly timed: readonly number[];
  readonly misbehaved: Readonly<Record<string, number>>;
  readonly connections: number;
}

let clientCount = 0;

/** A primary in a process of its own, with its workers. */
export class WorkerScene {
  readonly process: ChildProcess;
  /** What `start` has led to. */
  readonly said: { readonly serving?: string; readonly failed?: string };
  stderr = "";
  /** Exit code of the primary, or the signal that killed it, once all that write to its standard error have ended: the workers too. */
  readonly ended: Promise<number | string>;
  readonly #clients: Client<object>[] = [];

  constructor(child: ChildProcess) {
    this.process = child;
    this.said = {};
    this.ended = once(child, "close").then(([code, signal]) => code ?? signal);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
  }

  get address(): string {
    return this.said.serving ?? "";
  }

  /** A client with a connection of its own. */
  client(target: string = this.address, options: ClientOptions = {}): Client<TextClient> {
    // Clients of one target share their connections unless they differ in something.
    const idleTimeoutMs = 1_000_000 + clientCount++;
    const client = createClient(TextService, target, { retry: false, timeoutMs: 10_000, idleTimeoutMs, ...options });
    this.#clients.push(client);
    return client;
  }

  /** Clients whose connections were made one after another, with the process that each has reached. */
  async clients(count: number): Promise<{ readonly client: Client<TextClient>; readonly pid: number }[]> {
    const all: { readonly client: Client<TextClient>; readonly pid: number }[] = [];
    for (let i = 0; i < count; i++) {
      const client = this.client();
      all.push({ client, pid: Number(await client.say("pid")) });
    }
    return all;
  }

  onClose(client: Client<object>): void {
    this.#clients.push(client);
  }

  /** Asks the primary. Rejects when it has ended. */
  async ask<Answer>(question: Question): Promise<Answer> {
    this.process.send(question);
    const { answer } = await this.message();
    return answer as Answer;
  }

  /** The next message of the primary. Rejects when it has ended. */
  async message(): Promise<{ readonly answer?: unknown }> {
    const said = once(this.process, "message").then(([message]) => message as { readonly answer?: unknown });
    const ended = this.ended.then((code) => Promise.reject(new Error(`it ended with ${code}: ${this.stderr}`)));
    ended.catch(() => {});
    return Promise.race([said, ended]);
  }

  workers(): Promise<readonly WorkerInfo[]> {
    return this.ask({ ask: "workers" });
  }

  stats(): Promise<Stats> {
    return this.ask({ ask: "stats" });
  }

  /** Asks again and again until the answer is as it should be; fails after 20 s. */
  async until<Answer>(look: () => Promise<Answer>, isRight: (answer: Answer) => boolean): Promise<Answer> {
    const giveUpAt = performance.now() + 20_000;
    for (;;) {
      const answer = await look();
      if (isRight(answer)) return answer;
      if (performance.now() > giveUpAt)
        throw new Error(`this never came true: ${isRight}, last: ${JSON.stringify(answer)}`);
    }
  }

  /** Sends a signal to the whole process group, as a terminal does for Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-(this.process.pid as number), signal);
  }

  async close(): Promise<void> {
    // First of all: whatever else hangs, no process is left behind.
    try {
      this.signalGroup("SIGKILL");
    } catch {
      // All of it has ended.
    }
    for (const client of this.#clients) await client.close();
    await this.ended;
  }
}

/** Starts primaries, each in a process group of its own, which are ended after each test. */
export function useWorkers(): {
  /** Resolves when the primary says that all serve, or that they can't. */
  start(options: ProgramOptions): Promise<WorkerScene>;
  /** Does not wait for that. */
  launch(options: ProgramOptions): WorkerScene;
} {
  let scenes: WorkerScene[] = [];
  afterEach(async () => {
    const all = scenes;
    scenes = [];
    await Promise.all(all.map((scene) => scene.close()));
  });
  const launch = (options: ProgramOptions): WorkerScene => {
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      detached: true,
    });
    const scene = new WorkerScene(child);
    scenes.push(scene);
    return scene;
  };
  const start = async (options: ProgramOptions): Promise<WorkerScene> => {
    const scene = launch(options);
    Object.assign(scene.said, await scene.message());
    return scene;
  };
  return { start, launch };
}
