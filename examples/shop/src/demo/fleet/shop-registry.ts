import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { listServices } from "bowline/registry";
import { findEtcd } from "./etcd-program.ts";
import type { RunFolders } from "./run-folder.ts";

/** Where the instances of a shop find each other. */
export interface ShopRegistry {
  /** For the flag `--registry` of instances. */
  readonly name: string;
  /** Of its process; 0 while there is none. */
  readonly pid: number;
  /** False: there is no process that one could kill. */
  readonly canBeKilled: boolean;
  readonly isRunning: boolean;
  /** Starts it, again with what it had. Resolves when it answers. */
  start(): Promise<void>;
  /** SIGKILL. */
  kill(): void;
  /** Ends it. */
  close(): Promise<void>;
}

/** The registry that belongs to Bowline: files, no process. */
export const embeddedRegistry: ShopRegistry = {
  name: "local",
  pid: 0,
  canBeKilled: false,
  isRunning: true,
  start: async () => {},
  kill: () => {},
  close: async () => {},
};

/** A registry that runs already, as `consul://127.0.0.1:8500`: what becomes of it is its owner's affair. */
export function runningRegistry(name: string): ShopRegistry {
  const start = async (): Promise<void> => {
    const signal = AbortSignal.timeout(ANSWER_PATIENCE_MS);
    await listServices(name, { signal }).catch((cause: Error) => {
      const why = signal.aborted ? `no answer within ${ANSWER_PATIENCE_MS / 1000} s` : cause.message;
      throw new Error(`${name} can't be used: ${why}`, { cause });
    });
  };
  return { ...embeddedRegistry, name, start };
}

const ANSWER_PATIENCE_MS = 5000;
const READY_PATIENCE_MS = 30_000;
const LOOK_MS = 50;

/** A real etcd of one node, on free ports of the loopback, with data of its own. */
export class EtcdRegistry implements ShopRegistry {
  readonly canBeKilled: boolean = true;
  readonly #program: string;
  readonly #folders: RunFolders;
  readonly #ports: readonly [client: number, peer: number];
  #child: ChildProcess | null = null;

  private constructor(program: string, folders: RunFolders, ports: readonly [number, number]) {
    this.#program = program;
    this.#folders = folders;
    this.#ports = ports;
  }

  /** Finds or installs etcd; see `findEtcd`. */
  static async create(folders: RunFolders, say: (text: string) => void): Promise<EtcdRegistry> {
    const program = await findEtcd(say);
    return new EtcdRegistry(program, folders, [await freePort(), await freePort()]);
  }

  get name(): string {
    return `etcd://127.0.0.1:${this.#ports[0]}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child !== null;
  }

  async start(): Promise<void> {
    if (this.#child !== null) return;
    const [client, peer] = this.#ports.map((port) => `http://127.0.0.1:${port}`);
    const log = openSync(join(this.#folders.logs, "etcd.log"), "a");
    const args = [
      "--name",
      "shop",
      "--data-dir",
      join(this.#folders.data, "etcd"),
      "--initial-cluster",
      `shop=${peer}`,
    ];
    const urls = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer];
    const child = spawn(this.#program, [...args, ...urls, "--initial-advertise-peer-urls", peer], {
      stdio: ["ignore", log, log],
      // A session of its own: Ctrl-C in the terminal is the demo's business alone.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    child.once("exit", () => this.#ended(child)).once("error", () => this.#ended(child));
    for (let waitedMs = 0; !(await isHealthy(client)); waitedMs += LOOK_MS) {
      if (this.#child !== child || waitedMs > READY_PATIENCE_MS) {
        throw new Error(`etcd did not start; see ${join(this.#folders.logs, "etcd.log")}`);
      }
      await delay(LOOK_MS);
    }
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  #ended(child: ChildProcess): void {
    if (this.#child === child) this.#child = null;
  }
}

async function isHealthy(url: string): Promise<boolean> {
  return fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) }).then(
    (answer) => answer.ok,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
