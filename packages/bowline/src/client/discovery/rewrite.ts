import { formatHostPort, isFault, readHostPort } from "../../registry/instance/address.ts";
import { parseTarget, printTarget } from "../../registry/target/target.ts";
import { checkOptions, type OptionSpecs } from "../../rpc/options.ts";
import { addressAt, type IpRange, ipRange, offsetIn } from "./ip-range.ts";

/** What a client dials in place of what a registry says: a rule of DNAT in user land. */
export interface RewriteRule {
  /**
   * Which addresses: a host (`10.0.0.7`, `user.internal`, `fd00::7`) or a range (`10.0.0.0/24`, `fd00::/8`), with a port behind it for
   * that port only (`10.0.0.7:8080`, `10.0.0.0/24:8080`, `[fd00::7]:8080`).
   */
  readonly from: string;
  /**
   * What to dial: a host, with a port where the port changes too; or a range of the size of `from`, in which the address keeps its
   * place.
   */
  readonly to: string;
  /** Only for this target, as clients write it; default: all targets of the client. */
  readonly target?: string;
}

/** Gives the address to dial for one that a registry told. */
export type Rewrite = (address: string) => string;

/** A host or a range, with or without a port. */
interface Place {
  readonly host: string;
  readonly range: IpRange | null;
  readonly port: number | null;
}

const SPECS: OptionSpecs = { from: { kind: "string" }, to: { kind: "string" }, target: { kind: "string" } };

/**
 * The rules that are for `target` (in its printed form) as one function; the first that fits an address decides. Addresses that no rule
 * fits, and sockets in the file system, stay as they are.
 *
 * @throws TypeError that names the rule, what is wrong with it and how to write it
 */
export function rewriteBy(rules: readonly RewriteRule[], target: string, option: string): Rewrite {
  const checked = rules.map((rule, index) => readRule(rule, `${option}[${index}]`));
  const own = checked.filter((rule) => rule.target === null || rule.target === target);
  if (own.length === 0) return (address) => address;
  return (address) => {
    if (address.startsWith("unix:")) return address;
    for (const { from, to } of own) {
      const rewritten = apply(address, from, to);
      if (rewritten !== null) return rewritten;
    }
    return address;
  };
}

function readRule(rule: RewriteRule, option: string): { from: Place; to: Place; target: string | null } {
  checkOptions(option, rule, SPECS);
  const from = readPlace(rule.from, `${option}.from`);
  const to = readPlace(rule.to, `${option}.to`);
  if (to.range !== null && (from.range?.bits !== to.range.bits || from.range.prefixLength !== to.range.prefixLength)) {
    throw new TypeError(
      `${option}.to is the range "${rule.to}", and from "${rule.from}" is none of the same size: give a host, or ranges like "10.0.0.0/24" and "203.0.113.0/24"`,
    );
  }
  return { from, to, target: rule.target === undefined ? null : printTarget(parseTarget(rule.target)) };
}

function readPlace(text: unknown, option: string): Place {
  const fault = (problem: string): TypeError =>
    new TypeError(
      `${option} is ${JSON.stringify(text)}: ${problem}; write "10.0.0.7", "10.0.0.7:8080", "10.0.0.0/24" or "user.internal"`,
    );
  if (typeof text !== "string" || text === "") throw fault("it must be a text");
  const ranged = /^\[?([^[\]/]+)\]?\/([0-9]+)\]?(?::([0-9]+))?$/.exec(text);
  if (ranged !== null) {
    const [, host, length, port] = ranged;
    const range = ipRange(`${host}/${length}`);
    if (range === null) throw fault("that is no range of IP addresses");
    return { host: "", range, port: port === undefined ? null : portOf(port, fault) };
  }
  // IPv6 without brackets has no port: its colons leave no room for one.
  const isBareIPv6 = text.split(":").length > 2 && !text.startsWith("[");
  const hasPort = !isBareIPv6 && /:[^\]]*$/.test(text) && !text.endsWith("]");
  const read = readHostPort(hasPort ? text : isBareIPv6 ? `[${text}]:1` : `${text}:1`);
  if (isFault(read)) throw fault(`it ${read.problem}`);
  return { host: read.host, range: null, port: hasPort ? read.port : null };
}

function portOf(digits: string, fault: (problem: string) => TypeError): number {
  const read = readHostPort(`h:${digits}`);
  if (isFault(read)) throw fault(`it ${read.problem}`);
  return read.port;
}

/** Null if the rule does not fit. */
function apply(address: string, from: Place, to: Place): string | null {
  const read = readHostPort(address);
  if (isFault(read) || (from.port !== null && from.port !== read.port)) return null;
  const offset = from.range === null ? null : offsetIn(from.range, read.host);
  if (from.range === null ? from.host !== read.host : offset === null) return null;
  const host = to.range === null ? to.host : addressAt(to.range, offset ?? 0n);
  const written = readHostPort(formatHostPort({ host, port: to.port ?? read.port }));
  return isFault(written) ? null : formatHostPort(written);
}
