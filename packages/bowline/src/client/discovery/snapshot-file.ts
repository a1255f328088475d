import { checkInstance } from "../../registry/instance/instance.ts";
import type { Instance } from "../../registry/registry.ts";
import { cryptoModule } from "../../rpc/platform.ts";

/** A snapshot as a file holds it. */
export interface SavedSnapshot {
  /** Which registry and target it is of. */
  readonly source: string;
  /** Wall time, ms since 1970, at which the registry was last known to say so. */
  readonly savedAtMs: number;
  readonly instances: readonly Instance[];
}

/** The first line of a file. Another version is another number. */
const FORMAT = "bowline-snapshot-1";

/** Names differ for any two sources and hold nothing that a file system could mind. */
export function snapshotFileName(source: string): string {
  return `${sha256(source).slice(0, 32)}.snapshot`;
}

/** The text of a file: format, checksum of what follows, and a line of JSON. */
export function encodeSnapshot(snapshot: SavedSnapshot): string {
  const body = JSON.stringify(snapshot);
  return `${FORMAT}\n${sha256(body)}\n${body}\n`;
}

/**
 * Reads the text of a file. Entries that can't be instances are left out.
 *
 * @throws Error that says what is wrong: another version, cut off, altered, of another source, no entry that can be an instance
 */
export function decodeSnapshot(text: string, source: string): SavedSnapshot {
  const [format, sum, body, end] = text.split("\n", 4);
  if (format !== FORMAT) throw new Error(`is of another version, or no snapshot: this one reads ${FORMAT}`);
  if (end !== "") throw new Error("is cut off");
  if (sha256(body) !== sum) throw new Error("is damaged: its checksum does not fit");
  const snapshot = JSON.parse(body) as SavedSnapshot;
  if (snapshot.source !== source) throw new Error(`is of another target: ${snapshot.source}`);
  if (!Number.isFinite(snapshot.savedAtMs) || !Array.isArray(snapshot.instances)) throw new Error("lacks a part");
  return { ...snapshot, instances: usable(snapshot.instances) };
}

/** Registries tell of what others have written there: one odd entry must not cost the rest. */
function usable(instances: readonly Instance[]): readonly Instance[] {
  const faults: unknown[] = [];
  const kept = instances.filter((instance) => {
    try {
      checkInstance(instance);
      return true;
    } catch (error) {
      faults.push(error);
      return false;
    }
  });
  if (kept.length === 0 && faults.length > 0) throw faults[0];
  return kept;
}

function sha256(text: string): string {
  return cryptoModule().createHash("sha256").update(text).digest("hex");
}
