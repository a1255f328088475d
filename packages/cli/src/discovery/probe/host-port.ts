/** A registry's address in its parts; `unix:/path` has a path only. */
export interface Place {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Of a socket in the file system, else empty. */
  readonly path: string;
}

/** Splits an address that a registry has told, which is always well-formed: `host:port`, `[::1]:port` or `unix:/path`. */
export function placeOf(address: string): Place {
  if (address.startsWith("unix:")) return { host: "", port: 0, path: address.slice("unix:".length) };
  const colon = address.lastIndexOf(":");
  return {
    host: address.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(address.slice(colon + 1)),
    path: "",
  };
}
