import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

/** From where an IP address can be reached. `name`: a host name, which says nothing of that by itself. */
export type AddressKind = "loopback" | "wildcard" | "link-local" | "private" | "public" | "name";

/** RFC 1918, RFC 6598 (carriers' NAT), RFC 4193 (unique local). */
const PRIVATE = blockList("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7");
const LOOPBACK = blockList("127.0.0.0/8", "::1/128");
const LINK_LOCAL = blockList("169.254.0.0/16", "fe80::/10");

/** What kind of address a host is, as written; the zone of an IPv6 address does not count. */
export function kindOf(host: string): AddressKind {
  const [address] = host.split("%");
  const family = isIP(address);
  if (family === 0) return address === "localhost" ? "loopback" : "name";
  if (address === "0.0.0.0" || address === "::") return "wildcard";
  const type = family === 6 ? "ipv6" : "ipv4";
  if (LOOPBACK.check(address, type)) return "loopback";
  if (LINK_LOCAL.check(address, type)) return "link-local";
  return PRIVATE.check(address, type) ? "private" : "public";
}

/** The networks that this machine is in itself, as CIDRs, without loopback. */
export function ownNetworks(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const networks = all.filter(({ internal, cidr }) => !internal && cidr !== null).map(({ cidr }) => cidr as string);
  return [...new Set(networks)];
}

/** True if one of the networks holds the address. */
export function isWithin(host: string, networks: readonly string[]): boolean {
  const [address] = host.split("%");
  const family = isIP(address);
  if (family === 0 || networks.length === 0) return false;
  return blockList(...networks).check(address, family === 6 ? "ipv6" : "ipv4");
}

function blockList(...cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address, bits] = cidr.split("/");
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
