import { cryptoModule } from "../../rpc/platform.ts";

/** Longest readable part of an id. */
const MAX_READABLE = 200;

/**
 * The id of an instance's entry in a product that has one space of ids for all services: unique, safe in a path, and readable: the
 * instance's id, with the service in front where it does not begin with it, and a hash of both behind.
 */
export function entryId(service: string, instanceId: string): string {
  const name = instanceId.startsWith(service) ? instanceId : `${service}-${instanceId}`;
  return `${readable(name)}-${hashOf(service, instanceId)}`;
}

/** The characters of a name that need no encoding anywhere; others become `_`. */
export function readable(name: string): string {
  return name.replace(/[^A-Za-z0-9_.:-]+/g, "_").slice(0, MAX_READABLE);
}

/** 12 hexadecimal digits that tell these texts from any others. */
export function hashOf(...texts: readonly string[]): string {
  return cryptoModule().createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 12);
}
