import { styleText } from "node:util";
import type { Instance, Snapshot } from "bowline/registry";
import { atOnce } from "../at-once.ts";
import { MAX_PROBES, probe } from "../probe/probe.ts";
import type { TlsFiles, TlsFlags } from "../probe/tls-files.ts";
import { labelled, namesClient, type Reach, type ReachFlags, type Reaching, reachText } from "../reach.ts";

/** The flags of `bowline ls`. */
export interface ListFlags extends TlsFlags, ReachFlags {
  readonly json?: boolean;
  /** False: don't call the instances. */
  readonly health?: boolean;
  /** For the registry's answer and each step of a call, in ms. */
  readonly timeout: number;
}

/** How instances are looked at. */
export interface Look {
  readonly flags: ListFlags;
  readonly reach: Reaching;
  readonly tls: TlsFiles | undefined;
}

/** One instance as it is printed. */
export interface InstanceRow extends Instance {
  readonly target: string;
  readonly freshness: string;
  /** Where the client goes that the flags describe; null: nowhere. Absent without such flags. */
  readonly reach?: Reach | null;
  /** `SERVING`, or what went wrong; empty if it was not asked. */
  readonly health: string;
}

/** The instances of a target, each asked for its health unless the flags say otherwise. */
export async function instanceRows(
  target: string,
  { instances, freshness }: Snapshot,
  { flags, reach, tls }: Look,
): Promise<readonly InstanceRow[]> {
  const reaches = namesClient(flags) ? reach(instances) : null;
  const row = async (instance: Instance): Promise<InstanceRow> => {
    const dialled = reaches === null ? undefined : (reaches.get(instance) ?? null);
    const health = flags.health === false ? "" : await healthOf(instance, dialled, flags.timeout, tls);
    return { target, freshness, ...instance, ...(dialled === undefined ? {} : { reach: dialled }), health };
  };
  return atOnce(instances, MAX_PROBES, row);
}

/** Of the table of rows. */
export const HEADINGS: readonly string[] = [
  "SERVICE",
  "ADDRESS",
  "STATE",
  "WEIGHT",
  "ZONE",
  "VERSION",
  "HEALTH",
  "INSTANCE",
];

/** A row as cells of a table. */
export function instanceCells({ addresses, reach, state, freshness, ...row }: InstanceRow): string[] {
  const places = reach === undefined ? addresses.map(labelled).join(" ") : reachText(reach, addresses);
  const told = freshness === "live" ? state : `${state} (${freshness})`;
  const facts = [String(row.weight), row.zone || "-", row.version || "-"];
  return [row.target, places, told, ...facts, coloured(row.health), row.id === places ? "-" : row.id];
}

function coloured(health: string): string {
  if (health === "") return "-";
  return styleText(health === "SERVING" ? "green" : "red", health, { stream: process.stdout });
}

/** Of the address that is dialled; where none is known, of the first that answers. */
async function healthOf(
  { addresses }: Instance,
  dialled: Reach | null | undefined,
  timeoutMs: number,
  tls: TlsFiles | undefined,
): Promise<string> {
  if (dialled === null) return "no address";
  let worst = "";
  for (const { address } of dialled === undefined ? addresses : [dialled]) {
    const last = (await probe(address, { timeoutMs, tls, serverName: undefined })).at(-1);
    if (last === undefined) continue;
    if (last.isOk) return last.detail === "SERVING" ? "SERVING" : "no health service";
    worst = last.code === "" ? last.name : `${last.name} ${last.code}`;
  }
  return worst;
}
