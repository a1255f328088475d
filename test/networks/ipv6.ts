import type { Host } from "../chaos/network/host.ts";
import { createNetwork } from "../chaos/network/network.ts";
import type { Site, World } from "./sites.ts";

/** Address of the registry's host, of a prefix that is kept for examples (RFC 3849) and counts as public. */
const REGISTRY = "2001:db8::100";

/** What a site and a host in it have beside IPv4. Addresses are without brackets. */
export interface IPv6Site {
  /** The box's address outside. */
  readonly publicAddress: string;
  /** The host's in the site, unique local (RFC 4193). */
  readonly address: string;
  /** `fd00:1::/64` for the first site. */
  readonly range: string;
}

/** Why networks of IPv6 can't be made where those of IPv4 can, in words; undefined when they can. */
export async function ipv6Missing(): Promise<string | undefined> {
  await using network = createNetwork();
  const router = network.router("probe", network.subnet("10.9.0.0/24"));
  try {
    addAddress(router, "fd00:9::1", "eth0");
    masquerade(router);
    return undefined;
  } catch (error) {
    return `networks of IPv6 with NAT can't be made here: ${error instanceof Error ? error.message : error}`;
  }
}

/** Gives the registry's host an address, and returns it. */
export function addRegistryIPv6({ registry }: World): string {
  addAddress(registry, REGISTRY, "eth0");
  return REGISTRY;
}

/** Gives the site of this number, counted from 1, and a host in it addresses of IPv6; its box translates them as it does IPv4's. */
export function addIPv6({ box }: Site, host: Host, number: number): IPv6Site {
  const inside = `fd00:${number}::`;
  const publicAddress = `2001:db8::${number}`;
  addAddress(box, publicAddress, "eth0");
  addAddress(box, `${inside}1`, "eth1");
  addAddress(host, `${inside}2`, "eth0");
  host.ip("-6", "route", "replace", "default", "via", `${inside}1`);
  masquerade(box);
  return { publicAddress, address: `${inside}2`, range: `${inside}/64` };
}

/** Passes connections to a port of the box on to another address and port, `[fd00:2::2]:8080`. */
export function forwardIPv6({ box }: Site, { publicAddress }: IPv6Site, port: number, to: string): void {
  const own = ["-d", publicAddress, "-p", "tcp", "--dport", String(port)];
  ip6tables(box, "-t", "nat", "-A", "PREROUTING", ...own, "-j", "DNAT", "--to-destination", to);
}

/** `ip6tables` on a host. */
export function ip6tables(host: Host, ...args: readonly string[]): void {
  host.run("ip6tables", "-w", ...args);
}

function addAddress(host: Host, address: string, link: string): void {
  // Nobody else has it: without the look for that, which takes a second.
  host.ip("-6", "address", "add", `${address}/64`, "dev", link, "nodad");
}

/** What leaves by the first link seems to come from the box itself. */
function masquerade(box: Host): void {
  box.setKernel("net.ipv6.conf.all.forwarding", 1);
  ip6tables(box, "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE");
}
