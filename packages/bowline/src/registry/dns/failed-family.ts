import { isIPv4 } from "node:net";
import type { HostAnswer } from "./dns-resolver.ts";

/** Of the ids (`address:port`) that a host had before those that an answer does not tell of, since the question for their family failed. */
export function idsOfFailedFamily(known: Iterable<string>, { failedFamily }: HostAnswer): readonly string[] {
  return failedFamily === undefined ? [] : [...known].filter((id) => familyOf(id) === failedFamily);
}

function familyOf(id: string): 4 | 6 {
  return isIPv4(id.slice(0, id.lastIndexOf(":"))) ? 4 : 6;
}
