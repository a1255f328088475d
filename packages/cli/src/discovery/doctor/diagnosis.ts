import type { Address } from "bowline/registry";
import { isWithin, kindOf } from "../probe/address-kind.ts";
import { placeOf } from "../probe/host-port.ts";
import type { Step } from "../probe/probe.ts";
import { labelled } from "../reach.ts";

/** Under which conditions an address was tried. */
export interface Circumstances {
  /** As CIDRs; see `ownNetworks`. */
  readonly ownNetworks: readonly string[];
  /** A registry tells the address; else the target itself does, or DNS. */
  readonly isRegistered: boolean;
  /** Other machines read the registry, so that loopback addresses in it are of no use to them. */
  readonly isRegistryShared: boolean;
  /** Label of the network that the instance gives for the address; empty if it has none. */
  readonly network: string;
  /** The rule that put the address in the place of the one that the registry tells; null: none. */
  readonly rewrite: string | null;
  /** What the instance has besides this address. */
  readonly others: readonly Address[];
}

/** Why an address can't be used, and what mends it. */
export interface Diagnosis {
  readonly problem: string;
  /** Ways to mend it, the best first; each names its setting. */
  readonly remedies: readonly string[];
}

/** What follows from the steps of a probe; null when all went well. */
export function diagnose(address: string, steps: readonly Step[], circumstances: Circumstances): Diagnosis | null {
  const last = steps.at(-1);
  if (last === undefined) return null;
  const { host } = placeOf(address);
  const { rewrite, isRegistryShared, isRegistered } = circumstances;
  if (last.isOk) {
    // It works from here, but not from anywhere else; where a rule leads is no affair of others.
    const isOnlyHere = isRegistryShared && rewrite === null && kindOf(host) === "loopback";
    return isOnlyHere ? is(`${host} is the loopback: no other machine can reach it`, ADVERTISE) : null;
  }
  if (rewrite !== null && (last.name === "resolve" || last.name === "tcp")) return astray(address, last, rewrite);
  switch (last.name) {
    case "resolve":
      return is(
        `the name ${host} does not resolve on this machine (${last.code})`,
        isRegistered
          ? "on the server, advertise an address, or a name that the clients' DNS knows: a container's own host name is known to nobody else"
          : "correct the name, or have this machine's DNS know it: a container's own host name is known to nobody else",
      );
    case "tcp":
      return unreachable(address, last, circumstances);
    case "tls":
      return badTls(host, last);
    case "http2":
      return otherProtocol(last, isRegistered);
    case "health":
      return unhealthy(last);
  }
}

const ADVERTISE =
  'on the server, set advertise to an address that others reach: "host:port", "interface:eth1", "cidr:10.0.0.0/8" or the variable BOWLINE_ADVERTISE';

/** What there is to say of an instance that has no address for a client in these networks. */
export function noAddressIn(networks: readonly string[], addresses: readonly Address[]): Diagnosis {
  const theirs = [...new Set(addresses.map(({ network }) => network))];
  const wider = [...networks, theirs[0]];
  return is(
    `it has no address for a client in ${networks.join(", ")}; it has ${addresses.map(labelled).join(", ")}`,
    `if the client is in ${theirs.join(" or ")}, too, say so: ${networksOption(wider)}`,
    `or on the server, advertise an address there besides: advertise: [{ network: "${networks[0]}", address: "HOST:PORT" }, …]`,
  );
}

function is(problem: string, ...remedies: readonly string[]): Diagnosis {
  return { problem, remedies };
}

/** The address is not the server's: what it advertises is not in question. */
function astray(address: string, { name, code }: Step, rewrite: string): Diagnosis {
  const what =
    name === "resolve" ? `the name in ${address} does not resolve` : `there is no way to ${address} from here`;
  return is(
    `${what} (${code}), and that is where the rule ${rewrite} leads`,
    "change the rule: behind its = stands what this machine reaches, with the port if that is another one: 10.0.0.0/24:8080=203.0.113.9:18080",
    "or what it leads to: a port forwarding or a firewall that lets nothing through",
  );
}

function unreachable(address: string, { code }: Step, circumstances: Circumstances): Diagnosis {
  const { host, port, path } = placeOf(address);
  if (path !== "") {
    const remedy = "a unix: address works on the server's own machine only, for users with the right to open it";
    return is(`the socket ${path} can't be opened (${code})`, remedy);
  }
  if (!circumstances.isRegistered) return unreachableTarget(host, port, code, circumstances);
  const kind = kindOf(host);
  if (kind === "wildcard") return is(wildcardWords(host), ADVERTISE);
  if (kind === "loopback" && circumstances.isRegistryShared) {
    return is(`${host} is the loopback of whoever reads it, and here nothing listens on port ${port}`, ADVERTISE);
  }
  if ((kind === "private" || kind === "link-local") && !isWithin(host, circumstances.ownNetworks)) {
    return foreignNetwork(host, port, code, circumstances);
  }
  if (code === "ECONNREFUSED") {
    return is(
      refusedWords(host, port),
      "start the server; when it is gone for good, its entry will expire",
      'behind a port mapping, advertise the outer port: advertise: "host:port"',
    );
  }
  return is(noWayWords(host, port, code), firewallRemedy(port), ADVERTISE);
}

/** The address was written by whoever asks: what a server advertises has no part in it. */
function unreachableTarget(host: string, port: number, code: string, { ownNetworks }: Circumstances): Diagnosis {
  const kind = kindOf(host);
  if (kind === "wildcard") return is(wildcardWords(host), `write the server's own address, here 127.0.0.1:${port}`);
  if (code === "ECONNREFUSED") return is(refusedWords(host, port), "start the server, or correct the address");
  const isElsewhere = (kind === "private" || kind === "link-local") && !isWithin(host, ownNetworks);
  const network = isElsewhere ? `; it is a private address of a network that this machine is not in` : "";
  return is(`${noWayWords(host, port, code)}${network}`, firewallRemedy(port), "or correct the address");
}

function wildcardWords(host: string): string {
  return `${host} is what a server listens on, not an address to connect to`;
}

function refusedWords(host: string, port: number): string {
  return `the machine ${host} answers, but nothing listens on port ${port}`;
}

function noWayWords(host: string, port: number, code: string): string {
  return `there is no way to ${host}:${port} from here (${code})`;
}

function firewallRemedy(port: number): string {
  return `a firewall or security group may drop it: open port ${port} for this machine`;
}

/** The story that elsewhere ends in iptables rules: an address of one network, read in another. */
function foreignNetwork(host: string, port: number, code: string, circumstances: Circumstances): Diagnosis {
  const { ownNetworks, network, others } = circumstances;
  // Each interface has a link-local one, which says nothing of where it is.
  const told = ownNetworks.filter((cidr) => kindOf(cidr.split("/")[0]) !== "link-local");
  const own = told.length === 0 ? "none at all" : told.join(", ");
  const label = network === "" ? "" : ` (labelled ${network})`;
  return is(
    `${host}${label} is a private address of a network that this machine is not in; its own are ${own} (${code})`,
    ...others
      .filter((other) => other.network !== "")
      .map((other) => `to take ${labelled(other)} instead: ${networksOption([other.network])}`),
    `on the server, advertise an address that is reachable from here: advertise: "PUBLIC_HOST:${port}"`,
    `or both, labelled: advertise: [{ network: "inside", address: "${host}:${port}" }, { network: "public", address: "PUBLIC_HOST:${port}" }], with networks: ["public"] in the client here`,
    `or in the client here alone: rewrite: [{ from: "${host}", to: "PUBLIC_HOST" }]; --rewrite ${host}=PUBLIC_HOST here`,
  );
}

function networksOption(networks: readonly string[]): string {
  const list = networks.map((network) => JSON.stringify(network)).join(", ");
  return `networks: [${list}] of the client, --network ${networks.join(",")} here`;
}

/** By the codes and texts of OpenSSL and Node. */
function badTls(host: string, { code, detail }: Step): Diagnosis {
  const seen = `${code} ${detail}`;
  if (code === "CERT_HAS_EXPIRED") {
    return is(
      "the server's certificate has expired",
      "renew it on the server; Bowline reads the files again by itself",
    );
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return is(
      `the server's certificate is not made out to ${host}: ${detail}`,
      "call it by a name in the certificate: authority of the client, --server-name here",
      "or have the address put into the certificate",
    );
  }
  if (/UNABLE_TO_(GET|VERIFY)|SELF_SIGNED|DEPTH_ZERO/.test(code)) {
    return is(
      `nobody whom this side trusts vouches for the server's certificate (${code})`,
      "give the authority that signed it: tls.authorities of the client, --tls-ca here",
    );
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH/.test(code)) {
    return is("the server speaks no TLS", "call it without, or give the server a certificate: tls of createServer");
  }
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|ECONNRESET/.test(seen)) {
    return is(
      `the server ended the handshake (${code})`,
      "it may ask for a client's certificate: tls.certificate and tls.key of the client, --tls-cert and --tls-key here",
    );
  }
  return is(`the TLS handshake failed: ${detail}`, "compare the versions and certificates of both sides");
}

function otherProtocol({ code, detail }: Step, isRegistered: boolean): Diagnosis {
  if (code === "ERR_TLS_WANTED") return is(detail, "call it with TLS: tls of the client, --tls or --tls-ca here");
  if (code === "ETIMEDOUT") {
    return is(
      "something accepts connections there but says nothing: a process that hangs, or a forwarder without its target",
      "look at the process behind the port; one that is stopped (SIGSTOP, a debugger) looks like this too",
    );
  }
  return is(
    `what listens there is no gRPC server: ${detail}`,
    `the port belongs to another program, or an HTTP/1 proxy stands between: ${isRegistered ? "advertise" : "call"} the server's own port`,
  );
}

function unhealthy({ code, detail }: Step): Diagnosis {
  if (code === "NOT_SERVING") {
    return is("the server runs but says NOT_SERVING", "it is starting, paused, draining or ill: its log says which");
  }
  return is(`HTTP/2 works, but a call of the health service failed: ${code} ${detail}`, "look at the server's log");
}
