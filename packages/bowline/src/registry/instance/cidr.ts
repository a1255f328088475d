import { BlockList, isIP } from "node:net";

/** A block of IP addresses, `10.0.0.0/8`. */
export interface AddressBlock {
  /** As it was written. */
  readonly text: string;
  /** True for an IP address in the block; false for names. The zone of an IPv6 address (`%eth0`) does not count. */
  contains(host: string): boolean;
}

/** Longest prefix, in bits, by the version of IP. */
const BITS: Readonly<Record<number, number>> = { 4: 32, 6: 128 };

/** Reads `address/bits` (RFC 4632, RFC 4291 §2.3). Returns what is wrong, as the end of a sentence, when it is none. */
export function readAddressBlock(text: string): AddressBlock | string {
  const slash = text.lastIndexOf("/");
  if (slash < 0) return "has no /bits; write it as 10.0.0.0/8";
  const [address, digits] = [text.slice(0, slash), text.slice(slash + 1)];
  const version = isIP(address);
  if (version === 0) return `begins with ${JSON.stringify(address)}, which is no IP address; write it as 10.0.0.0/8`;
  const bits = /^\d{1,3}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(bits <= BITS[version])) return `has ${JSON.stringify(digits)} bits; IPv${version} has 0 to ${BITS[version]}`;
  const list = new BlockList();
  list.addSubnet(address, bits, version === 6 ? "ipv6" : "ipv4");
  return { text, contains: (host) => isInList(host, list, version) };
}

function isInList(host: string, list: BlockList, listVersion: number): boolean {
  const [address] = host.split("%");
  const version = isIP(address);
  // BlockList takes each IPv4 address for an IPv6 one too, so that ::/0 would hold all of them.
  if (version === 0 || version < listVersion) return false;
  return list.check(address, version === 6 ? "ipv6" : "ipv4");
}
