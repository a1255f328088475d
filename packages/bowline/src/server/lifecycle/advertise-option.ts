import { isUnixAddress, parseAddress } from "../../net/address.ts";
import { type AddressBlock, readAddressBlock } from "../../registry/instance/cidr.ts";

/** One address that a server advertises, for those who are in a network. */
export interface AdvertisedAddress {
  /** Label of the network from which it can be reached, `vpc-a`, `public`; empty: from anywhere. */
  readonly network: string;
  /** Any form that `advertise` takes as a text. */
  readonly address: string;
}

/** What the option `advertise` takes. */
export type AdvertiseOption = string | readonly AdvertisedAddress[];

/** A form of `advertise`, read. `port` is null where that of the listener is meant; another one is a port mapping. */
export type AdvertiseForm =
  | { readonly kind: "auto"; readonly port: number | null }
  | { readonly kind: "host"; readonly host: string; readonly port: number | null }
  | { readonly kind: "interface"; readonly name: string; readonly port: number | null }
  | { readonly kind: "cidr"; readonly block: AddressBlock; readonly port: number | null }
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "unix"; readonly path: string };

/** A form with its network. */
export interface AdvertiseEntry {
  readonly network: string;
  readonly form: AdvertiseForm;
}

const FORMS = 'write "auto", "host:port", "host", "interface:eth1", "cidr:10.0.0.0/8" or "env:POD_IP"';
const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];

/**
 * Reads the option `advertise`.
 *
 * @throws TypeError or RangeError that names `field`, the value, and what is allowed
 */
export function readAdvertise(option: AdvertiseOption, field: string): readonly AdvertiseEntry[] {
  if (typeof option === "string") return [{ network: "", form: readAdvertiseForm(option, field) }];
  if (!Array.isArray(option)) {
    throw new TypeError(`${field} is ${typeof option}: ${FORMS}, or a list of { network, address }`);
  }
  if (option.length === 0) throw new TypeError(`${field} is an empty list: leave it out for "auto"`);
  return option.map((each: unknown, index) => readEntry(each, `${field}[${index}]`));
}

/** Reads one form. @throws TypeError or RangeError as {@link readAdvertise} */
export function readAdvertiseForm(text: string, field: string): AdvertiseForm {
  const auto = /^auto(?::(\d+))?$/.exec(text);
  if (auto !== null) return { kind: "auto", port: readPort(auto[1], text, field) };
  if (text.startsWith("interface:")) return readInterface(text, field);
  if (text.startsWith("cidr:")) return readCidr(text, field);
  if (text.startsWith("env:")) return readVariable(text, field);
  if (text.startsWith("unix:") || hasPort(text)) return readAddress(text, text, field);
  return { ...readAddress(text, `${text}:1`, field), port: null } as AdvertiseForm;
}

/** The same forms with their ports counted up, for one of several servers that each have a port; forms without a port stay. */
export function withNextPorts(option: AdvertiseOption, offset: number): AdvertiseOption {
  if (typeof option !== "string") {
    return option.map(({ network, address }) => ({ network, address: withNextPort(address, offset) }));
  }
  return withNextPort(option, offset);
}

/** The ports that the forms name. */
export function advertisedPorts(option: AdvertiseOption, field: string): readonly number[] {
  const ports = readAdvertise(option, field).map(({ form }) => ("port" in form ? form.port : null));
  return ports.filter((port) => port !== null);
}

/** {@link withNextPorts} of one form. @throws TypeError or RangeError as {@link readAdvertise} */
export function withNextPort(text: string, offset: number, field: string = "advertise"): string {
  const form = readAdvertiseForm(text, field);
  if (!("port" in form) || form.port === null) return text;
  return `${text.slice(0, text.lastIndexOf(":"))}:${form.port + offset}`;
}

function readEntry(entry: unknown, field: string): AdvertiseEntry {
  const { network, address } = (entry ?? {}) as Partial<AdvertisedAddress>;
  if (typeof network !== "string" || typeof address !== "string") {
    throw new TypeError(`${field}: give { network: "vpc-a", address: "interface:eth1" }`);
  }
  return { network, form: readAdvertiseForm(address, `${field}.address`) };
}

function readInterface(text: string, field: string): AdvertiseForm {
  const [, name, port] = /^interface:(.*?)(?::(\d+))?$/.exec(text) as RegExpExecArray;
  if (name === "" || /\s/.test(name))
    throw new TypeError(`${field} is ${JSON.stringify(text)}: name an interface, ${FORMS}`);
  return { kind: "interface", name, port: readPort(port, text, field) };
}

function readCidr(text: string, field: string): AdvertiseForm {
  const [, cidr, port] = /^cidr:(.*?)(?:(?<=\/\d+):(\d+))?$/.exec(text) as RegExpExecArray;
  const block = readAddressBlock(cidr);
  if (typeof block === "string")
    throw new TypeError(`${field} is ${JSON.stringify(text)}: ${JSON.stringify(cidr)} ${block}`);
  return { kind: "cidr", block, port: readPort(port, text, field) };
}

function readVariable(text: string, field: string): AdvertiseForm {
  const name = text.slice("env:".length);
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    throw new TypeError(
      `${field} is ${JSON.stringify(text)}: ${JSON.stringify(name)} is no name of a variable; ${FORMS}`,
    );
  }
  return { kind: "env", name };
}

function readAddress(text: string, complete: string, field: string): AdvertiseForm {
  const address = parse(text, complete, field);
  if (isUnixAddress(address)) return { kind: "unix", path: address.path };
  if (WILDCARDS.includes(address.host)) {
    throw new TypeError(
      `${field} is ${JSON.stringify(text)}: ${address.host} is what a server listens on, nobody can connect to it; ${FORMS}`,
    );
  }
  return { kind: "host", host: address.host, port: address.port };
}

function parse(text: string, complete: string, field: string): ReturnType<typeof parseAddress> {
  try {
    return parseAddress(complete);
  } catch (error) {
    // What was added to it is not what the user has written.
    const { message } = error as Error;
    const shown = complete === text ? message : message.replace(JSON.stringify(complete), JSON.stringify(text));
    throw new RangeError(`${field}: ${shown}; or ${FORMS}`);
  }
}

/** Everything that has a colon outside of brackets is an address with its port, also a wrong one. */
function hasPort(text: string): boolean {
  return text.replace(/^\[[^\]]*\]/, "").includes(":");
}

function readPort(digits: string | undefined, text: string, field: string): number | null {
  if (digits === undefined) return null;
  const port = Number(digits);
  if (port >= 1 && port <= 65_535) return port;
  throw new RangeError(`${field} is ${JSON.stringify(text)}: port ${digits} is not from 1 to 65535`);
}
