import { type AddressBlock, readAddressBlock } from "../../registry/instance/cidr.ts";

/** One address of a network interface; what `os.networkInterfaces()` tells has it. */
export interface InterfaceAddress {
  /** With a zone for IPv6 where there is one. */
  readonly address: string;
  readonly family: "IPv4" | "IPv6";
  /** True for loopback. */
  readonly internal: boolean;
}

/** The interfaces of a machine by name, in the system's order. */
export type Interfaces = Readonly<Record<string, readonly InterfaceAddress[] | undefined>>;

/** An address with its interface, and what is made on the machine itself: nobody outside reaches a bridge of containers. */
export interface OwnAddress {
  readonly host: string;
  readonly interface: string;
  readonly family: "IPv4" | "IPv6";
  readonly kind: "network" | "loopback" | "link-local" | "container bridge" | "VPN";
}

/** How Docker, Podman, libvirt, LXC, VMware, VirtualBox and the networks of Kubernetes call what they make. */
const BRIDGE = /^(docker|br-|veth|virbr|lxc|lxd|vmnet|vboxnet|podman|cni|flannel|cali|cilium|weave|kube-|nodelocaldns)/;
/** How tunnels are called: OpenVPN, WireGuard, macOS, PPP, Tailscale, ZeroTier, NordVPN. */
const VPN = /^(tun|tap|wg|utun|ppp|ipsec|tailscale|zt|nordlynx)/;

const LOOPBACK = ["127.0.0.0/8", "::1/128"].map(known);
const LINK_LOCAL = ["169.254.0.0/16", "fe80::/10"].map(known);
/** RFC 1918, RFC 6598 (NAT of carriers), RFC 4193 (unique local). */
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"].map(known);

/** All addresses of the machine, in the system's order. */
export function ownAddresses(interfaces: Interfaces): readonly OwnAddress[] {
  return Object.entries(interfaces).flatMap(([name, addresses = []]) =>
    addresses.map(({ address, family, internal }) => ({
      host: address,
      interface: name,
      family,
      kind: kindOf(name, address, internal),
    })),
  );
}

/** For messages: `eth0 10.0.0.7, docker0 172.17.0.1 (container bridge)`. */
export function describeAddresses(addresses: readonly OwnAddress[]): string {
  if (addresses.length === 0) return "none";
  const one = (each: OwnAddress): string =>
    `${each.interface} ${each.host}${each.kind === "network" ? "" : ` (${each.kind})`}`;
  return addresses.map(one).join(", ");
}

/** True for 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || LOOPBACK.some(({ contains }) => contains(host));
}

/** True for addresses that mean something in one network only: private, link-local and loopback ones. */
export function isPrivate(host: string): boolean {
  return isLoopback(host) || [...PRIVATE, ...LINK_LOCAL].some(({ contains }) => contains(host));
}

function kindOf(name: string, address: string, isInternal: boolean): OwnAddress["kind"] {
  if (isInternal || isLoopback(address)) return "loopback";
  if (LINK_LOCAL.some(({ contains }) => contains(address))) return "link-local";
  if (BRIDGE.test(name)) return "container bridge";
  return VPN.test(name) ? "VPN" : "network";
}

function known(text: string): AddressBlock {
  return readAddressBlock(text) as AddressBlock;
}
