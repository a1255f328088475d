import { formatHostPort, isFault, readHostPort } from "../instance/address.ts";
import type { Address, Instance } from "../registry.ts";
import { entryId } from "../remote/entry-id.ts";
import {
  checkedAddress,
  grpcPortOf,
  type InstanceDetails,
  isWeight,
  objectOf,
  readDetails,
  recordOf,
  show,
  textOf,
  writeDetails,
} from "../remote/instance-details.ts";
import { type CheckedConsulOptions, isOwnMeta } from "./options.ts";

/** The body of `PUT /v1/agent/service/register`: https://developer.hashicorp.com/consul/api-docs/agent/service */
export interface ServiceDefinition {
  readonly ID: string;
  readonly Name: string;
  readonly Address?: string;
  readonly Port?: number;
  readonly SocketPath?: string;
  readonly Tags: readonly string[];
  /** What the catalog says of tags counts more than what an agent has on its disk: see {@link endEntry}. */
  readonly EnableTagOverride: true;
  readonly Meta: Readonly<Record<string, string>>;
  readonly Weights: { readonly Passing: number; readonly Warning: number };
  readonly Check: Readonly<Record<string, unknown>>;
  readonly Checks: readonly RestartCheck[];
}

/** See {@link restartCheck}. */
export interface RestartCheck {
  readonly CheckID: string;
  readonly Name: string;
  readonly TTL: string;
  readonly Status: "passing";
}

/** Where in Consul Enterprise. */
export interface CatalogScope {
  readonly Namespace?: string | undefined;
  readonly Partition?: string | undefined;
}

/** Where an entry is in the catalog. */
export interface CatalogEntry {
  readonly node: string;
  readonly id: string;
}

/** The node of an agent; id and address are empty where the agent does not say. */
export interface CatalogNode {
  readonly name: string;
  readonly id: string;
  readonly address: string;
}

/** What an entry was read to be, or what is wrong with it. */
export type ReadEntry = { readonly instance: Instance; readonly fault?: undefined } | { readonly fault: string };

/** Consul's limits: agent/structs `metaMaxKeyPairs`, `metaValueMaxLength`, and of weights. */
const MAX_META_PAIRS = 64;
const MAX_META_BYTES = 512;
const MAX_WEIGHT = 65_535;
/** Pairs that the JSON may need; the rest is for zone, version, tags and the option `meta`. */
const MAX_DETAIL_PAIRS = 32;
/** The meta that tells registrations of one id apart. */
const RUN = "bowline-run";
const ENDED = "bowline-ended-";
/** A hundred years: nobody ever says anything to the check. */
const ENDLESS = "876000h";
const PLAIN_TAG = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * What Consul is told of an instance. Readers of zero-contrib's format find the first address, tags, meta and weights where they
 * look for them; what they have no place for stands as JSON in the meta `bowline` (`bowline-2` … where 512 bytes are not enough).
 * `run` tells this registration from others of the same id, before and after.
 *
 * @throws TypeError if the instance's tags take more room than Consul has
 */
export function writeService(
  service: string,
  instance: Instance,
  options: CheckedConsulOptions,
  run: string,
): ServiceDefinition {
  const id = entryId(service, instance.id);
  const { address } = instance.addresses[0];
  const passing = Math.min(MAX_WEIGHT, Math.max(1, Math.round(instance.weight)));
  return {
    ID: id,
    Name: service,
    ...addressFields(address),
    Tags: options.tags,
    EnableTagOverride: true,
    Meta: metaOf(instance, passing, { ...options.meta, [RUN]: run }),
    Weights: { Passing: passing, Warning: 1 },
    Check: checkOf(id, address, options),
    Checks: options.check.kind === "ttl" ? [restartCheck(id)] : [],
  };
}

/**
 * A check beside `ttl` that fails from a restart of the agent on. Of a check that is updated an agent brings back the last state that it
 * had on its disk, so that who ended meanwhile would pass for `ttlSeconds` more; one that never was comes back as failing (agent/agent.go,
 * `loadChecks`). Who lives puts it in anew.
 */
export function restartCheck(id: string): RestartCheck {
  return { CheckID: `restart:${id}`, Name: "bowline restart", TTL: ENDLESS, Status: "passing" };
}

/** Where an entry of the run is, as `GET /v1/health/service/…` gives it; none of another run. */
export function ownEntry(entry: unknown, run: string): readonly CatalogEntry[] {
  const { Node: node, Service: service } = objectOf(entry);
  const { ID: id, Meta: meta } = objectOf(service);
  return recordOf(meta)[RUN] === run ? [{ node: textOf(objectOf(node).Node), id: textOf(id) }] : [];
}

/**
 * Whether a service, as `GET /v1/catalog/node/…` gives it, is what its agent was told: a snapshot may bring back what it was told before.
 */
export function isWritten(service: unknown, { Meta, Weights }: ServiceDefinition): boolean {
  const { Meta: meta, Weights: weights } = objectOf(service);
  return isSame(objectOf(meta), Meta) && isSame(objectOf(weights), Weights);
}

/** Whether a service, as an agent gives it, is of the run. */
export function isOwnService(service: unknown, run: string): boolean {
  return recordOf(objectOf(service).Meta)[RUN] === run;
}

/**
 * What `PUT /v1/catalog/register` is asked for so that the catalog has what an agent was told, before that agent tells it: the agent of a
 * node finds nothing to change then. What the catalog says of the node stays, if it has it.
 */
export function catalogRegistration(definition: ServiceDefinition, node: CatalogNode, scope: CatalogScope): object {
  const { Check, Checks, Name, ...service } = definition;
  const checks = [Check, ...Checks].map(({ CheckID, Name: name, Status }) => {
    return { Node: node.name, CheckID, Name: name, Status, ServiceID: definition.ID, ...scope };
  });
  return {
    Node: node.name,
    ID: node.id,
    Address: node.address,
    SkipNodeUpdate: true,
    Service: { ...service, Service: Name, ...scope },
    Checks: checks,
    ...scope,
  };
}

/**
 * What `PUT /v1/txn` is asked for so that an entry counts as ended: an entry of the run, as `GET /v1/health/service/…` gives it, whose
 * agent can't be told. An agent brings what it had on its disk back when it is there again, but follows the catalog in the tags; those
 * who do not know the tag are told by a check, until the agent has seen that it is none of its own. None where there is nothing to do.
 */
export function endEntry(entry: unknown, run: string): readonly object[] {
  const { Node: node, Service: service } = objectOf(entry);
  const { ID: id, Meta: meta, Tags: tags, Namespace, Partition } = objectOf(service);
  const isOwn = recordOf(meta)[RUN] === run && !hasEnded(tags, run);
  if (!isOwn) return [];
  const Node = objectOf(node).Node;
  const Check = { Node, ServiceID: id, CheckID: `ended:${textOf(id)}`, Name: "bowline ended", Status: "critical" };
  return [
    { Service: { Verb: "cas", Node, Service: { ...objectOf(service), Tags: [...listOf(tags), ENDED + run] } } },
    { Check: { Verb: "set", Check: { ...Check, Namespace, Partition } } },
  ];
}

/**
 * Reads one entry of `GET /v1/health/service/…`: Bowline's own, zero-contrib's and any other's. Without an address of its own a
 * service has its node's. Tags and meta of others become tags (`a=b` as `a` and `b`); addresses under other labels than `lan` count
 * for the network of that name.
 */
export function readEntry(entry: unknown, health: CheckedConsulOptions["health"]): ReadEntry | undefined {
  const { Node: node, Service: service, Checks: checks } = objectOf(entry);
  const {
    ID: id,
    Port: servicePort,
    SocketPath: socketPath,
    Meta: meta,
    Tags: tags,
    Weights: weights,
  } = objectOf(service);
  if (typeof id !== "string" || id === "") return { fault: "an entry without an id" };
  const status = worstStatus(checks);
  if (status === "critical" && health !== "any") return undefined;
  if (status === "warning" && health === "passing") return undefined;
  const fault = (what: string): ReadEntry => ({ fault: `${show(id)}: ${what}` });
  const metaRecord = recordOf(meta);
  if (hasEnded(tags, metaRecord[RUN])) return undefined;
  const host = textOf(objectOf(service).Address) || textOf(objectOf(node).Address);
  const port = grpcPortOf(metaRecord) ?? servicePort;
  const address = typeof socketPath === "string" && socketPath !== "" ? `unix:${socketPath}` : addressOf(host, port);
  const checked = address === undefined ? undefined : checkedAddress(address);
  if (checked === undefined) return fault(`${show(address ?? host)} with port ${show(port)} is no address`);
  const details = detailsOf(metaRecord);
  if (typeof details === "string") return fault(details);
  const isOwn = details?.address === checked;
  const { Passing: passing, Warning: warning } = objectOf(weights);
  const weight = status === "warning" ? warning : passing;
  const base = {
    id: details?.id ?? id,
    addresses: [{ address: checked, network: "" }, ...taggedAddresses(objectOf(service).TaggedAddresses, checked)],
    weight: isWeight(weight) ? weight : 1,
    zone: metaRecord.zone ?? "",
    version: metaRecord.version ?? "",
    tags: { ...listedTags(tags), ...plainTags(metaRecord) },
    state: "ready" as const,
  };
  if (details === undefined || !isOwn) return { instance: base };
  return { instance: { ...base, ...details.fields, tags: { ...base.tags, ...details.tags } } };
}

function metaOf(instance: Instance, passing: number, more: Readonly<Record<string, string>>): Record<string, string> {
  const meta: Record<string, string> = { ...more };
  const details: [string, string][] = [];
  if (fits(instance.zone)) meta.zone = instance.zone;
  if (fits(instance.version)) meta.version = instance.version;
  let room = MAX_META_PAIRS - MAX_DETAIL_PAIRS - Object.keys(meta).length;
  for (const [key, value] of Object.entries(instance.tags)) {
    const isPlain = PLAIN_TAG.test(key) && !isReserved(key) && Buffer.byteLength(value) <= MAX_META_BYTES;
    if (!isPlain || room <= 0 || Object.hasOwn(more, key)) details.push([key, value]);
    else {
      room--;
      meta[key] = value;
    }
  }
  const chunks = chunksOf(
    writeDetails(
      instance,
      { weight: passing, zone: fits(instance.zone), version: fits(instance.version) },
      Object.fromEntries(details),
    ),
  );
  if (chunks.length > MAX_DETAIL_PAIRS) {
    throw new TypeError(
      `consul registry: the tags of instance ${show(instance.id)} take ${chunks.length * MAX_META_BYTES} bytes; ` +
        `Consul has room for ${MAX_DETAIL_PAIRS * MAX_META_BYTES}: give it fewer or shorter tags`,
    );
  }
  chunks.forEach((chunk, index) => {
    meta[index === 0 ? "bowline" : `bowline-${index + 1}`] = chunk;
  });
  // Half a character comes back as another one.
  return Object.fromEntries(Object.entries(meta).map(([key, value]) => [key, value.toWellFormed()]));
}

function chunksOf(text: string): string[] {
  const chunks: string[] = [];
  for (let at = 0; at < text.length; at += MAX_META_BYTES) chunks.push(text.slice(at, at + MAX_META_BYTES));
  return chunks;
}

/** The JSON under `bowline`, put together. Undefined without one; a text says what is wrong with it. */
function detailsOf(meta: Readonly<Record<string, string>>): InstanceDetails | undefined | string {
  if (meta.bowline === undefined) return undefined;
  let text = meta.bowline;
  for (let index = 2; Object.hasOwn(meta, `bowline-${index}`); index++) text += meta[`bowline-${index}`];
  return readDetails(text);
}

/** The parts of an address; IPv6 goes without its brackets. */
function addressFields(address: string): Pick<ServiceDefinition, "Address" | "Port" | "SocketPath"> {
  if (address.startsWith("unix:")) return { SocketPath: address.slice("unix:".length) };
  const read = readHostPort(address);
  if (isFault(read)) throw new TypeError(`consul registry: instance.addresses: ${show(address)} ${read.problem}`);
  return { Address: read.host, Port: read.port };
}

function addressOf(host: string, port: unknown): string | undefined {
  if (host === "" || typeof port !== "number" || !Number.isInteger(port)) return undefined;
  return formatHostPort({ host, port });
}

/** Agents add `lan_ipv4`, `wan_ipv4` and so on to each service, mostly with the address that is known already. */
function taggedAddresses(tagged: unknown, primary: string): readonly Address[] {
  const found = new Map<string, Address>();
  for (const [label, value] of Object.entries(objectOf(tagged))) {
    const network = label.replace(/_ipv[46]$/, "");
    const { Address: host, Port: port } = objectOf(value);
    const address = checkedAddress(addressOf(textOf(host), port));
    if (network === "lan" || network.startsWith("consul-") || address === undefined || address === primary) continue;
    found.set(`${network} ${address}`, { address, network });
  }
  return [...found.values()];
}

function checkOf(id: string, address: string, options: CheckedConsulOptions): Record<string, unknown> {
  const { check, ttlSeconds, checkIntervalSeconds, deregisterAfterSeconds } = options;
  const base = {
    CheckID: `service:${id}`,
    Name: `bowline ${check.kind}`,
    // It registers because it serves; until the first check it would not be found.
    Status: "passing",
    DeregisterCriticalServiceAfter: `${deregisterAfterSeconds}s`,
  };
  if (check.kind === "ttl") return { ...base, TTL: `${ttlSeconds}s` };
  const active = { ...base, Interval: `${checkIntervalSeconds}s`, Timeout: `${checkIntervalSeconds}s` };
  if (check.kind === "http") return { ...active, HTTP: check.url };
  if (address.startsWith("unix:")) {
    throw new TypeError(
      `consul registry: check: an agent can't check ${address} with ${check.kind}; use the check "ttl"`,
    );
  }
  if (check.kind === "tcp") return { ...active, TCP: address };
  return {
    ...active,
    GRPC: check.service === undefined ? address : `${address}/${check.service}`,
    GRPCUseTLS: check.tls ?? false,
  };
}

/** One check that is critical makes the instance critical; a node in maintenance has a check that says so. */
function worstStatus(checks: unknown): "passing" | "warning" | "critical" {
  let worst: "passing" | "warning" = "passing";
  for (const check of listOf(checks)) {
    const { Status: status } = objectOf(check);
    if (status === "critical" || status === "maintenance") return "critical";
    if (status === "warning") worst = "warning";
  }
  return worst;
}

function hasEnded(tags: unknown, run: string | undefined): boolean {
  return run !== undefined && listOf(tags).includes(ENDED + run);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** `a=b` is a habit of many; `a` alone says that it is there. */
function listedTags(tags: unknown): Record<string, string> {
  const read: [string, string][] = [];
  for (const tag of listOf(tags)) {
    if (typeof tag !== "string" || tag === "" || tag.startsWith(ENDED)) continue;
    const equals = tag.indexOf("=");
    read.push(equals > 0 ? [tag.slice(0, equals), tag.slice(equals + 1)] : [tag, ""]);
  }
  return Object.fromEntries(read);
}

function plainTags(meta: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(meta).filter(([key]) => !isReserved(key)));
}

function isReserved(key: string): boolean {
  return key === "zone" || key === "version" || key === "__proto__" || isOwnMeta(key) || key.startsWith("consul-");
}

/** Whether all that was written is there, and nothing else. */
function isSame(found: Readonly<Record<string, unknown>>, written: Readonly<Record<string, unknown>>): boolean {
  const keys = Object.keys(written);
  return keys.length === Object.keys(found).length && keys.every((key) => found[key] === written[key]);
}

function fits(text: string): boolean {
  return text !== "" && Buffer.byteLength(text) <= MAX_META_BYTES;
}
