import type { Instance } from "../../registry/registry.ts";
import type { Rewrite } from "./rewrite.ts";

/** Gives the address of an instance that a client dials; null if none can be reached from where it is. */
export type AddressChoice = (instance: Instance) => string | null;

/**
 * Which of an instance's addresses is dialled: the first network of `networks` in which it has one decides, an address without a label
 * (reachable from anywhere) comes last. A client that names no network takes the address without a label, or else the first. What was
 * chosen is rewritten.
 */
export function addressChoice(networks: readonly string[], rewrite: Rewrite): AddressChoice {
  return ({ addresses }) => {
    let best: string | null = null;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const { address, network } of addresses) {
      const rank = rankOf(network, networks);
      if (rank >= bestRank) continue;
      best = address;
      bestRank = rank;
    }
    return best === null ? null : rewrite(best);
  };
}

/** Less is better; `Infinity` can't be reached. */
function rankOf(network: string, networks: readonly string[]): number {
  if (networks.length === 0) return network === "" ? 0 : 1;
  if (network === "") return networks.length;
  const index = networks.indexOf(network);
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}

/** Why an instance is left out, and what to change. */
export function noCommonNetwork({ id, addresses }: Instance, networks: readonly string[]): string {
  const theirs = [...new Set(addresses.map(({ network }) => network))].join(", ");
  return (
    `instance ${id} has addresses in the networks ${theirs}, and this client is in ${networks.join(", ")}: ` +
    "add the network to the client's option networks, or let the server advertise an address there"
  );
}
