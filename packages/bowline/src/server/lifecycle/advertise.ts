import { formatAddress, formatHostPort, isUnixAddress, parseListenAddress } from "../../net/address.ts";
import { readAddressBlock } from "../../registry/instance/cidr.ts";
import type { Address } from "../../registry/registry.ts";
import {
  type AdvertiseEntry,
  type AdvertiseForm,
  type AdvertiseOption,
  readAdvertise,
  readAdvertiseForm,
  withNextPort,
} from "./advertise-option.ts";
import { describeAddresses, type Interfaces, isLoopback, type OwnAddress, ownAddresses } from "./interfaces.ts";

/** What the addresses of a server follow from, besides its options. */
export interface AdvertiseWorld {
  /** What was bound, `0.0.0.0:8080`. */
  readonly bound: string;
  readonly interfaces: Interfaces;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The registry is seen on this machine only: loopback will do. */
  readonly isMachineOnly: boolean;
  /** The local address of the connection to the registry; null while there is none, or where that is not known. */
  readonly reachedFrom: string | null;
  /** Added to ports that variables name: all of several servers that each have a port read the same ones. */
  readonly portOffset: number;
}

/** What a server tells others to connect to. */
export interface Advertised {
  readonly addresses: readonly Address[];
  /** What a user should know of the choice, with the setting that makes another. */
  readonly notes: readonly string[];
  /** The registry may show a better choice once it can be reached. */
  readonly isProvisional: boolean;
}

/** The variable that stands for the option where the option is left out. */
export const ADVERTISE_VARIABLE = "BOWLINE_ADVERTISE";
/** Where Kubernetes tells a pod its address, by custom; go-zero reads it too. */
const POD_VARIABLE = "POD_IP";
const OPTION = "createServer options.advertise";

/**
 * The addresses to advertise: the option; without it `BOWLINE_ADVERTISE`; without that what was bound or, for a wildcard, `POD_IP`, else
 * the machine's address by which it reaches the registry.
 *
 * Loopback is chosen only where the registry is this machine's own, or there is no other address; bridges of containers and VPNs only where
 * nothing else is there. `networks` label addresses that have no network of their own.
 *
 * @throws Error that names the option or variable and lists the addresses that there are
 */
export function advertise(
  option: AdvertiseOption | undefined,
  networks: readonly string[],
  world: AdvertiseWorld,
): Advertised {
  const notes: string[] = [];
  const choice = new Choice(world, (note) => notes.push(note));
  const { entries, field } = entriesOf(option, world);
  const addresses = entries.flatMap(({ network, form }) => {
    const address = choice.addressOf(form, field);
    const labels = network === "" && networks.length > 0 ? networks : [network];
    return labels.map((label) => ({ address, network: label }));
  });
  checkDistinct(addresses, field);
  return { addresses, notes, isProvisional: choice.isProvisional };
}

function entriesOf(
  option: AdvertiseOption | undefined,
  world: AdvertiseWorld,
): { readonly entries: readonly AdvertiseEntry[]; readonly field: string } {
  if (option !== undefined) return { entries: readAdvertise(option, OPTION), field: OPTION };
  const text = world.environment[ADVERTISE_VARIABLE]?.trim() ?? "";
  if (text !== "") return { entries: readVariable(text, world.portOffset), field: ADVERTISE_VARIABLE };
  const pod = world.environment[POD_VARIABLE] ?? "";
  const isPod = pod !== "" && !world.isMachineOnly && isWildcard(world.bound);
  const form: AdvertiseForm = isPod ? { kind: "env", name: POD_VARIABLE } : { kind: "auto", port: null };
  return { entries: [{ network: "", form }], field: isPod ? POD_VARIABLE : OPTION };
}

/** One form, or a list of `network=form`, separated by commas. */
function readVariable(text: string, portOffset: number): readonly AdvertiseEntry[] {
  return text.split(",").map((part) => {
    const [, network = "", form] = /^(?:([^=]*)=)?(.*)$/.exec(part.trim()) as RegExpExecArray;
    const own = withNextPort(form, portOffset, ADVERTISE_VARIABLE);
    return { network, form: readAdvertiseForm(own, ADVERTISE_VARIABLE) };
  });
}

/** Makes addresses of forms, on one machine. */
class Choice {
  readonly #world: AdvertiseWorld;
  readonly #note: (text: string) => void;
  readonly #bound: ReturnType<typeof parseListenAddress>;
  /** Those of a version of IP that the listener takes. */
  readonly #own: readonly OwnAddress[];
  isProvisional: boolean = false;

  constructor(world: AdvertiseWorld, note: (text: string) => void) {
    this.#world = world;
    this.#note = note;
    this.#bound = parseListenAddress(world.bound);
    const isIPv4Only = !isUnixAddress(this.#bound) && this.#bound.host === "0.0.0.0";
    this.#own = ownAddresses(world.interfaces).filter(({ family }) => !isIPv4Only || family === "IPv4");
  }

  addressOf(form: AdvertiseForm, field: string): string {
    switch (form.kind) {
      case "unix":
        return `unix:${form.path}`;
      case "env":
        return this.#variable(form.name, field);
      case "auto":
        return isUnixAddress(this.#bound) ? formatAddress(this.#bound) : this.#withPort(this.#auto(), form.port, field);
      case "host":
        return this.#withPort(form.host, form.port, field);
      case "interface":
        return this.#withPort(this.#ofInterface(form.name, field), form.port, field);
      case "cidr":
        return this.#withPort(this.#within(form.block, field), form.port, field);
    }
  }

  #withPort(host: string, port: number | null, field: string): string {
    if (port !== null) return formatHostPort(host, port);
    if (!isUnixAddress(this.#bound)) return formatHostPort(host, this.#bound.port);
    throw new Error(`${field}: ${host} needs a port, for the server listens on the Unix socket ${this.#bound.path}`);
  }

  #variable(name: string, field: string): string {
    const value = this.#world.environment[name]?.trim() ?? "";
    if (value === "") throw new Error(`${field}: the variable ${name} is not set; set it to host or host:port`);
    // Kubernetes gives IPv6 addresses without brackets.
    const isBareIPv6 = typeof readAddressBlock(`${value}/128`) !== "string";
    const variable = `the variable ${name}`;
    const own = withNextPort(isBareIPv6 ? `[${value}]` : value, this.#world.portOffset, variable);
    const form = readAdvertiseForm(own, variable);
    if (form.kind === "host" || form.kind === "unix") return this.addressOf(form, name);
    throw new Error(`the variable ${name} is ${JSON.stringify(value)}: set it to host or host:port`);
  }

  #ofInterface(name: string, field: string): string {
    const found = this.#first(this.#own.filter((each) => each.interface === name && each.kind !== "link-local"));
    if (found !== undefined) return found.host;
    throw new Error(`${field}: this machine has no interface ${name} with a usable address; there are ${this.#list()}`);
  }

  #within(block: { readonly text: string; contains(host: string): boolean }, field: string): string {
    const found = this.#own.find(({ host }) => block.contains(host));
    if (found !== undefined) return found.host;
    throw new Error(`${field}: this machine has no address in ${block.text}; there are ${this.#list()}`);
  }

  #auto(): string {
    const { host } = this.#bound as { readonly host: string };
    if (!isWildcardHost(host)) return host;
    if (this.#world.isMachineOnly) return host === "0.0.0.0" ? "127.0.0.1" : "::1";
    return this.#reached() ?? this.#best();
  }

  /** The address of the connection to the registry, unless it is one that others can hardly use. */
  #reached(): string | null {
    const { reachedFrom } = this.#world;
    if (reachedFrom === null || isLoopback(reachedFrom)) return null;
    const own = this.#own.find(({ host }) => host === reachedFrom);
    if (own === undefined) {
      // The listener has no IPv6 where the registry is reached by it: the same interface may have both.
      const name = ownAddresses(this.#world.interfaces).find(({ host }) => host === reachedFrom)?.interface;
      return this.#first(this.#own.filter((each) => each.interface === name && each.kind === "network"))?.host ?? null;
    }
    if (own.kind === "network") return own.host;
    const other = this.#first(this.#own.filter(({ kind }) => kind === "network"));
    const wish = `advertise: "interface:${own.interface}"`;
    this.#note(
      other === undefined
        ? `advertises ${own.host}, though ${own.interface} looks like a ${own.kind}: nothing else is there`
        : `the registry is reached over ${own.interface}, which looks like a ${own.kind}: advertises ${other.host} of ` +
            `${other.interface} instead; for the other write ${wish}`,
    );
    return (other ?? own).host;
  }

  /** Nothing is known but the interfaces. */
  #best(): string {
    const usable = this.#own.filter(({ kind }) => kind === "network");
    const found = this.#first(usable) ?? this.#first(this.#own.filter(({ kind }) => kind === "VPN"));
    const { host } = this.#bound as { readonly host: string };
    if (found === undefined) {
      this.#note(
        `advertises loopback, which only this machine can reach: there is no other interface (${this.#list()})`,
      );
      return host === "0.0.0.0" ? "127.0.0.1" : "::1";
    }
    // Also on one interface: the registry shows which version of IP there is a way for.
    this.isProvisional = this.#world.reachedFrom === null && usable.length > 1;
    if (new Set(usable.map((each) => each.interface)).size > 1) {
      this.#note(
        `advertises ${found.host} of several (${this.#list()}); if that is the wrong one write advertise: "interface:…" or "cidr:…"`,
      );
    }
    return found.host;
  }

  /** IPv4 before IPv6 where there are both: more clients have it. */
  #first(addresses: readonly OwnAddress[]): OwnAddress | undefined {
    return addresses.find(({ family }) => family === "IPv4") ?? addresses[0];
  }

  #list(): string {
    return describeAddresses(ownAddresses(this.#world.interfaces));
  }
}

function isWildcard(bound: string): boolean {
  const address = parseListenAddress(bound);
  return !isUnixAddress(address) && isWildcardHost(address.host);
}

function isWildcardHost(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "";
}

function checkDistinct(addresses: readonly Address[], field: string): void {
  const seen = new Set<string>();
  for (const { address, network } of addresses) {
    const key = `${network} ${address}`;
    if (seen.has(key)) throw new Error(`${field}: ${address} stands there twice${network && ` for ${network}`}`);
    seen.add(key);
  }
}
