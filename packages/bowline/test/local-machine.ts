import { instanceAt } from "../src/registry/instance/instance.ts";
import { encodeLease, type Lease, leaseFileName } from "../src/registry/local/lease-file.ts";
import { createLocalRegistry, type LocalOptions } from "../src/registry/local/local.ts";
import type { Instance, Registry } from "../src/registry/registry.ts";
import { seededRandom } from "../src/rpc/random.ts";
import { ManualClock } from "./manual-clock.ts";
import { FakeProcesses, MemoryFileSystem } from "./memory-file-system.ts";

const DIRECTORY = "/run/user/1000/bowline";

/** A machine in memory on which processes share a directory; its time moves when a test says so. */
export class LocalMachine {
  readonly clock: ManualClock = new ManualClock();
  readonly files: MemoryFileSystem = new MemoryFileSystem(() => this.clock.now());
  readonly processes: FakeProcesses = new FakeProcesses();
  readonly reports: Error[] = [];
  /** Where the leases of `user.rpc` are. */
  readonly path: string = `${DIRECTORY}/default/user.rpc`;

  /** A registry as a process of its own has one. */
  registry(pid: number = 1, options: LocalOptions = { directory: DIRECTORY }): Registry {
    this.processes.running.set(pid, `start-${pid}`);
    const processes = new FakeProcesses(pid);
    const table = { self: processes.self, state: this.processes.state.bind(this.processes) };
    const context = {
      clock: this.clock,
      random: seededRandom(pid),
      environment: {},
      report: (error: Error) => this.reports.push(error),
    };
    return createLocalRegistry(options, context, { files: this.files, processes: table });
  }

  /** Kills a process: its timers are the test's to stop, its number is free. */
  kill(pid: number): void {
    this.processes.running.delete(pid);
  }

  /** Writes a lease as a process would that this test does not run; it is renewed only by `renew`. */
  async lease(id: string, process: LeaseOwner): Promise<void> {
    await this.files.makeDirectory(this.path);
    this.files.write(this.leasePath(id), leaseText(id, process));
  }

  renew(id: string): Promise<void> {
    return this.files.touch(this.leasePath(id));
  }

  leasePath(id: string): string {
    return `${this.path}/${leaseFileName(id)}`;
  }

  /** Names of the files of `user.rpc`. */
  get names(): string[] {
    return [...this.files.nodes.keys()]
      .filter((path) => path.startsWith(`${this.path}/`))
      .map((path) => path.slice(this.path.length + 1));
  }
}

/** Whose lease it is; what is left out is that of a process of this machine. */
export type LeaseOwner = Partial<Lease["process"]> & { readonly pid: number };

/** The lease of a plain instance of `user.rpc`. */
export function leaseText(id: string, owner: LeaseOwner): string {
  const process = { startTime: `start-${owner.pid}`, pidSpace: "here", ...owner };
  return encodeLease({ service: "user.rpc", process, instance: instance(id) });
}

/** A plain instance with an id. */
export function instance(id: string): Instance {
  return { ...instanceAt("10.0.0.7:8080"), id };
}
