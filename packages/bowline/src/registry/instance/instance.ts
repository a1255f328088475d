import type { Random } from "../../rpc/random.ts";
import type { Instance } from "../registry.ts";
import { checkAddress } from "./address.ts";

/** Longest id of an instance and name of a service, in UTF-16 units. */
export const MAX_NAME_LENGTH = 255;

/** An instance of which nothing but the address is known; the address is its id. */
export function instanceAt(address: string): Instance {
  return {
    id: address,
    addresses: [{ address, network: "" }],
    weight: 1,
    zone: "",
    version: "",
    tags: {},
    state: "ready",
  };
}

/** `name-pid-random`: unique on one machine, and readable. Six characters of chance: one process may have many. */
export function newInstanceId(name: string, pid: number, random: Random): string {
  const chance = Math.floor(random() * 36 ** 6).toString(36);
  return `${name}-${pid}-${chance.padStart(6, "0")}`;
}

/** @throws TypeError if the name is empty, longer than {@link MAX_NAME_LENGTH} or holds control characters */
export function checkServiceName(service: string): void {
  checkName(service, "service");
}

/** @throws TypeError if it can't be the id of an instance, as {@link checkServiceName} */
export function checkInstanceId(id: string): void {
  checkName(id, "instance.id");
}

/** Checks each field. @throws TypeError or RangeError that names the field, its value and what is allowed */
export function checkInstance(instance: Instance): void {
  if (typeof instance !== "object" || instance === null) throw new TypeError("instance: expected an object");
  checkInstanceId(instance.id);
  checkAddresses(instance.addresses);
  checkChange(instance);
  checkText(instance.zone, "instance.zone");
  checkText(instance.version, "instance.version");
}

/** Checks the fields that a registration may change. @throws TypeError or RangeError as {@link checkInstance} */
export function checkChange(change: Pick<Instance, "weight" | "state" | "tags">): void {
  const { weight, state, tags } = change;
  if (typeof weight !== "number" || !Number.isFinite(weight) || weight < 0) {
    throw new RangeError(
      `instance.weight: ${String(weight)} is not allowed; use a number from 0 (no load) up, default 1`,
    );
  }
  if (state !== "ready" && state !== "draining") {
    throw new TypeError(`instance.state: ${JSON.stringify(state)} is not allowed; use "ready" or "draining"`);
  }
  if (typeof tags !== "object" || tags === null || Array.isArray(tags)) {
    throw new TypeError("instance.tags: expected an object of texts");
  }
  for (const [key, value] of Object.entries(tags)) checkText(value, `instance.tags[${JSON.stringify(key)}]`);
}

function checkAddresses(addresses: Instance["addresses"]): void {
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw new TypeError(
      'instance.addresses: at least one is needed, such as { address: "10.0.0.7:8080", network: "" }',
    );
  }
  addresses.forEach((entry: unknown, index) => {
    const field = `instance.addresses[${index}]`;
    if (typeof entry !== "object" || entry === null || !("address" in entry) || !("network" in entry)) {
      throw new TypeError(`${field}: expected { address, network }`);
    }
    checkAddress(entry.address as string, `${field}.address`);
    checkText(entry.network, `${field}.network`);
  });
}

function checkName(value: unknown, field: string): void {
  checkText(value, field);
  const name = value as string;
  if (name === "" || name.length > MAX_NAME_LENGTH) {
    throw new TypeError(`${field}: ${name.length} characters are not allowed; use 1 to ${MAX_NAME_LENGTH}`);
  }
  if (/\p{Cc}/u.test(name) || !name.isWellFormed()) {
    throw new TypeError(`${field}: ${JSON.stringify(name)} holds control characters or half a surrogate pair`);
  }
}

function checkText(value: unknown, field: string): void {
  if (typeof value !== "string") throw new TypeError(`${field}: expected a text, got ${typeof value}`);
}
