import { isFault, readHostPort } from "../../registry/instance/address.ts";

/** Addresses that begin with the same bits: `10.0.0.0/24`, `fd00::/8`. */
export interface IpRange {
  readonly bits: 32 | 128;
  /** The first address, the bits behind the prefix 0. */
  readonly base: bigint;
  readonly prefixLength: number;
}

/** An IP address as a number; null for a name. Takes IPv6 with and without brackets; a zone (`%eth0`) makes it no address here. */
export function ipNumber(host: string): { readonly bits: 32 | 128; readonly value: bigint } | null {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (bare.includes("%")) return null;
  const read = readHostPort(bare.includes(":") ? `[${bare}]:1` : `${bare}:1`);
  if (isFault(read)) return null;
  if (read.host.includes(":")) return { bits: 128, value: numberOf(groupsOf(read.host), 16n) };
  // A name that consists of digits and dots is refused where it is read.
  if (!/^[0-9.]+$/.test(read.host)) return null;
  return { bits: 32, value: numberOf(read.host.split(".").map(Number), 8n) };
}

/** Reads `10.0.0.0/24`; null if it is none. Bits behind the prefix are taken for 0. */
export function ipRange(text: string): IpRange | null {
  const [, host, length] = /^(.+)\/([0-9]{1,3})$/.exec(text) ?? [];
  const address = host === undefined ? null : ipNumber(host);
  const prefixLength = Number(length);
  if (address === null || prefixLength > address.bits) return null;
  const rest = BigInt(address.bits - prefixLength);
  return { bits: address.bits, base: (address.value >> rest) << rest, prefixLength };
}

/** The bits of an address behind the prefix of a range; null if it does not lie in it. */
export function offsetIn(range: IpRange, host: string): bigint | null {
  const address = ipNumber(host);
  if (address === null || address.bits !== range.bits) return null;
  const offset = address.value - range.base;
  return offset >= 0n && offset < 1n << BigInt(range.bits - range.prefixLength) ? offset : null;
}

/** The address at an offset of a range, IPv6 as eight groups. */
export function addressAt(range: IpRange, offset: bigint): string {
  const value = range.base + offset;
  const [width, count] = range.bits === 32 ? [8n, 4] : [16n, 8];
  const parts = Array.from(
    { length: count },
    (_, i) => (value >> (width * BigInt(count - 1 - i))) & ((1n << width) - 1n),
  );
  return range.bits === 32 ? parts.join(".") : parts.map((part) => part.toString(16)).join(":");
}

/** The eight groups of a compressed IPv6 address (RFC 5952: no dotted part). */
function groupsOf(host: string): number[] {
  const [head, tail] = host.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

function numberOf(parts: readonly number[], width: bigint): bigint {
  return parts.reduce((value, part) => (value << width) | BigInt(part), 0n);
}
