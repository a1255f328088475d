import type { Instance } from "bowline/registry";
import { atOnce } from "../at-once.ts";
import { ownNetworks } from "../probe/address-kind.ts";
import { MAX_PROBES, type ProbeOptions, probe, type Step } from "../probe/probe.ts";
import type { Reach } from "../reach.ts";
import { type Circumstances, type Diagnosis, diagnose, noAddressIn } from "./diagnosis.ts";

/** One address of one instance, tried; or an instance that has none for the client. */
export interface Examined {
  readonly instance: Instance;
  /** What was tried; null: the client does not know where to go. */
  readonly address: string | null;
  /** Label of its network; empty if it has none. */
  readonly network: string;
  /** Why the client goes there; null if it takes another address of the instance. */
  readonly reach: Reach | null;
  readonly steps: readonly Step[];
  readonly diagnosis: Diagnosis | null;
}

/** What is examined, and how. */
export interface Examination extends ProbeOptions, Pick<Circumstances, "isRegistered" | "isRegistryShared"> {
  readonly instances: readonly Instance[];
  /** Where the client goes. */
  readonly reaches: ReadonlyMap<Instance, Reach>;
  /** The client's networks. */
  readonly networks: readonly string[];
  /** Addresses that the client does not take are tried, too. */
  readonly triesAll: boolean;
}

/** An address to try. */
type Trial = Pick<Examined, "instance" | "network" | "reach"> & { readonly address: string };

/** Tries the addresses of instances as a client would; sorted by address, those without one first. */
export async function examine(examination: Examination): Promise<readonly Examined[]> {
  const { instances, reaches, networks, isRegistered, isRegistryShared } = examination;
  const own = ownNetworks();
  const tried = await atOnce(instances.flatMap(trialsIn(examination)), MAX_PROBES, async (trial) => {
    const { instance, address, network, reach } = trial;
    const steps = await probe(address, examination);
    const others = instance.addresses.filter((each) => each.address !== (reach?.told.address ?? address));
    const rewrite = reach?.rewrite ?? null;
    const registry = { isRegistered, isRegistryShared };
    const diagnosis = diagnose(address, steps, { ownNetworks: own, ...registry, network, rewrite, others });
    return { ...trial, steps, diagnosis };
  });
  const lost = instances.filter((instance) => !reaches.has(instance)).map((instance) => without(instance, networks));
  return [...lost, ...tried.toSorted((a, b) => (a.address < b.address ? -1 : 1))];
}

function trialsIn({ reaches, triesAll }: Examination): (instance: Instance) => readonly Trial[] {
  return (instance) => {
    const reach = reaches.get(instance);
    if (!triesAll) {
      return reach === undefined ? [] : [{ instance, address: reach.address, network: reach.told.network, reach }];
    }
    const taken = (address: string): Reach | null => (reach?.told.address === address ? reach : null);
    return instance.addresses.map((each) => ({ instance, ...each, reach: taken(each.address) }));
  };
}

function without(instance: Instance, networks: readonly string[]): Examined {
  const diagnosis = noAddressIn(networks, instance.addresses);
  return { instance, address: null, network: "", reach: null, steps: [], diagnosis };
}
