import { formatHostPort, isFault, readHostPort } from "../instance/address.ts";

/** One port of a slice. */
export interface SlicePort {
  /** Empty if it has none. */
  readonly name: string;
  readonly number: number;
}

/** One endpoint, as one slice tells it. */
export interface SliceEndpoint {
  /** The same for the addresses of one pod in all slices. */
  readonly key: string;
  /** Without brackets. */
  readonly host: string;
  readonly isReady: boolean;
  /** Still answers, and is about to go. */
  readonly isLeaving: boolean;
  readonly zone: string;
  readonly node: string;
  /** Zones that shall use it; none: all (topology aware routing). */
  readonly zonesHint: string;
}

/** What is kept of an EndpointSlice (discovery.k8s.io/v1). */
export interface Slice {
  readonly name: string;
  readonly resourceVersion: string;
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
  /** Endpoints that can't be used as they stand, in words. */
  readonly faults: readonly string[];
}

/** What the API server sends; nothing in it is certain. */
type Json = { readonly [key: string]: Json | undefined } | readonly Json[] | string | number | boolean | null;

/** Reads an EndpointSlice; undefined when it is none at all. */
export function readSlice(value: unknown): Slice | undefined {
  const { metadata, addressType, endpoints, ports } = fieldsOf(value as Json);
  const { name, resourceVersion } = fieldsOf(metadata);
  if (typeof name !== "string" || name === "") return undefined;
  const faults: string[] = [];
  const read: SliceEndpoint[] = [];
  for (const each of listOf(endpoints)) {
    const endpoint = readEndpoint(each, textOf(addressType));
    if (typeof endpoint === "string") faults.push(`${name}: ${endpoint}`);
    else read.push(endpoint);
  }
  return {
    name,
    resourceVersion: textOf(resourceVersion),
    ports: listOf(ports).flatMap(readPorts),
    endpoints: read,
    faults,
  };
}

function readPorts(value: Json): SlicePort[] {
  const { name, port, protocol } = fieldsOf(value);
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) return [];
  return protocol === undefined || protocol === "TCP" ? [{ name: textOf(name), number: port }] : [];
}

/** An endpoint, or why there is none. Addresses beyond the first mean the same (API reference, `endpoints.addresses`). */
function readEndpoint(value: Json, addressType: string): SliceEndpoint | string {
  const { addresses, conditions, targetRef, zone, nodeName, hints } = fieldsOf(value);
  const host = textOf(listOf(addresses)[0]);
  if (!isAddress(host, addressType)) return `${JSON.stringify(host.slice(0, 100))} is no ${addressType || "address"}`;
  const { ready, serving, terminating } = fieldsOf(conditions);
  // Absent conditions mean yes (API reference, `EndpointConditions`); serving is absent before 1.26.
  const isReady = ready !== false;
  const isLeaving = terminating === true && serving === true;
  const { uid, name } = fieldsOf(targetRef);
  return {
    key: textOf(uid) || textOf(name) || host,
    host,
    isReady: isReady && terminating !== true,
    isLeaving,
    zone: textOf(zone),
    node: textOf(nodeName),
    zonesHint: listOf(fieldsOf(hints).forZones)
      .map((each) => textOf(fieldsOf(each).name))
      .filter((each) => each !== "")
      .join(","),
  };
}

function isAddress(host: string, addressType: string): boolean {
  if (isFault(readHostPort(addressOf(host, 1)))) return false;
  if (addressType === "IPv6") return host.includes(":") && !host.includes("%");
  if (addressType === "IPv4") return /^[0-9.]+$/.test(host);
  return addressType === "FQDN" && !host.includes(":");
}

/** `host:port` for a dial. */
export function addressOf(host: string, port: number): string {
  return formatHostPort({ host: host.toLowerCase(), port });
}

function fieldsOf(value: Json | undefined): { readonly [key: string]: Json | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: Json | undefined })
    : {};
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
