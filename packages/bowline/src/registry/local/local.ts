import { checkInstance, checkServiceName } from "../instance/instance.ts";
import type { Instance, Registration, Registry, Watcher, WatchHandler } from "../registry.ts";
import type { RegistryConfig, RegistryContext } from "../registry-config.ts";
import { type FileSystem, nodeFileSystem } from "./file-system.ts";
import { LeaseDirectory } from "./lease-directory.ts";
import { LeaseSet, type ScanResult } from "./lease-set.ts";
import { checkLocalOptions, DEFAULT_NAMESPACE, type LocalOptions, rootDirectory } from "./options.ts";
import { type ProcessTable, systemProcessTable } from "./process-table.ts";
import { LocalRegistration } from "./registrar.ts";
import { LocalWatcher } from "./watcher.ts";

export type { LocalOptions } from "./options.ts";

/** The machine as this registry sees it; tests bring their own. */
export interface LocalHost {
  readonly files: FileSystem;
  readonly processes: ProcessTable;
}

/**
 * The embedded registry: processes of one user on one machine find each other, without a server.
 *
 * Each instance is a small file in a directory that belongs to the user. The file is renewed each 500 ms, removed on
 * close, and put back if it is lost. A process that was killed is out within 2 s, one that was stopped (SIGSTOP) after
 * 15 s; whoever sees the file of a dead process removes it.
 *
 * @throws TypeError if an option is malformed
 */
export function local(options: LocalOptions = {}): RegistryConfig {
  checkLocalOptions(options);
  return { name: "local", create: (context) => createLocalRegistry(options, context) };
}

/** Starts what {@link local} describes. The directory is not touched before the first registration or watch. */
export function createLocalRegistry(
  options: LocalOptions,
  context: RegistryContext,
  host: LocalHost = { files: nodeFileSystem, processes: systemProcessTable() },
): Registry {
  checkLocalOptions(options);
  const root = rootDirectory(options, context.environment);
  return new LocalRegistry(
    new LeaseDirectory(host.files, root, options.namespace ?? DEFAULT_NAMESPACE, context.random),
    context,
    host,
  );
}

class LocalRegistry implements Registry {
  readonly name: string = "local";
  readonly isMachineOnly: boolean = true;
  readonly #directory: LeaseDirectory;
  readonly #context: RegistryContext;
  readonly #host: LocalHost;
  /** By lease path. */
  readonly #registrations = new Map<string, LocalRegistration>();
  readonly #watchers = new Set<LocalWatcher>();
  #isClosed = false;

  constructor(directory: LeaseDirectory, context: RegistryContext, host: LocalHost) {
    this.#directory = directory;
    this.#context = context;
    this.#host = host;
  }

  async register(service: string, instance: Instance): Promise<Registration> {
    this.#checkOpen();
    checkServiceName(service);
    checkInstance(instance);
    const path = this.#directory.leasePathOf(service, instance.id);
    if (this.#registrations.has(path)) throw takenError(instance.id, service, "this process");
    const registration = this.#newRegistration(path, service, instance);
    this.#registrations.set(path, registration);
    try {
      await this.#checkFree(service, instance.id);
      await registration.start();
      // Closed while it was being written: then the file is gone again.
      if (registration.state === "closed") this.#checkOpen();
      return registration;
    } catch (error) {
      this.#registrations.delete(path);
      throw error;
    }
  }

  watch(service: string, handler: WatchHandler): Watcher {
    this.#checkOpen();
    checkServiceName(service);
    const watcher: LocalWatcher = new LocalWatcher(
      service,
      this.#directory,
      this.#host,
      this.#context.clock,
      handler,
      () => {
        this.#watchers.delete(watcher);
      },
    );
    this.#watchers.add(watcher);
    return watcher;
  }

  /** Those that have a living instance. */
  async services(): Promise<readonly string[]> {
    this.#checkOpen();
    const living: string[] = [];
    for (const service of await this.#directory.services()) {
      const { instances } = await this.#scan(new LeaseSet(service, this.#host.processes));
      if (instances.length > 0) living.push(service);
    }
    return living.sort();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watcher of this.#watchers) watcher.close();
    await Promise.all([...this.#registrations.values()].map((registration) => registration.close()));
  }

  #newRegistration(path: string, service: string, instance: Instance): LocalRegistration {
    const context = {
      directory: this.#directory,
      clock: this.#context.clock,
      process: this.#host.processes.self,
      report: this.#context.report ?? (() => {}),
    };
    return new LocalRegistration(service, instance, context, () => this.#registrations.delete(path));
  }

  /** Two living processes under one id would take each other's file; and a look around removes what the dead left. */
  async #checkFree(service: string, instanceId: string): Promise<void> {
    const leases = new LeaseSet(service, this.#host.processes);
    await this.#scan(leases);
    const holder = leases.leaseOf(instanceId)?.process;
    if (holder === undefined || this.#host.processes.state(holder, true) !== "running") return;
    throw takenError(instanceId, service, `process ${holder.pid}`);
  }

  /** One look around, without a word on files that are no leases. */
  async #scan(leases: LeaseSet): Promise<ScanResult> {
    const identity = await this.#directory.prepare(leases.service);
    return this.#directory.scan(leases, identity, this.#context.clock.fresh(), () => {});
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error("local registry: closed; make another one");
  }
}

function takenError(instanceId: string, service: string, holder: string): Error {
  return new Error(
    `local registry: instance ${JSON.stringify(instanceId)} of ${service} is registered by ${holder}; ` +
      "each instance needs an id of its own, such as the name with process id and a random part",
  );
}
