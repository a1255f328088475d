import { checkAddress } from "../instance/address.ts";
import { MAX_NAME_LENGTH } from "../instance/instance.ts";
import type { Address, Instance } from "../registry.ts";

/** Of the JSON. A reader takes any version, and of it what it knows. */
const DETAILS_VERSION = 1;
/** What a message repeats of a bad entry. */
const MAX_SHOWN = 60;

/** What Bowline keeps of an instance in a product's metadata, read. */
export interface InstanceDetails {
  readonly id: string;
  /** Empty where it is not kept. */
  readonly service: string;
  /** The first address; an entry that others have copied or changed does not share it. */
  readonly address: string;
  /** What was said, to be laid over what the product's own fields say. */
  readonly fields: Partial<Instance>;
  readonly tags: Readonly<Record<string, string>>;
}

/** Which fields the JSON need not hold, since the product has a place for them. */
export interface KeptElsewhere {
  readonly weight: number;
  readonly zone: boolean;
  readonly version: boolean;
}

/**
 * An instance as JSON, without what is kept elsewhere and without defaults; `tags` are those that have no other place. All in ASCII,
 * so that it may be cut anywhere. `service` for products in which names of services are not exact.
 */
export function writeDetails(
  instance: Instance,
  elsewhere: KeptElsewhere,
  tags: Readonly<Record<string, string>>,
  service?: string,
): string {
  const { id, addresses, weight, zone, version, state } = instance;
  const isPlain = addresses.length === 1 && addresses[0].network === "";
  const json = JSON.stringify({
    v: DETAILS_VERSION,
    id,
    service,
    address: isPlain ? addresses[0].address : undefined,
    addresses: isPlain
      ? undefined
      : addresses.map(({ address, network }) => (network === "" ? { address } : { address, network })),
    weight: weight === elsewhere.weight ? undefined : weight,
    zone: elsewhere.zone || zone === "" ? undefined : zone,
    version: elsewhere.version || version === "" ? undefined : version,
    tags: Object.keys(tags).length === 0 ? undefined : tags,
    state: state === "ready" ? undefined : state,
  });
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Reads what {@link writeDetails} wrote, also that of a later version. A text says what is wrong with it. */
export function readDetails(text: string): InstanceDetails | string {
  const json = parsed(text);
  if (json === undefined) return `its details are no JSON object: ${show(text)}`;
  const { id, service, weight, zone, version, tags, state } = json;
  const addresses = readAddresses(json.addresses ?? [{ address: json.address }]);
  if (typeof id !== "string" || id === "" || id.length > MAX_NAME_LENGTH || addresses === undefined) {
    return `its details have no id or address that can be used: ${show(text)}`;
  }
  return {
    id,
    service: textOf(service),
    address: addresses[0].address,
    fields: {
      addresses,
      ...(isWeight(weight) ? { weight } : {}),
      ...(typeof zone === "string" ? { zone } : {}),
      ...(typeof version === "string" ? { version } : {}),
      ...(state === "draining" ? { state } : {}),
    },
    tags: recordOf(tags),
  };
}

/** An address in its one form; undefined if it is none. */
export function checkedAddress(address: unknown): string | undefined {
  if (typeof address !== "string") return undefined;
  try {
    return checkAddress(address, "address");
  } catch {
    return undefined;
  }
}

/**
 * The port of gRPC where the port that is registered is the one of HTTP: `gRPC_port` and its older form `gRPC.port`, as the Spring Boot
 * starters of grpc-ecosystem write it. Undefined for what is Bowline's own.
 */
export function grpcPortOf(metadata: Readonly<Record<string, string>>): number | undefined {
  const text = metadata.bowline === undefined ? (metadata.gRPC_port ?? metadata["gRPC.port"]) : undefined;
  return text !== undefined && /^[0-9]{1,5}$/.test(text) ? Number(text) : undefined;
}

/** True for what may be a weight: JSON has numbers such as 1e999 that are read as infinite. */
export function isWeight(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** The value as an object to look into, whatever it is. */
export function objectOf(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value : {};
}

/** The entries of an object whose values are texts. */
export function recordOf(value: unknown): Record<string, string> {
  const entries = Object.entries(objectOf(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return Object.fromEntries(entries);
}

/** The value if it is a text, else an empty one. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A value of others for a message: quoted and cut. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}

function readAddresses(list: unknown): readonly Address[] | undefined {
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const read = list.map((each: unknown) => {
    const { address, network } = objectOf(each);
    const checked = checkedAddress(address);
    return checked === undefined ? undefined : { address: checked, network: textOf(network) };
  });
  return read.every((each) => each !== undefined) ? read : undefined;
}

function parsed(text: string): Partial<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
