/**
 * The address that others are told: `advertise` if it is given, else what was bound. A wildcard can't be connected to; the only registry
 * so far is that of this machine, where loopback always can.
 */
export function advertisedAddress(advertise: string | undefined, bound: string): string {
  if (advertise !== undefined) return advertise;
  if (bound.startsWith("0.0.0.0:")) return `127.0.0.1:${bound.slice("0.0.0.0:".length)}`;
  if (bound.startsWith("[::]:")) return `[::1]:${bound.slice("[::]:".length)}`;
  return bound;
}
