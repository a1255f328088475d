import { checkAddress } from "../instance/address.ts";
import { instanceAt, MAX_NAME_LENGTH } from "../instance/instance.ts";
import type { Address, Instance } from "../registry.ts";

/** How the value of an instance's key is written: go-zero's bare `host:port`, or the JSON of etcd's own gRPC naming. */
export type EtcdStyle = "go-zero" | "grpc-naming";

/** Where a service's keys are. Both end in a slash; what follows, the suffix, is the same for both keys of an instance. */
export interface ServiceKeys {
  /** `<prefix><service>/`: one address a key. All clients of the fleet read it, so nothing else may stand there. */
  readonly values: string;
  /** `<prefix>bowline/instances/<service>/`: what Bowline adds. */
  readonly details: string;
}

/** What stands under a key of `values`, read. */
export interface ReadValue {
  /** In its one form, as `checkAddress` gives it. */
  readonly address: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** What stands under a key of `details`, read. */
export type ReadDetails = Instance;

/** Begins the keys of `details`; no service may have a name in it. */
export const DETAILS_ROOT = "bowline/instances/";

/** An address is short; what is longer is something else. */
const MAX_VALUE_BYTES = 4096;
/** An instance with a thousand tags. Longer texts would be parsed while calls wait. */
const MAX_DETAILS_BYTES = 65_536;
/** Of the JSON under `details`. A reader takes any version, and of it what it knows. */
const DETAILS_VERSION = 1;
/** What a message repeats of a bad entry. */
const MAX_SHOWN = 60;

/** One object for all that have none. */
const NO_TAGS: Readonly<Record<string, string>> = Object.freeze({});

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The keys of a service under a prefix, which may be empty. */
export function serviceKeys(prefix: string, service: string): ServiceKeys {
  return { values: `${prefix}${service}/`, details: `${prefix}${DETAILS_ROOT}${service}/` };
}

/**
 * The service whose instance stands under a key; undefined for a key of anything else. What follows the last slash is a lease id, as
 * {@link keySuffix} writes it, or in etcd's own gRPC naming the address.
 */
export function serviceOfKey(key: Uint8Array, prefix: string): string | undefined {
  const text = textOf(key, MAX_VALUE_BYTES)?.slice(prefix.length);
  const [, service, suffix] = /^(.+)\/([^/]+)$/s.exec(text ?? "") ?? [];
  if (service === undefined || service.length > MAX_NAME_LENGTH || `/${text}`.includes(`/${DETAILS_ROOT}`))
    return undefined;
  return /^[0-9]+(-[0-9]+)?$/.test(suffix) || typeof addressOf(suffix) === "string" ? service : undefined;
}

/** The end of the range of all keys that begin with `prefix`, which is not empty: its last octet plus one. */
export function rangeEnd(prefix: Uint8Array): Uint8Array {
  const end = Uint8Array.from(prefix);
  // UTF-8 has no octet 255.
  end[end.length - 1]++;
  return end;
}

/**
 * The part of the keys behind the service. The first registration of a service on a lease has go-zero's bare lease id; further
 * ones have `-2`, `-3` behind it, which no client reads.
 */
export function keySuffix(lease: bigint, slot: number): string {
  return slot === 1 ? lease.toString() : `${lease}-${slot}`;
}

/** The value of an instance's key: the address that can be reached from anywhere, else the first. */
export function writeValue(instance: Instance, style: EtcdStyle): string {
  const { address } = instance.addresses.find(({ network }) => network === "") ?? instance.addresses[0];
  return style === "go-zero" ? address : JSON.stringify({ Op: 0, Addr: address, Metadata: null });
}

/** What Bowline keeps of an instance beside its address, as JSON; fields with their default are left out. */
export function writeDetails(instance: Instance): string {
  const { id, addresses, weight, zone, version, tags, state } = instance;
  return JSON.stringify({
    v: DETAILS_VERSION,
    id,
    addresses: addresses.map(({ address, network }) => (network === "" ? { address } : { address, network })),
    weight: weight === 1 ? undefined : weight,
    zone: zone === "" ? undefined : zone,
    version: version === "" ? undefined : version,
    tags: Object.keys(tags).length === 0 ? undefined : tags,
    state: state === "ready" ? undefined : state,
  });
}

/** Reads what a client would dial. The text says what is wrong with the entry. */
export function readValue(bytes: Uint8Array): ReadValue | string {
  const text = textOf(bytes, MAX_VALUE_BYTES);
  if (text === undefined) return unreadable(bytes, MAX_VALUE_BYTES);
  if (text.startsWith("{")) return readNaming(text);
  const address = addressOf(text);
  return typeof address === "string" ? { address, tags: NO_TAGS } : address.fault;
}

/** Reads what {@link writeDetails} wrote, also that of a later version. The text says what is wrong with the entry. */
export function readDetails(bytes: Uint8Array): ReadDetails | string {
  const text = textOf(bytes, MAX_DETAILS_BYTES);
  if (text === undefined) return unreadable(bytes, MAX_DETAILS_BYTES);
  const json = objectOf(text);
  if (json === undefined) return `${show(text)} is no JSON object`;
  const { id, addresses, weight = 1, zone = "", version = "", tags = NO_TAGS, state = "ready" } = json;
  if (typeof id !== "string" || id === "" || id.length > MAX_NAME_LENGTH) return `id ${show(id)} is no name`;
  const read = addressesOf(addresses);
  if (typeof read === "string") return read;
  if (typeof weight !== "number" || !Number.isFinite(weight) || weight < 0)
    return `weight ${show(weight)} is no finite number from 0`;
  if (typeof zone !== "string" || typeof version !== "string") return "zone or version is no text";
  if (!isTexts(tags)) return "tags are no object of texts";
  return { id, addresses: read, weight, zone, version, tags, state: state === "draining" ? "draining" : "ready" };
}

/** An instance of which etcd knows the address, and perhaps what Bowline has added; details of another address are not its own. */
export function joinInstance(value: ReadValue, details: ReadDetails | undefined): Instance {
  if (details?.addresses.some(({ address }) => address === value.address) === true) return details;
  const instance = instanceAt(value.address);
  return Object.keys(value.tags).length === 0 ? instance : { ...instance, tags: value.tags };
}

/** etcd's `client/v3/naming/endpoints`: `{"Op":0,"Addr":"10.0.0.7:8080","Metadata":…}`; texts in the metadata become tags. */
function readNaming(text: string): ReadValue | string {
  const json = objectOf(text);
  if (json === undefined || typeof json.Addr !== "string") {
    return `${show(text)} is neither a bare address nor etcd's gRPC naming format`;
  }
  if (json.Op !== undefined && json.Op !== 0) return `${show(text)} is no added endpoint (Op ${show(json.Op)})`;
  const address = addressOf(json.Addr);
  if (typeof address !== "string") return address.fault;
  const metadata = typeof json.Metadata === "object" && json.Metadata !== null ? Object.entries(json.Metadata) : [];
  return { address, tags: Object.fromEntries(metadata.filter((entry) => typeof entry[1] === "string")) };
}

function addressesOf(list: unknown): readonly Address[] | string {
  if (!Array.isArray(list) || list.length === 0) return "it has no addresses";
  const read: Address[] = [];
  for (const each of list as readonly unknown[]) {
    const { address, network = "" } = (each ?? {}) as Partial<Record<string, unknown>>;
    const found = typeof address === "string" ? addressOf(address) : { fault: `address ${show(address)} is no text` };
    if (typeof found !== "string") return found.fault;
    if (typeof network !== "string") return `network ${show(network)} is no text`;
    read.push({ address: found, network });
  }
  return read;
}

function addressOf(text: string): string | { readonly fault: string } {
  if (text.trim() === "") return { fault: "it is empty" };
  try {
    return checkAddress(text, "it");
  } catch {
    return { fault: `${show(text)} is no address such as 10.0.0.7:8080` };
  }
}

function isTexts(value: unknown): value is Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((each) => typeof each === "string");
}

function objectOf(text: string): Partial<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function textOf(bytes: Uint8Array, maxBytes: number): string | undefined {
  if (bytes.length > maxBytes) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function unreadable(bytes: Uint8Array, maxBytes: number): string {
  return bytes.length > maxBytes ? `it has ${bytes.length} bytes, more than ${maxBytes}` : "it is no UTF-8 text";
}

function show(value: unknown): string {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
