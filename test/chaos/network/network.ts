import { Host } from "./host.ts";
import { addNamespace, removeNamespace, sweepNamespaces } from "./namespaces.ts";
import { Router } from "./router.ts";
import { Subnet } from "./subnet.ts";
import { runTool } from "./system-tool.ts";

/** Hosts and routers that a network may have. */
const MAX_HOSTS = 64;
const MAX_SUBNETS = 32;
const NAME = /^[a-z][a-z0-9-]{0,23}$/;

/** How long a network may stay. */
export interface NetworkOptions {
  /** After this many minutes it removes itself, with all that runs in it. Default 30. */
  readonly maxMinutes?: number;
}

/** How a host is connected. */
export interface Attachment {
  /** Its address in the first subnet. Default: the first that is free. */
  readonly address?: string;
  /** Whom it sends everything to that is not of its subnets. Default: nobody. */
  readonly gateway?: Router;
}

/** Hosts, routers and subnets of one run. */
export class Network implements AsyncDisposable {
  /** Where the switches are, a bridge for each subnet. */
  readonly #switches: string;
  readonly #hosts: Host[] = [];
  #subnetCount = 0;
  readonly #timer: ReturnType<typeof setTimeout>;
  #closing: Promise<void> | undefined;

  constructor({ maxMinutes = 30 }: NetworkOptions) {
    this.#switches = addNamespace("switches");
    this.#timer = setTimeout(() => void this[Symbol.asyncDispose](), maxMinutes * 60_000);
    this.#timer.unref();
  }

  /** A range of addresses whose hosts see each other, such as `10.1.0.0/24`. Two may be the same as long as no host is in both. */
  subnet(range: string): Subnet {
    this.#checkOpen();
    if (this.#subnetCount === MAX_SUBNETS) throw new RangeError(`a network has ${MAX_SUBNETS} subnets at most`);
    const subnet = new Subnet(range, `br${this.#subnetCount++}`);
    runTool("ip", ["-n", this.#switches, "link", "add", subnet.bridge, "type", "bridge"]);
    runTool("ip", ["-n", this.#switches, "link", "set", subnet.bridge, "up"]);
    return subnet;
  }

  /** A host in a subnet, or in several. */
  host(name: string, subnets: Subnet | readonly Subnet[], attachment: Attachment = {}): Host {
    return this.#add(new Host(this.#named(name), this.#switches), subnets, attachment);
  }

  /** A host that connects subnets. */
  router(name: string, subnets: Subnet | readonly Subnet[], attachment: Attachment = {}): Router {
    return this.#add(new Router(this.#named(name), this.#switches), subnets, attachment);
  }

  /** Ends all that runs in it and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#hosts.map((host) => host.stopAll()));
    for (const { namespace } of this.#hosts) removeNamespace(namespace);
    removeNamespace(this.#switches);
  }

  #add<H extends Host>(host: H, subnets: Subnet | readonly Subnet[], { address, gateway }: Attachment): H {
    this.#hosts.push(host);
    const all = subnets instanceof Subnet ? [subnets] : subnets;
    for (const [index, subnet] of all.entries()) host.attach(subnet, index === 0 ? address : undefined);
    if (gateway === undefined) return host;
    const shared = all.find((subnet) => gateway.isIn(subnet));
    if (shared === undefined) throw new RangeError(`${host.name} has no subnet in common with ${gateway.name}`);
    host.route("default", gateway.address(shared));
    return host;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new Error("the network has been removed: make another one");
  }

  #named(name: string): string {
    this.#checkOpen();
    if (!NAME.test(name)) throw new RangeError(`a host's name is ${JSON.stringify(name)}: give one such as "client-1"`);
    if (this.#hosts.some((host) => host.name === name)) throw new RangeError(`there is a host ${name} already`);
    if (this.#hosts.length === MAX_HOSTS) throw new RangeError(`a network has ${MAX_HOSTS} hosts at most`);
    return name;
  }
}

/**
 * A network of namespaces of this machine: nothing of it can be reached from outside, and the machine's own network is left alone. Needs
 * what `networksMissing` looks for. It goes away when it is disposed of, and with this process at the latest; what a killed process left
 * is removed here first.
 *
 * ```ts
 * await using network = createNetwork();
 * const internet = network.subnet("203.0.113.0/24");
 * const home = network.subnet("192.168.1.0/24");
 * const box = network.router("box", [internet, home]);
 * box.masquerade(internet);
 * const server = network.host("server", internet);
 * const client = network.host("client", home, { gateway: box });
 * const child = client.start({ command: process.execPath, args: ["client.ts", server.address()] });
 * const healed = box.cutOff(server.address());
 * ```
 */
export function createNetwork(options: NetworkOptions = {}): Network {
  sweepNamespaces();
  return new Network(options);
}
