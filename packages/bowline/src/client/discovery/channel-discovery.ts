import { nodeFileSystem } from "../../registry/local/file-system.ts";
import type { Instance, Registry } from "../../registry/registry.ts";
import type { RegistryContext } from "../../registry/registry-config.ts";
import { addressChoice, noCommonNetwork } from "./address-choice.ts";
import type { DiscoverySettings } from "./discovery-options.ts";
import { rewriteBy } from "./rewrite.ts";
import { defaultSnapshotFolder } from "./snapshot-folder.ts";
import { SnapshotStore } from "./snapshot-store.ts";

/** What a channel needs to find instances and to get to them. */
export interface ChannelDiscovery {
  /** The last known instances; null: none are kept. */
  readonly disk: SnapshotStore | null;
  /** While nothing is known and the registry fails calls wait, up to their deadlines. */
  readonly waitsForRegistry: boolean;
  /** The address of an instance that is dialled; null if none can be reached from here. */
  choose(instance: Instance): string | null;
  /** Why `choose` gave none, for people. */
  whyNone(instance: Instance): string;
}

/** Registries that need no other machine, or have a cache of their own: when they fail waiting is no use, and nothing is kept. */
const AT_HAND: readonly string[] = ["static", "dns", "local"];
/** A registry of tests, which leave nothing behind unless they ask for it. */
const IN_MEMORY = "memory";

/** What the settings of a client come to for `target` (in its printed form), which is looked up in `registry`. */
export function channelDiscovery(
  target: string,
  registry: Registry,
  settings: DiscoverySettings,
  context: RegistryContext,
  warn: (text: string) => void,
): ChannelDiscovery {
  const { networks = [], rewrite = [], snapshotFolder } = settings;
  const isRemote = !AT_HAND.includes(registry.name);
  // Without a place two registries with one name would share a file: the instances of a test would serve in production.
  const isTold = target.includes("://") || (registry.place !== undefined && registry.name !== IN_MEMORY);
  const isKept = isRemote && (typeof snapshotFolder === "string" || (snapshotFolder === undefined && isTold));
  const source = [registry.name, registry.place ?? "", target].join(" ");
  const folder = typeof snapshotFolder === "string" ? snapshotFolder : defaultSnapshotFolder(context.environment);
  const { clock, random } = context;
  return {
    disk: isKept ? new SnapshotStore({ files: nodeFileSystem, clock, random, folder, source, warn }) : null,
    waitsForRegistry: isRemote,
    choose: addressChoice(networks, rewriteBy(rewrite, target, "createClient options.rewrite")),
    whyNone: (instance) => noCommonNetwork(instance, networks),
  };
}
