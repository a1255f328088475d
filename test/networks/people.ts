import { fileURLToPath } from "node:url";
import type { Ended, Host } from "../chaos/network/host.ts";
import type { Child, Program } from "../peers/child.ts";
import type { Calling, Opening, Outcome } from "./orders.ts";
import type { ServerPlan } from "./server-plan.ts";

const SERVER = fileURLToPath(new URL("./server.ts", import.meta.url));
const CALLER = fileURLToPath(new URL("./caller.ts", import.meta.url));
const BOWLINE = fileURLToPath(new URL("../../packages/cli/src/bin.ts", import.meta.url));
/** Beyond the 20 s that a child has anyway: machines are busy, and what is awaited comes in any case. */
const PATIENCE_MS = 60_000;
/** Longer than a connection may take, so that a call tells of the connection and not of its deadline. */
const CALL_MS = 15_000;

/** A server in a process of its own. */
export interface Served {
  readonly child: Child;
  /** What it has told the registry, see `ServerReady`. */
  readonly registered: readonly string[];
  /** The first warning in its log. */
  readonly warning: Promise<string>;
}

/** Starts a server of ours on a host; resolves when it is registered. `env` is added to its environment. */
export async function serve(host: Host, plan: ServerPlan, env: Program["env"] = {}): Promise<Served> {
  const child = host.start({ command: process.execPath, args: [SERVER, JSON.stringify(plan)], env });
  const warning = child.next("warning", PATIENCE_MS).then((line) => String(line.warning));
  // Most servers have nothing to warn of.
  warning.catch(() => {});
  const { registered } = await child.next("registered", PATIENCE_MS);
  return { child, registered: registered as readonly string[], warning };
}

/** A process on a host that calls as it is told. Its clients stay open while servers come and go. */
export class Caller {
  readonly #child: Child;
  #count = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(host: Host): Promise<Caller> {
    const child = host.start({ command: process.execPath, args: [CALLER] });
    await child.next("ready", PATIENCE_MS);
    return new Caller(child);
  }

  /** Makes a client; its name is for the calls. */
  async open(target: string, options: Pick<Opening, "networks" | "rewrite"> = {}): Promise<string> {
    const open = `client-${++this.#count}`;
    await this.#order({ open, target, ...options });
    return open;
  }

  /** One call. */
  call(client: string, timeoutMs: number = CALL_MS): Promise<Outcome> {
    return this.#order({ call: client, timeoutMs });
  }

  /** Calls until the server answers, and gives the last call's outcome, which is another one if the server never does. */
  callUntil(client: string, server: string): Promise<Outcome> {
    return this.#order({ call: client, timeoutMs: CALL_MS, until: server });
  }

  /** One call by a client that is made for it. */
  async callOnce(target: string, options: Pick<Opening, "networks" | "rewrite"> = {}): Promise<Outcome> {
    return this.call(await this.open(target, options));
  }

  async #order(order: Opening | Calling): Promise<Outcome> {
    const answered = this.#child.next("outcome", 2 * PATIENCE_MS);
    this.#child.send({ ...order });
    return (await answered).outcome as Outcome;
  }
}

/** Runs a command of `bowline` on a host, to its end. */
export function bowline(host: Host, ...args: readonly string[]): Promise<Ended> {
  return host.execute({ command: process.execPath, args: [BOWLINE, ...args], env: { NO_COLOR: "1" } });
}
