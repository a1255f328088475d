import { basename, dirname } from "node:path";
import type { FileFacts, FileSystem } from "../src/registry/local/file-system.ts";
import type { ProcessIdentity, ProcessTable } from "../src/registry/local/process-table.ts";

interface Node {
  kind: FileFacts["kind"];
  text: string;
  readonly born: number;
  modifiedMs: number;
  ownerId: number;
  permissions: number;
}

/** What a test can make fail: an operation, on paths that contain a text. */
interface Fault {
  readonly operation: keyof FileSystem;
  readonly part: string;
  readonly code: string;
}

/** A file system in memory with a clock, events that can be lost, and faults. */
export class MemoryFileSystem implements FileSystem {
  readonly userId: number = 1000;
  readonly nodes: Map<string, Node> = new Map();
  /** False loses all events, as file systems in a network do. */
  tellsEvents: boolean = true;
  /** Reads since the start, by path. */
  readonly reads: string[] = [];
  /** How often directories were listed. */
  lists = 0;
  faults: Fault[] = [];
  readonly #now: () => number;
  readonly #watches = new Set<{
    readonly path: string;
    readonly born: number;
    readonly changed: (name: string | null) => void;
  }>();
  #births = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Watches that are open. */
  get watches(): number {
    return this.#watches.size;
  }

  wallTimeMs(): number {
    return 1_700_000_000_000 + this.#now();
  }

  async makeDirectory(path: string): Promise<void> {
    this.#check("makeDirectory", path);
    if (this.nodes.has(path) || path === "/") return;
    await this.makeDirectory(dirname(path));
    this.#add(path, "directory", "", 0o700);
  }

  async list(path: string): Promise<readonly string[]> {
    this.lists++;
    this.#check("list", path);
    if (this.#node(path).kind !== "directory") throw failure("ENOTDIR", path);
    return [...this.nodes.keys()].filter((each) => dirname(each) === path).map((each) => each.slice(path.length + 1));
  }

  async facts(path: string): Promise<FileFacts> {
    this.#check("facts", path);
    const { kind, text, born, modifiedMs, ownerId, permissions } = this.#node(path);
    return { kind, identity: String(born), sizeBytes: Buffer.byteLength(text), modifiedMs, ownerId, permissions };
  }

  async read(path: string, maxBytes: number): Promise<string> {
    this.#check("read", path);
    this.reads.push(path);
    return Buffer.from(this.#node(path).text).toString("utf8", 0, maxBytes);
  }

  async writeAtomically(path: string, _temporaryPath: string, text: string): Promise<void> {
    this.#check("writeAtomically", path);
    this.write(path, text);
  }

  async touch(path: string): Promise<void> {
    this.#check("touch", path);
    this.#node(path).modifiedMs = this.wallTimeMs();
  }

  async remove(path: string): Promise<void> {
    this.#check("remove", path);
    this.#node(path);
    this.delete(path);
  }

  watch(path: string, changed: (name: string | null) => void): { close(): void } | null {
    if (this.faults.some(({ operation }) => operation === "watch")) return null;
    const watch = { path, born: this.#node(path).born, changed };
    this.#watches.add(watch);
    return { close: () => this.#watches.delete(watch) };
  }

  /** Puts a file there, as somebody else would. */
  write(path: string, text: string, kind: FileFacts["kind"] = "file"): void {
    if (!this.nodes.has(dirname(path))) throw failure("ENOENT", path);
    this.#add(path, kind, text, 0o600);
  }

  /** Takes a path away with all below it. */
  delete(path: string): void {
    const removed = [...this.nodes.keys()].filter((each) => each === path || each.startsWith(`${path}/`));
    for (const each of removed) this.nodes.delete(each);
    for (const each of removed) this.#tell(each, null);
    this.#tell(dirname(path), basename(path));
  }

  #add(path: string, kind: FileFacts["kind"], text: string, permissions: number): void {
    const born = ++this.#births;
    this.nodes.set(path, { kind, text, born, modifiedMs: this.wallTimeMs(), ownerId: this.userId, permissions });
    this.#tell(dirname(path), basename(path));
  }

  #tell(path: string, name: string | null): void {
    if (!this.tellsEvents) return;
    // Like inotify: a watch belongs to a directory, not to another one that takes its name.
    for (const watch of [...this.#watches]) {
      const born = this.nodes.get(watch.path)?.born ?? watch.born;
      if (watch.path === path && watch.born === born) watch.changed(name);
    }
  }

  #node(path: string): Node {
    const node = this.nodes.get(path);
    if (node === undefined) throw failure("ENOENT", path);
    return node;
  }

  #check(operation: keyof FileSystem, path: string): void {
    const fault = this.faults.find((each) => each.operation === operation && path.includes(each.part));
    if (fault !== undefined) throw failure(fault.code, path);
  }
}

/** Processes that live and die as a test wants. */
export class FakeProcesses implements ProcessTable {
  readonly self: ProcessIdentity;
  /** Start times by pid of all that run in this pid space. */
  readonly running: Map<number, string> = new Map();

  constructor(pid: number = 1) {
    this.self = { pid, startTime: `start-${pid}`, pidSpace: "here" };
    this.running.set(pid, this.self.startTime);
  }

  state(process: ProcessIdentity, closely: boolean): "running" | "gone" | "unseen" {
    if (process.pidSpace !== this.self.pidSpace) return "unseen";
    const startTime = this.running.get(process.pid);
    return startTime === undefined || (closely && startTime !== process.startTime) ? "gone" : "running";
  }
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
