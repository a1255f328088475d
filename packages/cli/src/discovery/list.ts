import { styleText } from "node:util";
import type { Instance, Snapshot } from "bowline/registry";
import type { Terminal } from "../terminal.ts";
import { lookUp } from "./look-up.ts";
import { probe } from "./probe.ts";
import { table } from "./table.ts";
import { readTlsFiles, type TlsFiles, type TlsFlags } from "./tls-files.ts";

/** The flags of `bowline ls`. */
export interface ListFlags extends TlsFlags {
  readonly json?: boolean;
  /** False: don't call the instances. */
  readonly health?: boolean;
  /** For the registry's answer and each step of a call, in ms. */
  readonly timeout: number;
}

/** `bowline ls`: the instances of targets, with what they say of their health. @throws CommandError when one can't be looked up */
export async function runList(targets: readonly string[], flags: ListFlags, terminal: Terminal): Promise<void> {
  const tls = await readTlsFiles(flags);
  const rows: Row[] = [];
  for (const target of targets) {
    const { snapshot, complaints } = await lookUp(target, flags.timeout);
    for (const complaint of complaints) terminal.error(complaint);
    rows.push(...(await listed(target, snapshot, flags, tls)));
    if (snapshot.instances.length === 0) terminal.error(`${target} has no instances`);
  }
  if (flags.json === true) terminal.write(`${JSON.stringify(rows)}\n`);
  else if (rows.length > 0) terminal.write(table([HEADINGS, ...rows.map(cells)]));
}

/** One instance as it is printed. */
interface Row {
  readonly target: string;
  readonly id: string;
  readonly addresses: Instance["addresses"];
  readonly state: string;
  readonly weight: number;
  readonly zone: string;
  readonly version: string;
  readonly tags: Instance["tags"];
  readonly freshness: string;
  /** `SERVING`, or what went wrong; empty if it was not asked. */
  readonly health: string;
}

const HEADINGS = ["SERVICE", "ADDRESS", "STATE", "WEIGHT", "ZONE", "VERSION", "HEALTH", "INSTANCE"];

function cells({ target, id, addresses, state, weight, zone, version, health, freshness }: Row): string[] {
  const places = addresses
    .map(({ address, network }) => (network === "" ? address : `${network}=${address}`))
    .join(" ");
  const told = freshness === "live" ? state : `${state} (${freshness})`;
  return [
    target,
    places,
    told,
    String(weight),
    zone || "-",
    version || "-",
    coloured(health),
    id === places ? "-" : id,
  ];
}

function coloured(health: string): string {
  if (health === "") return "-";
  return styleText(health === "SERVING" ? "green" : "red", health, { stream: process.stdout });
}

function listed(target: string, snapshot: Snapshot, flags: ListFlags, tls: TlsFiles | undefined): Promise<Row[]> {
  const row = async (instance: Instance): Promise<Row> => {
    const health = flags.health === false ? "" : await healthOf(instance, flags.timeout, tls);
    return { target, freshness: snapshot.freshness, ...instance, health };
  };
  return Promise.all(snapshot.instances.map(row));
}

/** Of the first address that answers. */
async function healthOf({ addresses }: Instance, timeoutMs: number, tls: TlsFiles | undefined): Promise<string> {
  let worst = "";
  for (const { address } of addresses) {
    const last = (await probe(address, { timeoutMs, tls, serverName: undefined })).at(-1);
    if (last === undefined) continue;
    if (last.isOk) return last.detail === "SERVING" ? "SERVING" : "no health service";
    worst = last.code === "" ? last.name : `${last.name} ${last.code}`;
  }
  return worst;
}
