import { cryptoModule } from "../../rpc/platform.ts";
import { checkInstance } from "../instance/instance.ts";
import type { Instance } from "../registry.ts";
import { MAX_PID, type ProcessIdentity } from "./process-table.ts";

/** What a lease file says: this process offers this instance of this service. */
export interface Lease {
  readonly service: string;
  readonly process: ProcessIdentity;
  readonly instance: Instance;
}

/** A lease, or why a text is none. */
export type DecodedLease = { readonly lease: Lease } | { readonly problem: string };

/** Longest lease file in bytes; longer ones are neither written nor read. */
export const MAX_LEASE_BYTES = 65_536;

/** Changes when an older version could not read what a newer one writes. */
const FORMAT = 1;
const SUFFIX = ".json";
const TEMPORARY_SUFFIX = ".tmp";
/** Leaves room for both suffixes within the 255 bytes that file systems allow. */
const MAX_FILE_NAME_BYTES = 200;
/** Names that Windows keeps for devices, with any extension. */
const DEVICE_NAME = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** The text of a lease file. @throws RangeError if it is longer than {@link MAX_LEASE_BYTES} */
export function encodeLease(lease: Lease): string {
  const { service, process, instance } = lease;
  const { id, addresses, weight, zone, version, tags, state } = instance;
  const content = { format: FORMAT, service, process, instance: { id, addresses, weight, zone, version, tags, state } };
  const text = `${JSON.stringify(content, null, 2)}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_LEASE_BYTES) return text;
  throw new RangeError(
    `local registry: instance ${id} takes ${bytes} bytes, at most ${MAX_LEASE_BYTES} are allowed; shorten its tags`,
  );
}

/** Reads what {@link encodeLease} wrote. Never throws, whatever the text is. */
export function decodeLease(text: string): DecodedLease {
  if (text === "") return { problem: "it is empty" };
  try {
    return toLease(JSON.parse(text));
  } catch (error) {
    // Messages quote what they found, and that can be the whole file.
    return { problem: error instanceof SyntaxError ? "it is no JSON" : (error as Error).message.slice(0, 200) };
  }
}

/** A name that any file system takes; different names have different ones (where the file system tells cases apart). */
export function fileName(name: string): string {
  const encoded = Buffer.from(name, "utf8")
    .toString("latin1")
    .replace(/[^A-Za-z0-9._-]/g, percentEncode);
  const safe = encoded
    .replace(/^\.|\.$/g, percentEncode)
    .replace(DEVICE_NAME, (device) => percentEncode(device[0]) + device.slice(1));
  if (safe.length <= MAX_FILE_NAME_BYTES) return safe;
  const hash = cryptoModule().createHash("sha256").update(name).digest("hex").slice(0, 32);
  return `${safe.slice(0, MAX_FILE_NAME_BYTES - hash.length - 1)}~${hash}`;
}

/** The name of the file in which an instance's lease is. */
export function leaseFileName(instanceId: string): string {
  return `${fileName(instanceId)}${SUFFIX}`;
}

/** A name to write under before the file is renamed; `chance` keeps writers apart. */
export function temporaryFileName(chance: string): string {
  return `.${chance}${TEMPORARY_SUFFIX}`;
}

/** What a name in a service's directory is for; `foreign` ones are nobody's business. */
export function fileRole(name: string): "lease" | "temporary" | "foreign" {
  if (name.startsWith(".")) return name.endsWith(TEMPORARY_SUFFIX) ? "temporary" : "foreign";
  return name.endsWith(SUFFIX) ? "lease" : "foreign";
}

function percentEncode(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

function toLease(content: unknown): DecodedLease {
  if (!isRecord(content)) return { problem: "it is no lease" };
  if (content.format !== FORMAT) {
    return { problem: `it is no lease of format ${FORMAT}, the one that this version reads` };
  }
  const { service, process, instance } = content;
  if (typeof service !== "string" || !isProcess(process) || !isRecord(instance)) return { problem: "it is no lease" };
  checkInstance(instance as unknown as Instance);
  return { lease: { service, process, instance: instance as unknown as Instance } };
}

function isProcess(value: unknown): value is ProcessIdentity {
  if (!isRecord(value)) return false;
  const { pid, startTime, pidSpace } = value;
  const isPid = Number.isInteger(pid) && (pid as number) > 0 && (pid as number) <= MAX_PID;
  return isPid && typeof startTime === "string" && typeof pidSpace === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
