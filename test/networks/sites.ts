import type { Host } from "../chaos/network/host.ts";
import { createNetwork, type Network } from "../chaos/network/network.ts";
import type { Router } from "../chaos/network/router.ts";
import type { Subnet } from "../chaos/network/subnet.ts";

/** One place with servers: a private network behind a box that translates its addresses. */
export interface Site {
  readonly name: string;
  /** `10.1.0.0/24` for the first site, `10.2.0.0/24` for the second. */
  readonly subnet: Subnet;
  readonly box: Router;
  /** The box's address outside, the only one of the site that others can reach. */
  readonly publicAddress: string;
}

/** Where all sites meet, with the host of the registry. */
export interface World extends AsyncDisposable {
  readonly network: Network;
  /** `203.0.113.0/24`, which is kept for examples (RFC 5737) and counts as public. */
  readonly internet: Subnet;
  /** The host of the registry, 203.0.113.100. */
  readonly registry: Host;
  /** A further site; its network is that of its number, counted from 1. */
  site(name: string): Site;
  /** A host in a site, which reaches the internet by the site's box. */
  host(name: string, site: Site): Host;
}

const REGISTRY_ADDRESS = "203.0.113.100";

/** A world without sites. Private addresses mean nothing in its internet: no router knows a way to them. */
export function createWorld(): World {
  const network = createNetwork();
  const internet = network.subnet("203.0.113.0/24");
  const registry = network.host("registry", internet, { address: REGISTRY_ADDRESS });
  let count = 0;
  return {
    network,
    internet,
    registry,
    site(name) {
      count++;
      const subnet = network.subnet(`10.${count}.0.0/24`);
      const box = network.router(`box-${name}`, [internet, subnet]);
      box.masquerade(internet);
      box.shield(internet);
      return { name, subnet, box, publicAddress: box.address(internet) };
    },
    host: (name, { subnet, box }) => network.host(name, subnet, { gateway: box }),
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}
