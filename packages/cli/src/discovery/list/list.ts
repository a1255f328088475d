import type { Terminal } from "../../terminal.ts";
import { readTlsFiles } from "../probe/tls-files.ts";
import { reachOf } from "../reach.ts";
import { absentService } from "../registry/absent-service.ts";
import { complaintText, lookUp } from "../registry/look-up.ts";
import { registryUrl } from "../registry/registry-url.ts";
import { table } from "../table.ts";
import { HEADINGS, type InstanceRow, instanceCells, instanceRows, type ListFlags, type Look } from "./instance-row.ts";
import { countCells, countServices, type ServiceCount } from "./service-count.ts";

/**
 * `bowline ls`: the instances of targets, with what they say of their health; of a registry without a service, and without any target of
 * the embedded registry of this machine, the services.
 *
 * @throws CommandError when one can't be looked up
 */
export async function runList(targets: readonly string[], flags: ListFlags, terminal: Terminal): Promise<void> {
  const look = { flags, reach: reachOf(flags), tls: await readTlsFiles(flags) };
  const rows: InstanceRow[] = [];
  const complaints: TargetComplaints[] = [];
  const counts: ServiceCount[] = [];
  for (const target of targets.length === 0 ? [OWN_MACHINE] : targets) {
    if (registryUrl(target)?.service === "") counts.push(...(await listRegistry(target, flags, terminal)));
    else rows.push(...(await listTarget(target, look, terminal, complaints)));
  }
  if (flags.json === true) return terminal.write(`${JSON.stringify([...counts, ...rows, ...complaints])}\n`);
  if (counts.length > 0) terminal.write(table([["SERVICE", "INSTANCES", "TARGET"], ...counts.map(countCells)]));
  if (counts.length > 0 && rows.length > 0) terminal.write("\n");
  if (rows.length > 0) terminal.write(table([HEADINGS, ...rows.map(instanceCells)]));
}

/** The embedded registry. */
const OWN_MACHINE = "local://";

async function listRegistry(
  registry: string,
  { timeout }: ListFlags,
  terminal: Terminal,
): Promise<readonly ServiceCount[]> {
  const counts = await countServices(registry, timeout);
  for (const count of counts) complainOf(count.service, count, terminal);
  const name = registry === OWN_MACHINE ? "the embedded registry of this machine" : registry;
  if (counts.length === 0) terminal.error(`${name} has no services`);
  return counts;
}

function complainOf(subject: string, found: Parameters<typeof complaintText>[0], terminal: Terminal): void {
  const complaint = complaintText(found);
  if (complaint !== "") terminal.error(`${subject}: ${complaint}`);
}

/** What the registry of a target complained of, in `--json`, where it did. */
interface TargetComplaints {
  readonly target: string;
  /** Entries that can't be used. */
  readonly skipped: number;
  readonly complaints: readonly string[];
}

async function listTarget(
  target: string,
  look: Look,
  terminal: Terminal,
  complaints: TargetComplaints[],
): Promise<readonly InstanceRow[]> {
  const { timeout } = look.flags;
  const found = await lookUp(target, timeout);
  complainOf(target, found, terminal);
  if (found.complaints.length > 0) complaints.push({ target, skipped: found.skipped, complaints: found.complaints });
  if (found.snapshot.instances.length === 0) {
    const { message, hint } = await absentService(target, found, timeout);
    terminal.error(message, hint);
  }
  return instanceRows(target, found.snapshot, look);
}
