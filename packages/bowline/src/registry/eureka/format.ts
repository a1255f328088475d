import { formatHostPort, isFault, readHostPort } from "../instance/address.ts";
import type { Instance } from "../registry.ts";
import { hashOf, readable } from "../remote/entry-id.ts";
import {
  checkedAddress,
  grpcPortOf,
  objectOf,
  readDetails,
  recordOf,
  show,
  textOf,
  writeDetails,
} from "../remote/instance-details.ts";
import type { CheckedEurekaOptions } from "./options.ts";

/** The body of `POST /apps/{app}`: https://github.com/Netflix/eureka/wiki/Eureka-REST-operations */
export interface InstanceBody {
  readonly instance: Readonly<Record<string, unknown>>;
}

/** An entry of a registry, read. */
export interface EurekaEntry {
  readonly id: string;
  /** `UP`, `DOWN`, `STARTING`, `OUT_OF_SERVICE`, `UNKNOWN`. */
  readonly status: string;
  /** `ADDED`, `MODIFIED`, `DELETED`; says something in a delta only. */
  readonly action: string;
  /** Undefined where the status or a fault forbids its use. */
  readonly instance: Instance | undefined;
  readonly fault: string;
  /** The exact name of the service, where it was Bowline that registered it; else empty. */
  readonly service: string;
}

/** Names that all servers take in a path, whatever is between; Eureka has them in upper case. */
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** Keys that may be element names where a client asks for XML. */
const PLAIN_TAG = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;

/**
 * The application of a service. Others find a service of a plain name under that name, in upper case as Eureka has it; a name with
 * other characters is made safe, and found by Bowline only.
 */
export function appName(service: string): string {
  if (PLAIN_NAME.test(service)) return service.toUpperCase();
  return `${readable(service).replace(/:/g, "_")}-${hashOf(service)}`.toUpperCase();
}

/** What a server is told of an instance. `dirtyMs`: the time of the change, ms since 1970; a server keeps what is newer. */
export function writeInstance(
  service: string,
  entryId: string,
  instance: Instance,
  options: CheckedEurekaOptions,
  dirtyMs: number,
): InstanceBody {
  const { host, port } = addressOf(instance);
  const { secure, ttlSeconds } = options;
  const app = appName(service);
  const name = PLAIN_NAME.test(service) ? service : app;
  const portOf = (isEnabled: boolean, number: number): object => ({ $: number, "@enabled": String(isEnabled) });
  return {
    instance: {
      instanceId: entryId,
      app,
      hostName: host,
      ipAddr: host,
      vipAddress: name,
      secureVipAddress: name,
      status: "UP",
      overriddenstatus: "UNKNOWN",
      port: portOf(!secure, secure ? 80 : port),
      securePort: portOf(secure, secure ? port : 443),
      countryId: 1,
      dataCenterInfo: { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", name: "MyOwn" },
      leaseInfo: { renewalIntervalInSecs: Math.max(1, Math.floor(ttlSeconds / 3)), durationInSecs: ttlSeconds },
      metadata: metadataOf(service, instance),
      lastUpdatedTimestamp: String(dirtyMs),
      lastDirtyTimestamp: String(dirtyMs),
      isCoordinatingDiscoveryServer: "false",
      actionType: "ADDED",
    },
  };
}

/**
 * Reads an instance of any client, in the JSON of Jackson or the older one of XStream, where numbers and booleans are texts.
 * `OUT_OF_SERVICE` is an instance that drains; others but `UP` can't be used. `gRPC_port` in the metadata is taken before the port.
 */
export function readInstance(value: unknown, options: CheckedEurekaOptions): EurekaEntry {
  const fields = objectOf(value);
  const status = textOf(fields.status) || "UNKNOWN";
  const id = textOf(fields.instanceId) || textOf(fields.hostName);
  const metadata = recordOf(fields.metadata);
  const base = { id, status, action: textOf(fields.actionType), service: "" };
  if (id === "") return { ...base, instance: undefined, fault: "an entry without an id" };
  if (status !== "UP" && status !== "OUT_OF_SERVICE") return { ...base, instance: undefined, fault: "" };
  const wrong = (what: string): EurekaEntry => ({ ...base, instance: undefined, fault: `${show(id)}: ${what}` });
  const details = metadata.bowline === undefined ? undefined : readDetails(metadata.bowline);
  if (typeof details === "string") return wrong(details);
  const hosts = [textOf(fields.ipAddr), textOf(fields.hostName)].filter((host) => host !== "");
  const port = grpcPortOf(metadata) ?? portOf(fields, options.secure);
  const address = hosts
    .map((host) => (port === undefined ? undefined : checkedAddress(formatHostPort({ host, port }))))
    .find((each) => each !== undefined);
  if (address === undefined) return wrong(`${show(hosts[0] ?? "")} with port ${show(port ?? "none")} is no address`);
  const weight = Number(metadata.weight ?? "1");
  const plain: Instance = {
    id: details?.id ?? id,
    addresses: [{ address, network: "" }],
    weight: Number.isFinite(weight) && weight >= 0 && metadata.weight !== "" ? weight : 1,
    zone: metadata.zone ?? "",
    version: metadata.version ?? "",
    tags: plainTags(metadata),
    state: "ready",
  };
  const own =
    details !== undefined && details.address === address
      ? { ...plain, ...details.fields, tags: { ...plain.tags, ...details.tags } }
      : plain;
  const instance: Instance = status === "OUT_OF_SERVICE" ? { ...own, state: "draining" } : own;
  return { ...base, instance, fault: "", service: details?.service ?? "" };
}

/** The applications of an answer, by name: also where one stands alone instead of in a list. Undefined for an answer of another kind. */
export function readApplications(value: unknown):
  | {
      readonly hash: string;
      readonly apps: readonly { readonly name: string; readonly instances: readonly unknown[] }[];
    }
  | undefined {
  const { applications } = objectOf(value);
  if (typeof applications !== "object" || applications === null) return undefined;
  const { apps__hashcode: hash, application } = objectOf(applications);
  const apps = listOf(application).map((each) => {
    const { name, instance } = objectOf(each);
    return { name: textOf(name).toUpperCase(), instances: listOf(instance) };
  });
  return { hash: textOf(hash), apps };
}

/** What `apps__hashcode` is for these statuses: `DOWN_1_UP_5_`. */
export function hashCodeOf(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([status, count]) => `${status}_${count}_`)
    .join("");
}

function addressOf(instance: Instance): { host: string; port: number } {
  const { address } = instance.addresses[0];
  const read = readHostPort(address);
  if (!isFault(read)) return read;
  throw new TypeError(
    `eureka registry: instance.addresses[0]: ${show(address)} has no host and port, which Eureka needs`,
  );
}

function metadataOf(service: string, instance: Instance): Record<string, string> {
  const { weight, zone, version } = instance;
  const plain: [string, string][] = [];
  const others: [string, string][] = [];
  for (const [key, value] of Object.entries(instance.tags)) {
    (PLAIN_TAG.test(key) && !isReserved(key) ? plain : others).push([key, value]);
  }
  const details = writeDetails(instance, { weight, zone: true, version: true }, Object.fromEntries(others), service);
  return {
    ...Object.fromEntries(plain),
    ...(weight === 1 ? {} : { weight: String(weight) }),
    ...(zone === "" ? {} : { zone }),
    ...(version === "" ? {} : { version }),
    bowline: details,
  };
}

function plainTags(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !isReserved(key)));
}

function isReserved(key: string): boolean {
  return ["bowline", "weight", "zone", "version", "@class", "__proto__"].includes(key);
}

/** The port that is enabled; of two the one that is wanted. */
function portOf(fields: Partial<Record<string, unknown>>, isSecure: boolean): number | undefined {
  const [plain, secure] = [readPort(fields.port), readPort(fields.securePort)];
  return isSecure ? (secure ?? plain) : (plain ?? secure);
}

function readPort(value: unknown): number | undefined {
  const { $: number, "@enabled": enabled } = objectOf(value);
  if (String(enabled) !== "true") return undefined;
  const port = Number(number);
  return Number.isInteger(port) ? port : undefined;
}

/** XStream writes a list of one as that one. */
function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? (value as readonly unknown[]) : [value];
}
