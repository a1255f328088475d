import { formatHostPort, isFault, readHostPort } from "../instance/address.ts";
import type { Instance } from "../registry.ts";
import {
  checkedAddress,
  grpcPortOf,
  isWeight,
  objectOf,
  readDetails,
  recordOf,
  show,
  writeDetails,
} from "../remote/instance-details.ts";
import { type CheckedNacosOptions, isOwnMetadata } from "./options.ts";

/** An instance as Nacos's gRPC and HTTP APIs take it. */
export interface NacosInstance {
  /** An address, or a name; IPv6 without brackets. */
  readonly ip: string;
  readonly port: number;
  readonly weight: number;
  readonly healthy: true;
  readonly enabled: true;
  readonly ephemeral: true;
  readonly clusterName: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** All instances of a service, as a server gave them. */
export interface ServiceInfo {
  readonly hosts: readonly unknown[];
  /** The server's time of it in ms; what is older than another of the same link is history. */
  readonly time: number;
}

/** What an entry was read to be, or what is wrong with it. */
export type ReadEntry = { readonly instance: Instance; readonly fault?: undefined } | { readonly fault: string };

/** Nacos's limits of a weight, `Constants.MAX_WEIGHT_VALUE` and `MIN_WEIGHT_VALUE`: what is smaller but not 0 becomes this. */
const MAX_WEIGHT = 10_000;
const MIN_WEIGHT = 0.01;
/** `ParamCheckRule.maxServiceNameLength`. */
const MAX_SERVICE_LENGTH = 512;

/**
 * What Nacos is told of an instance. Readers of zero-contrib's format, and of any other SDK, find the first address, the weight and the
 * tags where they look for them; what has no place there stands as JSON in the metadata `bowline`. One that drains has the weight 0 for
 * them, by which they leave it alone.
 *
 * @throws TypeError for a Unix socket, of which others have nothing
 */
export function writeInstance(instance: Instance, options: CheckedNacosOptions): NacosInstance {
  const { address } = instance.addresses[0];
  const read = readHostPort(address);
  if (address.startsWith("unix:") || isFault(read)) {
    throw new TypeError(
      `nacos registry: instance.addresses[0]: ${show(address)} can't be written into Nacos; put a host:port first`,
    );
  }
  const weight = instance.state === "draining" ? 0 : writtenWeight(instance.weight);
  const metadata: Record<string, string> = { ...options.metadata };
  if (instance.zone !== "") metadata.zone = instance.zone;
  if (instance.version !== "") metadata.version = instance.version;
  const others: [string, string][] = [];
  for (const [key, value] of Object.entries(instance.tags)) {
    if (key === "" || isReserved(key) || Object.hasOwn(options.metadata, key)) others.push([key, value]);
    else metadata[key] = value;
  }
  const elsewhere = { weight, zone: true, version: true };
  metadata.bowline = writeDetails(instance, elsewhere, Object.fromEntries(others));
  const { host: ip, port } = read;
  return { ip, port, weight, healthy: true, enabled: true, ephemeral: true, clusterName: options.cluster, metadata };
}

/**
 * Reads one of the `hosts` of a service: Bowline's own, zero-contrib's and any other's. One that is not healthy or not enabled gets
 * nothing new: it counts as draining. Metadata of others becomes tags.
 */
export function readInstance(entry: unknown): ReadEntry {
  const { ip, port: mainPort, weight, healthy, enabled, clusterName, metadata } = objectOf(entry);
  const record = recordOf(metadata);
  const port = grpcPortOf(record) ?? mainPort;
  const fault = (what: string): ReadEntry => ({ fault: `${show(ip)} with port ${show(port)}: ${what}` });
  if (typeof ip !== "string" || ip === "" || typeof port !== "number" || !Number.isInteger(port)) {
    return fault("is no address");
  }
  const address = checkedAddress(formatHostPort({ host: ip, port }));
  if (address === undefined) return fault("is no address");
  const details = record.bowline === undefined ? undefined : readDetails(record.bowline);
  if (typeof details === "string") return fault(details);
  const isUsable = healthy !== false && enabled !== false;
  const own = details?.address === address ? details : undefined;
  const base: Instance = {
    id: own === undefined ? foreignId(address, clusterName) : own.id,
    addresses: [{ address, network: "" }],
    weight: isWeight(weight) ? weight : 1,
    zone: record.zone ?? "",
    version: record.version ?? "",
    tags: plainTags(record),
    state: "ready",
  };
  const read = own === undefined ? base : { ...base, ...own.fields, tags: { ...base.tags, ...own.tags } };
  return { instance: isUsable ? read : { ...read, state: "draining" } };
}

/** The instances in a server's JSON, of gRPC or HTTP; undefined if there is no list. */
export function infoOf(json: unknown): ServiceInfo | undefined {
  const { hosts, lastRefTime } = objectOf(json);
  // A service that the server has never heard of may come without a list.
  if (hosts !== null && hosts !== undefined && !Array.isArray(hosts)) return undefined;
  if (typeof json !== "object" || json === null) return undefined;
  return { hosts: hosts ?? [], time: typeof lastRefTime === "number" ? lastRefTime : 0 };
}

/** Names of one page, from page 1 on; what is no text is none. */
export type ServicePage = (pageNo: number, pageSize: number) => Promise<readonly unknown[]>;

const PAGE_SIZE = 500;
const MAX_PAGES = 200;

/** All names of a list that a server gives page by page, in the form that others know them by. Rejects where a page does. */
export async function allPages(page: ServicePage): Promise<readonly string[]> {
  const names = new Set<string>();
  for (let number = 1; number <= MAX_PAGES; number++) {
    const read = await page(number, PAGE_SIZE);
    for (const name of read) if (typeof name === "string") names.add(readService(name));
    if (read.length < PAGE_SIZE) break;
  }
  return [...names];
}

/** The value if it is a list, else an empty one. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** What Nacos tells the instances of a service apart by. */
export function placeOf({ ip, port, clusterName }: NacosInstance): string {
  return `${ip}#${port}#${clusterName}`;
}

/** What tells an entry from the others of its service, in what is written and in what is read. */
export function keyOfEntry(entry: unknown): string {
  const { ip, port, clusterName, metadata } = objectOf(entry);
  return JSON.stringify([ip, port, clusterName, recordOf(metadata).bowline ?? ""]);
}

/**
 * The name of a service as Nacos knows it. Names of letters, digits and `_ . : / -` stay as they are; what Nacos would refuse or take
 * for a separator (blanks, `@@`) is percent-encoded.
 *
 * @throws TypeError if that is longer than Nacos takes
 */
export function writtenService(service: string): string {
  const name = encodeURIComponent(service).replace(/%(?:2F|3A)/g, decodeURIComponent);
  if (name.length <= MAX_SERVICE_LENGTH) return name;
  throw new TypeError(
    `nacos registry: service: ${show(service)} takes ${name.length} characters in Nacos, which has room for ${MAX_SERVICE_LENGTH}`,
  );
}

/** What {@link writtenService} wrote, without a group before it; a name of others that is no encoding is itself. */
function readService(written: string): string {
  const name = written.slice(written.indexOf("@@") < 0 ? 0 : written.indexOf("@@") + 2);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function writtenWeight(weight: number): number {
  return weight === 0 ? 0 : Math.min(MAX_WEIGHT, Math.max(MIN_WEIGHT, weight));
}

/** The same address may stand in two clusters; in the usual one the address alone is the id. */
function foreignId(address: string, cluster: unknown): string {
  return typeof cluster === "string" && cluster !== "" && cluster !== "DEFAULT" ? `${address}#${cluster}` : address;
}

function plainTags(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !isReserved(key)));
}

function isReserved(key: string): boolean {
  return key === "zone" || key === "version" || key === "__proto__" || isOwnMetadata(key) || /^preserved\./.test(key);
}
