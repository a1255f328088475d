import { Metadata } from "../../rpc/metadata.ts";

/** The metadata of a call: what was said for it, and what travels on from the call that is being served and was not said anew. */
export function inheritedMetadata(explicit: Metadata | null, inherited: Metadata | null): Metadata | null {
  if (inherited === null) return explicit;
  if (explicit === null) return inherited;
  const merged = new Metadata(explicit);
  for (const [key, value] of inherited) if (!explicit.has(key)) merged.append(key, value);
  return merged;
}
