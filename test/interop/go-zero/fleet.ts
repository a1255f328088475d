import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Client, type ClientOptions, createClient, type Service } from "bowline";
import { Echo, type EchoClient, type EchoHandlers } from "../../gen/peer/v1/echo_rpc.ts";
import { Child, type PeerLine } from "../../peers/child.ts";

/** In which framework a process of the fleet is written. */
export type Kind = "go-zero" | "bowline";

/** A server of the fleet, in a process of its own. */
export interface FleetServer {
  readonly kind: Kind;
  readonly id: string;
  /** `127.0.0.1:port`, as it is registered. */
  readonly address: string;
  readonly process: Child;
}

/** How one server differs from the others. */
export interface ServerPlan {
  /** Default: a free port of 127.0.0.1. */
  readonly listen?: string;
  /** `app:token` that callers must send. */
  readonly auth?: string;
  /** go-zero's: the CPU load in thousandths above which calls may be shed; 0: never. Default 0, the machine is busy with tests. */
  readonly cpuThreshold?: number;
}

const BOWLINE_SERVER = fileURLToPath(new URL("./bowline-server.ts", import.meta.url));

/** `Echo` with its methods marked as what they are: asking twice does no harm. */
export const idempotentEcho: Service<EchoClient, EchoHandlers> = {
  ...Echo,
  methods: Object.fromEntries(
    Object.entries(Echo.methods).map(([name, method]) => [name, { ...method, idempotency: "idempotent" } as const]),
  ),
};

/** One key in one etcd, with servers and clients of both frameworks. */
export class Fleet {
  readonly key: string;
  readonly #etcd: string;
  readonly #programs: string;
  readonly #processes: Child[] = [];
  readonly #clients: Client<EchoClient>[] = [];
  readonly #addresses: Map<string, string> = new Map();
  #last = 0;

  /** @param programs folder of the Go programs */
  constructor(etcd: string, key: string, programs: string) {
    this.#etcd = etcd;
    this.key = key;
    this.#programs = programs;
  }

  /** Starts a server and waits until it serves. */
  async serve(kind: Kind, plan: ServerPlan = {}): Promise<FleetServer> {
    const id = `${kind}-${++this.#last}`;
    const process = this.#spawn(kind === "go-zero" ? this.#goServer(id, plan) : this.#bowlineServer(id, plan));
    const { addr } = await process.next("ready");
    this.#addresses.set(id, String(addr));
    return { kind, id, address: String(addr), process };
  }

  /** Where the server of this id serves. */
  addressOf(id: string): string | undefined {
    return this.#addresses.get(id);
  }

  /** Starts servers of both kinds, so many of each. */
  async serveBoth(each: number, plan: ServerPlan = {}): Promise<FleetServer[]> {
    const servers: FleetServer[] = [];
    // One after another: the machine may be small.
    for (let i = 0; i < each; i++) {
      for (const kind of ["go-zero", "bowline"] as const) servers.push(await this.serve(kind, plan));
    }
    return servers;
  }

  /** A Bowline client that finds the fleet as go-zero writes its target. */
  client(options: ClientOptions = {}): Client<EchoClient> {
    const target = `etcd:///${this.#etcd}?key=${this.key}`;
    const client = createClient(idempotentEcho, target, { snapshotFolder: false, ...options });
    this.#clients.push(client);
    return client;
  }

  /** A go-zero client of the fleet, with further arguments of test/peers/go's gozero-client. */
  goClient(...args: readonly string[]): Child {
    return this.#spawn({
      command: join(this.#programs, "gozero-client"),
      args: ["-etcd", this.#etcd, "-key", this.key, ...args],
    });
  }

  /** Ends all clients and servers. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    for (const process of this.#processes) process.kill();
    await Promise.all(this.#processes.map((process) => process.stop()));
  }

  #spawn(program: { readonly command: string; readonly args: readonly string[] }): Child {
    const child = new Child(program);
    this.#processes.push(child);
    return child;
  }

  #goServer(id: string, { listen, auth, cpuThreshold = 0 }: ServerPlan): { command: string; args: string[] } {
    const args = ["-id", id, "-etcd", this.#etcd, "-key", this.key, "-cpu-threshold", String(cpuThreshold)];
    if (listen !== undefined) args.push("-listen", listen);
    if (auth !== undefined) args.push("-auth", auth);
    return { command: join(this.#programs, "gozero-server"), args };
  }

  #bowlineServer(id: string, { listen = "127.0.0.1:0", auth }: ServerPlan): { command: string; args: string[] } {
    const args = [BOWLINE_SERVER, this.#etcd, this.key, id, listen];
    return { command: process.execPath, args: auth === undefined ? args : [...args, auth] };
  }
}

/** Calls one after another in several rows until it is told to stop. */
export class SteadyCalls {
  /** Answers by server. */
  readonly answers: Map<string, number> = new Map();
  readonly failures: string[] = [];
  readonly #rows: Promise<void>[];
  #isOver = false;

  constructor(client: Client<EchoClient>, rows: number) {
    this.#rows = Array.from({ length: rows }, () => this.#call(client));
  }

  /** Ends when the calls that run have ended. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#rows);
  }

  async #call(client: Client<EchoClient>): Promise<void> {
    while (!this.#isOver) {
      try {
        // Longer than any test machine stands still; a call that is lost fails by it.
        const { serverId } = await client.unary({}, { timeoutMs: 15_000 });
        this.answers.set(serverId, (this.answers.get(serverId) ?? 0) + 1);
      } catch (error) {
        this.failures.push(String(error));
      }
      // Other processes need the processor, too.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** What gozero-client printed at the end of its checks. */
export interface CheckSummary extends PeerLine {
  readonly passed: number;
  readonly failed: readonly string[];
}

/** What gozero-client printed at the end of a load. */
export interface LoadResult extends PeerLine {
  readonly ok: number;
  readonly errors: number;
  readonly by_server: Readonly<Record<string, number>>;
  readonly by_error?: Readonly<Record<string, number>>;
}
