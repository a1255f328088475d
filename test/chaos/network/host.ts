import { execFile } from "node:child_process";
import { Child, type Program } from "../../peers/child.ts";
import { addNamespace } from "./namespaces.ts";
import type { Subnet } from "./subnet.ts";
import { runTool } from "./system-tool.ts";

/** Packets that are meant; what is not named is any. */
export interface Traffic {
  /** Address or range that they come from. */
  readonly from?: string;
  /** Address or range that they go to. */
  readonly to?: string;
  /** Port that they go to; TCP only, then. */
  readonly toPort?: number;
  /** Port that they come from; TCP only, then. */
  readonly fromPort?: number;
}

/** How a program ended. */
export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Undoes what it was returned for; a second call does nothing. */
export type Undo = () => void;

/** Longest time that a program may take which is run to its end. */
const PATIENCE_MS = 60_000;
const MAX_OUTPUT_BYTES = 16_777_216;

/** Where `iptables` sees packets to, from and through a host. */
const CHAINS = ["INPUT", "OUTPUT", "FORWARD"] as const;

/** A computer of a test's network: a namespace with its own links, routes, firewall and ports. */
export class Host {
  readonly name: string;
  /** Name of its namespace, for `ip netns exec`. */
  readonly namespace: string;
  readonly #switches: string;
  readonly #addresses: Map<Subnet, { readonly link: string; readonly address: string }> = new Map();
  readonly #children: Set<Child> = new Set();

  /** `switches` is the namespace where the bridges are. Made by a network. */
  constructor(name: string, switches: string) {
    this.name = name;
    this.namespace = addNamespace(name);
    this.#switches = switches;
  }

  /** Its address in the subnet; without one, in the first that it was attached to. */
  address(subnet?: Subnet): string {
    return this.#attachment(subnet).address;
  }

  /** True when it is attached to the subnet. */
  isIn(subnet: Subnet): boolean {
    return this.#addresses.has(subnet);
  }

  /** Connects it with a subnet by a cable of its own; the address is the one given, or the first that is free. */
  attach(subnet: Subnet, address?: string): string {
    if (this.#addresses.has(subnet)) throw new RangeError(`${this.name} is attached to ${subnet.range} already`);
    const link = `eth${this.#addresses.size}`;
    const taken = subnet.take(address);
    const port = subnet.nextPort();
    this.ip("link", "add", link, "type", "veth", "peer", "name", port, "netns", this.#switches);
    runTool("ip", ["-n", this.#switches, "link", "set", port, "master", subnet.bridge, "up"]);
    this.ip("address", "add", `${taken}/${subnet.prefix}`, "dev", link);
    this.ip("link", "set", link, "up");
    this.#addresses.set(subnet, { link, address: taken });
    return taken;
  }

  /** Sends what goes to `range` (such as `10.2.0.0/24`, or `default`) by way of an address in one of its subnets. */
  route(range: string, via: string): void {
    this.ip("route", "replace", range, "via", via);
  }

  /**
   * Drops packets that come to, leave or pass it, without a word to anybody, until the returned function is called. One way only:
   * `{ from: a }` leaves what goes to `a` alone.
   */
  drop(traffic: Traffic): Undo {
    const rule = [...match(traffic), "-j", "DROP"];
    for (const chain of CHAINS) this.iptables("-I", chain, ...rule);
    let isUndone = false;
    return () => {
      if (isUndone) return;
      isUndone = true;
      for (const chain of CHAINS) this.iptables("-D", chain, ...rule);
    };
  }

  /** Drops all packets from and to an address, see {@link drop}. */
  cutOff(address: string): Undo {
    const undone = [this.drop({ from: address }), this.drop({ to: address })];
    return () => {
      for (const undo of undone) undo();
    };
  }

  /** Starts a program there, which ends with the network at the latest. */
  start(program: Program, core?: number): Child {
    const args = ["netns", "exec", this.namespace, program.command, ...program.args];
    const child = new Child({ ...program, command: "ip", args }, core);
    this.#children.add(child);
    return child;
  }

  /**
   * Runs a program there to its end, and says how it ended.
   *
   * @throws Error when it can't be started or takes longer than a minute
   */
  execute({ command, args, env }: Program): Promise<Ended> {
    const options = { env: { ...process.env, ...env }, timeout: PATIENCE_MS, maxBuffer: MAX_OUTPUT_BYTES };
    return new Promise((resolve, reject) => {
      execFile("ip", ["netns", "exec", this.namespace, command, ...args], options, (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : error.code;
        if (typeof exitCode === "number") resolve({ exitCode, stdout, stderr });
        else reject(error);
      });
    });
  }

  /**
   * Runs a program there to its end and gives what it prints on stdout; blocks meanwhile.
   *
   * @throws Error with its stderr when it fails
   */
  run(command: string, ...args: readonly string[]): string {
    return runTool("ip", ["netns", "exec", this.namespace, command, ...args]);
  }

  /** `ip` there. */
  ip(...args: readonly string[]): string {
    return runTool("ip", ["-n", this.namespace, ...args]);
  }

  /** `iptables` there. */
  iptables(...args: readonly string[]): string {
    return this.run("iptables", "-w", ...args);
  }

  /** Sets a value of /proc/sys, such as `net.ipv4.ip_forward`, for this host alone. */
  setKernel(name: string, value: number): void {
    this.run("sh", "-c", 'echo "$1" > "$2"', "sh", String(value), `/proc/sys/${name.replaceAll(".", "/")}`);
  }

  /** Ends the programs that were started there. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.stop()));
  }

  /** Name of its link in a subnet. */
  protected link(subnet: Subnet): string {
    return this.#attachment(subnet).link;
  }

  #attachment(subnet?: Subnet): { readonly link: string; readonly address: string } {
    const found = subnet === undefined ? [...this.#addresses.values()][0] : this.#addresses.get(subnet);
    if (found !== undefined) return found;
    throw new RangeError(`${this.name} is not attached to ${subnet?.range ?? "any subnet"}: attach it first`);
  }
}

/** Arguments of `iptables` for packets. */
function match({ from, to, toPort, fromPort }: Traffic): readonly string[] {
  const isTcp = toPort !== undefined || fromPort !== undefined;
  return [
    ...(from === undefined ? [] : ["-s", from]),
    ...(to === undefined ? [] : ["-d", to]),
    ...(isTcp ? ["-p", "tcp"] : []),
    ...(toPort === undefined ? [] : ["--dport", String(toPort)]),
    ...(fromPort === undefined ? [] : ["--sport", String(fromPort)]),
  ];
}
