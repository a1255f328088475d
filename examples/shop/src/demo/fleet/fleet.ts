import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ClientOptions, silentLogger } from "bowline";
import { openRegistry } from "../../instance/registry.ts";
import { FleetInstance, type InstanceState, SERVICES, type ServiceName } from "./fleet-instance.ts";
import { makeRunFolders, type RunFolders, removeRunFolders } from "./run-folder.ts";
import { EtcdRegistry, embeddedRegistry, runningRegistry, type ShopRegistry } from "./shop-registry.ts";

/** Instances at the start. */
const AT_START: Readonly<Record<ServiceName, number>> = { storefront: 1, user: 1, order: 2, inventory: 2, payment: 1 };
/** Instances of all services together, so that nobody's machine is buried. */
const MAX_INSTANCES = 30;
const START_PATIENCE_MS = 60_000;
const RELEASE_PATIENCE_MS = 5_000;
/** Ended instances are shown for this long. */
const SHOWN_MS = 15_000;

/** All processes of the shop. Starts and stops them, and never by itself: what is killed stays dead. */
export class Fleet {
  readonly folders: RunFolders = makeRunFolders();
  registry: ShopRegistry = embeddedRegistry;
  /** Told, in words, of all that happens to an instance. */
  onEvent: (text: string) => void = () => {};
  #instances: FleetInstance[] = [];
  readonly #numbers = new Map<ServiceName, number>();
  #isClosing = false;

  /** All that are shown: the living and those who have ended lately, by service and age. */
  get instances(): readonly FleetInstance[] {
    return this.#instances;
  }

  /** Those of one service that run. */
  living(service: ServiceName): FleetInstance[] {
    return this.#instances.filter((each) => each.service === service && each.isAlive);
  }

  /** How a client finds the shop. */
  async clientOptions(): Promise<ClientOptions> {
    const registry = await openRegistry(this.registry.name, this.folders.namespace);
    // The screen is the demo's; what a logger would say of the registry the table shows.
    return { registry, snapshotFolder: join(this.folders.data, "snapshots"), logger: silentLogger };
  }

  /**
   * Starts the registry, if it is a process of the shop's; before all else. `where`: `local`, `etcd` for one of our own, or one that runs
   * already, as `consul://127.0.0.1:8500`. Rejects with what to do when there is none to be had.
   */
  async openRegistry(where: string): Promise<void> {
    if (where === "etcd") this.registry = await EtcdRegistry.create(this.folders, this.onEvent);
    else if (where !== "local") this.registry = runningRegistry(where);
    await this.registry.start();
    if (this.registry.canBeKilled) this.onEvent(`${this.registry.name} runs, process ${this.registry.pid}`);
  }

  /** SIGKILL to the registry, or its return with what it had. */
  async cutOrMendRegistry(): Promise<void> {
    const { registry } = this;
    if (!registry.canBeKilled) {
      const why =
        registry === embeddedRegistry ? "the embedded registry is files" : `${registry.name} is not the shop's`;
      throw new Error(`${why}: there is no process to kill. Try --registry etcd`);
    }
    if (registry.isRunning) {
      registry.kill();
      return this.onEvent(`${registry.name} killed (SIGKILL): instances go on with what they know`);
    }
    await registry.start();
    this.onEvent(`${registry.name} runs again`);
  }

  /** Starts what belongs to the shop. Resolves when all serve. */
  async startAll(): Promise<void> {
    await Promise.all(
      SERVICES.flatMap((service) => Array.from({ length: AT_START[service] }, () => this.start(service))),
    );
  }

  /** Starts one more. Resolves when it serves; rejects, with the end of its log, when it does not come to that. */
  async start(service: ServiceName): Promise<FleetInstance> {
    if (this.#instances.filter((each) => each.isAlive).length >= MAX_INSTANCES) {
      throw new Error(`${MAX_INSTANCES} processes are enough: kill one first`);
    }
    const number = (this.#numbers.get(service) ?? 0) + 1;
    this.#numbers.set(service, number);
    const instance = new FleetInstance(
      service,
      `${service}-${number}`,
      this.registry.name,
      this.folders,
      (each, before) => {
        if (!this.#isClosing) this.onEvent(inWords(each, before));
      },
    );
    this.#instances.push(instance);
    this.#instances.sort((a, b) => SERVICES.indexOf(a.service) - SERVICES.indexOf(b.service));
    const timer = setTimeout(() => instance.kill(), START_PATIENCE_MS);
    const isReady = await instance.ready();
    clearTimeout(timer);
    if (isReady || this.#isClosing) return instance;
    throw new Error(`${instance.name} did not start: ${logEnd(instance.logFile)}`);
  }

  /**
   * Replaces an instance as every orchestrator does it: first a new one, then SIGTERM. Resolves to the new one when the old one
   * has ended.
   */
  async restart(old: FleetInstance): Promise<FleetInstance> {
    const successor = await this.start(old.service);
    await old.thaw();
    old.terminate();
    await old.ended();
    return successor;
  }

  /** Drops those who ended a while ago, but for the last of its service. */
  forget(now: number): void {
    this.#instances = this.#instances.filter((each) => {
      if (each.isAlive || now - each.endedAt < SHOWN_MS) return true;
      return !this.#instances.some(
        (other) => other !== each && other.service === each.service && other.startedAt > each.startedAt,
      );
    });
  }

  /** SIGTERM to all, and waits until they have ended. */
  async stopAll(): Promise<void> {
    this.#isClosing = true;
    const living = this.#instances.filter((each) => each.isAlive);
    for (const each of living) {
      await each.thaw();
      each.terminate();
    }
    await Promise.all(living.map((each) => each.ended()));
  }

  /** Ends all processes at once, and removes their files. */
  async close(keepLogs: boolean): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#instances.filter((each) => each.isAlive).map((each) => each.release(RELEASE_PATIENCE_MS)));
    await this.registry.close();
    removeRunFolders(this.folders, keepLogs);
  }
}

function inWords({ name, state, address, pid, logFile }: FleetInstance, before: InstanceState): string {
  switch (state) {
    case "starting":
      return `${name} is starting`;
    case "ready":
      if (before === "frozen") return `${name} runs again (SIGCONT)`;
      return `${name} serves on ${address}, process ${pid}`;
    case "frozen":
      return `${name} frozen (SIGSTOP): it holds its connections and answers nothing`;
    case "draining":
      return `${name} drains (SIGTERM): out of the registry, finishing its calls`;
    case "stopped":
      return `${name} has stopped in order`;
    case "killed":
      return `${name} killed (SIGKILL)`;
    case "crashed":
      return `${name} ended by itself: ${logEnd(logFile)}`;
  }
}

/** What a log says of the end: the last line that names an error, or else the last line. */
function logEnd(file: string): string {
  try {
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    return lines.findLast((line) => /^\S*(Error|Exception)\b/.test(line)) ?? (lines.at(-1) || "its log is empty");
  } catch {
    return "it has no log";
  }
}
